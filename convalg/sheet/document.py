"""What a sheet is made of, and how it becomes HTML, Markdown and files."""

from __future__ import annotations

import base64
import html
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from convalg.errors import FileError
from convalg.sheet.checks import Check

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True)
class Text:
    """A paragraph in plain words."""

    words: str


@dataclass(frozen=True)
class Code:
    """One line of code, such as the call that makes an operator."""

    line: str


@dataclass(frozen=True)
class Formula:
    """A displayed formula, in LaTeX."""

    latex: str


@dataclass(frozen=True)
class Picture:
    """A figure as SVG, with a name for its file and words for those who do not see it."""

    name: str
    svg: str
    caption: str


@dataclass(frozen=True)
class Table:
    """Rows of words under a header."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Claim:
    """A statement with the check that was made of it."""

    statement: str
    check: Check


Block: TypeAlias = Text | Code | Formula | Picture | Table | Claim


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Sheet:
    """A derivation sheet: sections whose statements carry how they were verified.

    >>> import convalg as ca
    >>> sheet = ca.explain(ca.correlation((6, 6), ca.kernel(3, 3)))
    >>> sheet.failed
    ()
    """

    title: str
    lead: str
    sections: tuple[Section, ...]

    @property
    def claims(self) -> tuple[Claim, ...]:
        """All statements, in order."""
        blocks = (block for section in self.sections for block in section.blocks)
        return tuple(block for block in blocks if isinstance(block, Claim))

    @property
    def failed(self) -> tuple[Claim, ...]:
        """The statements that do not hold."""
        return tuple(claim for claim in self.claims if not claim.check.passed)

    def html(self) -> str:
        """The sheet as one HTML page that needs nothing else: figures and formulas inside."""
        import jinja2

        from convalg import __version__

        pages = jinja2.Environment(
            loader=jinja2.PackageLoader("convalg.sheet", "."),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        pages.filters.update(mathml=_mathml, data_uri=_data_uri)
        pages.tests["kind"] = lambda block, name: type(block).__name__ == name
        return pages.get_template("sheet.html.jinja").render(sheet=self, version=__version__)

    def markdown(self) -> str:
        """The sheet as Markdown, figures inside as data URIs, formulas between dollar signs."""
        return self._markdown(lambda picture: _data_uri(picture.svg))

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """The path of `sheet.html`, written to a folder with `sheet.md` and `figures/*.svg`.

        Each file is written beside its place and renamed, so that none is ever half there.
        Raises: FileError when the folder cannot be made or written.
        """
        place = Path(folder)
        blocks = (block for section in self.sections for block in section.blocks)
        pictures = [block for block in blocks if isinstance(block, Picture)]
        files = {f"figures/{picture.name}.svg": picture.svg for picture in pictures}
        files["sheet.md"] = self._markdown(lambda picture: f"figures/{picture.name}.svg")
        files["sheet.html"] = self.html()
        try:
            (place / "figures").mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                _replace(place / name, text)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise FileError(
                f"cannot write the sheet to {str(place)!r} ({reason}): give a folder that can be "
                f"made or written to"
            ) from None
        return place / "sheet.html"

    def _markdown(self, source: Callable[[Picture], str]) -> str:
        parts = [f"# {_plain(self.title)}", _plain(self.lead)]
        for section in self.sections:
            parts.append(f"## {_plain(section.heading)}")
            parts.extend(_markdown_block(block, source) for block in section.blocks)
        return "\n\n".join(parts) + "\n"


def _markdown_block(block: Block, source: Callable[[Picture], str]) -> str:
    match block:
        case Text(words=words):
            return _plain(words)
        case Code(line=line):
            return _fenced(line)
        case Formula(latex=latex):
            return f"$$\n{latex}\n$$"
        case Picture(caption=words):
            return f"![{_plain(words)}]({source(block)})\n\n*{_plain(words)}*"
        case Table(header=header, rows=rows):
            lines = [header, ("---",) * len(header), *rows]
            return "\n".join(f"| {' | '.join(_cell(word) for word in line)} |" for line in lines)
        case Claim(statement=words, check=check):
            verdict = f"**{check.verdict} {check.scope}".strip() + "**"
            return f"- {verdict}: {_plain(words)} ({_plain(check.how)})"


def _cell(word: str) -> str:
    return word if word == "---" else _plain(word)


def _plain(words: str) -> str:
    """Text in which Markdown and HTML find nothing to act on.

    >>> print(_plain("w_0 * <b>"))
    w\\_0 \\* \\<b\\>
    """
    return re.sub(r"([\\`*_{}\[\]<>#|$&~!])", r"\\\1", " ".join(words.split()))


def _fenced(line: str) -> str:
    """A line of code in a fence longer than any in it."""
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}python\n{' '.join(line.splitlines())}\n{fence}"


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _mathml(latex: str) -> Markup:
    """A formula as MathML.

    latex2mathml's own text form undoes the escaping of what it was given, so its tree is
    written out here instead.
    """
    from xml.etree import ElementTree

    from latex2mathml.converter import convert_to_element
    from markupsafe import Markup

    tree = convert_to_element(latex, display="block")
    for element in tree.iter():
        element.text = html.unescape(element.text) if element.text else element.text
    return Markup(ElementTree.tostring(tree, encoding="unicode"))


def _replace(place: Path, text: str) -> None:
    """The whole file at once: written beside its place, then renamed."""
    beside = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        os.replace(beside, place)
    finally:
        beside.unlink(missing_ok=True)

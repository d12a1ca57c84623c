"""The sheet, and how it becomes a page, Markdown, LaTeX, a notebook and files."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from convalg.errors import ArgumentError, FileError
from convalg.files import replace_file
from convalg.sheet import latex as tex
from convalg.sheet import markdown as marks
from convalg.sheet import notebook as notebooks
from convalg.sheet import page as pages
from convalg.sheet.blocks import Block, Claim, Picture, Section, Steps

FORMATS = ("html", "markdown", "latex", "notebook")
NAMES = {
    "html": "sheet.html",
    "markdown": "sheet.md",
    "latex": "sheet.tex",
    "notebook": "sheet.ipynb",
}


@dataclass(frozen=True)
class Sheet:
    """A derivation sheet: sections whose statements carry how they were verified.

    `setup` is the Python that makes the layer `A`, with which a notebook starts.

    >>> import convalg as ca
    >>> sheet = ca.explain(ca.correlation((6, 6), ca.kernel(3, 3)))
    >>> sheet.failed
    ()
    """

    title: str
    lead: str
    sections: tuple[Section, ...]
    setup: str = ""

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What stands under the headings, in order."""
        return tuple(block for section in self.sections for block in section.blocks)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """All statements, in order, those of derivations included."""
        found: list[Claim] = []
        for block in self.blocks:
            if isinstance(block, Claim):
                found.append(block)
            elif isinstance(block, Steps):
                found += block.lines
        return tuple(found)

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All figures that the layer allows, in order; they are drawn here."""
        return tuple(block for block in self.blocks if isinstance(block, Picture) and block.exists)

    @property
    def summary(self) -> str:
        """How many statements have which label, in one line."""
        counts = Counter(claim.check.verdict for claim in self.claims)
        listed = ", ".join(f"{count} {label}" for label, count in counts.items())
        return f"{len(self.claims)} statements: {listed}." if counts else "No statements."

    @property
    def failed(self) -> tuple[Claim, ...]:
        """The statements that do not hold."""
        return tuple(claim for claim in self.claims if not claim.check.passed)

    def html(self) -> str:
        """The sheet as one HTML page that needs nothing else: figures and formulas inside."""
        return pages.page(self)

    def markdown(self) -> str:
        """The sheet as Markdown, figures inside as data URIs, formulas between dollar signs."""
        return marks.markdown(self, lambda picture: pages.data_uri(picture.svg))

    def latex(self) -> str:
        """The sheet as a LaTeX document; `write` puts its figures beside it.

        It is set by a plain LaTeX without them too, with their captions in their places.

        >>> import convalg as ca
        >>> ca.explain(ca.correlation(5, ca.kernel(2))).latex().splitlines()[0]
        '\\\\documentclass[11pt,a4paper]{article}'
        """
        return tex.document(self)

    def notebook(self) -> str:
        """The sheet as a Jupyter notebook (nbformat 4.5), as JSON text: the same bytes each time.

        >>> import convalg as ca, json
        >>> json.loads(ca.explain(ca.correlation(5, ca.kernel(2))).notebook())["nbformat"]
        4
        """
        return notebooks.notebook(self)

    def write(
        self,
        folder: str | os.PathLike[str],
        *,
        formats: tuple[str, ...] | list[str] = ("html", "markdown"),
    ) -> Path:
        """The path of the first file: `sheet.html`, `.md`, `.tex` or `.ipynb`, in a folder.

        `formats`: some of "html", "markdown", "latex" and "notebook". Markdown and LaTeX come
        with `figures/*.svg` and `figures/*.pdf`. Each file is written beside its place and
        renamed, so that none is ever half there.

        Raises: ArgumentError for another format or none, FileError when the folder cannot be
        made or written.
        """
        unknown = [name for name in formats if name not in FORMATS]
        if unknown or not formats or isinstance(formats, str):
            raise ArgumentError(
                f"formats must be some of {', '.join(FORMATS)}, as a tuple or list, not {formats!r}"
            )
        place = Path(folder)
        data = self._files(tuple(formats))
        try:
            place.mkdir(parents=True, exist_ok=True)
            if any(name.startswith("figures/") for name in data):
                (place / "figures").mkdir(exist_ok=True)
            for name, content in data.items():
                replace_file(place / name, content)
        except (OSError, ValueError) as error:
            # A file stands where the folder should.
            taken = isinstance(error, FileExistsError)
            reason = "Not a directory" if taken else getattr(error, "strerror", None) or error
            raise FileError(
                f"cannot write the sheet to {str(place)!r} ({reason}): give a folder that can be "
                f"made or written to"
            ) from None
        return place / NAMES[formats[0]]

    def _files(self, formats: tuple[str, ...]) -> dict[str, bytes]:
        """The content of each file, by its name in the folder; figures before what shows them."""
        data: dict[str, bytes] = {}
        if "markdown" in formats:
            data |= {f"figures/{p.name}.svg": p.svg.encode() for p in self.pictures}
        if "latex" in formats:
            data |= {f"figures/{p.name}.pdf": p.pdf for p in self.pictures}
        for name in formats:
            data[NAMES[name]] = self._text(name).encode()
        return data

    def _text(self, name: str) -> str:
        match name:
            case "html":
                return self.html()
            case "latex":
                return self.latex()
            case "notebook":
                return self.notebook()
        return marks.markdown(self, lambda picture: f"figures/{picture.name}.svg")

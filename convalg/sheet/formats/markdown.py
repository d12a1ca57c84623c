"""The sheet as Markdown, in which names from outside are plain text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from convalg.escape import markdown as plain
from convalg.escape import terminal
from convalg.sheet.blocks import Claim, Code, Formula, Picture, Section, Steps, Table, Text
from convalg.sheet.explorer import Explorer

if TYPE_CHECKING:
    from convalg.sheet.document import Document

Source = Callable[[Picture], str]
Plain = Text | Code | Formula | Picture | Table | Steps | Claim


def markdown(sheet: Document, source: Source) -> str:
    """The whole sheet; `source` says where a picture is found."""
    parts = [f"# {plain(sheet.title)}", plain(sheet.lead)]
    for number, section in enumerate(sheet.sections, 1):
        parts += [heading(section, number), *section_parts(section, source)]
    return "\n\n".join(parts) + "\n"


def heading(section: Section, number: int) -> str:
    """The heading of a section, with its number."""
    return f"## {number}. {plain(section.heading)}"


def section_parts(section: Section, source: Source) -> list[str]:
    """The blocks of a section, each as Markdown."""
    # Paper does not point: the boards of a page stand in no other format.
    return [
        block_markdown(block, source)
        for block in section.blocks
        if not (isinstance(block, Explorer) or (isinstance(block, Picture) and not block.exists))
    ]


def block_markdown(block: Plain, source: Source) -> str:
    """One block as Markdown."""
    match block:
        case Text(words=words):
            return plain(words)
        case Code(line=line):
            return fenced(line)
        case Formula(latex=latex):
            return _displayed(latex)
        case Picture(caption=words):
            return f"![{plain(words)}]({source(block)})\n\n*{plain(words)}*"
        case Table(header=header, rows=rows, caption=words):
            lines = [header, ("---",) * len(header), *rows]
            body = [f"| {' | '.join(_cell(word) for word in line)} |" for line in lines]
            return "\n".join([*body, "", f"*{plain(words)}*"])
        case Steps(lines=lines):
            return "\n\n".join(
                f"{number}. {plain(line.statement)} ({plain(line.verdict)})\n\n{_shown(line)}"
                for number, line in enumerate(lines, 1)
            )
        case Claim(statement=words, check=check):
            line = f"- **{plain(block.verdict)}**: {plain(words)} ({plain(check.how)})"
            return "\n\n".join([line, _shown(block)]) if block.shown else line


def _displayed(latex: str) -> str:
    """A formula for MathJax, without a mark that HTML would act on before it."""
    marks = latex.replace("<", r"\lt ").replace(">", r"\gt ")
    return f"$$\n{marks}\n$$"


def _shown(claim: Claim) -> str:
    return "\n\n".join(
        fenced(part.line) if isinstance(part, Code) else _displayed(part.latex)
        for part in claim.shown
    )


def _cell(word: str) -> str:
    return word if word == "---" else plain(word)


def fenced(line: str) -> str:
    """Code in a fence longer than any in it."""
    line = terminal(line, lines=True)
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}python\n{line}\n{fence}"

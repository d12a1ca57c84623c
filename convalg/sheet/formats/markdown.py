"""The sheet as Markdown, with user-supplied names escaped."""

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
    """Return the whole sheet; `source` gives the address of a picture."""
    parts = [f"# {plain(sheet.title)}", plain(sheet.lead)]
    for number, section in enumerate(sheet.sections, 1):
        parts += [heading(section, number), *section_parts(section, source)]
    return "\n\n".join(parts) + "\n"


def heading(section: Section, number: int) -> str:
    """Return the heading of a section, with its number."""
    return f"## {number}. {plain(section.heading)}"


def section_parts(section: Section, source: Source) -> list[str]:
    """Return the blocks of a section, each as Markdown."""
    # The interactive boards exist only in HTML.
    return [
        block_markdown(block, source)
        for block in section.blocks
        if not (isinstance(block, Explorer) or (isinstance(block, Picture) and not block.exists))
    ]


def block_markdown(block: Plain, source: Source) -> str:
    """Return one block as Markdown."""
    match block:
        case Text(text=text):
            return plain(text)
        case Code(line=line):
            return fenced(line)
        case Formula(latex=latex):
            return _displayed(latex)
        case Picture(caption=caption):
            return f"![{plain(caption)}]({source(block)})\n\n*{plain(caption)}*"
        case Table(header=header, rows=rows, caption=caption):
            lines = [tuple(map(plain, header)), ("---",) * len(header)]
            lines += [tuple(map(plain, row)) for row in rows]
            body = [f"| {' | '.join(line)} |" for line in lines]
            return "\n".join([*body, "", f"*{plain(caption)}*"])
        case Steps(lines=lines):
            return "\n\n".join(
                f"{number}. {plain(line.statement)} ({plain(line.verdict)})\n\n{_shown(line)}"
                for number, line in enumerate(lines, 1)
            )
        case Claim(statement=statement, check=check):
            line = f"- **{plain(block.verdict)}**: {plain(statement)} ({plain(check.how)})"
            return "\n\n".join([line, _shown(block)]) if block.shown else line


def _displayed(latex: str) -> str:
    """Write a formula for MathJax, without the characters < and > that HTML would interpret."""
    marks = latex.replace("<", r"\lt ").replace(">", r"\gt ")
    return f"$$\n{marks}\n$$"


def _shown(claim: Claim) -> str:
    return "\n\n".join(
        fenced(part.line) if isinstance(part, Code) else _displayed(part.latex)
        for part in claim.shown
    )


def fenced(line: str) -> str:
    """Return code in a fence longer than any run of backticks in it."""
    line = terminal(line, lines=True)
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}python\n{line}\n{fence}"

"""Docstrings as reStructuredText: they are plain text with `code` in backticks.

Sections in Google style (`Args:`, `Returns:`, `Raises:`, ...) become lists, and one-line labels
such as `Source:` become bold.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

LABEL = re.compile(r"^(Shapes|Rule|Raises|Source): ?")
"""A label that begins a line of text."""
HEADING = re.compile(r"^(Args|Attributes|Raises|Returns|Source|Yields):$")
"""The heading of a section, which is alone on its line; its entries are indented."""
ENTRY = re.compile(r"^(\*{0,2}[\w.]+(?:, \*{0,2}[\w.]+)*): (.*)$")
"""An entry of a section: one or several names, then text."""


def as_rst(lines: list[str]) -> list[str]:
    """Convert the lines of a docstring to reStructuredText."""
    out: list[str] = []
    for paragraph in paragraphs(lines):
        heading = HEADING.match(paragraph[0])
        if paragraph[0].lstrip().startswith(">>>"):
            out += [*paragraph, ""]
        elif heading:
            out += [f"**{heading[1]}.**", "", *entries(paragraph[1:]), ""]
        elif all(line.startswith(" ") for line in paragraph):
            out += ["::", "", *(f"    {line}" for line in paragraph), ""]
        else:
            for part in parts(paragraph):
                out += [*part, ""]
    return out


def paragraphs(lines: list[str]) -> list[list[str]]:
    """Split lines at blank lines, and before and after each section with a heading."""
    result: list[list[str]] = [[]]
    for line in lines:
        current = result[-1]
        if not line.strip():
            result.append([])
            continue
        ends_section = bool(current) and HEADING.match(current[0]) and not line.startswith(" ")
        if current and (HEADING.match(line) or ends_section):
            result.append([])
        result[-1].append(line.rstrip())
    return [paragraph for paragraph in result if paragraph]


def entries(lines: list[str]) -> list[str]:
    """The entries of a section as a list, or its text where there are no names."""
    indent = min((len(line) - len(line.lstrip()) for line in lines), default=0)
    if not any(ENTRY.match(line[indent:]) for line in lines):
        return [escaped(line.strip()) for line in lines]
    out = []
    for line in lines:
        entry = ENTRY.match(line[indent:])
        if entry:
            out.append(f"- ``{entry[1]}``: {escaped(entry[2])}")
        else:
            out.append(f"  {escaped(line.strip())}")
    return out


def parts(paragraph: list[str]) -> list[list[str]]:
    """Split a paragraph before its labels and bullets, and mark up each part."""
    result: list[list[str]] = []
    for line in paragraph:
        text = line.strip()
        label = LABEL.match(text)
        if label:
            result.append([f"**{label[1]}.** {escaped(text[label.end() :])}"])
        elif text.startswith("- ") or not result:
            bullet = text.startswith("- ")
            result.append([f"- {escaped(text[2:])}" if bullet else escaped(text)])
        else:
            indent = "  " if result[-1][0].startswith("- ") else ""
            result[-1].append(indent + escaped(text))
    return result


def escaped(text: str) -> str:
    """Escape a line of plain text; text in backticks becomes code."""
    pieces = re.split(r"`+([^`]+)`+", text)
    return "".join(
        f"``{piece}``\\ " if number % 2 else re.sub(r"([\\*_|`])", r"\\\1", piece)
        for number, piece in enumerate(pieces)
    )


def process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Replace the lines of a docstring in place: the hook for autodoc."""
    lines[:] = as_rst(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the hook to autodoc."""
    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

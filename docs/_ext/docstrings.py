"""Docstrings as reStructuredText: they are written as plain text with `code` in backticks."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

LABEL = re.compile(r"^(Shapes|Rule|Raises|Source): ?")
"""The parts of a docstring that begin a line."""

SECTION = re.compile(r"^(Args|Returns|Raises|Source|Yields):$")
"""The parts of a docstring whose entries are indented below them."""


def as_rst(lines: list[str]) -> list[str]:
    """The lines of a docstring, read as plain text, as reStructuredText."""
    out: list[str] = []
    for paragraph in paragraphs(lines):
        first = paragraph[0].lstrip()
        if SECTION.match(first):
            out += section(first.removesuffix(":"), paragraph[1:])
            continue
        if first.startswith(">>>"):
            out += [*paragraph, ""]
        elif all(line.startswith(" ") for line in paragraph):
            out += ["::", "", *(f"    {line}" for line in paragraph), ""]
        else:
            for part in parts(paragraph):
                out += [*part, ""]
    return out


def section(name: str, lines: list[str]) -> list[str]:
    """A section as a list: an entry `name: text` a line, with its continuations indented."""
    depth = min((len(line) - len(line.lstrip()) for line in lines), default=0)
    entries: list[str] = []
    for line in lines:
        text = line[depth:]
        if text.startswith(" ") and entries:
            entries[-1] += f" {text.strip()}"
        else:
            entries.append(text)
    out = [f"**{name}.**", ""]
    for entry in entries:
        head, colon, rest = entry.partition(": ")
        named = colon and re.fullmatch(r"[\w.*, ]+", head)
        out.append(f"- ``{head}``: {escaped(rest)}" if named else f"- {escaped(entry)}")
    return [*out, ""]


def paragraphs(lines: list[str]) -> list[list[str]]:
    """Runs of lines without a blank one."""
    found: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            found[-1].append(line.rstrip())
        elif found[-1]:
            found.append([])
    return [paragraph for paragraph in found if paragraph]


def parts(paragraph: list[str]) -> list[list[str]]:
    """A paragraph cut before its labels and its bullets, each part marked up."""
    found: list[list[str]] = []
    for line in paragraph:
        text = line.strip()
        label = LABEL.match(text)
        if label:
            found.append([f"**{label[1]}.** {escaped(text[label.end() :])}"])
        elif text.startswith("- ") or not found:
            bullet = text.startswith("- ")
            found.append([f"- {escaped(text[2:])}" if bullet else escaped(text)])
        else:
            indent = "  " if found[-1][0].startswith("- ") else ""
            found[-1].append(indent + escaped(text))
    return found


def escaped(text: str) -> str:
    """A line with its marks taken literally, and what stands in backticks as code."""
    pieces = re.split(r"`+([^`]+)`+", text)
    return "".join(
        f"``{piece}``\\ " if place % 2 else re.sub(r"([\\*_|`])", r"\\\1", piece)
        for place, piece in enumerate(pieces)
    )


def process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Autodoc's hook: the lines are replaced in place."""
    lines[:] = as_rst(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    """Hooks into autodoc."""
    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

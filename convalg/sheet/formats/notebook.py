"""The sheet as a notebook (nbformat 4.5): text with attached figures, and code to run."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from convalg.escape import markdown as plain
from convalg.escape import terminal
from convalg.sheet.blocks import Code, Picture, Section
from convalg.sheet.explorer import Explorer
from convalg.sheet.formats.markdown import block_markdown, heading

if TYPE_CHECKING:
    from convalg.sheet.document import Document


def notebook(sheet: Document) -> str:
    """Return the notebook as JSON text, byte for byte reproducible, with numbered cell ids."""
    cells: list[dict[str, Any]] = [_markdown([f"# {plain(sheet.title)}", plain(sheet.lead)], [])]
    if sheet.setup:
        cells.append(_code(sheet.setup))
    for number, section in enumerate(sheet.sections, 1):
        cells += _section(section, number)
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number:03d}"
    book = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(book, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _section(section: Section, number: int) -> list[dict[str, Any]]:
    """Alternate Markdown cells (text and figures) with cells of the code that runs."""
    cells: list[dict[str, Any]] = []
    parts: list[str] = [heading(section, number)]
    pictures: list[Picture] = []
    for block in section.blocks:
        if isinstance(block, Code) and block.runs:
            cells += [_markdown(parts, pictures), _code(block.line)]
            parts, pictures = [], []
            continue
        if isinstance(block, Explorer) or (isinstance(block, Picture) and not block.exists):
            continue
        parts.append(block_markdown(block, lambda picture: f"attachment:{picture.name}.svg"))
        if isinstance(block, Picture):
            pictures.append(block)
    return [*cells, _markdown(parts, pictures)] if parts else cells


def _markdown(parts: list[str], pictures: list[Picture]) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": "markdown",
        "metadata": {},
        "source": _lines("\n\n".join(parts)),
    }
    if pictures:
        cell["attachments"] = {
            f"{picture.name}.svg": {
                "image/svg+xml": base64.b64encode(picture.svg.encode()).decode()
            }
            for picture in pictures
        }
    return cell


def _code(source: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": _lines(terminal(source, lines=True)),
    }


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)

"""What a sheet is made of: paragraphs, formulas, figures, tables, proofs, and statements."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from convalg.draw.figure import Drawing, rendered
from convalg.sheet.checks import Check
from convalg.sheet.explorer import Explorer

NARROW = 4.9
"""Inches of width below which a figure shares its line."""


@dataclass(frozen=True)
class Text:
    """A paragraph in plain words."""

    words: str


@dataclass(frozen=True)
class Code:
    """Python. A line that `runs` is run in the notebook, where `ca` and the layer `A` are known."""

    line: str
    runs: bool = False


@dataclass(frozen=True)
class Formula:
    """A displayed formula, in LaTeX."""

    latex: str


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure, with a name for its file and words for those who do not see it."""

    name: str
    figure: Drawing
    caption: str

    @property
    def is_narrow(self) -> bool:
        """Whether two such figures stand beside one another."""
        return bool(self.figure.get_figwidth() < NARROW)

    @cached_property
    def svg(self) -> str:
        """The figure as SVG text."""
        return self.figure.svg()

    @cached_property
    def pdf(self) -> bytes:
        """The figure as a PDF file."""
        return rendered(self.figure, "pdf")


@dataclass(frozen=True)
class Table:
    """Rows of words under a header; the first word of a row names it."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str

    @property
    def is_words(self) -> bool:
        """Whether no cell behind the first of a row holds a number."""
        return not any(mark.isdigit() for row in self.rows for word in row[1:] for mark in word)


@dataclass(frozen=True)
class Steps:
    """A derivation: each line a formula in LaTeX, why it follows, and how it was verified."""

    lines: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Claim:
    """A statement with the check that was made of it."""

    statement: str
    check: Check

    @property
    def verdict(self) -> str:
        """The verdict with its scope, in a few words."""
        return f"{self.check.verdict} {self.check.scope}".strip()


Block: TypeAlias = Text | Code | Formula | Picture | Table | Steps | Claim | Explorer


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    blocks: tuple[Block, ...]

"""The blocks of a sheet: paragraphs, formulas, figures, tables, derivations and claims."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from convalg.draw.figure import Drawing, rendered
from convalg.errors import KindError, ShapeError, TooLargeError
from convalg.sheet.explorer import Explorer

NARROW = 4.9
"""Two figures narrower than this, in inches, are placed side by side."""


@dataclass(frozen=True)
class Text:
    """A paragraph of plain text."""

    text: str


@dataclass(frozen=True)
class Code:
    """Python code. With `runs`, the notebook runs it, with `ca` and the layer `A` defined."""

    line: str
    runs: bool = False


@dataclass(frozen=True)
class Formula:
    """A displayed formula in LaTeX."""

    latex: str


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure, drawn on first use, with a file name and a caption.

    `choices` holds captions and drawing functions in order of preference: a layer may have too
    many axes, or be too large, for some of them. Only the SVG text is kept, not the figure.
    """

    name: str
    choices: tuple[tuple[str, Callable[[], Drawing]], ...]

    @cached_property
    def _drawn(self) -> tuple[int, str, float] | None:
        """The index, SVG and width of the first choice that can be drawn; None if none can."""
        for number, (_, make) in enumerate(self.choices):
            try:
                figure = make()
            except (KindError, ShapeError, TooLargeError):
                continue
            return number, figure.svg(), float(figure.get_figwidth())
        return None

    @property
    def exists(self) -> bool:
        """Whether one of the choices can be drawn for this layer."""
        return self._drawn is not None

    @property
    def caption(self) -> str:
        """The caption of the figure that is drawn."""
        return self.choices[self._drawn[0]][0] if self._drawn else ""

    @property
    def is_narrow(self) -> bool:
        """Whether the figure is narrow enough to share a line with another."""
        return self._drawn is not None and self._drawn[2] < NARROW

    @property
    def svg(self) -> str:
        """The figure as SVG text."""
        return self._drawn[1] if self._drawn else ""

    @cached_property
    def pdf(self) -> bytes:
        """The figure as a PDF file."""
        return rendered(self.choices[self._drawn[0]][1](), "pdf") if self._drawn else b""


@dataclass(frozen=True)
class Table:
    """Rows of text under a header; the first cell of a row is its label."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str

    @property
    def is_text(self) -> bool:
        """Whether no cell after the first of a row contains a digit."""
        return not any(mark.isdigit() for row in self.rows for cell in row[1:] for mark in cell)


PROVED = "proved"
"""An exact identity at the one size of the scope, or a decision for every size in the scope."""
EXACTLY = "verified exactly"
"""Numbers recomputed in exact arithmetic, independently of the code that printed them."""
COUNTEREXAMPLE = "shown by a counterexample"
TRIED = "tried"
"""Evaluated on some inputs, possibly with rounding: not a proof."""
FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """The outcome of checking a statement: `verdict`, `scope` (where it holds), `how` (method)."""

    verdict: str
    scope: str
    how: str

    @property
    def passed(self) -> bool:
        """Whether the statement holds."""
        return self.verdict != FAILED


@dataclass(frozen=True)
class Claim:
    """A statement and the result of its check.

    `shown` holds the formulas or calls that the statement is about. They are generated from the
    same objects as the check.
    """

    statement: str
    check: Check
    shown: tuple[Formula | Code, ...] = ()

    @property
    def verdict(self) -> str:
        """The label: the verdict followed by its scope."""
        return f"{self.check.verdict} {self.check.scope}".strip()


@dataclass(frozen=True)
class Steps:
    """A derivation: each line is a claim of one formula and the reason why it follows."""

    lines: tuple[Claim, ...]


Block: TypeAlias = Text | Code | Formula | Picture | Table | Steps | Claim | Explorer


@dataclass(frozen=True)
class Section:
    """A heading and the blocks under it."""

    heading: str
    blocks: tuple[Block, ...]

"""What a sheet is made of: paragraphs, formulas, figures, tables, proofs, and statements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from convalg.draw.figure import Drawing, rendered
from convalg.errors import KindError, ShapeError, TooLargeError
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
    """A figure, drawn when it is asked for, with a name for its file and a caption.

    `choices`: captions and functions that draw, in order of preference. A layer may have too
    many axes, or be too large, to be drawn in some of them. The figure itself is not kept.
    """

    name: str
    choices: tuple[tuple[str, Callable[[], Drawing]], ...]

    @cached_property
    def _drawn(self) -> tuple[int, str, float] | None:
        """The first choice that can be drawn, its SVG and its width; None without any."""
        for number, (_, make) in enumerate(self.choices):
            try:
                figure = make()
            except (KindError, ShapeError, TooLargeError):
                continue
            return number, figure.svg(), float(figure.get_figwidth())
        return None

    @property
    def exists(self) -> bool:
        """Whether the layer allows one of the figures."""
        return self._drawn is not None

    @property
    def caption(self) -> str:
        """The caption of the figure that is drawn."""
        return self.choices[self._drawn[0]][0] if self._drawn else ""

    @property
    def is_narrow(self) -> bool:
        """Whether two such figures share a line."""
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
    """Rows of words under a header; the first word of a row names it."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str

    @property
    def is_words(self) -> bool:
        """Whether no cell after the first of a row holds a number."""
        return not any(mark.isdigit() for row in self.rows for word in row[1:] for mark in word)


PROVED = "proved"
"""An exact identity at the size of the scope, or a decision for every size of it."""
EXACTLY = "verified exactly"
"""Numbers that were computed again, in exact arithmetic, without the code that printed them."""
COUNTEREXAMPLE = "shown by a counterexample"
TRIED = "tried"
"""Evaluated on some inputs, perhaps with rounding: no proof."""
FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """Whether a statement holds: `verdict`, `scope` (where), `how` it was established."""

    verdict: str
    scope: str
    how: str

    @property
    def passed(self) -> bool:
        """Whether the statement holds."""
        return self.verdict != FAILED


@dataclass(frozen=True)
class Claim:
    """A statement with the check that was made of it.

    `shown`: the formulas or calls that the statement is about, from the same objects as the
    check.
    """

    statement: str
    check: Check
    shown: tuple[Formula | Code, ...] = ()

    @property
    def verdict(self) -> str:
        """The verdict with its scope, in a few words."""
        return f"{self.check.verdict} {self.check.scope}".strip()


@dataclass(frozen=True)
class Steps:
    """A derivation: each line a claim, of one formula and why it follows."""

    lines: tuple[Claim, ...]


Block: TypeAlias = Text | Code | Formula | Picture | Table | Steps | Claim | Explorer


@dataclass(frozen=True)
class Section:
    """A heading and the blocks under it."""

    heading: str
    blocks: tuple[Block, ...]

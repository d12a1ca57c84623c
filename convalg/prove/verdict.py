"""Verdicts: what was claimed, whether it holds, for which sizes, how that is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from convalg import html
from convalg.escape import latex, terminal

if TYPE_CHECKING:
    from convalg.prove.decisions.domain import Domain

Status = Literal["proved", "refuted", "unknown"]
Claim = str | Callable[[], str]
"""A claim in words, or what writes it out when it is read."""

ISL = "Presburger arithmetic (isl): the sets of triples (row, column, weight) compared"
IDENTITY = "exact polynomial identity, entry by entry"


@dataclass(frozen=True, eq=False)
class Counterexample:
    """The smallest case where a claim fails.

    `sizes`: a number for each letter. `row_index`, `column_index`: the index of the entry in
    the output and input arrays, None where shapes differ or no input is named; `row` and
    `column` are the same as numbers, the row and column of the matrix. `claimed` and `actual`:
    the two values, exact. `inputs`: what a function was run on.
    """

    sizes: dict[str, int]
    row_index: tuple[int, ...] | None
    column_index: tuple[int, ...] | None
    claimed: Any
    actual: Any
    inputs: dict[str, Any] = field(default_factory=dict)
    evaluate: Callable[[], tuple[Any, Any]] | None = field(default=None, repr=False)
    shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = field(default=None, repr=False)

    @property
    def row(self) -> int | None:
        """The row of the matrix: the place in the output, row-major."""
        return _place(self.row_index, self.shapes and self.shapes[0])

    @property
    def column(self) -> int | None:
        """The column of the matrix: the place in the input, row-major."""
        return _place(self.column_index, self.shapes and self.shapes[1])

    def replay(self) -> tuple[Any, Any]:
        """(claimed, actual) as numbers, evaluated afresh from the two sides of the claim.

        Weights get different primes, so that values that differ as polynomials differ here.
        """
        return self.evaluate() if self.evaluate else (self.claimed, self.actual)

    def __str__(self) -> str:
        words = [", ".join(f"{name} = {value}" for name, value in self.sizes.items())]
        words += [f"{name} = {value!r}" for name, value in self.inputs.items()]
        if self.row_index is not None:
            words.append(f"row {_index(self.row_index)}")
        if self.column_index is not None:
            words.append(f"column {_index(self.column_index)}")
        words.append(f"claimed {self.claimed}, actual {self.actual}")
        return "; ".join(filter(None, words))


@dataclass(frozen=True, eq=False)
class Verdict:
    """The answer to a claim; true in a condition only when proved.

    `status`: "proved", "refuted" or "unknown". `scope`: the sizes it is about. `method`: the
    decision procedure or identity behind it. `counterexample`: where it fails, or None.
    `hint`: what would mend a refuted claim, confirmed, or "". `reason`: why it is unknown.
    `domain`: the conditions of the scope, for claims about operators.
    """

    status: Status
    words: Claim
    scope: str
    method: str
    counterexample: Counterexample | None = None
    hint: str = ""
    reason: str = ""
    domain: Domain | None = field(default=None, repr=False)

    @cached_property
    def claim(self) -> str:
        """What was claimed, in words."""
        return self.words if isinstance(self.words, str) else self.words()

    def __bool__(self) -> bool:
        return self.status == "proved"

    def __repr__(self) -> str:
        if self.status == "proved":
            return terminal(f"Proved for {self.scope}")
        if self.status == "refuted":
            tail = f" (hint: {self.hint})" if self.hint else ""
            return terminal(f"Refuted: {self.counterexample}{tail}")
        return terminal(f"Unknown: {self.reason}")

    def _repr_html_(self) -> str:
        holds = {"proved": True, "refuted": False}.get(self.status)
        return html.answer(holds, repr(self))

    def explain(self) -> str:
        """The verdict in a few lines: claim, status, scope, method, counterexample, hint."""
        lines = [f"Claim: {self.claim}", f"{self.status.capitalize()} for {self.scope}."]
        if self.status == "refuted":
            lines[1] = "Refuted."
            lines.append(f"Smallest counterexample: {self.counterexample}.")
        if self.status == "unknown":
            lines[1] = f"Unknown: {self.reason}."
        lines.append(f"Method: {self.method}.")
        if self.hint:
            lines.append(f"Hint: {self.hint}.")
        return terminal("\n".join(lines), lines=True)


def _place(index: tuple[int, ...] | None, shape: tuple[int, ...] | None) -> int | None:
    """The row-major place of an index; of one axis, the index itself."""
    if index is None or (shape is None and len(index) != 1):
        return None
    place = 0
    for at, size in zip(index, shape or (0,), strict=True):
        place = place * size + at
    return place


def _index(index: tuple[int, ...]) -> str:
    return str(index[0]) if len(index) == 1 else str(index)


def escaped(words: str) -> str:
    """Plain words as LaTeX text: marks that LaTeX would read are escaped.

    >>> escaped("n >= K_1 & 2%")
    'n $\\\\ge$ K\\\\_1 \\\\& 2\\\\%'
    """
    found = latex(words)
    return found.replace("$>$=", r"$\ge$").replace("$<$=", r"$\le$")

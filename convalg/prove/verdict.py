"""Verdicts: the claim, whether it holds, for which sizes, and how that was decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from convalg import html
from convalg.escape import latex, terminal

if TYPE_CHECKING:
    from convalg.prove import certificates
    from convalg.prove.certificates import Evidence
    from convalg.prove.decisions.domain import Domain

Status = Literal["proved", "refuted", "unknown"]
Claim = str | Callable[[], str]
"""A claim as text, or a function that writes it when it is first read."""

ISL = "Presburger arithmetic (isl): the sets of triples (row, column, weight) compared"
Z3 = "integer arithmetic (z3): each entry (row, column, weight) as a formula without quantifiers"
IDENTITY = "exact polynomial identity, entry by entry"


@dataclass(frozen=True, eq=False)
class Counterexample:
    """The smallest case in which a claim fails.

    Attributes:
        sizes: the value of each symbolic size, by its name.
        row_index: the index of the entry in the output array; None where the shapes differ.
        column_index: the index of the entry in the input array; None where the shapes differ or
            the difference does not belong to one input.
        claimed: the exact value that the claim states.
        actual: the exact value that was found.
        inputs: the inputs that a function was run on, by their names.
        evaluate: recomputes (claimed, actual), or None; see `replay`.
        shapes: the shapes of the output and input arrays, or None.

    >>> import convalg as ca
    >>> A = ca.correlation(4, ca.kernel(2))
    >>> verdict = ca.prove.equal(A.T, ca.correlation(3, ca.kernel(2), padding="full"))
    >>> print(verdict.counterexample)
    row 0; column 0; claimed w1, actual w0
    >>> verdict.counterexample.replay()
    (3, 2)
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
        """The row of the matrix: the row-major position of `row_index`, or None."""
        return _position(self.row_index, self.shapes and self.shapes[0])

    @property
    def column(self) -> int | None:
        """The column of the matrix: the row-major position of `column_index`, or None."""
        return _position(self.column_index, self.shapes and self.shapes[1])

    def replay(self) -> tuple[Any, Any]:
        """Return (claimed, actual) as numbers, recomputed from the two sides of the claim.

        Each weight is replaced by a different prime, so that two different polynomials have two
        different values.
        """
        return self.evaluate() if self.evaluate else (self.claimed, self.actual)

    def __str__(self) -> str:
        parts = [", ".join(f"{name} = {value}" for name, value in self.sizes.items())]
        parts += [f"{name} = {value!r}" for name, value in self.inputs.items()]
        if self.row_index is not None:
            parts.append(f"row {_index(self.row_index)}")
        if self.column_index is not None:
            parts.append(f"column {_index(self.column_index)}")
        parts.append(f"claimed {self.claimed}, actual {self.actual}")
        return "; ".join(filter(None, parts))


@dataclass(frozen=True, eq=False)
class Verdict:
    """The answer to a claim; true in a boolean context only when it is proved.

    Attributes:
        status: "proved", "refuted" or "unknown".
        statement: the claim, as text or as a function that returns the text; see `claim`.
        scope: the sizes that the claim is about, as text.
        method: the decision procedure or the identity that was used.
        counterexample: where the claim fails, or None.
        hint: a confirmed change that makes a refuted claim true, or "".
        reason: why the status is "unknown", or "".
        domain: the conditions of the scope, for claims about operators; otherwise None.
        evidence: the claims about operators that `certificate` writes.

    >>> import convalg as ca
    >>> A = ca.correlation(4, ca.kernel(2))
    >>> verdict = ca.prove.equal(A.T, ca.correlation(3, ca.kernel(2), padding="full"))
    >>> verdict.status, bool(verdict), verdict.hint
    ('refuted', False, 'flip the kernel')
    """

    status: Status
    statement: Claim
    scope: str
    method: str
    counterexample: Counterexample | None = None
    hint: str = ""
    reason: str = ""
    domain: Domain | None = field(default=None, repr=False)
    evidence: tuple[Evidence, ...] = field(default=(), repr=False)

    if TYPE_CHECKING:
        # Attached by `certificates`, which is built on verdicts.
        certificate = certificates.certificate

    @cached_property
    def claim(self) -> str:
        """The claim as text."""
        return self.statement if isinstance(self.statement, str) else self.statement()

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
        """Return the claim, status, scope, counterexample, method and hint as lines of text.

        >>> import convalg as ca
        >>> n = ca.sizes("n")[0]
        >>> print(ca.prove.equal(ca.shift(n, 1).T, ca.shift(n, -1)).explain())
        Claim: shift(n, -1) = shift(n, -1)
        Proved for all n >= 1.
        Method: Presburger arithmetic (isl): the sets of triples (row, column, weight) compared.
        """
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


def _position(index: tuple[int, ...] | None, shape: tuple[int, ...] | None) -> int | None:
    """Return the row-major position of an index; for a single axis, the index itself."""
    if index is None or (shape is None and len(index) != 1):
        return None
    position = 0
    for coordinate, size in zip(index, shape or (0,), strict=True):
        position = position * size + coordinate
    return position


def _index(index: tuple[int, ...]) -> str:
    return str(index[0]) if len(index) == 1 else str(index)


def escaped(text: str) -> str:
    """Return plain text as LaTeX text: special characters are escaped, >= and <= are signs.

    >>> escaped("n >= K_1 & 2%")
    'n $\\\\ge$ K\\\\_1 \\\\& 2\\\\%'
    """
    marked = latex(text)
    return marked.replace("$>$=", r"$\ge$").replace("$<$=", r"$\le$")

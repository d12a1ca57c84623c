"""The entries of a matrix, and numbers that stand for them while a geometry is sought.

Exact entries (integers, fractions, symbols) are replaced by residues of a large prime, symbols
by random ones: sums of entries stay sums of residues. What is found so is then held against
the entries themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from convalg.base import Array, Operator
from convalg.spec import is_expression

PRIME = 2**31 - 1
ULPS = 64
"""Entries of floats are equal when they differ by fewer units in the last place of the largest."""


@dataclass(frozen=True, eq=False)
class Profile:
    """One axis of a matrix: one number (outputs, inputs) for everything else at that place.

    `slack`: how far two equal numbers may lie apart; 0 for residues.
    """

    values: Array
    slack: float

    @property
    def used(self) -> Array:
        """Which places hold something."""
        return np.abs(self.values) > self.slack

    def alike(self, first: Array, second: Array) -> bool:
        """Whether two arrays of such numbers are equal."""
        return bool((np.abs(first - second) <= self.slack).all())

    def tidy(self, sums: Array) -> Array:
        """Sums of such numbers as such numbers."""
        return sums if self.slack else sums % PRIME


@dataclass(frozen=True, eq=False)
class Entries:
    """Entries in any number of axes: as they are, and what stands for them.

    `tolerance`: relative to the largest, for floats; 0 where the entries are exact.
    """

    exact: Array
    stand: Array
    tolerance: float

    def reshape(self, *shape: int) -> Entries:
        """The same in another shape."""
        return Entries(self.exact.reshape(shape), self.stand.reshape(shape), self.tolerance)

    def transpose(self, *axes: int) -> Entries:
        """The same with its axes in another order."""
        return Entries(self.exact.transpose(axes), self.stand.transpose(axes), self.tolerance)

    @property
    def slack(self) -> float:
        """How far two equal entries may lie apart."""
        return self.tolerance * float(np.abs(self.stand).max(initial=0)) if self.tolerance else 0.0

    @property
    def used(self) -> Array:
        """Which entries are not zero."""
        return np.abs(self.stand) > self.slack

    @property
    def sums_to_one(self) -> bool:
        """Whether every row of a matrix is a weighted mean."""
        totals = self.stand.sum(axis=1)
        if not self.tolerance:
            return bool((totals % PRIME == 1).all())
        return bool((np.abs(totals - 1) <= self.tolerance * self.stand.shape[1]).all())

    def profile(self, output: int, source: int) -> Profile:
        """The numbers of one pair of axes: random sums over all the others."""
        moved = np.moveaxis(self.stand, (output, source), (0, 1))
        flat = moved.reshape(*moved.shape[:2], -1)
        random = np.random.default_rng(1)
        if not self.tolerance:
            factors = random.integers(1, PRIME, flat.shape[2])
            return Profile((flat * factors % PRIME).sum(axis=2) % PRIME, 0.0)
        factors = random.integers(1, 98, flat.shape[2]).astype(float)
        size = float((np.abs(flat) @ factors).max(initial=0))
        return Profile(flat @ factors, max(self.tolerance * size, np.finfo(float).tiny))

    def agree(self, operator: Operator) -> bool:
        """Whether an operator has this matrix: exactly, or for floats up to the tolerance."""
        if operator.shape != self.exact.shape:
            return False
        found = operator.to_numpy()
        if self.tolerance:
            return bool(np.abs(found.astype(float) - self.stand).max(initial=0) <= self.slack)
        different = found != self.exact
        if not different.any():
            return True
        pairs = zip(found[different], self.exact[different], strict=True)
        return all(_zero(a - b) for a, b in pairs)


def _zero(value: Any) -> bool:
    """Whether a difference vanishes once it is multiplied out."""
    return bool(is_expression(value) and value.expand() == 0)


def entries(matrix: Array, tolerance: float = 0.0) -> Entries:
    """The entries of a matrix; of floats, those that are near a whole number all are whole.

    Shapes: any; `tolerance` is relative to the largest float, at least some rounding.
    """
    if matrix.dtype.kind == "O" and not any(map(_is_exact, matrix.ravel())):
        matrix = matrix.astype(float)
    if matrix.dtype.kind == "O":
        return Entries(matrix, _residues(matrix), 0.0)
    if matrix.dtype.kind in "iu":
        # As Python's integers: the residues of unsigned ones would be those of large ones.
        return Entries(matrix, (matrix.astype(object) % PRIME).astype(np.int64), 0.0)
    values = matrix.astype(float)
    share = max(tolerance, ULPS * float(np.finfo(float).eps))
    near = share * float(np.abs(values).max(initial=0))
    rounded = np.round(values)
    if (np.abs(values - rounded) <= near).all() and np.abs(rounded).max(initial=0) < 2**53:
        return entries(rounded.astype(np.int64))
    return Entries(values, np.where(np.abs(values) <= near, 0.0, values), share)


def _is_exact(value: Any) -> bool:
    """Whether an entry is anything but a float."""
    if is_expression(value):
        return not value.is_Float
    return not isinstance(value, (float, np.floating))


def _residues(matrix: Array) -> Array:
    """A residue for each entry, the same for equal ones."""
    symbols: dict[Any, int] = {}
    known: dict[Any, int] = {}
    random = np.random.default_rng(2)

    def residue(value: Any) -> int:
        if is_expression(value):
            for symbol in sorted(value.free_symbols - symbols.keys(), key=str):
                symbols[symbol] = int(random.integers(1, PRIME))
            value = value.subs(symbols)
            if not value.is_Rational:
                # A root or the like: it stands for itself.
                return int(random.integers(1, PRIME))
        fraction = Fraction(int(value.p), int(value.q)) if is_expression(value) else Fraction(value)
        return fraction.numerator * pow(fraction.denominator, -1, PRIME) % PRIME

    found = [known[v] if v in known else known.setdefault(v, residue(v)) for v in matrix.ravel()]
    return np.array(found, dtype=np.int64).reshape(matrix.shape)

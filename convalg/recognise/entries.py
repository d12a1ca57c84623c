"""The entries of a matrix, and numbers that stand for them while a geometry is sought.

Exact entries (integers, fractions, symbols) are replaced by residues of a large prime, symbols
by random ones: sums of entries stay sums of residues. What is found so is then held against
the entries themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.errors import ArgumentError
from convalg.faces.zero import is_equal
from convalg.operators.tree import Operator
from convalg.size import is_expression

PRIMES = (2147483647, 2147483629, 2147483587, 2147483579)
"""The largest below 2**31: products of two residues fit 64 bits."""

ULPS = 64
"""Entries of floats are equal when they differ by fewer units in the last place of the largest."""


@dataclass(frozen=True, eq=False)
class Profile:
    """One axis of a matrix: one number (outputs, inputs) for everything else at that place.

    `slack`: how far two equal numbers may lie apart; 0 for residues modulo `prime`.
    """

    values: Array
    slack: float
    prime: int = PRIMES[0]

    @property
    def used(self) -> Array:
        """Which places hold something."""
        return np.abs(self.values) > self.slack

    def alike(self, first: Array, second: Array) -> bool:
        """Whether two arrays of such numbers are equal."""
        return bool((np.abs(first - second) <= self.slack).all())

    def tidy(self, sums: Array) -> Array:
        """Sums of such numbers as such numbers."""
        return sums if self.slack else sums % self.prime


@dataclass(frozen=True, eq=False)
class Entries:
    """Entries in any number of axes: as they are, and what stands for them.

    `tolerance`: relative to the largest, for floats; 0 where the entries are exact, and what
    stands for them are residues modulo `prime`.
    """

    exact: Array
    stand: Array
    tolerance: float
    prime: int = PRIMES[0]

    def reshape(self, *shape: int) -> Entries:
        """The same in another shape."""
        exact, stand = self.exact.reshape(shape), self.stand.reshape(shape)
        return replace(self, exact=exact, stand=stand)

    def transpose(self, *axes: int) -> Entries:
        """The same with its axes in another order."""
        exact, stand = self.exact.transpose(axes), self.stand.transpose(axes)
        return replace(self, exact=exact, stand=stand)

    @property
    def slack(self) -> float:
        """How far two equal entries may lie apart."""
        return self.tolerance * float(np.abs(self.stand).max(initial=0)) if self.tolerance else 0.0

    @property
    def used(self) -> Array:
        """Which entries are not zero."""
        # A residue may be 0 where the entry is not.
        return np.abs(self.stand) > self.slack if self.tolerance else self.exact != 0

    @property
    def ones(self) -> Array:
        """Which entries are 1."""
        return np.abs(self.stand - 1) <= self.slack if self.tolerance else self.exact == 1

    @property
    def sums_to_one(self) -> bool:
        """Whether every row of a matrix is a weighted mean."""
        totals = self.stand.sum(axis=1)
        if not self.tolerance:
            return bool((totals % self.prime == 1).all())
        return bool((np.abs(totals - 1) <= self.tolerance * self.stand.shape[1]).all())

    def profile(self, output: int, source: int) -> Profile:
        """The numbers of one pair of axes: random sums over all the others."""
        moved = np.moveaxis(self.stand, (output, source), (0, 1))
        flat = moved.reshape(*moved.shape[:2], -1)
        random = np.random.default_rng(1)
        if not self.tolerance:
            factors = random.integers(1, self.prime, flat.shape[2])
            sums = (flat * factors % self.prime).sum(axis=2) % self.prime
            return Profile(sums, 0.0, self.prime)
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
        return all(is_equal(a, b) for a, b in pairs)


def entries(matrix: Array, tolerance: float = 0.0) -> Entries:
    """The entries of a matrix; floats that are all near integers are read as integers.

    Shapes: any; `tolerance` is relative to the largest float, at least some rounding.
    """
    if matrix.dtype.kind == "O" and not any(map(_is_exact, matrix.ravel())):
        matrix = matrix.astype(float)
    if matrix.dtype.kind in "Oiub":
        distinct, places = _distinct(matrix)
        for prime in PRIMES:
            residues = _residues(distinct, prime)
            # Another prime where two entries, or an entry and 0 or 1, have one residue.
            if residues is not None and len(np.unique(residues)) == len(distinct):
                stand = residues[places].reshape(matrix.shape)
                return Entries(matrix, stand, 0.0, prime)
        raise ArgumentError(
            f"the entries of a matrix of shape {matrix.shape} are multiples or inverses of "
            f"the primes {PRIMES}, which identify computes with: scale the matrix"
        )
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


def _distinct(matrix: Array) -> tuple[list[Any], Array]:
    """0, 1 and all other values of a matrix, and the number of that of each entry."""
    if matrix.dtype.kind != "O":
        found, places = np.unique(np.append(matrix.ravel(), [0, 1]), return_inverse=True)
        return [int(value) for value in found], places[:-2]
    numbers: dict[Any, int] = {0: 0, 1: 1}
    order = [numbers.setdefault(value, len(numbers)) for value in matrix.ravel().tolist()]
    return list(numbers), np.array(order)


def _residues(values: list[Any], prime: int) -> Array | None:
    """A residue for each value; None where one has a multiple of the prime as denominator."""
    symbols: dict[Any, int] = {}
    random = np.random.default_rng(2)
    found = []
    for value in values:
        number = value
        if is_expression(value):
            for symbol in sorted(value.free_symbols - symbols.keys(), key=str):
                symbols[symbol] = int(random.integers(1, prime))
            number = value.subs(symbols)
            if not number.is_Rational:
                # A root or the like: it stands for itself.
                found.append(int(random.integers(1, prime)))
                continue
            number = Fraction(int(number.p), int(number.q))
        fraction = Fraction(number)
        if fraction.denominator % prime == 0:
            return None
        found.append(fraction.numerator * pow(fraction.denominator, -1, prime) % prime)
    return np.array(found, dtype=np.int64)

"""The entries of a matrix, and numbers that represent them during the search for a geometry.

Exact entries (integers, fractions, symbols) are represented by residues modulo a large prime, and
symbols by random residues, so that sums of entries become sums of residues. The result of a search
is then verified with the entries themselves.
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
"""The largest primes below 2**31, so that products of two residues fit in 64 bits."""

ULPS = 64
"""Units in the last place of the largest entry by which equal floats may differ."""


@dataclass(frozen=True, eq=False)
class Profile:
    """One axis of a matrix, with one number for all entries of the other axes.

    `values`: the numbers, shape (outputs, inputs). `slack`: the largest difference of two equal
    numbers; 0 for residues modulo `prime`.
    """

    values: Array
    slack: float
    prime: int = PRIMES[0]

    @property
    def used(self) -> Array:
        """A mask of the non-zeros."""
        return np.abs(self.values) > self.slack

    def alike(self, first: Array, second: Array) -> bool:
        """Whether two arrays of values (of one shape) are equal up to the slack."""
        return bool((np.abs(first - second) <= self.slack).all())

    def tidy(self, sums: Array) -> Array:
        """Return sums of values modulo the prime, or unchanged for floats."""
        return sums if self.slack else sums % self.prime


@dataclass(frozen=True, eq=False)
class Entries:
    """An array of entries, and the numbers that represent them.

    `exact`: the entries. `numbers`: the numbers that represent them, of the same shape: floats, or
    residues modulo `prime` for exact entries. `tolerance`: the largest difference of equal floats,
    relative to the largest entry; 0 for exact entries.
    """

    exact: Array
    numbers: Array
    tolerance: float
    prime: int = PRIMES[0]

    def reshape(self, *shape: int) -> Entries:
        """Return the same entries in another shape."""
        exact, numbers = self.exact.reshape(shape), self.numbers.reshape(shape)
        return replace(self, exact=exact, numbers=numbers)

    def transpose(self, *axes: int) -> Entries:
        """Return the same entries with the axes in another order."""
        exact, numbers = self.exact.transpose(axes), self.numbers.transpose(axes)
        return replace(self, exact=exact, numbers=numbers)

    @property
    def slack(self) -> float:
        """The largest difference of two entries that count as equal."""
        return (
            self.tolerance * float(np.abs(self.numbers).max(initial=0)) if self.tolerance else 0.0
        )

    @property
    def used(self) -> Array:
        """A mask of the non-zeros."""
        # The residue of a non-zero entry may be 0.
        is_used: Array = np.abs(self.numbers) > self.slack if self.tolerance else self.exact != 0
        return is_used

    @property
    def ones(self) -> Array:
        """A mask of the entries that are 1."""
        is_one: Array = (
            np.abs(self.numbers - 1) <= self.slack if self.tolerance else self.exact == 1
        )
        return is_one

    @property
    def sums_to_one(self) -> bool:
        """Whether every row of a matrix sums to one."""
        totals = self.numbers.sum(axis=1)
        if not self.tolerance:
            return bool((totals % self.prime == 1).all())
        return bool((np.abs(totals - 1) <= self.tolerance * self.numbers.shape[1]).all())

    def profile(self, output: int, source: int) -> Profile:
        """Return the profile of one pair of axes, from random sums over all other axes."""
        moved = np.moveaxis(self.numbers, (output, source), (0, 1))
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
        """Whether an operator has this matrix: exactly, or up to the tolerance for floats."""
        if operator.shape != self.exact.shape:
            return False
        matrix = operator.to_numpy()
        if self.tolerance:
            return bool(np.abs(matrix.astype(float) - self.numbers).max(initial=0) <= self.slack)
        different = matrix != self.exact
        if not different.any():
            return True
        pairs = zip(matrix[different], self.exact[different], strict=True)
        return all(is_equal(a, b) for a, b in pairs)


def entries(matrix: Array, tolerance: float = 0.0) -> Entries:
    """Return the entries of a matrix of any shape; floats that are all near integers are rounded.

    `tolerance`: the largest difference of equal floats, relative to the largest float; at least a
    few roundings.

    Raises: ArgumentError for exact entries that cannot be represented modulo any of the primes.
    """
    if matrix.dtype.kind == "O" and not any(map(_is_exact, matrix.ravel())):
        matrix = matrix.astype(float)
    if matrix.dtype.kind in "Oiub":
        distinct, indices = _distinct(matrix)
        for prime in PRIMES:
            residues = _residues(distinct, prime)
            # Another prime is needed if two entries, or an entry and 0 or 1, have the same residue.
            if residues is not None and len(np.unique(residues)) == len(distinct):
                numbers = residues[indices].reshape(matrix.shape)
                return Entries(matrix, numbers, 0.0, prime)
        raise ArgumentError(
            f"matrix of shape {matrix.shape} must not have multiples or inverses of all primes "
            f"{PRIMES}, with which identify computes: scale the matrix"
        )
    values = matrix.astype(float)
    share = max(tolerance, ULPS * float(np.finfo(float).eps))
    near = share * float(np.abs(values).max(initial=0))
    rounded = np.round(values)
    if (np.abs(values - rounded) <= near).all() and np.abs(rounded).max(initial=0) < 2**53:
        return entries(rounded.astype(np.int64))
    return Entries(values, np.where(np.abs(values) <= near, 0.0, values), share)


def _is_exact(value: object) -> bool:
    """Whether an entry is not a float."""
    if is_expression(value):
        return not getattr(value, "is_Float", False)
    return not isinstance(value, (float, np.floating))


def _distinct(matrix: Array) -> tuple[list[Any], Array]:
    """Return 0, 1 and all other values of a matrix, and for each entry the index of its value."""
    if matrix.dtype.kind != "O":
        distinct, indices = np.unique(np.append(matrix.ravel(), [0, 1]), return_inverse=True)
        return [int(value) for value in distinct], indices[:-2]
    numbers: dict[Any, int] = {0: 0, 1: 1}
    order = [numbers.setdefault(value, len(numbers)) for value in matrix.ravel().tolist()]
    return list(numbers), np.array(order)


def _residues(values: list[Any], prime: int) -> Array | None:
    """Return a residue for each value; None if a denominator is a multiple of the prime."""
    symbols: dict[Any, int] = {}
    random = np.random.default_rng(2)
    residues = []
    for value in values:
        number = value
        if is_expression(value):
            for symbol in sorted(value.free_symbols - symbols.keys(), key=str):
                symbols[symbol] = int(random.integers(1, prime))
            number = value.subs(symbols)
            if not number.is_Rational:
                # A random residue of its own represents an irrational value, such as a root.
                residues.append(int(random.integers(1, prime)))
                continue
            number = Fraction(int(number.p), int(number.q))
        fraction = Fraction(number)
        if fraction.denominator % prime == 0:
            return None
        residues.append(fraction.numerator * pow(fraction.denominator, -1, prime) % prime)
    return np.array(residues, dtype=np.int64)

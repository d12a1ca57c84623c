"""The entries of a matrix, and numbers that represent them during the search for a geometry.

Exact entries (integers, fractions, symbols) are replaced by residues modulo a large prime, symbols
by random residues: sums of entries become sums of residues. A result is then verified against the
entries themselves.
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
"""The largest primes below 2**31: products of two residues fit in 64 bits."""

ULPS = 64
"""Floats are equal if they differ by fewer units in the last place of the largest entry."""


@dataclass(frozen=True, eq=False)
class Profile:
    """One axis of a matrix: for each (output, input), one number for all entries of the other axes.

    `slack`: the largest difference of two equal numbers; 0 for residues modulo `prime`.
    """

    values: Array
    slack: float
    prime: int = PRIMES[0]

    @property
    def used(self) -> Array:
        """Mark the non-zeros."""
        return np.abs(self.values) > self.slack

    def alike(self, first: Array, second: Array) -> bool:
        """Whether two arrays of values are equal up to the slack."""
        return bool((np.abs(first - second) <= self.slack).all())

    def tidy(self, sums: Array) -> Array:
        """Reduce sums of values modulo the prime; floats are unchanged."""
        return sums if self.slack else sums % self.prime


@dataclass(frozen=True, eq=False)
class Entries:
    """An array of entries, unchanged (`exact`) and as the numbers that represent them (`proxies`).

    `tolerance`: relative to the largest entry, for floats; 0 if the entries are exact, whose
    proxies are residues modulo `prime`.
    """

    exact: Array
    proxies: Array
    tolerance: float
    prime: int = PRIMES[0]

    def reshape(self, *shape: int) -> Entries:
        """The same entries in another shape."""
        exact, proxies = self.exact.reshape(shape), self.proxies.reshape(shape)
        return replace(self, exact=exact, proxies=proxies)

    def transpose(self, *axes: int) -> Entries:
        """The same entries with the axes in another order."""
        exact, proxies = self.exact.transpose(axes), self.proxies.transpose(axes)
        return replace(self, exact=exact, proxies=proxies)

    @property
    def slack(self) -> float:
        """The largest difference of two entries that count as equal."""
        return (
            self.tolerance * float(np.abs(self.proxies).max(initial=0)) if self.tolerance else 0.0
        )

    @property
    def used(self) -> Array:
        """Mark the non-zeros."""
        # The residue of a non-zero entry may be 0.
        return np.abs(self.proxies) > self.slack if self.tolerance else self.exact != 0

    @property
    def ones(self) -> Array:
        """Mark the entries that are 1."""
        return np.abs(self.proxies - 1) <= self.slack if self.tolerance else self.exact == 1

    @property
    def sums_to_one(self) -> bool:
        """Whether every row of a matrix sums to one."""
        totals = self.proxies.sum(axis=1)
        if not self.tolerance:
            return bool((totals % self.prime == 1).all())
        return bool((np.abs(totals - 1) <= self.tolerance * self.proxies.shape[1]).all())

    def profile(self, output: int, source: int) -> Profile:
        """The profile of one pair of axes: random sums over all other axes."""
        moved = np.moveaxis(self.proxies, (output, source), (0, 1))
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
        """Whether an operator has this matrix, exactly or (for floats) up to the tolerance."""
        if operator.shape != self.exact.shape:
            return False
        matrix = operator.to_numpy()
        if self.tolerance:
            return bool(np.abs(matrix.astype(float) - self.proxies).max(initial=0) <= self.slack)
        different = matrix != self.exact
        if not different.any():
            return True
        pairs = zip(matrix[different], self.exact[different], strict=True)
        return all(is_equal(a, b) for a, b in pairs)


def entries(matrix: Array, tolerance: float = 0.0) -> Entries:
    """Return the entries of a matrix; floats are taken as integers if all are close to integers.

    Shapes: any; `tolerance` is relative to the largest float, and at least a few roundings.
    """
    if matrix.dtype.kind == "O" and not any(map(_is_exact, matrix.ravel())):
        matrix = matrix.astype(float)
    if matrix.dtype.kind in "Oiub":
        distinct, indices = _distinct(matrix)
        for prime in PRIMES:
            residues = _residues(distinct, prime)
            # Take another prime if two entries, or an entry and 0 or 1, have the same residue.
            if residues is not None and len(np.unique(residues)) == len(distinct):
                proxies = residues[indices].reshape(matrix.shape)
                return Entries(matrix, proxies, 0.0, prime)
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
    """0, 1 and all other values of a matrix, and for each entry the index of its value."""
    if matrix.dtype.kind != "O":
        distinct, indices = np.unique(np.append(matrix.ravel(), [0, 1]), return_inverse=True)
        return [int(value) for value in distinct], indices[:-2]
    numbers: dict[Any, int] = {0: 0, 1: 1}
    order = [numbers.setdefault(value, len(numbers)) for value in matrix.ravel().tolist()]
    return list(numbers), np.array(order)


def _residues(values: list[Any], prime: int) -> Array | None:
    """A residue for each value; None if a denominator is a multiple of the prime."""
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
                # An irrational value, such as a root, gets a random residue of its own.
                residues.append(int(random.integers(1, prime)))
                continue
            number = Fraction(int(number.p), int(number.q))
        fraction = Fraction(number)
        if fraction.denominator % prime == 0:
            return None
        residues.append(fraction.numerator * pow(fraction.denominator, -1, prime) % prime)
    return np.array(residues, dtype=np.int64)

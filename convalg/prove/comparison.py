"""The comparison of two operators entry by entry, at numbers: differences and counterexamples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import count, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from convalg.faces.exact import exact_row, exact_rows
from convalg.faces.support import nonzero_bound
from convalg.operators.families import replaced
from convalg.operators.tree import Operator
from convalg.prove.decisions import coefficients
from convalg.prove.decisions.domain import Domain
from convalg.prove.decisions.polynomials import Polynomial
from convalg.prove.verdict import Counterexample

if TYPE_CHECKING:
    import sympy

MOST_COMPARED = 20_000_000
"""The number of entries that two matrices may have to be compared entry by entry."""

MOST_LOOKED_AT, MOST_TRIED = 3000, 400
"""For an undecided claim: how many sizes are generated, and how many of them are compared."""


MOST_ENTRIES = 20_000
"""The total number of matrix entries that are compared for an undecided claim."""


FIRST_TRIED = 60
"""For a refuted claim: how many sizes are compared before z3 looks for the smallest ones."""


@dataclass(frozen=True)
class Search:
    """The result of a comparison at small sizes.

    `sizes`: the last sizes compared, by name. `point`: where the sides differ there, as in
    `first_difference`. `tried`: the number of sizes compared.
    """

    sizes: dict[str, int]
    point: tuple[int, ...] | None
    tried: int


def compare_small_sizes(first: Operator, second: Operator, domain: Domain, most: int) -> Search:
    """Compare both sides at up to `most` small sizes, smallest first, until they differ."""
    entries, tried = 0, 0
    largest: dict[str, int] = {}
    for sizes in islice(small_sizes(domain), MOST_LOOKED_AT):
        if tried == most:
            break
        if not domain.holds_at(sizes):
            continue
        sides = [replaced(side, sizes) for side in (first, second)]
        entries += entry_bound(*sides)
        if entries > MOST_ENTRIES:
            break
        tried += 1
        largest = {symbol.name: value for symbol, value in sizes.items()}
        point = first_difference(*sides)
        if point is not None:
            return Search(largest, point, tried)
    return Search(largest, None, tried)


def small_sizes(domain: Domain) -> Iterator[dict[Any, int]]:
    """Yield all sizes in increasing order of their sum, then in the order of the symbols."""
    swept = dict(domain.swept)
    symbols = domain.symbols

    def shared(total: int, number: int) -> Iterator[tuple[int, ...]]:
        symbol = symbols[number]
        if number == len(symbols) - 1:
            if symbol not in swept or total in swept[symbol]:
                yield (total,)
            return
        for value in range(total + 1):
            if symbol not in swept or value in swept[symbol]:
                for rest in shared(total - value, number + 1):
                    yield (value, *rest)

    # The totals are not bounded: the caller stops after a number of sizes.
    for total in count():
        for values in shared(total, 0):
            yield dict(zip(symbols, values, strict=True))


def entry_bound(*operators: Operator) -> int:
    """Return a bound of the number of entries and rows that a comparison goes through."""
    return sum(nonzero_bound(operator) + operator.shape[0] for operator in operators)


def first_difference(first: Operator, second: Operator) -> tuple[int, ...] | None:
    """Return the index of the first entry that differs; () if the shapes do, None if equal."""
    if (first.in_shape, first.out_shape) != (second.in_shape, second.out_shape):
        return ()
    pairs = zip(exact_rows(first, Polynomial.of), exact_rows(second, Polynomial.of), strict=True)
    for row, (left, right) in enumerate(pairs):
        for column in sorted(left.keys() | right.keys()):
            gap = Polynomial.of(left.get(column, 0)) - Polynomial.of(right.get(column, 0))
            if not coefficients.is_zero(gap):
                index = (
                    *np.unravel_index(row, first.out_shape),
                    *np.unravel_index(column, first.in_shape),
                )
                return tuple(int(k) for k in index)
    return None


def counterexample(
    first: Operator,
    second: Operator,
    domain: Domain,
    sizes: dict[str, int],
    point: tuple[int, ...],
) -> Counterexample:
    """Return a counterexample at given sizes: an entry, or the shapes where `point` is ()."""
    numbers = {symbol: sizes[symbol.name] for symbol in domain.symbols if symbol.name in sizes}
    sides = [replaced(side, numbers) for side in (second, first)]
    if any(a.in_shape != b.in_shape or a.out_shape != b.out_shape for a, b in [sides]):
        shapes = [f"shape {s.in_shape} to {s.out_shape}" for s in sides]
        return Counterexample(sizes, None, None, shapes[0], shapes[1], {}, _Shapes(*sides))
    rows = len(first.out_shape)
    row, column = point[:rows], point[rows : rows + len(first.in_shape)]
    replay = _Entries(sides[0], sides[1], row, column)
    claimed, actual = replay.entries()
    return Counterexample(
        sizes,
        row,
        column,
        claimed.to_sympy(),
        actual.to_sympy(),
        evaluate=replay,
        shapes=(sides[0].out_shape, sides[0].in_shape),
    )


@dataclass(frozen=True)
class _Entries:
    """Recomputes one entry of both operators, for `Counterexample.replay`."""

    claimed: Operator
    actual: Operator
    row: tuple[int, ...]
    column: tuple[int, ...]

    def entries(self) -> tuple[Polynomial, Polynomial]:
        """Return both entries as polynomials in the weights."""
        return (
            entry(self.claimed, self.row, self.column),
            entry(self.actual, self.row, self.column),
        )

    def __call__(self) -> tuple[Any, Any]:
        """Return both entries as numbers, with a different prime for each weight."""
        return prime_values(*self.entries())


@dataclass(frozen=True)
class _Shapes:
    """Recomputes the shapes of both operators, for `Counterexample.replay`."""

    claimed: Operator
    actual: Operator

    def __call__(self) -> tuple[Any, Any]:
        """Return the pair (in_shape, out_shape) of each operator."""
        claimed, actual = self.claimed, self.actual
        return (claimed.in_shape, claimed.out_shape), (actual.in_shape, actual.out_shape)


def entry(operator: Operator, row: tuple[int, ...], column: tuple[int, ...]) -> Polynomial:
    """Return one entry of the matrix as a polynomial in the weights."""
    index = _flat(row, operator.out_shape)
    return Polynomial.of(
        exact_row(operator, index, Polynomial.of).get(_flat(column, operator.in_shape), 0)
    )


def _flat(index: tuple[int, ...], shape: tuple[int, ...]) -> int:
    position = 0
    for coordinate, size in zip(index, shape, strict=True):
        position = position * size + coordinate
    return position


def prime_values(*values: Polynomial) -> tuple[Any, ...]:
    """Return the values of polynomials where each symbol, in order of names, is another prime.

    Larger primes are tried while different polynomials have the same value.
    """
    import sympy

    symbols: set[Any] = set()
    for value in values:
        symbols.update(*(g.to_sympy().free_symbols for g in value.generators))
    ordered = sorted(symbols, key=lambda s: (s.name, str(s.assumptions0)))
    numbers: tuple[Any, ...] = ()
    for first in range(1, 100, 7):
        primes = {symbol: sympy.prime(first + k) for k, symbol in enumerate(ordered)}
        numbers = tuple(_number(value.to_sympy().subs(primes)) for value in values)
        if len(set(numbers)) == len(numbers) or not symbols:
            break
    return numbers


def _number(value: sympy.Expr) -> Any:
    """Return a rational SymPy number as a Python number, any other expression unchanged."""
    if value.is_Integer:
        return int(value)
    return Fraction(int(value.p), int(value.q)) if value.is_Rational else value

"""Numbers on which a user function is run, and the comparison with the polynomials of its trace.

The samples include fractions, both signs, 1e-150 to 1e150, one large entry among small
ones, equal entries, zeros, and the limits of bytes, half precision and integers in floats. All
numbers are dyadic fractions, so that polynomials are evaluated exactly with integers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.prove.decisions.polynomials import Polynomial
from convalg.prove.functions.symbols import FLOAT, DType, SymbolParts
from convalg.size import is_symbolic

THRESHOLDS = (255.5, -256.0, 127.25, -128.5, 65504.5, 16777217.0, -1000.125, 99.5, 2.0**31, -0.5)
SLACK = 8.0
"""The factor on rounding errors: the function may round constants and reorder sums."""


_MOST_KEPT = 10_000
"""Samples with at most this many numbers are cached."""


@dataclass(frozen=True, eq=False)
class NumberSample:
    """One array for each argument. `compared`: whether the returned values are compared."""

    arrays: tuple[Array, ...]
    dtype: DType
    compared: bool = True

    def copies(self) -> list[Array]:
        """Return copies of the arrays, since a function may change its arguments."""
        return [array.copy() for array in self.arrays]


def samples(shapes: list[tuple[int, ...]], few: bool = False) -> list[NumberSample]:
    """Return samples of several dtypes for arguments of these shapes, random ones first."""
    if sum(map(math.prod, shapes)) > _MOST_KEPT:
        return _drawn(shapes, few)
    return list(_kept(tuple(shapes), few))


@lru_cache(maxsize=32)
def _kept(shapes: tuple[tuple[int, ...], ...], few: bool) -> list[NumberSample]:
    return _drawn(list(shapes), few)


def _drawn(shapes: list[tuple[int, ...]], few: bool) -> list[NumberSample]:
    random = np.random.default_rng(2024)

    def fractions(shape: tuple[int, ...], scale: float = 64.0) -> Array:
        rounded: Array = np.round(random.uniform(-4, 4, shape) * scale) / scale
        return rounded

    def wide(shape: tuple[int, ...]) -> Array:
        sizes: Array = 10.0 ** random.uniform(-3, 6, shape) * random.choice([-1.0, 1.0], shape)
        # Numbers with 24 bits are exact in float32 too.
        return sizes.astype(np.float32).astype(float)

    def thresholds(shape: tuple[int, ...]) -> Array:
        return random.permutation(np.resize(THRESHOLDS, shape).ravel()).reshape(shape)

    def one_large(shape: tuple[int, ...]) -> Array:
        values = fractions(shape)
        if values.size:
            values.flat[int(random.integers(values.size))] = 2.0**24 + 1
        return values

    def integers(shape: tuple[int, ...], most: int) -> Array:
        return random.integers(-most, most + 1, shape).astype(float)

    f64, f32 = FLOAT, np.dtype(np.float32)
    plan: list[tuple[Any, Any]] = [
        (fractions, f64),
        (wide, f64),
        (lambda shape: integers(shape, 9), np.dtype(np.int64)),
        (lambda shape: fractions(shape), f32),
    ]
    if not few:
        plan += [
            (thresholds, f64),
            (one_large, f64),
            (np.zeros, f64),
            (lambda shape: np.full(shape, 254.75), f64),
            (lambda shape: -np.abs(wide(shape)), f64),
            (lambda shape: fractions(shape, 2.0**40), f64),
            (lambda shape: fractions(shape) * 2.0**500, f64),
            (lambda shape: fractions(shape) * 2.0**-500, f64),
            (wide, f32),
            (lambda shape: integers(shape, 10**6), np.dtype(np.int64)),
            (lambda shape: integers(shape, 300), np.dtype(np.int32)),
            (lambda shape: fractions(shape, 4.0), np.dtype(np.float16)),
            (lambda shape: integers(shape, 9), np.dtype(object)),
        ]
    drawn = [
        NumberSample(tuple(_cast(draw(shape), dtype) for shape in shapes), dtype)
        for draw, dtype in plan
    ]
    if not few:
        # Differences of unsigned integers wrap around: only the executed code is compared.
        small = tuple(np.abs(integers(shape, 9)).astype(np.uint8) for shape in shapes)
        drawn.append(NumberSample(small, np.dtype(np.uint8), compared=False))
    return drawn


def _cast(values: Array, dtype: DType) -> Array:
    if dtype.kind == "O":
        integers = np.empty(values.shape, dtype=object)
        integers.ravel()[:] = [int(value) for value in values.ravel()]
        return integers
    return values.astype(dtype)


def sizes(drawn: Iterable[NumberSample], argument: int) -> Array:
    """Return the absolute values of one argument, with a last axis for the samples."""
    each = [np.abs(sample.arrays[argument].astype(float)) for sample in drawn]
    return np.stack(each, axis=-1)


class Point:
    """The exact values of the unknowns of some arguments at a sample."""

    def __init__(self, unknowns: Iterable[Array], sample: NumberSample) -> None:
        exact: dict[Any, Fraction] = {}
        for held, values in zip(unknowns, sample.arrays, strict=True):
            for unknown, value in zip(held.ravel(), values.ravel().tolist(), strict=True):
                (generator,) = unknown.generators
                exact[generator] = Fraction(value)
        # With a common power of two as denominator, the terms are sums of integers.
        scale = max((value.denominator for value in exact.values()), default=1)
        self.scale = scale
        self.integers = {key: int(value * scale) for key, value in exact.items()}

    def at(self, polynomial: Polynomial) -> dict[tuple[Any, ...], Fraction]:
        """Return a polynomial at the sample: a coefficient per monomial in the other generators."""
        totals: dict[tuple[tuple[Any, ...], int], Any] = {}
        for monomial, coefficient in polynomial.terms.items():
            product, others, degree = 1, [], 0
            for generator in monomial:
                value = self.integers.get(generator)
                if value is None:
                    others.append(generator)
                else:
                    product *= value
                    degree += 1
            key = tuple(others), degree
            totals[key] = totals.get(key, 0) + coefficient * product
        values: dict[tuple[Any, ...], Fraction] = {}
        for (monomial, degree), total in totals.items():
            values[monomial] = (
                values.get(monomial, Fraction(0)) + Fraction(total) / self.scale**degree
            )
        return values


class Bounds:
    """The allowed distance between returned numbers and the polynomials, for each sample.

    `values`: the polynomials evaluated in floats. A number within `near` of this value is within
    the bound of the exact value; any other number is compared with the exact value.
    """

    def __init__(
        self,
        held: Array,
        unknowns: list[Array],
        drawn: list[NumberSample],
        lowered: Mapping[str, float | Array],
    ) -> None:
        self.parts: list[SymbolParts] = list(held.ravel())
        self.shape, self.unknowns, self.drawn = held.shape, unknowns, drawn
        self.fits = np.ones(len(drawn), dtype=bool)
        dtypes = tuple(sample.dtype for sample in drawn)
        units, smallest, largest = _limits(dtypes, tuple(map(np.dtype, lowered)))
        sizes = np.empty((len(self.parts), len(drawn)))
        for row, part in enumerate(self.parts):
            sizes[row] = part.size
        depths = np.array([float(part.depth) + 1 for part in self.parts])[:, None]
        lost = np.array([part.lost for part in self.parts])[:, None]
        with np.errstate(all="ignore"):
            relative = SLACK * (depths * units + lost)
            self.bounds = relative * sizes + SLACK * smallest * depths
            # An intermediate result may be too large for the dtypes in which it is stored.
            self.fits &= np.all(sizes <= largest, axis=0)
            for name, size in lowered.items():
                if np.dtype(name).kind == "f":
                    self.fits &= size <= _largest(np.dtype(name))
            self.values = np.zeros_like(sizes)
            near = self._evaluate(unknowns, drawn) if self.parts else np.zeros_like(sizes)
            # The factor allows for the rounding errors of the comparison itself.
            self.near = (self.bounds - near) * (1 - 1e-9)

    def _evaluate(self, unknowns: list[Array], drawn: list[NumberSample]) -> Array:
        """Evaluate all monomials in floats; return a bound of the rounding error."""
        columns = {
            generator: column
            for column, generator in enumerate(
                g for array in unknowns for entry in array.ravel() for g in entry.generators
            )
        }
        inputs = np.array(
            [
                np.concatenate([array.ravel().astype(float) for array in sample.arrays])
                for sample in drawn
            ]
        ).T
        by_degree: dict[int, tuple[list[int], list[list[int]], list[float]]] = {}
        foreign: list[int] = []
        for row, part in enumerate(self.parts):
            for monomial, coefficient in part.polynomial.terms.items():
                if not all(generator in columns for generator in monomial):
                    # Symbols that belong to the function have no value.
                    foreign.append(row)
                    break
                rows, factors, numbers = by_degree.setdefault(len(monomial), ([], [], []))
                rows.append(row)
                factors.append([columns[generator] for generator in monomial])
                numbers.append(float(coefficient))
        sizes = np.zeros_like(self.values)
        counts = np.zeros(len(self.parts))
        sound = np.ones_like(self.values, dtype=bool)
        # The logarithm of the largest or smallest number bounds the exponents of products.
        magnitudes = np.abs(np.where(inputs == 0, 1.0, inputs))
        extent = np.max(np.abs(np.log2(magnitudes)), axis=0, initial=0)
        for degree, (rows, factors, numbers) in by_degree.items():
            constants = np.array(numbers)
            terms = constants[:, None] * np.prod(
                inputs[np.array(factors, dtype=int).reshape(len(rows), degree)], axis=1
            )
            np.add.at(self.values, rows, terms)
            np.add.at(sizes, rows, np.abs(terms))
            np.add.at(counts, rows, 1)
            within = degree * extent + np.max(np.abs(np.log2(np.abs(constants)))) < _FLOATS_END
            sound &= within & np.isfinite(constants).all()
        longest = max(by_degree, default=0)
        error = (counts + longest + 4)[:, None] * sizes * float(np.finfo(float).eps)
        bounds: Array = np.where(sound & np.isfinite(sizes), error, np.inf)
        bounds[foreign] = np.inf
        return bounds

    def first_difference(self, numbers: Array, number: int) -> tuple[int, ...] | None:
        """Return the index of the first entry that differs from the trace by more than rounding.

        `numbers`: the array that the function returned for the sample with this `number`.
        """
        flat = numbers.ravel()
        doubtful = list(range(len(flat)))
        if all(map(_fits_a_float, flat)):
            gaps = np.abs(flat.astype(float) - self.values[:, number])
            doubtful = np.flatnonzero(~(gaps * (1 + 1e-15) <= self.near[:, number])).tolist()
        if not doubtful:
            return None
        point = Point(self.unknowns, self.drawn[number])
        for index in doubtful:
            bound = float(self.bounds[index, number])
            if not _agrees(self.parts[index], flat[index], point, bound):
                return tuple(int(k) for k in np.unravel_index(index, self.shape))
        return None


_FLOATS_END = 1018
"""The exponent of two up to which products are computed in floats."""
_DOUBLES = frozenset([float, np.float64, np.float32, np.float16, np.int64, np.int32, np.uint8])


def _fits_a_float(number: object) -> bool:
    """Whether a number is a float, or an integer that is rounded at most once to become one."""
    return type(number) in _DOUBLES or (type(number) is int and abs(number) < 2**63)


@lru_cache(maxsize=64)
def _limits(dtypes: tuple[DType, ...], kept: tuple[DType, ...]) -> tuple[Array, Array, Array]:
    """Return the rounding unit, smallest normal number and largest number for each sample.

    `dtypes`: the dtype of each sample. `kept`: the dtypes of low precision in which the function
    stores intermediate results.
    """
    units, smallest, largest = (np.empty(len(dtypes)) for _ in range(3))
    for number, dtype in enumerate(dtypes):
        floats = [kind for kind in (dtype, *kept) if kind.kind == "f"] or [FLOAT]
        units[number], smallest[number] = _unit(dtype), max(map(_tiny, floats))
        largest[number] = _largest(dtype)
    return units, smallest, largest


@lru_cache(maxsize=64)
def _largest(dtype: DType) -> float:
    if dtype.kind in "iu":
        return float(np.iinfo(dtype).max) / 8
    return float(np.finfo(dtype if dtype.kind == "f" else FLOAT).max) / 8


@lru_cache(maxsize=64)
def _unit(dtype: DType) -> float:
    return float(np.finfo(dtype if dtype.kind == "f" else FLOAT).eps)


@lru_cache(maxsize=64)
def _tiny(dtype: DType) -> float:
    return float(np.finfo(dtype).tiny)


def _agrees(part: SymbolParts, number: object, point: Point, bound: float) -> bool:
    expected = point.at(part.polynomial)
    got = _values(number)
    if got is None:
        return False
    return all(
        abs(got.get(key, Fraction(0)) - expected.get(key, Fraction(0))) <= bound
        for key in got.keys() | expected.keys()
    )


def _values(number: object) -> dict[tuple[Any, ...], Fraction] | None:
    """Return a number or a polynomial as exact coefficients by monomial, else None."""
    if isinstance(number, Polynomial) or is_symbolic(number):
        terms = Polynomial.of(number).terms
        return {key: Fraction(value) for key, value in terms.items()}
    if isinstance(number, str):
        return None
    try:
        if getattr(number, "imag", 0) != 0:
            return None
        real: Any = getattr(number, "real", number)
        if isinstance(real, np.longdouble):
            return {(): Fraction(*real.as_integer_ratio())}
        return {(): Fraction(real.item() if isinstance(real, np.generic) else real)}
    except (TypeError, ValueError, OverflowError):
        return None

"""Numbers on which a user function is run, and the comparison with the polynomials of its trace.

The samples are wide: fractions, both signs, 1e-150 to 1e150, one large entry among small ones,
equal entries, zeros, and the numbers at which bytes, half precision and integers in floats end.
Every sample is a dyadic number, so that the polynomials are evaluated exactly, in integers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from convalg.base import Array
from convalg.prove.polynomial import Polynomial
from convalg.prove.symbols import FLOAT, Parts
from convalg.spec import is_symbolic

THRESHOLDS = (255.5, -256.0, 127.25, -128.5, 65504.5, 16777217.0, -1000.125, 99.5, 2.0**31, -0.5)
SLACK = 8.0
"""Roundings counted for each that the trace has: constants are rounded, sums are reordered."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One input for each argument. `exactly`: whether the values returned are compared."""

    arrays: tuple[Array, ...]
    dtype: np.dtype[Any]
    compared: bool = True

    def copies(self) -> list[Array]:
        """The arrays, to be run on: a function may change its arguments."""
        return [array.copy() for array in self.arrays]


def samples(shapes: list[tuple[int, ...]], few: bool = False) -> list[Sample]:
    """Samples for arguments of these shapes, of several dtypes; the first two repeat nothing."""
    random = np.random.default_rng(2024)

    def fractions(shape: tuple[int, ...], scale: float = 64.0) -> Array:
        return np.round(random.uniform(-4, 4, shape) * scale) / scale

    def wide(shape: tuple[int, ...]) -> Array:
        sizes = 10.0 ** random.uniform(-3, 6, shape) * random.choice([-1.0, 1.0], shape)
        # 24 bits are exact in float32 too.
        return sizes.astype(np.float32).astype(float)

    def thresholds(shape: tuple[int, ...]) -> Array:
        return random.permutation(np.resize(THRESHOLDS, shape).ravel()).reshape(shape)

    def one_large(shape: tuple[int, ...]) -> Array:
        found = fractions(shape)
        if found.size:
            found.flat[int(random.integers(found.size))] = 2.0**24 + 1
        return found

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
    found = [
        Sample(tuple(_cast(draw(shape), dtype) for shape in shapes), dtype) for draw, dtype in plan
    ]
    if not few:
        # Differences of unsigned integers wrap: only the way that the function takes is compared.
        small = tuple(np.abs(integers(shape, 9)).astype(np.uint8) for shape in shapes)
        found.append(Sample(small, np.dtype(np.uint8), compared=False))
    return found


def _cast(values: Array, dtype: np.dtype[Any]) -> Array:
    if dtype.kind == "O":
        found = np.empty(values.shape, dtype=object)
        found.ravel()[:] = [int(value) for value in values.ravel()]
        return found
    return values.astype(dtype)


def sizes(drawn: Iterable[Sample], argument: int) -> Array:
    """|values| of one argument: an array of its shape with one more axis, over the samples."""
    each = [np.abs(sample.arrays[argument].astype(float)) for sample in drawn]
    return np.stack(each, axis=-1)


class Point:
    """The exact values of the unknowns of some arguments at a sample."""

    def __init__(self, unknowns: Iterable[Array], sample: Sample) -> None:
        exact: dict[Any, Fraction] = {}
        for held, values in zip(unknowns, sample.arrays, strict=True):
            for unknown, value in zip(held.ravel(), values.ravel().tolist(), strict=True):
                (generator,) = unknown.generators
                exact[generator] = Fraction(value)
        # A common power of two as denominator: then the terms are sums of integers.
        scale = max((value.denominator for value in exact.values()), default=1)
        self.scale = scale
        self.integers = {key: int(value * scale) for key, value in exact.items()}

    def at(self, polynomial: Polynomial) -> dict[tuple[Any, ...], Fraction]:
        """The value of a polynomial, for each monomial of what is not an unknown of the inputs."""
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
        found: dict[tuple[Any, ...], Fraction] = {}
        for (monomial, degree), total in totals.items():
            found[monomial] = (
                found.get(monomial, Fraction(0)) + Fraction(total) / self.scale**degree
            )
        return found


def first_difference(
    held: Array, numbers: Array, point: Point, place: int, sample: Sample, lowered: dict[str, Any]
) -> tuple[int, ...] | None:
    """The first entry where numbers differ by more than rounding from a trace at a sample.

    `held`: the parts of the symbols that were returned. `place`: the sample's, among those whose
    sizes the parts hold. `lowered`: the dtypes of low precision on the way.
    """
    unit = _unit(sample.dtype)
    kinds = [sample.dtype, *map(np.dtype, lowered)]
    floats = [kind for kind in kinds if kind.kind == "f"] or [FLOAT]
    smallest = max(float(np.finfo(kind).tiny) for kind in floats)
    for index, part in np.ndenumerate(held):
        if not _agrees(part, numbers[index], point, place, unit, smallest):
            return tuple(index)
    return None


def fits(held: Array, place: int, sample: Sample, lowered: dict[str, Any]) -> bool:
    """Whether no intermediate result of a sample is too large for the dtypes it is kept in."""
    for name, size in lowered.items():
        if np.dtype(name).kind == "f" and _at(size, place) > float(np.finfo(name).max) / 8:
            return False
    most = _largest(sample.dtype)
    return all(_at(part.size, place) <= most for part in held.ravel())


def _largest(dtype: np.dtype[Any]) -> float:
    if dtype.kind in "iu":
        return float(np.iinfo(dtype).max) / 8
    return float(np.finfo(dtype if dtype.kind == "f" else FLOAT).max) / 8


def _unit(dtype: np.dtype[Any]) -> float:
    return float(np.finfo(dtype if dtype.kind == "f" else FLOAT).eps)


def _at(size: Any, place: int) -> float:
    return float(size[place]) if isinstance(size, np.ndarray) else float(size)


def _agrees(
    part: Parts, number: Any, point: Point, place: int, unit: float, smallest: float
) -> bool:
    wanted = point.at(part.polynomial)
    got = _values(number)
    if got is None:
        return False
    relative = SLACK * ((part.depth + 1) * unit + part.lost)
    bound = relative * _at(part.size, place) + SLACK * smallest * (part.depth + 1)
    return all(
        abs(got.get(key, Fraction(0)) - wanted.get(key, Fraction(0))) <= bound
        for key in got.keys() | wanted.keys()
    )


def _values(number: Any) -> dict[tuple[Any, ...], Fraction] | None:
    """A number that was returned, or a polynomial in symbols of its own; None for anything else."""
    if isinstance(number, Polynomial) or is_symbolic(number):
        terms = Polynomial.of(number).terms
        return {key: Fraction(value) for key, value in terms.items()}
    if isinstance(number, str):
        return None
    try:
        if getattr(number, "imag", 0) != 0:
            return None
        real = getattr(number, "real", number)
        if isinstance(real, np.longdouble):
            return {(): Fraction(*real.as_integer_ratio())}
        return {(): Fraction(real.item() if isinstance(real, np.generic) else real)}
    except (TypeError, ValueError, OverflowError):
        return None

"""Separable kernels: the 1-D factors whose outer product is exactly the kernel."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np

from convalg.arrays import Array, as_kernel
from convalg.errors import KindError, ShapeError
from convalg.faces.zero import is_zero
from convalg.recognise.codes import as_tolerance, exactly
from convalg.size import is_expression

LARGEST_INTEGER = 2**63 - 1


def separate(kernel: object, *, tolerance: float = 0) -> list[Array] | None:
    """Return the 1-D factors whose outer product is the kernel, one per axis, or None.

    The kernel K has rank one if and only if K[i] K[p]^(d-1) is the product of its lines through one
    non-zero entry p. All factors but the last are integers without a common divisor, with
    a positive sum, or a positive last entry if the sum is 0 (a smoothing, a rising slope); the last
    one has the scale and the sign. With symbols, all factors but the last have no common factor.
    Exact for integers, fractions and polynomials, and for floats, which are taken as binary
    fractions. The factors of a zero kernel are zeros.

    Args:
        kernel: an array with two axes or more.
        tolerance: the largest deviation of floats from the outer product, relative to the largest
            entry; if needed, all factors but the last then have 1 as their largest entry.

    Raises:
        ShapeError: unless the kernel has two axes or more.
        KindError: for a tolerance with symbols.

    >>> import convalg as ca
    >>> ca.separate(ca.kernels.sobel_x)
    [array([1, 2, 1]), array([-1,  0,  1])]
    >>> ca.separate(ca.kernels.laplace) is None
    True
    """
    slack = as_tolerance(tolerance)
    weights = as_kernel(kernel)
    if weights.ndim < 2:
        raise ShapeError(
            f"kernel must have two axes or more to be separated, not shape {weights.shape}"
        )
    exact = np.frompyfunc(exactly, 1, 1)(weights)
    symbols = any(map(is_expression, exact.flat))
    if slack and symbols:
        raise KindError(f"tolerance={tolerance} needs numbers, but the kernel has symbols")
    pivot = next((at for at, value in np.ndenumerate(exact) if not is_zero(value)), None)
    if pivot is None:
        return [np.zeros(size, dtype=np.int64) for size in weights.shape]
    if _has_rank_one(exact, pivot):
        primitive = _without_common_factor if symbols else _as_integers
        lines = _lines(exact, pivot)
        first = [primitive(line) for line in lines[:-1]]
        scale = math.prod(line[at] for line, at in zip(first, pivot[:-1], strict=True))
        last = _divided(lines[-1], scale)
        is_float = weights.dtype.kind == "f"
        return [_compact(line, is_float) for line in [*first, last]]
    return _nearly(exact, slack) if slack else None


def _lines(values: Array, pivot: tuple[int, ...]) -> list[Array]:
    """The lines of an array through one entry, along each axis."""
    last = [np.moveaxis(values, axis, -1) for axis in range(values.ndim)]
    return [moved[pivot[:axis] + pivot[axis + 1 :]] for axis, moved in enumerate(last)]


def _outer(lines: list[Array]) -> Array:
    return reduce(np.multiply.outer, lines)


def _has_rank_one(exact: Array, pivot: tuple[int, ...]) -> bool:
    scale = exact[pivot] ** (exact.ndim - 1)
    products = _outer(_lines(exact, pivot))
    pairs = zip(exact.flat, products.flat, strict=True)
    return all(is_zero(value * scale - product) for value, product in pairs)


def _as_integers(line: Array) -> Array:
    """Scale fractions to integers without a common divisor, with the sign that `separate` sets."""
    below = math.lcm(*(value.denominator for value in line))
    numbers = [int(value * below) for value in line]
    total = sum(numbers) or next(n for n in reversed(numbers) if n)
    common = math.gcd(*numbers) * (1 if total > 0 else -1)
    return np.array([n // common for n in numbers], dtype=object)


def _without_common_factor(line: Array) -> Array:
    import sympy

    values = [sympy.sympify(value) for value in line]
    return _divided(values, sympy.gcd_list(values))


def _divided(line: Any, scale: Any) -> Array:
    """Divide a line by a number, or by a polynomial that divides it."""
    if not (is_expression(scale) or any(map(is_expression, line))):
        return np.array([value / Fraction(scale) for value in line], dtype=object)
    import sympy

    divided = np.empty(len(line), dtype=object)
    divided[:] = [sympy.cancel(value / scale) for value in map(sympy.sympify, line)]
    return divided


def _compact(line: Array, is_float: bool) -> Array:
    """Return 64-bit integers if possible, else floats if the input was floats, else objects."""
    if any(map(is_expression, line)):
        return line
    if all(value.denominator == 1 and abs(value) <= LARGEST_INTEGER for value in line):
        return np.array([int(value) for value in line], dtype=np.int64)
    # Exact: the other factors are integers without a common divisor, so that the last one has
    # binary fractions.
    return line.astype(float) if is_float else line


def _nearly(exact: Array, tolerance: float) -> list[Array] | None:
    """The lines through the largest entry, if their product is within the tolerance."""
    values = exact.astype(float)
    pivot = np.unravel_index(np.abs(values).argmax(), values.shape)
    lines = _lines(values, tuple(int(k) for k in pivot))
    largest = float(values[pivot])
    factors = [line / largest for line in lines[:-1]] + [lines[-1].copy()]
    misses = np.abs(_outer(factors) - values).max()
    return factors if misses <= tolerance * abs(largest) else None

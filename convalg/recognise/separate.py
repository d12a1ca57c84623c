"""Separate kernels into 1-D factors whose outer product is exactly the kernel."""

from __future__ import annotations

import math
from collections.abc import Iterable
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
"""Largest integer of a factor that is returned as an array of int64."""


def separate(kernel: object, *, tolerance: float = 0) -> list[Array] | None:
    """Return the 1-D factors whose outer product is the kernel, one per axis, or None.

    A kernel K with d axes has rank one if and only if, for one non-zero entry K[p] and every i,
    K[i] K[p]^(d-1) is the product over the axes a of the entries K[p with p_a replaced by i_a].
    All factors but the last are integers without a common divisor, with a positive sum, or with a
    positive last entry if the sum is 0 (a smoothing, a rising slope). The last factor has the scale
    and the sign. With symbols, all factors but the last have no common factor. The result is exact
    for integers, fractions and polynomials, and for floats, which are read as binary fractions. The
    factors of a zero kernel are zeros.

    Args:
        kernel: an array with two axes or more, of numbers or symbols.
        tolerance: the largest deviation of the kernel from the outer product that is allowed,
            relative to the largest entry, from 0 to below 1. All factors but the last of a kernel
            that deviates have 1 as their largest entry.

    Returns:
        A list of arrays, one of shape (size,) for each axis; None if the kernel is not separable.

    Raises:
        ShapeError: when the kernel has fewer than two axes.
        KindError: when `kernel` has other entries than real numbers and symbols, `tolerance` is not
            a number, or is above 0 for a kernel with symbols.
        ArgumentError: when `tolerance` is out of range, or the kernel has NaN or infinite entries.

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
        raise KindError(f"tolerance must be 0, not {tolerance}, for a kernel with symbols")
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
    """Return the line of an array through one entry along each axis, of shape (size,)."""
    last = [np.moveaxis(values, axis, -1) for axis in range(values.ndim)]
    return [moved[pivot[:axis] + pivot[axis + 1 :]] for axis, moved in enumerate(last)]


def _outer(lines: list[Array]) -> Array:
    """Return the outer product of lines, with one axis for each."""
    product: Array = reduce(np.multiply.outer, lines)
    return product


def _has_rank_one(exact: Array, pivot: tuple[int, ...]) -> bool:
    """Whether an array is the outer product of its lines through an entry, up to a factor."""
    scale = exact[pivot] ** (exact.ndim - 1)
    products = _outer(_lines(exact, pivot))
    pairs = zip(exact.flat, products.flat, strict=True)
    return all(is_zero(value * scale - product) for value, product in pairs)


def _as_integers(line: Array) -> Array:
    """Return a line of fractions scaled to integers, with the sign that `separate` states."""
    below = math.lcm(*(value.denominator for value in line))
    numbers = [int(value * below) for value in line]
    total = sum(numbers) or next(n for n in reversed(numbers) if n)
    common = math.gcd(*numbers) * (1 if total > 0 else -1)
    return np.array([n // common for n in numbers], dtype=object)


def _without_common_factor(line: Array) -> Array:
    """Return a line of expressions divided by their greatest common divisor."""
    import sympy

    values = [sympy.sympify(value) for value in line]
    return _divided(values, sympy.gcd_list(values))


def _divided(line: Iterable[Any], scale: Any) -> Array:
    """Return a line divided by a number, or by a polynomial that divides it."""
    values = list(line)
    if not (is_expression(scale) or any(map(is_expression, values))):
        return np.array([value / Fraction(scale) for value in values], dtype=object)
    import sympy

    divided = np.empty(len(values), dtype=object)
    divided[:] = [sympy.cancel(value / scale) for value in map(sympy.sympify, values)]
    return divided


def _compact(line: Array, is_float: bool) -> Array:
    """Return a line as int64 if possible, else as float64 if `is_float`, else as objects."""
    if any(map(is_expression, line)):
        return line
    if all(value.denominator == 1 and abs(value) <= LARGEST_INTEGER for value in line):
        return np.array([int(value) for value in line], dtype=np.int64)
    # The floats are exact: since the other factors are integers without a common divisor, the
    # entries of this one are binary fractions.
    return line.astype(float) if is_float else line


def _nearly(exact: Array, tolerance: float) -> list[Array] | None:
    """Return the lines through the largest entry if their product is near enough, or None."""
    values = exact.astype(float)
    pivot = np.unravel_index(np.abs(values).argmax(), values.shape)
    lines = _lines(values, tuple(int(k) for k in pivot))
    largest = float(values[pivot])
    factors = [line / largest for line in lines[:-1]] + [lines[-1].copy()]
    misses = np.abs(_outer(factors) - values).max()
    return factors if misses <= tolerance * abs(largest) else None

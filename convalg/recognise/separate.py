"""Separable kernels: 1-D factors whose outer product is the kernel, exactly."""

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


def separate(kernel: Any, *, tolerance: float = 0) -> list[Array] | None:
    """The 1-D factors whose outer product is the kernel, one for each axis, or None.

    Rule: the kernel K has rank one when K[i] K[p]^(d-1) is the product of its lines through one
    non-zero entry p. All factors but the last are integers without a common divisor, with
    a positive sum, or a positive last entry where the sum is 0 (a smoothing, a rising slope);
    the last one takes the scale and the sign. Symbols: all but the last without a common factor.
    Exact for integers, fractions and polynomials, and for floats, as the binary fractions they
    are. With a `tolerance`, floats may miss the outer product by that much of the largest entry;
    then all factors but the last have 1 as their largest entry. A kernel of zeros has factors of
    zeros.
    Raises: ShapeError unless the kernel has two axes or more.

    >>> import convalg as ca
    >>> separate(ca.kernels.sobel_x)
    [array([1, 2, 1]), array([-1,  0,  1])]
    >>> separate(ca.kernels.laplace) is None
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
        raise KindError(f"tolerance={tolerance} needs numbers, and the kernel holds symbols")
    place = next((at for at, value in np.ndenumerate(exact) if not is_zero(value)), None)
    if place is None:
        return [np.zeros(size, dtype=np.int64) for size in weights.shape]
    if _has_rank_one(exact, place):
        primitive = _without_common_factor if symbols else _whole
        lines = _lines(exact, place)
        first = [primitive(line) for line in lines[:-1]]
        scale = math.prod(line[at] for line, at in zip(first, place[:-1], strict=True))
        last = _divided(lines[-1], scale)
        is_float = weights.dtype.kind == "f"
        return [_compact(line, is_float) for line in [*first, last]]
    return _nearly(exact, slack) if slack else None


def _lines(values: Array, place: tuple[int, ...]) -> list[Array]:
    """The lines of an array through one place, along each axis."""
    last = [np.moveaxis(values, axis, -1) for axis in range(values.ndim)]
    return [turned[place[:axis] + place[axis + 1 :]] for axis, turned in enumerate(last)]


def _outer(lines: list[Array]) -> Array:
    return reduce(np.multiply.outer, lines)


def _has_rank_one(exact: Array, place: tuple[int, ...]) -> bool:
    scale = exact[place] ** (exact.ndim - 1)
    products = _outer(_lines(exact, place))
    pairs = zip(exact.flat, products.flat, strict=True)
    return all(is_zero(value * scale - product) for value, product in pairs)


def _whole(line: Array) -> Array:
    """The fractions as whole numbers without a common divisor, turned as `separate` says."""
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
    """A line by a number or by a polynomial that divides it."""
    if not (is_expression(scale) or any(map(is_expression, line))):
        return np.array([value / Fraction(scale) for value in line], dtype=object)
    import sympy

    divided = np.empty(len(line), dtype=object)
    divided[:] = [sympy.cancel(value / scale) for value in map(sympy.sympify, line)]
    return divided


def _compact(line: Array, is_float: bool) -> Array:
    """Whole numbers in 64 bits, else floats where floats came; else the exact objects."""
    if any(map(is_expression, line)):
        return line
    if all(value.denominator == 1 and abs(value) <= LARGEST_INTEGER for value in line):
        return np.array([int(value) for value in line], dtype=np.int64)
    # No rounding: whole factors without a common divisor leave binary fractions to the last.
    return line.astype(float) if is_float else line


def _nearly(exact: Array, tolerance: float) -> list[Array] | None:
    """The lines through the largest entry, where their product is near enough."""
    values = exact.astype(float)
    place = np.unravel_index(np.abs(values).argmax(), values.shape)
    lines = _lines(values, tuple(int(k) for k in place))
    largest = float(values[place])
    found = [line / largest for line in lines[:-1]] + [lines[-1].copy()]
    misses = np.abs(_outer(found) - values).max()
    return found if misses <= tolerance * abs(largest) else None

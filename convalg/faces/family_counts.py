"""The counts of families: expressions in the sizes, such as n k - p (p + 1).

An axis with zero padding has out k triples without those whose index is in the padding. The triples
with an index in front of the input number T(p) - T(p - s out), where

    T(x) = sum over t < k of max(0, ceil((x - d t) / s));

those after the input are the same with the padding after it, since reversing the axis exchanges
both ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from convalg.axis import Axis, Size, holds
from convalg.errors import SymbolicError
from convalg.geometry import Geometry
from convalg.operators.leaves import (
    Adjoint,
    Convolution,
    Diagonal,
    Matrix,
    Patches,
    Selection,
    SparseMatrix,
)
from convalg.operators.tree import Compose, Kron, Operator, Scaled, Sum, fold
from convalg.size import size_product


def nonzeros(operator: Operator) -> Any:
    """Return the number of entries in the pattern of a family.

    Raises: SymbolicError for a product or a sum of operators, for a border that repeats samples,
    and for strides and dilations without a closed form.

    >>> import convalg as ca
    >>> n, K = ca.sizes("n K")
    >>> nonzeros(ca.correlation(n, ca.kernel(K)))
    K*(-K + n + 1)
    """
    return fold(operator, _NONZEROS, _leaf_nonzeros)


def multiplications(operator: Operator) -> Any:
    """Return the number of products of a weight and a sample of a family.

    Raises: SymbolicError as `nonzeros`.
    """
    return fold(operator, _MULTIPLICATIONS, _leaf_multiplications)


def parameters(operator: Operator) -> Any:
    """Return the number of weights of a family; the weights of a named kernel are counted once."""
    weights: dict[object, Any] = {}

    def collect(node: Operator) -> None:
        match node:
            case Convolution(weights=values) | Diagonal(values=values) | Matrix(values=values):
                weights[getattr(values, "name", id(values))] = size_product(values.shape)
        for child in node.children:
            collect(child)

    collect(operator)
    return sum(weights.values())


def triples(geometry: Geometry) -> Any:
    """Return the number of triples (output, input, weight) of a layer."""
    return size_product(geometry.channels) * size_product([_axis(axis) for axis in geometry.axes])


def _axis(axis: Axis) -> Any:
    """Return the number of pairs of an output and a tap that read an input."""
    import sympy

    if axis.boundary != "zeros":
        raise SymbolicError(
            f"the counts of a layer with the boundary {axis.boundary!r} need numbers for its "
            f"sizes: use A.at()"
        )
    every, reach = axis.out_size * axis.taps, axis.stride * axis.out_size
    ends = [end for end in (axis.before, axis.after) if not _is_nonpositive(axis, end)]
    if not ends:
        return every
    general = every - sum(_taps_before(axis, end) - _taps_before(axis, end - reach) for end in ends)
    # Where no tap of an end is in the padding of every output, and no window is in the padding.
    simple = every - sum(_taps_before(axis, end, is_short=True) for end in ends)
    window = abs(axis.dilation) * axis.taps
    gaps = [(end, limit) for end in ends for limit in (reach, window)]
    short = [end <= limit for end, limit in gaps if not _is_nonpositive(axis, end - limit)]
    expanded = sympy.expand(simple)
    return sympy.Piecewise((expanded, sympy.And(*short)), (general, True)) if short else expanded


def _is_nonpositive(axis: Axis, value: Size) -> bool:
    """Return whether a size is at most 0 for all sizes at which the axis exists; False if unclear.

    Rule: s floor(a / s) <= a, and -s floor(a / s) <= s - 1 - a for integers a.
    """
    import sympy

    if isinstance(value, int):
        return value <= 0
    positive = {
        size: sympy.Dummy(integer=True, nonnegative=True) + 1
        for size in (axis.in_size, axis.taps, axis.stride, abs(axis.dilation))
        if getattr(size, "is_Symbol", False)
    }
    bound: sympy.Expr = sympy.S.Zero
    for term in sympy.Add.make_args(sympy.expand(value)):
        floors = [factor for factor in sympy.Mul.make_args(term) if isinstance(factor, sympy.floor)]
        if len(floors) != 1:
            bound += term
            continue
        factor, fraction = term / floors[0], floors[0].args[0]
        below = sympy.together(fraction).as_numer_denom()[1]
        sign = factor.subs(positive)
        if not (holds(sign >= 0) or holds(sign <= 0)):
            return False
        bound += factor * (fraction if holds(sign >= 0) else fraction - (below - 1) / below)
    return holds(sympy.expand(sympy.expand(bound).subs(positive)) <= 0)


def _taps_before(axis: Axis, start: Size, *, is_short: bool = False) -> Any:
    """Return T(x), the sum over the taps t of max(0, ceil((x - d t) / s)), for x = `start`.

    `is_short`: whether x is at most d k.
    """
    import sympy

    if _is_nonpositive(axis, start):
        return 0
    s, d, k = axis.stride, abs(axis.dilation), axis.taps
    x = sympy.sympify(start)
    x = x if _is_nonpositive(axis, -start) else sympy.Max(0, x)
    # The taps with d t < x.
    m = sympy.ceiling(x / d) if is_short else sympy.Min(k, sympy.ceiling(x / d))
    if (ratio := sympy.sympify(d) / s).is_integer:
        return sympy.ceiling(x / s) * m - ratio * m * (m - 1) / 2
    if d == 1:
        return _ceilings(x, s) - (0 if is_short else _ceilings(x - m, s))
    if isinstance(k, int):
        return sum(sympy.Max(0, sympy.ceiling((x - d * t) / s)) for t in range(k))
    raise SymbolicError(
        f"the counts of a layer with stride {s}, dilation {d} and {k} taps have no closed form: "
        f"use numbers for the taps, or for the stride and the dilation"
    )


def _ceilings(last: Size, s: Size) -> Any:
    """Return the sum of ceil(j / s) over j = 1, ..., last."""
    import sympy

    q = sympy.floor(last / s)
    return s * q * (q + 1) / 2 + (last - s * q) * (q + 1)


def _leaf_nonzeros(leaf: object) -> Any:
    match leaf:
        case Convolution(geometry=geometry) | Selection(geometry=geometry):
            return triples(geometry)
        case Patches(geometry=geometry):
            return triples(geometry)
        case Diagonal(values=values) | Matrix(values=values) | SparseMatrix(values=values):
            return int(values.size)
    raise AssertionError(leaf)


def _leaf_multiplications(leaf: object) -> Any:
    match leaf:
        case Convolution():
            return triples(leaf.geometry)
        case Selection():
            return 0
        case SparseMatrix(values=values):
            return int((values != 1).sum())
    return _leaf_nonzeros(leaf)


def _scaled(node: Scaled, image: Size) -> Any:
    """Return the multiplications of a scaled operator, which has no factor where it is 1."""
    import sympy

    total = image + math.prod(node.out_shape)
    is_one = sympy.Eq(sympy.sympify(node.factor), 1)
    return total if is_one == False else sympy.Piecewise((image, is_one), (total, True))  # noqa: E712


def _refused(node: Operator, *_: object) -> Any:
    raise SymbolicError(
        f"the non-zeros of a {'product' if isinstance(node, Compose) else 'sum'} of operators need "
        f"numbers for its sizes: use A.at(), or the counts of its parts"
    )


_NONZEROS: dict[type, Callable[..., Any]] = {
    Compose: _refused,
    Sum: _refused,
    Scaled: lambda node, image: image,
    Adjoint: lambda node, image: image,
    Kron: lambda node, left, right: left * right,
}
_MULTIPLICATIONS: dict[type, Callable[..., Any]] = {
    Compose: lambda node, *images: sum(images),
    Sum: lambda node, *images: sum(images),
    Scaled: lambda node, image: _scaled(node, image),
    Adjoint: lambda node, image: image,
    Kron: lambda node, left, right: right * node.left.shape[1] + left * node.right.shape[0],
}

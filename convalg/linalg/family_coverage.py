"""The coverage of families: how often an output is written, as an expression in its index.

On one axis, output i of a transposed layer is written once for each solution of

    s o + d t = i + p,    0 <= o < outputs,    0 <= t < k.

With s = a g and d = b g, where a and b are numbers without common factor, or one of them is 1, the
solutions are an arithmetic progression if g divides i + p, and there are none otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convalg.axis import Axis, Size
from convalg.errors import UndecidableError
from convalg.operators.leaves import Adjoint, Convolution, Selection
from convalg.operators.tree import Kron, Operator, Scaled

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class AxisCoverage:
    """The coverage of one axis of the output.

    Attributes:
        count: The number of times that the output of an index is written.
        interior: The condition on the index that no tap was lost at a border.
        even: The condition on the sizes that all counts in the interior are equal.
        period: The shortest period of the counts in the interior.
    """

    count: Any
    interior: Any
    even: Any
    period: Any


def axes_of(operator: Operator, indices: tuple[sympy.Symbol, ...]) -> list[AxisCoverage]:
    """Return the coverage of each axis of the output of a family, for an index on each axis.

    Raises: UndecidableError for a product or a sum of operators, for a transposed layer whose
    border is folded back, and for a stride and a dilation that are unrelated symbols.
    """
    return [
        _channel() if axis is None else _written(axis, o) if is_adjoint else _read(axis, o)
        for (axis, is_adjoint), o in zip(_axes(operator, False), indices, strict=True)
    ]


def _axes(operator: Operator, is_adjoint: bool) -> Iterator[tuple[Axis | None, bool]]:
    """Yield each axis, and whether its outputs are those of the adjoint; None for the channels."""
    match operator:
        case Convolution(geometry=geometry):
            if geometry.has_channels:
                yield None, is_adjoint
            yield from ((axis, is_adjoint) for axis in geometry.axes)
        case Selection(geometry=geometry, in_shape=before, out_shape=after) if (
            geometry.in_shape,
            geometry.out_shape,
        ) == (before, after):
            yield from ((axis, is_adjoint) for axis in operator.axes)
        case Adjoint(operator=inner):
            yield from _axes(inner, True)
        case Scaled(operator=inner):
            yield from _axes(inner, is_adjoint)
        case Kron(left=left, right=right):
            yield from _axes(left, is_adjoint)
            yield from _axes(right, is_adjoint)
        case _:
            raise UndecidableError(
                f"the coverage of a family has a closed form for a layer, not for "
                f"{type(operator).__name__}: use numbers for its sizes with A.at(), or the "
                f"coverage of its parts"
            )


def _channel() -> AxisCoverage:
    import sympy

    return AxisCoverage(sympy.S.One, sympy.true, sympy.true, sympy.S.One)


def _read(axis: Axis, o: sympy.Symbol) -> AxisCoverage:
    """Return how many taps of each output of a layer read an input."""
    import sympy

    k, d = axis.taps, abs(axis.dilation)
    first = axis.stride * o - axis.before
    if axis.boundary != "zeros":
        folded = sympy.true
        if axis.boundary != "circular":
            folded = sympy.And(first >= 0, first + d * (k - 1) < axis.in_size)
        return AxisCoverage(sympy.sympify(k), folded, sympy.true, sympy.S.One)
    below = sympy.Max(0, sympy.ceiling(-first / sympy.sympify(d)))
    above = sympy.Min(k - 1, sympy.floor((axis.in_size - 1 - first) / sympy.sympify(d)))
    inside = sympy.And(first >= 0, first + d * (k - 1) < axis.in_size)
    return AxisCoverage(sympy.Max(0, above - below + 1), inside, sympy.true, sympy.S.One)


def _written(axis: Axis, i: sympy.Symbol) -> AxisCoverage:
    """Return how many pairs of an output and a tap of a layer read each input."""
    import sympy

    k, outputs = sympy.sympify(axis.taps), axis.out_size
    s, d = sympy.sympify(axis.stride), sympy.sympify(abs(axis.dilation))
    if axis.boundary == "circular" and s == 1 and outputs == axis.in_size:
        return AxisCoverage(k, sympy.true, sympy.true, sympy.S.One)
    if axis.boundary != "zeros":
        raise UndecidableError(
            f"the coverage of a transposed layer with the boundary {axis.boundary!r} has no closed "
            f"form: use numbers for its sizes with A.at()"
        )
    start = i + axis.before
    if s.is_negative:
        s, start = -s, i + axis.before - s * (outputs - 1)
    a, b, common = _reduced(s, d)
    x = start / common
    # The first and last o of the solutions, and the same without the ends of the outputs.
    lowest, highest = sympy.ceiling((x - b * (k - 1)) / a), sympy.floor(x / a)
    if a == 1 and b != 1:
        # In terms of taps, since b may be a symbol.
        count = _length(
            [sympy.S.Zero, sympy.ceiling((x - outputs + 1) / b)], [k - 1, sympy.floor(x / b)]
        )
        every = _length([sympy.S.Zero], [k - 1])
    else:
        shift = 0 if b == 1 else sympy.mod_inverse(int(a), int(b)) * x
        ends = (lowest, highest), (0, outputs - 1)
        lows = [sympy.ceiling((low - shift) / b) for low, _ in ends]
        highs = [sympy.floor((high - shift) / b) for _, high in ends]
        count, every = _length(lows, highs), _length(lows[:1], highs[:1])
    divides = sympy.Eq(sympy.Mod(start, common), 0)
    interior = sympy.Eq(count, every)
    if b == 1:
        inside = sympy.And(x >= b * (k - 1) - a + 1, x < a * outputs)
        interior = sympy.Or(inside, highest < lowest)
    if common != 1:
        count = sympy.Piecewise((count, divides), (0, True))
        interior = sympy.Or(interior, sympy.Not(divides))
    residues = sympy.Eq(sympy.Mod(k, a), 0)
    even = sympy.And(sympy.Eq(common, 1), residues)
    period = sympy.Piecewise((common, residues), (s, True))
    return AxisCoverage(count, interior, even, period)


def _reduced(s: sympy.Expr, d: sympy.Expr) -> tuple[Any, Any, Any]:
    """Return (a, b, g) with s = a g and d = b g, where a and b do not have a common factor."""
    import sympy

    if (s / d).is_integer:
        return s / d, sympy.S.One, d
    if (d / s).is_integer:
        return sympy.S.One, d / s, s
    a, b = sympy.together(s / d).as_numer_denom()
    if d == 1:
        return s, sympy.S.One, d
    if a.is_Integer and b.is_Integer:
        return a, b, s / a
    raise UndecidableError(
        f"the coverage of a layer with stride {s} and dilation {d} depends on their greatest "
        f"common divisor: use a number for both, or dilation 1"
    )


def _length(lows: list[Size], highs: list[Size]) -> Any:
    """Return the number of integers between the largest of `lows` and the smallest of `highs`."""
    import sympy

    return sympy.Max(0, sympy.Min(*highs) - sympy.Max(*lows) + 1)


def indices_of(operator: Operator) -> tuple[sympy.Symbol, ...]:
    """Return a symbol for the index on each axis of the output: o, or o0, o1, ...

    An underscore is added to a name that a size has.
    """
    import sympy

    count, taken = len(operator.out_shape), {symbol.name for symbol in operator.symbols}
    names = ["o"] if count == 1 else [f"o{k}" for k in range(count)]
    while not taken.isdisjoint(names):
        names = [f"{name}_" for name in names]
    return tuple(sympy.Symbol(name, integer=True, nonnegative=True) for name in names)

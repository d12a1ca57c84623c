"""Conditions on indices, and the entries of operators as conditions on a point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from convalg.axis import Axis, Size
from convalg.geometry import Geometry
from convalg.prove.decisions.smtlib import Script

Value: TypeAlias = Size
"""A size or an index: an integer or a SymPy expression of integers."""


class Relation(NamedTuple):
    """The condition that a value is zero, or at least zero."""

    value: Value
    is_zero: bool = False

    def text(self, script: Script, values: Mapping[object, Value]) -> str:
        """Return the condition in SMT-LIB, with values for its variables."""
        value = put(self.value, values)
        return script.equal(value, 0) if self.is_zero else script.at_least(value, 0)


Condition: TypeAlias = "tuple[tuple[Relation, ...], ...]"
"""Alternatives, of which one must hold; an alternative is a list of relations that all hold."""


def equal(first: Value, second: Value) -> Condition:
    """Return the condition first = second."""
    return ((Relation(first - second, True),),)


def within(index: Value, size: Size) -> Condition:
    """Return the condition 0 <= index < size."""
    return ((Relation(index), Relation(size - 1 - index)),)


def put(value: Value, values: Mapping[object, Value]) -> Value:
    """Return a value with values in place of its variables."""
    return value.xreplace(values) if values and hasattr(value, "xreplace") else value


# Entries of operators.

Entries: TypeAlias = "Callable[[Sequence[Value]], list[Condition]]"
"""Returns when an operator has an entry at a point (row, column, label), one index per axis."""


def entries_of(geometry: Geometry) -> Entries:
    """Return the entries of a correlation, whose labels are the indices of its weights."""
    lead = int(geometry.has_channels)

    def at(point: Sequence[Value]) -> list[Condition]:
        row, column, label = _parts(geometry, point)
        channels = _channels(geometry, row[0], column[0], label) if lead else []
        return [*channels, *_spatial(geometry, row[lead:], column[lead:], label[2 * lead :])]

    return at


def pool_entries(geometry: Geometry) -> Entries:
    """Return the entries of a sum pooling, the same in each channel.

    The label has the tap of each axis with more than one tap; see `pool_taps`.
    """
    lead = int(geometry.has_channels)

    def at(point: Sequence[Value]) -> list[Condition]:
        row, column, label = _parts(geometry, point)
        channels: list[Condition] = []
        if lead:
            channels = [equal(row[0], column[0]), within(row[0], geometry.out_channels or 1)]
        left = iter(label)
        taps = [0 if axis.taps == 1 else next(left) for axis in geometry.axes]
        return [*channels, *_spatial(geometry, row[lead:], column[lead:], taps)]

    return at


def _parts(
    geometry: Geometry, point: Sequence[Value]
) -> tuple[Sequence[Value], Sequence[Value], Sequence[Value]]:
    """Return the row, the column and the label of a point."""
    width = int(geometry.has_channels) + len(geometry.axes)
    return point[:width], point[width : 2 * width], point[2 * width :]


def _spatial(
    geometry: Geometry, outputs: Sequence[Value], inputs: Sequence[Value], taps: Sequence[Value]
) -> list[Condition]:
    """Return when taps of outputs read inputs, on all axes."""
    indices = zip(geometry.axes, outputs, inputs, taps, strict=True)
    return [condition for each in indices for condition in axis_entries(*each)]


def pool_taps(geometry: Geometry) -> int:
    """Return the length of the labels of a sum pooling."""
    return sum(axis.taps != 1 for axis in geometry.axes)


def _channels(geometry: Geometry, k: Value, c: Value, label: Sequence[Value]) -> list[Condition]:
    """Return when output channel k reads input channel c with a label (k, e, ...)."""
    groups, outputs, inputs = geometry.channels
    own, e = label[0], label[1]
    group = 0 if groups == 1 else quotient(k, outputs)
    # The bounds of c follow from the others, which solvers may take long to find.
    return [
        equal(own, k),
        within(k, groups * outputs),
        within(e, inputs),
        within(c, groups * inputs),
        equal(c, inputs * group + e),
    ]


def axis_entries(axis: Axis, o: Value, i: Value, t: Value) -> list[Condition]:
    """Return when tap t of output o reads input i along one axis."""
    raw = axis.raw(o, t)
    pieces = []
    for piece in axis.pieces():
        ends = [] if piece.low is None else [Relation(raw - piece.low)]
        ends += [] if piece.high is None else [Relation(piece.high - raw)]
        reads = Relation(i - piece.sign * raw - piece.constant, True)
        pieces.append((reads, *ends))
    return [within(o, axis.out_size), within(t, axis.taps), within(i, axis.in_size), tuple(pieces)]


def quotient(value: Value, divisor: Size) -> Value:
    """Return floor(value / divisor)."""
    import sympy

    return value if divisor == 1 else sympy.floor(sympy.sympify(value) / divisor)

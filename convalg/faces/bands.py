"""The supports of products of families, axis by axis, as bands of arithmetic progressions.

A band relates each output o from `first` to `last` to the inputs

    stride * o - start + dilation * t,    0 <= t < taps,

that are between `low` and `high`. The product of two bands is a band if no more than one of them
has several taps; or if the progressions of neighbouring taps join, such as those of a layer of K
taps after one with a stride of at most K.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from convalg.axis import Axis, Size
from convalg.errors import UndecidableError
from convalg.faces.axis_counts import axis_triples, is_at_most_zero
from convalg.operators.leaves import Adjoint, Convolution, Diagonal, Matrix, Selection
from convalg.operators.leaves import transposed_axis as transposed
from convalg.operators.tree import Kron, Operator, Scaled
from convalg.presburger import same_size

Premises: TypeAlias = "tuple[Size, ...]"
"""Sizes that are not negative where the product exists."""


@dataclass(frozen=True)
class Blocks:
    """Channels: groups of outputs, each of which reads all inputs of its group."""

    groups: Size
    outputs: Size
    inputs: Size

    @property
    def nonzeros(self) -> Any:
        """The number of pairs of an output and an input."""
        return self.groups * self.outputs * self.inputs


@dataclass(frozen=True)
class Band:
    """The inputs that each output of one axis reads; see the text of this file."""

    in_size: Size
    first: Size
    last: Size
    taps: Size
    stride: Size
    dilation: Size
    start: Size
    low: Size
    high: Size

    @property
    def is_identity(self) -> bool:
        """Whether each output is the input with the same index."""
        ends = (self.first, self.last) == (self.low, self.high) == (0, self.in_size - 1)
        return ends and (self.taps, self.stride, self.start) == (1, 1, 0)


@dataclass(frozen=True)
class _AxisOfProduct(Axis):
    """An axis that exists where the premises are not negative."""

    premises: Premises = ()


def band_of(axis: Axis) -> Band:
    """Return the band of an axis, with the outputs in reverse order for a negative stride.

    Raises: UndecidableError for a border that is folded back.
    """
    if axis.boundary != "zeros":
        raise UndecidableError(
            f"the non-zeros of a product with the boundary {axis.boundary!r} need numbers for its "
            f"sizes: use A.at(), or the counts of its parts"
        )
    s, start = axis.stride, axis.before
    if _is_reversing(axis):
        s, start = -s, start - s * (axis.out_size - 1)
    n, outputs, dilation = axis.in_size, axis.out_size, abs(axis.dilation)
    return Band(n, 0, outputs - 1, axis.taps, s, dilation, start, 0, n - 1)


def _is_reversing(axis: Axis) -> bool:
    return isinstance(axis.stride, int) and axis.stride < 0


def product_nonzeros(factors: tuple[Operator, ...], premises: Premises) -> Any:
    """Return the number of entries in the pattern of a product of families.

    Args:
        factors: The operators, the last of which is applied first.
        premises: Sizes that are not negative where the product exists.

    Raises: UndecidableError for a product that is not a band on each axis.
    """
    if any(_needs_transpose(factor) for factor in factors):
        factors = tuple(factor.T for factor in reversed(factors))
    chain = [list(_axes(factor)) for factor in factors]
    total: Any = 1
    for parts in zip(*chain, strict=True):
        total *= _count(parts, premises)
    return total


def _count(parts: tuple[Axis | Blocks, ...], premises: Premises) -> Any:
    """Return the number of entries of a product of relations on one axis."""
    result: Band | Blocks | None = None
    for part in parts:
        other = part if isinstance(part, Blocks) else band_of(part)
        if result is None:
            result = other
        elif isinstance(result, Band) and isinstance(other, Band):
            assert isinstance(part, Axis)
            left = _reversed(result) if _is_reversing(part) else result
            result = _composed(left, other, premises)
        else:
            result = _joined(result, other)
    assert result is not None
    return result.nonzeros if isinstance(result, Blocks) else _band_nonzeros(result, premises)


def _refused(reason: str) -> UndecidableError:
    return UndecidableError(
        f"the non-zeros of a product of operators have no closed form here, since {reason}: use "
        f"numbers for its sizes with A.at(), or the counts of its parts"
    )


def _needs_transpose(operator: Operator) -> bool:
    """Return whether an operator is a band only after it is transposed."""
    match operator:
        case Adjoint(operator=inner):
            return any(transposed(axis) is None for axis in inner.geometry.axes)
        case Scaled(operator=inner):
            return _needs_transpose(inner)
        case Kron(left=left, right=right):
            return _needs_transpose(left) or _needs_transpose(right)
    return False


def _axes(operator: Operator) -> Iterator[Axis | Blocks]:
    """Yield the relation of each axis of an operator, with the axis of the channels first."""
    match operator:
        case Convolution(geometry=geometry):
            if geometry.has_channels:
                yield Blocks(*geometry.channels)
            yield from geometry.axes
        case Selection() if _keeps_axes(operator):
            yield from operator.axes
        case Adjoint(operator=Convolution() | Selection() as inner):
            for axis in _axes(inner):
                if isinstance(axis, Blocks):
                    yield Blocks(axis.groups, axis.inputs, axis.outputs)
                elif (other := transposed(axis)) is not None:
                    yield other
                else:
                    raise _refused("it contains both a stride and the adjoint of one")
        case Scaled(operator=inner):
            yield from _axes(inner)
        case Kron(left=left, right=right):
            yield from _axes(left)
            yield from _axes(right)
        case Diagonal():
            yield from (Axis(n, n) for n in operator.in_shape)
        case Matrix() if len(operator.in_shape) == len(operator.out_shape):
            for outputs, inputs in zip(operator.out_shape, operator.in_shape, strict=True):
                yield Blocks(1, outputs, inputs)
        case _:
            raise _refused(f"{type(operator).__name__} is not a product of one relation per axis")


def _keeps_axes(leaf: Selection) -> bool:
    geometry = leaf.geometry
    return (geometry.in_shape, geometry.out_shape) == (leaf.in_shape, leaf.out_shape)


def _joined(left: Band | Blocks, right: Band | Blocks) -> Band | Blocks:
    """Return the product of two relations, at least one of which is of channels."""
    if isinstance(left, Band) or isinstance(right, Band):
        kept, other = (right, left) if isinstance(left, Band) else (left, right)
        if isinstance(other, Band) and other.is_identity:
            return kept
        raise _refused("an axis of channels is also an axis of samples")
    groups = _common(left.groups, right.groups)
    outputs, inputs = left.groups * left.outputs, right.groups * right.inputs
    return Blocks(groups, outputs // groups, inputs // groups)


def _common(first: Size, second: Size) -> Size:
    """Return the number of groups of a product, one factor of which has larger groups."""
    if first == second or second == 1:
        return second
    if first == 1:
        return first
    if isinstance(first, int) and isinstance(second, int):
        small, large = sorted((first, second))
        if large % small == 0:
            return small
    raise _refused(f"its factors have {first} and {second} groups of channels")


def _reversed(band: Band) -> Band:
    """Return the band with the inputs in reverse order, and the outputs too."""
    last = band.in_size - 1
    return replace(
        band,
        first=-band.last,
        last=-band.first,
        start=band.dilation * (band.taps - 1) - last - band.start,
        low=last - band.high,
        high=last - band.low,
    )


def _larger(premises: Premises, first: Size, second: Size) -> Any:
    import sympy

    if same_size(first, second) or is_at_most_zero(premises, second - first):
        return first
    return second if is_at_most_zero(premises, first - second) else sympy.Max(first, second)


def _smaller(premises: Premises, first: Size, second: Size) -> Any:
    return -_larger(premises, -first, -second)


def _quotient(above: Size, below: Size) -> Any:
    """Return floor(above / below)."""
    return above if isinstance(below, int) and below == 1 else above // below


def _composed(left: Band, right: Band, premises: Premises) -> Band:
    """Return the band of `left @ right`."""
    low = _larger(premises, left.low, right.first)
    high = _smaller(premises, left.high, right.last)
    made = Band(
        in_size=right.in_size,
        first=left.first,
        last=left.last,
        taps=right.taps,
        stride=right.stride * left.stride,
        dilation=right.dilation,
        start=right.stride * left.start + right.start,
        low=right.low,
        high=right.high,
    )
    if left.taps == 1:
        return _within(made, left, low, high, premises)
    if right.taps == 1:
        return replace(
            made,
            taps=left.taps,
            dilation=right.stride * left.dilation,
            low=_larger(premises, right.low, right.stride * low - right.start),
            high=_smaller(premises, right.high, right.stride * high - right.start),
        )
    taps, dilation, is_by_right = _united(left, right, premises)
    made = replace(made, taps=taps, dilation=dilation)
    # A row of `right` outside its range reads nothing, or is read by no row of `left`.
    width, span = left.dilation * (left.taps - 1), right.dilation * (right.taps - 1)
    unread = right.stride * (low - 1) - right.start + span - right.low + 1
    starts_inside = is_at_most_zero(premises, low - left.stride * left.first + left.start)
    is_low_clipped = not (starts_inside or is_at_most_zero(premises, unread))
    unread = right.high + 1 - right.stride * (high + 1) + right.start
    ends_inside = is_at_most_zero(premises, left.stride * left.last - left.start + width - high)
    is_high_clipped = not (ends_inside or is_at_most_zero(premises, unread))
    if not (is_low_clipped or is_high_clipped):
        return made
    if left.dilation != 1 or not is_by_right:
        raise _refused("a dilated layer reads the padding around the output of another layer")
    if is_low_clipped:
        made = replace(made, low=_larger(premises, made.low, right.stride * low - right.start))
    if is_high_clipped:
        end = right.stride * high - right.start + span
        made = replace(made, high=_smaller(premises, made.high, end))
    return _within(made, left, low, high, premises)


def _within(made: Band, left: Band, low: Size, high: Size, premises: Premises) -> Band:
    """Return a band restricted to the outputs of `left` that read an index from low to high."""
    width = left.dilation * (left.taps - 1)
    first = -_quotient(width - low - left.start, left.stride)
    last = _quotient(high + left.start, left.stride)
    return replace(
        made,
        first=_larger(premises, made.first, first),
        last=_smaller(premises, made.last, last),
    )


def _united(left: Band, right: Band, premises: Premises) -> tuple[Any, Any, bool]:
    """Return taps and dilation of the sums of both progressions, and whether it is that of `right`.

    Raises: UndecidableError where the sums are not a progression.
    """
    import sympy

    steps = sympy.sympify(right.stride * left.dilation) / right.dilation
    if steps.is_integer and is_at_most_zero(premises, steps - right.taps):
        return (left.taps - 1) * steps + right.taps, right.dilation, True
    steps = 1 / steps
    if steps.is_integer and is_at_most_zero(premises, steps - left.taps):
        return (right.taps - 1) * steps + left.taps, right.stride * left.dilation, False
    raise _refused("the inputs that an output reads may have gaps")


def _band_nonzeros(band: Band, premises: Premises) -> Any:
    import sympy

    inputs, outputs = band.high - band.low + 1, band.last - band.first + 1
    axis = _AxisOfProduct(
        in_size=inputs,
        out_size=outputs,
        taps=band.taps,
        stride=band.stride,
        dilation=band.dilation,
        padding=band.start + band.low - band.stride * band.first,
        premises=premises,
    )
    counted = axis_triples(axis)
    some = [size >= 1 for size in (inputs, outputs) if not is_at_most_zero(premises, 1 - size)]
    return sympy.Piecewise((counted, sympy.And(*some)), (0, True)) if some else counted

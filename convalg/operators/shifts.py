"""Shifts and flips of the axes of an input."""

from __future__ import annotations

from convalg.axis import Axis, Boundary
from convalg.conventions import (
    Shape,
    check_boundary,
    check_reflect,
)
from convalg.errors import ArgumentError
from convalg.operators.padding import selection
from convalg.operators.tree import Operator
from convalg.size import (
    Condition,
    as_shape,
    per_axis,
)


def flip_axes(shape: Shape, axes: object = None, *, channels: int | None = None) -> Operator:
    """Return the operator that reverses the input along some spatial axes, by default all.

    Args:
        shape: Spatial shape of the input.
        axes: The spatial axes to reverse.
        channels: Number of channels, which become the first axis; None for no channel axis.

    Raises:
        ArgumentError: for an axis that does not exist or is named twice.

    >>> import convalg as ca
    >>> ca.flip_axes((2, 2), axes=(1,))([[1, 2], [3, 4]]).tolist()
    [[2, 1], [4, 3]]
    """
    needs: list[Condition] = []
    sizes = as_shape(shape, conditions=needs)
    dims = len(sizes)
    chosen = set(range(dims)) if axes is None else set(as_shape(axes, "axes", least=-dims))
    if max(chosen) >= dims:
        raise ArgumentError(f"axes={axes!r} names an axis beyond the {dims} of shape {sizes}")
    flipped = {k % dims for k in chosen}
    if len(flipped) < len(chosen):
        raise ArgumentError(f"axes={axes!r} names one of the {dims} axes twice")
    return selection(
        [
            Axis(n, n, stride=-1, padding=1 - n) if k in flipped else Axis(n, n)
            for k, n in enumerate(sizes)
        ],
        channels,
        needs,
    )


def shift(
    shape: Shape, offset: object, *, boundary: Boundary = "zeros", channels: int | None = None
) -> Operator:
    """Return the shift by `offset` samples towards higher indices: y[i] = x[i - offset].

    Args:
        shape: Spatial shape of the input and of the output.
        offset: An int or one per axis, in samples, of either sign.
        boundary: The values shifted in, as for `correlation`: "circular" takes the other end.
        channels: Number of channels, which become the first axis; None for no channel axis.

    >>> import convalg as ca
    >>> ca.shift(4, 1)([1, 2, 3, 4]).tolist()
    [0, 1, 2, 3]
    >>> ca.shift(4, 1, boundary="circular")([1, 2, 3, 4]).tolist()
    [4, 1, 2, 3]
    """
    needs: list[Condition] = []
    sizes = as_shape(shape, conditions=needs)
    check_boundary(boundary)
    offsets = per_axis(offset, "offset", len(sizes), least=None)
    for k, (n, step) in enumerate(zip(sizes, offsets, strict=True)):
        check_reflect(boundary, (step, -step), n, k, needs, name="offset")
    return selection(
        [
            Axis(n, n, padding=step, boundary=boundary)
            for n, step in zip(sizes, offsets, strict=True)
        ],
        channels,
        needs,
    )

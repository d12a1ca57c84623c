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
    require_numbers,
)


def flip_axes(shape: Shape, axes: object = None, *, channels: int | None = None) -> Operator:
    """Return the operator that reverses its input along some or all spatial axes.

    Args:
        shape: Spatial shape of the input in samples, without channels: an int or one size per
            axis.
        axes: Numbers of the spatial axes to reverse, counted from 0 without the channels: an int
            or several; negative numbers count from the last axis. All axes by default.
        channels: Number of channels, which become the first axis of the input and of the output;
            None for arrays without a channel axis.

    Returns:
        An operator whose output has the shape of its input.

    Raises:
        ArgumentError: when an axis does not exist or is given twice.
        ShapeError: for a shape without axes.
        KindError: when an argument is not an integer.

    >>> import convalg as ca
    >>> ca.flip_axes((2, 2), axes=(1,))([[1, 2], [3, 4]]).tolist()
    [[2, 1], [4, 3]]
    """
    needs: list[Condition] = []
    sizes = as_shape(shape, conditions=needs)
    dims = len(sizes)
    chosen = set(range(dims)) if axes is None else set(as_shape(axes, "axes", least=-dims))
    require_numbers(tuple(chosen), "axes")
    if max(chosen) >= dims:
        raise ArgumentError(
            f"axes must be between {-dims} and {dims - 1} for a shape of {sizes}, not {axes!r}"
        )
    flipped = {k % dims for k in chosen}
    if len(flipped) < len(chosen):
        raise ArgumentError(f"axes must contain each of the {dims} axes at most once, not {axes!r}")
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
    """Return the operator that moves its input by `offset` samples: y[i] = x[i - offset].

    Args:
        shape: Spatial shape of the input and of the output in samples, without channels: an int
            or one size per axis.
        offset: Distance in samples: an int or one per axis; positive numbers move towards higher
            indices, negative numbers towards lower ones.
        boundary: Values that are shifted in: "zeros", "circular" (the samples shifted out at the
            other end), "reflect", "symmetric" or "edge", as for `correlation`.
        channels: Number of channels, which become the first axis of the input and of the output;
            None for arrays without a channel axis.

    Returns:
        An operator whose output has the shape of its input.

    Raises:
        ArgumentError: when `boundary` is not one of the allowed values, or a reflection is wider
            than the input.
        ShapeError: when `offset` does not have one value per axis.
        KindError: when an argument is of the wrong type.

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

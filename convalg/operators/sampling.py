"""Downsampling, and upsampling with zeros."""

from __future__ import annotations

from convalg.axis import Axis, tight_size
from convalg.conventions import (
    Shape,
)
from convalg.operators.padding import selection
from convalg.operators.tree import Operator
from convalg.size import (
    Condition,
    as_shape,
    per_axis,
    require,
)


def downsample(
    shape: Shape, factor: object, *, offset: object = 0, channels: int | None = None
) -> Operator:
    """Return the operator that keeps every `factor`-th sample: y[i] = x[factor i + offset].

    Args:
        shape: Spatial shape of the input; the output has ceil((n - offset) / factor) samples on
            each axis.
        factor: An int or one per axis, at least 1.
        offset: The first sample that is kept: an int or one per axis.
        channels: Number of channels, which become the first axis; None for no channel axis.

    Raises:
        ArgumentError: when an offset is outside the input.

    >>> import convalg as ca
    >>> ca.downsample(5, 2)([1, 2, 3, 4, 5]).tolist()
    [1, 3, 5]
    """
    needs: list[Condition] = []
    sizes = as_shape(shape, conditions=needs)
    factors = per_axis(factor, "factor", len(sizes), conditions=needs)
    offsets = per_axis(offset, "offset", len(sizes), least=0, conditions=needs)
    axes = []
    for k, (n, step, first) in enumerate(zip(sizes, factors, offsets, strict=True)):
        message = ("offset {} is beyond the {} samples of axis {}", first, n, k)
        require(n - 1 - first, message, needs)
        axes.append(Axis(n, -(-(n - first) // step), stride=step, padding=-first))
    return selection(axes, channels, needs)


def upsample(
    shape: Shape, factor: object, *, size: object = None, channels: int | None = None
) -> Operator:
    """Return the operator that inserts factor - 1 zeros between samples: `downsample`'s adjoint.

    Args:
        shape: Spatial shape of the input.
        factor: An int or one per axis, at least 1.
        size: Spatial shape of the output, with more zeros at the end; by default
            factor (n - 1) + 1 samples on each axis.
        channels: Number of channels, which become the first axis; None for no channel axis.

    Raises:
        ArgumentError: when `size` is too small.

    >>> import convalg as ca
    >>> ca.upsample(3, 2)([1, 2, 3]).tolist(), ca.upsample(3, 2, size=6)([1, 2, 3]).tolist()
    ([1, 0, 2, 0, 3], [1, 0, 2, 0, 3, 0])
    """
    needs: list[Condition] = []
    sizes = as_shape(shape, conditions=needs)
    factors = per_axis(factor, "factor", len(sizes), conditions=needs)
    tight = tuple(tight_size(n, step) for n, step in zip(sizes, factors, strict=True))
    wanted = tight if size is None else per_axis(size, "size", len(sizes), conditions=needs)
    axes = []
    for k, (n, step, least, length) in enumerate(zip(sizes, factors, tight, wanted, strict=True)):
        message = ("size {} on axis {} is below the {} samples needed", length, k, least)
        require(length - least, message, needs)
        axes.append(Axis(length, n, stride=step))
    return selection(axes, channels, needs).T

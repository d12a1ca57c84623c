"""Downsampling, and upsampling with zeros."""

from __future__ import annotations

from convalg.axis import Axis, floored, tight_size
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
        shape: Spatial shape of the input in samples, without channels: an int or one size per
            axis.
        factor: Distance between neighbouring kept samples: an int or one per axis, at least 1.
        offset: Index of the first sample that is kept: an int or one per axis, at least 0.
        channels: Number of channels, which become the first axis of the input and of the output;
            None for arrays without a channel axis.

    Returns:
        An operator whose output has ceil((n - offset) / factor) samples on each axis.

    Raises:
        ArgumentError: when an offset is outside the input, or a value is too small.
        ShapeError: when an option does not have one value per axis.
        KindError: when an argument is not an integer.

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
        message = (
            "offset must be an index of axis {}, from 0 to {}, not {}",
            *(k, n - 1, first),
        )
        require(n - 1 - first, message, needs)
        axes.append(Axis(n, -floored(first - n, step), stride=step, padding=-first))
    return selection(axes, channels, needs)


def upsample(
    shape: Shape, factor: object, *, size: object = None, channels: int | None = None
) -> Operator:
    """Return the operator that inserts factor - 1 zeros between neighbouring samples.

    It is the adjoint of `downsample` with the same factor.

    Args:
        shape: Spatial shape of the input in samples, without channels: an int or one size per
            axis.
        factor: Distance in the output between neighbouring input samples: an int or one per axis,
            at least 1.
        size: Spatial shape of the output in samples: an int or one size per axis, at least
            `factor * (n - 1) + 1` (the default), where n is the size of the input. A larger output
            ends with zeros.
        channels: Number of channels, which become the first axis of the input and of the output;
            None for arrays without a channel axis.

    Returns:
        An operator from `(*shape)` to `(*size)`, with the channels in front of both if given.

    Raises:
        ArgumentError: when `size` is too small, or a factor is below 1.
        ShapeError: when an option does not have one value per axis.
        KindError: when an argument is not an integer.

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
        message = (
            "size must be at least {} on axis {}, not {}, to contain all samples",
            *(least, k, length),
        )
        require(length - least, message, needs)
        axes.append(Axis(length, n, stride=step))
    return selection(axes, channels, needs).T

"""Unfold (im2col) and fold (col2im)."""

from __future__ import annotations

import numpy as np

from convalg import engine
from convalg.conventions import Padding, PerAxis, Shape
from convalg.operators import windows
from convalg.operators.leaves import gathering
from convalg.operators.pooling import (
    channels_text,
    concrete_axes,
    concrete_shape,
    shape_text,
    shapes,
    values_text,
)
from convalg.operators.tree import Operator
from convalg.size import per_axis, size_product


def unfold(
    shape: Shape,
    size: PerAxis,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    channels: int | None = None,
) -> Operator:
    """Return the operator that copies each window of the input into one column ("im2col").

    Args:
        shape: Spatial shape of the input in samples, without channels: an int or one size per
            axis.
        size: Number of taps of a window along each axis: an int or one per axis.
        stride: Distance between neighbouring windows in samples: an int or one per axis.
        padding: Zeros added around the input: an int for all sides, one int per axis, one pair
            (before, after) per axis, or a padding mode of `correlation`, such as "same".
        dilation: Distance between neighbouring taps in samples: an int or one per axis.
        channels: Number of channels, which become the first axis of the input; None for an input
            without a channel axis.

    Returns:
        An operator from `(*shape)` to `(taps, windows)`, or from `(channels, *shape)` to
        `(channels * taps, windows)`. The taps of a window and the windows are each numbered in
        row-major order.

    Raises:
        ShapeError: when a window is larger than the padded input, or an option does not have one
            value per axis.
        ArgumentError: when a value is out of range or is not one of the allowed values.
        KindError: when an argument is of the wrong type.
        SymbolicError: for symbolic sizes.
        TooLargeError: when the matrix would be too large.

    Source:
        PyTorch, Unfold.

    >>> import convalg as ca
    >>> ca.unfold(4, 2)([1, 2, 3, 4]).tolist()
    [[1, 2, 3], [2, 3, 4]]
    """
    sizes = concrete_shape(shape)
    spacing = {"stride": stride, "padding": padding, "dilation": dilation}
    # stride=None would mean the default of pooling.
    per_axis(stride, "stride", len(sizes))
    axes = concrete_axes(sizes, size, spacing)
    taps = size_product([axis.taps for axis in axes])
    outputs = size_product([axis.out_size for axis in axes])
    before, _ = shapes(sizes, (), channels)
    count = before[0] if channels is not None else 1
    given = {"stride": (stride, 1), "padding": (padding, 0), "dilation": (dilation, 1)}
    listed = [(k, v.tolist() if hasattr(v, "tolist") else v, u) for k, (v, u) in given.items()]
    options = "".join(f", {name}={v!r}" for name, v, usual in listed if v != usual)
    window = values_text(per_axis(size, "size", len(sizes)))
    call = f"unfold({shape_text(sizes)}, {window}{options}{channels_text(channels)})"
    windows.check_places(count * taps * outputs, call, windows.BYTES_PER_ENTRY)
    indices, _ = engine.table(axes)
    steps = np.arange(count)[:, None, None] * size_product(sizes)
    table = np.where(indices < 0, -1, indices + steps)
    return gathering(table, before, (count * taps, outputs), call)


def fold(
    shape: Shape,
    size: PerAxis,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    channels: int | None = None,
) -> Operator:
    """Return the operator that adds the columns of all windows to an image ("col2im").

    It is the adjoint of `unfold` with the same arguments: where windows overlap, their samples are
    summed.

    Args:
        shape: Spatial shape of the output in samples, without channels: an int or one size per
            axis.
        size: Number of taps of a window along each axis: an int or one per axis.
        stride: Distance between neighbouring windows in samples: an int or one per axis.
        padding: Padding of the image whose windows are summed; samples in it are dropped. An int
            for all sides, one int per axis, one pair (before, after) per axis, or a padding mode
            of `correlation`, such as "same".
        dilation: Distance between neighbouring taps in samples: an int or one per axis.
        channels: Number of channels, which become the first axis of the output; None for an
            output without a channel axis.

    Returns:
        An operator from `(taps, windows)` to `(*shape)`, or from `(channels * taps, windows)` to
        `(channels, *shape)`.

    Raises:
        ShapeError: when a window is larger than the padded output, or an option does not have one
            value per axis.
        ArgumentError: when a value is out of range or is not one of the allowed values.
        KindError: when an argument is of the wrong type.
        SymbolicError: for symbolic sizes.
        TooLargeError: when the matrix would be too large.

    Source:
        PyTorch, Fold; ONNX, operator Col2Im.

    >>> import convalg as ca
    >>> ca.fold(4, 2)([[1, 1, 1], [1, 1, 1]]).tolist()
    [1, 2, 2, 1]
    """
    return unfold(
        shape, size, stride=stride, padding=padding, dilation=dilation, channels=channels
    ).T

"""Unfold (im2col) and fold (col2im)."""

from __future__ import annotations

from typing import Any

import numpy as np

from convalg import engine
from convalg.conventions import Padding, Shape
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
    size: object,
    *,
    stride: object = 1,
    padding: Padding = 0,
    dilation: object = 1,
    channels: int | None = None,
) -> Operator:
    """Return the operator that extracts all windows as columns ("im2col").

    Shapes: `(*shape)` to `(taps, windows)`, or `(channels, *shape)` to
    `(channels * taps, windows)`; taps and windows are flat and row-major.

    Args:
        shape: Spatial shape of the input.
        size: Taps of a window: an int or one per axis.
        stride: Distance of the windows, an int or one per axis; unlike in pooling, 1 by default.
        padding: As for `correlation`; it is zero.
        dilation: Distance of the taps, an int or one per axis.
        channels: Number of channels, which become the first axis; None for no channel axis.

    Raises:
        ShapeError: when no window fits.
        ArgumentError: when a value is not allowed; the message names the argument.
        KindError: when an argument is of the wrong type.

    Source: PyTorch, Unfold.

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
    size: Any,
    *,
    stride: Any = 1,
    padding: Padding = 0,
    dilation: Any = 1,
    channels: int | None = None,
) -> Operator:
    """Return the adjoint of `unfold`, which adds columns of windows to an image ("col2im").

    Shapes: `(taps, windows)` to `(*shape)`, or `(channels * taps, windows)` to
    `(channels, *shape)`. The arguments and errors are those of `unfold`; `shape` is the spatial
    shape of the output.

    Source: PyTorch, Fold; ONNX, operator Col2Im.

    >>> import convalg as ca
    >>> ca.fold(4, 2)([[1, 1, 1], [1, 1, 1]]).tolist()
    [1, 2, 2, 1]
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "channels": channels}
    return unfold(shape, size, **options).T

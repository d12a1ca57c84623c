"""Operators that rearrange or interpolate samples: permutations, shuffles, patches, resizing."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from convalg import engine
from convalg.arguments import one_of
from convalg.arrays import Array, as_numbers
from convalg.conventions import Padding, Shape
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.limits import LARGEST_INTEGER
from convalg.operators import windows
from convalg.operators.leaves import gathering, sparse_matrix
from convalg.operators.make import diagonal, reshape
from convalg.operators.pooling import (
    concrete_axes,
    concrete_shape,
    per_channel,
    shape_words,
    shapes,
    tail,
)
from convalg.operators.tree import Operator, scale
from convalg.operators.windows import Coordinates, Rounding
from convalg.size import as_shape, as_size, is_expression, per_axis, require_numbers, size_product

LARGEST_DENOMINATOR = 10**6
"""A float scale is read as the fraction with a denominator up to this that rounds to it, if any."""


def permute(in_shape: Shape, axes: object) -> Operator:
    """Return the operator that permutes the axes of its input, as NumPy's transpose.

    Args:
        in_shape: Shape of the input, including channels.
        axes: Axis k of the output is axis `axes[k]` of the input.

    Raises:
        ArgumentError: unless `axes` names every axis once.

    >>> import convalg as ca
    >>> ca.permute((2, 3), (1, 0))([[1, 2, 3], [4, 5, 6]]).tolist()
    [[1, 4], [2, 5], [3, 6]]
    """
    sizes = concrete_shape(in_shape, "in_shape")
    order = per_axis(axes, "axes", len(sizes), least=0)
    require_numbers(order, "axes")
    if sorted(order) != list(range(len(sizes))):
        raise ArgumentError(f"axes must name each of the {len(sizes)} axes once, not {axes!r}")
    call = f"permute({shape_words(sizes)}, {tuple(order)})"
    table = _flat_indices(sizes, call).transpose(order)
    return gathering(table, sizes, table.shape, call)


def flatten(in_shape: Shape) -> Operator:
    """Return the operator that flattens its input, channels included, in row-major order.

    >>> import convalg as ca
    >>> ca.flatten((2, 2))([[1, 2], [3, 4]]).tolist()
    [1, 2, 3, 4]
    """
    return reshape(in_shape, size_product(as_shape(in_shape, "in_shape")))


def pixel_shuffle(
    shape: Shape, factor: object, *, channels: int, order: Literal["CRD", "DCR"] = "CRD"
) -> Operator:
    """Return the operator that rearranges every factor^d channels into one larger image.

    Shapes: `(channels, *shape)` to `(channels / factor^d, *(factor n))`.

    Args:
        shape: Spatial shape of the input, with d axes.
        factor: Samples of a block: an int or one per axis.
        channels: Number of input channels.
        order: Position of the block's index in the channel index: after the channel ("CRD",
            PyTorch) or in front of it ("DCR"); ONNX DepthToSpace has both.

    Raises:
        ShapeError: when factor^d does not divide the channels.

    Source: Shi et al. 2016, equation 4.

    >>> import convalg as ca
    >>> ca.pixel_shuffle((1, 1), 2, channels=4)([[[1]], [[2]], [[3]], [[4]]]).tolist()
    [[[1, 2], [3, 4]]]
    """
    sizes = concrete_shape(shape)
    factors = per_axis(factor, "factor", len(sizes))
    count, block = as_size(channels, "channels"), size_product(factors)
    if count % block:
        raise ShapeError(
            f"channels must be a multiple of {block}, the samples of a block {tuple(factors)}, "
            f"not {count}"
        )
    dims, inner = len(sizes), count // block
    if one_of(order, ("CRD", "DCR"), "order") == "CRD":
        split, lead, offset = (inner, *factors, *sizes), 0, 1
    else:
        split, lead, offset = (*factors, inner, *sizes), dims, 0
    before = (count, *sizes)
    pairs = [axis for k in range(dims) for axis in (dims + 1 + k, offset + k)]
    after = (inner, *(n * r for n, r in zip(sizes, factors, strict=True)))
    named = "" if order == "CRD" else f", order={order!r}"
    call = f"pixel_shuffle({shape_words(sizes)}, {_short(factors)}{tail(count)}{named})"
    table = _flat_indices(before, call).reshape(split).transpose(lead, *pairs)
    return gathering(table, before, after, call)


def pixel_unshuffle(
    shape: Shape, factor: object, *, channels: int, order: Literal["CRD", "DCR"] = "CRD"
) -> Operator:
    """Return the operator that rearranges blocks of samples into channels.

    It is the inverse and the adjoint of `pixel_shuffle`.
    Shapes: `(channels, *shape)` to `(channels factor^d, *(n / factor))`.

    Args:
        shape: Spatial shape of the input, with d axes.
        factor: Samples of a block: an int or one per axis.
        channels: Number of input channels.
        order: As for `pixel_shuffle`.

    Raises:
        ShapeError: when the factor does not divide a size.

    >>> import convalg as ca
    >>> ca.pixel_unshuffle((2, 2), 2, channels=1)([[[1, 2], [3, 4]]]).ravel().tolist()
    [1, 2, 3, 4]
    """
    sizes = concrete_shape(shape)
    factors = per_axis(factor, "factor", len(sizes))
    for k, (n, r) in enumerate(zip(sizes, factors, strict=True)):
        if n % r:
            raise ShapeError(f"factor {r} does not divide the {n} samples of axis {k}")
    small = tuple(n // r for n, r in zip(sizes, factors, strict=True))
    count = as_size(channels, "channels") * size_product(factors)
    return pixel_shuffle(small, factors, channels=count, order=order).T


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
    window = _short(per_axis(size, "size", len(sizes)))
    call = f"unfold({shape_words(sizes)}, {window}{options}{tail(channels)})"
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


def resize(
    shape: Shape,
    size: object = None,
    *,
    scale: object = None,
    mode: Literal["nearest", "linear"] = "nearest",
    coordinates: Coordinates = "half_pixel",
    rounding: Rounding = "round_prefer_floor",
    channels: int | None = None,
) -> Operator:
    """Return the operator that interpolates its input on another grid: nearest or (multi)linear.

    Rule: output o is at position (o + 1/2) / scale - 1/2 ("half_pixel"), o / scale ("asymmetric")
    or o (n - 1) / (m - 1) ("align_corners") of the input. The weights are exact fractions.
    PyTorch's "nearest" is "asymmetric" with "floor"; its "nearest-exact" is "half_pixel" with
    "round_prefer_ceil".

    Args:
        shape: Spatial shape of the input.
        size: Spatial shape of the output; by default floor(n scale) samples on each axis.
        scale: Scale of the grid, one number or one per axis; by default m / n. With both, `size` is
            the shape and `scale` determines the positions.
        mode: "nearest" takes one sample, "linear" weights the two samples around the position.
        coordinates: Rule for the positions, with the names of ONNX.
        rounding: Which sample "nearest" takes: "floor", "ceil", "round_prefer_floor" or
            "round_prefer_ceil".
        channels: Number of channels, which become the first axis; None for no channel axis.

    Raises:
        ShapeError: when `size` or `scale` does not have one number per axis.
        ArgumentError: when there is neither `size` nor `scale`, or a value is not allowed.
        KindError: when a scale is not a number.
        SymbolicError: for symbolic sizes.

    Source: ONNX, operator Resize.

    >>> import convalg as ca
    >>> ca.resize(2, scale=2)([1, 5]).tolist()
    [1, 1, 5, 5]
    >>> ca.resize(2, scale=2, mode="linear")([1.0, 5.0]).tolist()
    [1.0, 2.0, 4.0, 5.0]
    """
    sizes = concrete_shape(shape)
    wanted, scales = _target(sizes, size, scale)
    one_of(mode, ("nearest", "linear"), "mode")
    windows.check_samples(wanted, "a resizing")
    parts: list[Operator] = []
    common = 1
    for n, m, factor in zip(sizes, wanted, scales, strict=True):
        rows = []
        for output in range(m):
            position = windows.position(output, n, m, factor, coordinates)
            if mode == "linear":
                rows.append(windows.linear(position, n))
            else:
                rows.append({windows.nearest(position, n, rounding): Fraction(1)})
        denominator, matrix = _weights(rows, n)
        parts.append(matrix)
        common *= denominator
    resized = per_channel(parts, channels)
    return resized if common == 1 else scale(Fraction(1, common), resized)


def dropout(mask: object, rate: object = 0) -> Operator:
    """Return a dropout with a given mask: a diagonal matrix of zeros and 1 / (1 - rate).

    Args:
        mask: Zeros (dropped) and ones, in the shape of the input.
        rate: The fraction that is dropped in training, 0 <= rate < 1; a `Fraction` stays exact.

    Raises:
        ShapeError: when the mask is empty or a number.
        ArgumentError: when the mask has other values, or the rate is out of range.

    >>> import convalg as ca
    >>> from fractions import Fraction
    >>> ca.dropout([1, 0, 1], Fraction(1, 2))([3, 4, 5]).tolist()
    [Fraction(6, 1), Fraction(0, 1), Fraction(10, 1)]
    """
    values = as_numbers(mask, "mask")
    if values.ndim == 0 or not values.size:
        raise ShapeError(f"mask must be an array with the shape of the input, not {mask!r}")
    if not np.isin(values, (0, 1)).all():
        raise ArgumentError(f"mask must hold zeros and ones, not {values.ravel()[:5].tolist()}")
    rate = rate.item() if isinstance(rate, np.number) else rate
    if not isinstance(rate, (int, float, Fraction)) or not 0 <= rate < 1:
        raise ArgumentError(f"rate must be a number with 0 <= rate < 1, not {rate!r}")
    # int8 does not widen any float type.
    kept = diagonal(values.astype(np.int8))
    factor = 1 / (1 - rate) if isinstance(rate, float) else 1 / Fraction(1 - rate)
    return kept if factor == 1 else scale(factor, kept)


def _flat_indices(shape: tuple[Any, ...], call: str) -> Array:
    """Return the flat index of each entry, for the matrix of a call."""
    windows.check_places(size_product(shape), call, windows.BYTES_PER_ENTRY)
    return np.arange(size_product(shape)).reshape(shape)


def _short(values: tuple[Any, ...]) -> str:
    return str(values[0]) if len(set(values)) == 1 else str(tuple(values))


def _target(
    sizes: tuple[int, ...], size: object, scale: Any
) -> tuple[tuple[int, ...], tuple[Fraction, ...]]:
    """Return the output sizes and the scales of the grids, from `size`, `scale` or both."""
    if size is None and scale is None:
        raise ArgumentError(f"resize of {sizes} needs a size, a scale, or both")
    wanted = None
    if size is not None:
        wanted = concrete_shape(per_axis(size, "size", len(sizes)), "size")
    if scale is None:
        assert wanted is not None
        return wanted, tuple(Fraction(m, n) for m, n in zip(wanted, sizes, strict=True))
    several = isinstance(scale, (tuple, list)) or getattr(scale, "ndim", 0) == 1
    given = list(scale) if several else [scale] * len(sizes)
    if len(given) != len(sizes):
        raise ShapeError(f"scale must be one number or {len(sizes)} of them, not {scale!r}")
    scales = tuple(_fraction(value) for value in given)
    if wanted is None:
        wanted = tuple(math.floor(n * value) for n, value in zip(sizes, scales, strict=True))
    if min(wanted) < 1:
        raise ArgumentError(f"scale {scale!r} leaves nothing of an input of {sizes}")
    return wanted, scales


def _fraction(value: Any) -> Fraction:
    """Return a scale as a fraction; for a float, the simplest one that rounds to it."""
    if is_expression(value) and value.is_Rational:
        return Fraction(int(value.p), int(value.q))
    if isinstance(value, np.number):
        value = value.item()
    if not isinstance(value, (int, float, Fraction)) or isinstance(value, bool):
        raise KindError(f"scale must be a number for each axis, not {value!r}")
    if not 0 < value < LARGEST_INTEGER:
        raise ArgumentError(f"scale must be positive and finite, not {value!r}: below 2**63")
    simple = Fraction(value).limit_denominator(LARGEST_DENOMINATOR)
    return simple if float(simple) == float(value) else Fraction(value)


def _weights(rows: list[dict[int, Fraction]], columns: int) -> tuple[int, Operator]:
    """Return the common denominator and the matrix of integer numerators of one axis."""
    common = math.lcm(*(weight.denominator for row in rows for weight in row.values()))
    entries = [(r, c, int(w * common)) for r, row in enumerate(rows) for c, w in row.items()]
    where, read, values = (np.array(part) for part in zip(*entries, strict=True))
    return common, sparse_matrix(where, read, values, (columns,), (len(rows),))

"""Samples moved about and interpolated: shuffles, patches, resizing. All are operators."""

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
"""A scale given as a float is read as the simplest fraction that it rounds from, up to this."""


def permute(in_shape: Shape, axes: Any) -> Operator:
    """The input with its axes in another order, as NumPy's transpose.

    Shapes: `in_shape` with all axes, channels too; axis k of the output is axis `axes[k]`.
    Raises: ArgumentError unless `axes` names every axis once.

    >>> permute((2, 3), (1, 0))([[1, 2, 3], [4, 5, 6]]).tolist()
    [[1, 4], [2, 5], [3, 6]]
    """
    sizes = concrete_shape(in_shape, "in_shape")
    order = per_axis(axes, "axes", len(sizes), least=0)
    require_numbers(order, "axes")
    if sorted(order) != list(range(len(sizes))):
        raise ArgumentError(f"axes must name each of the {len(sizes)} axes once, not {axes!r}")
    words = f"permute({shape_words(sizes)}, {tuple(order)})"
    table = _places(sizes, words).transpose(order)
    return gathering(table, sizes, table.shape, words)


def flatten(in_shape: Shape) -> Operator:
    """All samples of all channels on one axis, in row-major order.

    >>> flatten((2, 2))([[1, 2], [3, 4]]).tolist()
    [1, 2, 3, 4]
    """
    return reshape(in_shape, size_product(as_shape(in_shape, "in_shape")))


def pixel_shuffle(
    shape: Shape, factor: Any, *, channels: int, order: Literal["CRD", "DCR"] = "CRD"
) -> Operator:
    """Channels laid out in space: each group of factor^d channels becomes one finer image.

    Shapes: `(channels, *shape)` to `(channels / factor^d, *(factor n))`. `order`: where the
    place within a block is counted in the channel index, behind the channel ("CRD", PyTorch)
    or before it ("DCR"; both ONNX DepthToSpace).
    Raises: ShapeError when factor^d does not divide the channels.
    Source: Shi et al. 2016, equation 4.

    >>> pixel_shuffle((1, 1), 2, channels=4)([[[1]], [[2]], [[3]], [[4]]]).tolist()
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
    pairs = [place for k in range(dims) for place in (dims + 1 + k, offset + k)]
    after = (inner, *(n * r for n, r in zip(sizes, factors, strict=True)))
    named = "" if order == "CRD" else f", order={order!r}"
    words = f"pixel_shuffle({shape_words(sizes)}, {_short(factors)}{tail(count)}{named})"
    table = _places(before, words).reshape(split).transpose(lead, *pairs)
    return gathering(table, before, after, words)


def pixel_unshuffle(
    shape: Shape, factor: Any, *, channels: int, order: Literal["CRD", "DCR"] = "CRD"
) -> Operator:
    """Space laid out in channels: the inverse and the adjoint of `pixel_shuffle`.

    Shapes: `(channels, *shape)` to `(channels factor^d, *(n / factor))`.
    Raises: ShapeError when the factor does not divide a size.

    >>> pixel_unshuffle((2, 2), 2, channels=1)([[[1, 2], [3, 4]]]).ravel().tolist()
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
    size: Any,
    *,
    stride: Any = 1,
    padding: Padding = 0,
    dilation: Any = 1,
    channels: int | None = None,
) -> Operator:
    """What every tap of every window reads ("im2col"): one column for each window.

    Shapes: `(*shape)` to `(taps, windows)`, or `(channels, *shape)` to
    `(channels * taps, windows)`; taps and windows flat and row-major. Padding is zeros. Windows
    are `stride` apart, by default 1, so that they overlap (those of pooling lie side by side).
    Raises: ShapeError, ArgumentError or KindError naming the argument at fault.
    Source: PyTorch, Unfold.

    >>> unfold(4, 2)([1, 2, 3, 4]).tolist()
    [[1, 2, 3], [2, 3, 4]]
    """
    sizes = concrete_shape(shape)
    walk = {"stride": stride, "padding": padding, "dilation": dilation}
    # None is the default of pooling only.
    per_axis(stride, "stride", len(sizes))
    axes = concrete_axes(sizes, size, walk)
    taps = size_product([axis.taps for axis in axes])
    outputs = size_product([axis.out_size for axis in axes])
    before, _ = shapes(sizes, (), channels)
    count = before[0] if channels is not None else 1
    given = {"stride": (stride, 1), "padding": (padding, 0), "dilation": (dilation, 1)}
    plain = [(k, v.tolist() if hasattr(v, "tolist") else v, u) for k, (v, u) in given.items()]
    options = "".join(f", {name}={v!r}" for name, v, usual in plain if v != usual)
    window = _short(per_axis(size, "size", len(sizes)))
    words = f"unfold({shape_words(sizes)}, {window}{options}{tail(channels)})"
    windows.check_places(count * taps * outputs, words, windows.BYTES_PER_ENTRY)
    places, _ = engine.table(axes)
    steps = np.arange(count)[:, None, None] * size_product(sizes)
    table = np.where(places < 0, -1, places + steps)
    return gathering(table, before, (count * taps, outputs), words)


def fold(
    shape: Shape,
    size: Any,
    *,
    stride: Any = 1,
    padding: Padding = 0,
    dilation: Any = 1,
    channels: int | None = None,
) -> Operator:
    """Columns of windows added up where they were read ("col2im"): the adjoint of `unfold`.

    Shapes: `(taps, windows)` to `(*shape)`, or `(channels * taps, windows)` to
    `(channels, *shape)`. Overlaps are added.
    Raises: as `unfold`.
    Source: PyTorch, Fold; ONNX, operator Col2Im.

    >>> fold(4, 2)([[1, 1, 1], [1, 1, 1]]).tolist()
    [1, 2, 2, 1]
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "channels": channels}
    return unfold(shape, size, **options).T


def resize(
    shape: Shape,
    size: Any = None,
    *,
    scale: Any = None,
    mode: Literal["nearest", "linear"] = "nearest",
    coordinates: Coordinates = "half_pixel",
    rounding: Rounding = "round_prefer_floor",
    channels: int | None = None,
) -> Operator:
    """The input interpolated on another grid: nearest sample, or (bi-, tri-)linear.

    Shapes: `(*shape)`, or `(channels, *shape)`, to `size`, or to floor(n scale) on each axis.
    With both, `size` is the shape and `scale` places the outputs.
    Rule: output o lies at (o + 1/2) / scale - 1/2 ("half_pixel"), at o / scale ("asymmetric")
    or at o (n - 1) / (m - 1) ("align_corners"); "nearest" takes the sample that `rounding`
    says, "linear" weighs the two beside it. Weights are exact fractions. PyTorch's "nearest" is
    asymmetric with "floor"; its "nearest-exact" half_pixel with "round_prefer_ceil".
    Raises: ArgumentError when there is neither `size` nor `scale`, and for unknown words.
    Source: ONNX, operator Resize.

    >>> resize(2, scale=2)([1, 5]).tolist()
    [1, 1, 5, 5]
    >>> resize(2, scale=2, mode="linear")([1.0, 5.0]).tolist()
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
            place = windows.position(output, n, m, factor, coordinates)
            if mode == "linear":
                rows.append(windows.linear(place, n))
            else:
                rows.append({windows.nearest(place, n, rounding): Fraction(1)})
        whole, matrix = _weights(rows, n)
        parts.append(matrix)
        common *= whole
    return _scaled(Fraction(1, common), per_channel(parts, channels))


def dropout(mask: Any, rate: Any = 0) -> Operator:
    """A dropout with its mask given: a diagonal of zeros and 1 / (1 - rate).

    Shapes: `mask` of the input, zeros (dropped) and ones; `rate` the share that is dropped in
    training, 0 <= rate < 1; an exact fraction stays exact.
    Raises: ArgumentError for a mask that is not 0 or 1, or another rate.

    >>> from fractions import Fraction
    >>> dropout([1, 0, 1], Fraction(1, 2))([3, 4, 5]).tolist()
    [Fraction(6, 1), Fraction(0, 1), Fraction(10, 1)]
    """
    values = as_numbers(mask, "mask")
    if values.ndim == 0 or not values.size:
        raise ShapeError(f"mask must be an array with the shape of the input, not {mask!r}")
    if not np.isin(values, (0, 1)).all():
        raise ArgumentError(f"mask must hold zeros and ones, not {values.ravel()[:5].tolist()}")
    rate = rate.item() if isinstance(rate, np.number) else rate
    if not isinstance(rate, (int, float, Fraction)) or not 0 <= rate < 1:
        raise ArgumentError(f"rate must be a share from 0 up to, but not, 1, not {rate!r}")
    # One byte, which leaves the type of floats alone.
    kept = diagonal(values.astype(np.int8))
    return _scaled(1 / (1 - rate) if isinstance(rate, float) else 1 / Fraction(1 - rate), kept)


def _scaled(factor: Any, operator: Operator) -> Operator:
    return operator if factor == 1 else scale(factor, operator)


def _places(shape: tuple[Any, ...], words: str) -> Array:
    """The flat place of each entry, for the matrix of a call."""
    windows.check_places(size_product(shape), words, windows.BYTES_PER_ENTRY)
    return np.arange(size_product(shape)).reshape(shape)


def _short(values: tuple[Any, ...]) -> str:
    return str(values[0]) if len(set(values)) == 1 else str(tuple(values))


def _target(
    sizes: tuple[int, ...], size: Any, scale: Any
) -> tuple[tuple[int, ...], tuple[Fraction, ...]]:
    """Output sizes and the scales between the grids, from `size`, `scale` or both."""
    if size is None and scale is None:
        raise ArgumentError(f"resize of {sizes} takes a size, a scale, or both")
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
    """A scale as a fraction; a float as the simplest one that rounds to it."""
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
    """The common denominator and the matrix of whole numerators of one axis."""
    common = math.lcm(*(weight.denominator for row in rows for weight in row.values()))
    places = [(r, c, int(w * common)) for r, row in enumerate(rows) for c, w in row.items()]
    where, read, values = (np.array(part) for part in zip(*places, strict=True))
    return common, sparse_matrix(where, read, values, (columns,), (len(rows),))

"""The poolings that are linear: sum, average, adaptive and global pooling, and max unpooling."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from convalg.arguments import one_of
from convalg.arrays import Array, as_numbers
from convalg.axis import Axis, Size, holds
from convalg.conventions import Padding, PerAxis, Shape, pooling_axes
from convalg.errors import ArgumentError, KindError, ShapeError, SymbolicError
from convalg.operators import windows
from convalg.operators.dense import diagonal, identity
from convalg.operators.leaves import Selection, sparse_matrix
from convalg.operators.padding import selection
from convalg.operators.tree import Operator, kron, scale
from convalg.size import (
    Condition,
    as_integer,
    as_shape,
    as_size,
    is_symbolic,
    per_axis,
    require_numbers,
    size_product,
)


def sum_pool(
    shape: Shape,
    size: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    channels: int | None = None,
) -> Selection:
    """Return the operator that sums each window of the input, separately for each channel.

    The padding is zero.

    Args:
        shape: Spatial shape of the input in samples, without channels: an int or one size per
            axis.
        size: Samples of a window on each axis: an int or one per axis.
        stride: Distance between neighbouring windows in samples: an int or one per axis; `size`
            by default, so that the windows touch.
        padding: Samples added around the input: an int for all sides, one int per axis, one pair
            (before, after) per axis, or a padding mode of `correlation`, such as "same".
        dilation: Distance between neighbouring samples of a window: an int or one per axis.
        ceil_mode: Whether a last window that extends beyond the padding is kept. It is kept only
            if it starts inside the input or inside the padding in front of it.
        channels: Number of channels, which become the first axis of the input and of the output;
            None for arrays without a channel axis.

    Returns:
        An operator from `(*shape)` to one sample per window, with the channels in front of both
        shapes if given.

    Raises:
        ShapeError: when a window is larger than the padded input, or an option does not have one
            value per axis.
        ArgumentError: when a value is out of range or is not one of the allowed values.
        KindError: when an argument is of the wrong type.

    >>> import convalg as ca
    >>> ca.sum_pool(5, 2)([1, 2, 3, 4, 5]).tolist()
    [3, 7]
    >>> ca.sum_pool(5, 2, ceil_mode=True)([1, 2, 3, 4, 5]).tolist()
    [3, 7, 5]
    """
    options: dict[str, object] = {
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "ceil_mode": ceil_mode,
    }
    needs: list[Condition] = []
    axes, _ = pooling_axes(shape, size, conditions=needs, **options)
    return selection(list(axes), channels, needs)


def average_pool(
    shape: Shape,
    size: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    channels: int | None = None,
) -> Operator:
    """Return the operator that averages each window of the input; integers give exact fractions.

    The padding is zero. The defaults are those of PyTorch; by default ONNX and TensorFlow do not
    count the padding in the divisor (`count_include_pad=False`).

    Args:
        shape: Spatial shape of the input in samples, without channels: an int or one size per
            axis.
        size: Samples of a window on each axis: an int or one per axis.
        stride: Distance between neighbouring windows in samples: an int or one per axis; `size`
            by default, so that the windows touch.
        padding: Samples added around the input: an int for all sides, one int per axis, one pair
            (before, after) per axis, or a padding mode of `correlation`, such as "same".
        dilation: Distance between neighbouring samples of a window: an int or one per axis.
        ceil_mode: Whether a last window that extends beyond the padding is kept. It is kept only
            if it starts inside the input or inside the padding in front of it.
        count_include_pad: Whether the divisor counts the samples of a window that are in the
            padding. Samples beyond the padding, which `ceil_mode` allows, are never counted.
        divisor_override: One divisor for all windows, at least 1; None for the number of samples.
        channels: Number of channels, which become the first axis of the input and of the output;
            None for arrays without a channel axis.

    Returns:
        An operator from `(*shape)` to one sample per window, with the channels in front of both
        shapes if given.

    Raises:
        ShapeError: when a window is larger than the padded input, or an option does not have one
            value per axis.
        ArgumentError: when a value is out of range or is not one of the allowed values, or a
            window without any input sample would be divided by 0.
        KindError: when an argument is of the wrong type.
        SymbolicError: for symbolic sizes where the divisor depends on the window.
        TooLargeError: when the table of divisors would be too large.

    >>> import convalg as ca
    >>> ca.average_pool(4, 2)([1.0, 2.0, 3.0, 5.0]).tolist()
    [1.5, 4.0]
    >>> ca.average_pool(3, 2, padding=1, count_include_pad=False)([2.0, 4.0, 6.0]).tolist()
    [2.0, 5.0]
    """
    options: dict[str, object] = {
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "ceil_mode": ceil_mode,
    }
    needs: list[Condition] = []
    axes, pads = pooling_axes(shape, size, conditions=needs, **options)
    if not isinstance(count_include_pad, bool):
        raise KindError(f"count_include_pad must be True or False, not {count_include_pad!r}")
    if divisor_override is not None:
        divisor_override = as_size(divisor_override, "divisor_override", conditions=needs)
    total = selection(list(axes), channels, needs)
    if divisor_override is not None:
        divisor: Any = divisor_override
        return scale(1 / divisor if is_symbolic(divisor) else Fraction(1, divisor), total)
    window = size_product([axis.taps for axis in axes])
    unpadded = all(holds(p == 0) for pad in pads for p in pad)
    if not ceil_mode and (count_include_pad or unpadded):
        return scale(1 / window if is_symbolic(window) else Fraction(1, window), total)
    if not all(axis.is_concrete for axis in axes):
        raise SymbolicError(
            f"shape must have numbers as sizes, not {shape}, where the divisor depends on the "
            f"window: pass numbers, or divisor_override="
        )
    entries = size_product(total.out_shape) + sum(axis.out_size * axis.taps for axis in axes)
    windows.check_places(entries, f"divisors of {total!r}")
    windows.check_indices((*largest_indices(axes), size_product(total.in_shape)), repr(total))
    counts = [
        _counts(axis, pad if count_include_pad else (0, 0), pads[k], k)
        for k, (axis, pad) in enumerate(zip(axes, pads, strict=True))
    ]
    divisors = np.ones((), dtype=object)
    for count in counts:
        divisors = np.multiply.outer(divisors, count)
    return _divided(np.broadcast_to(divisors, total.out_shape), total)


def global_pool(
    shape: Shape,
    *,
    reduce: Literal["average", "sum"] = "average",
    channels: int | None = None,
) -> Operator:
    """Return the operator that averages (or sums) all samples of each channel.

    Args:
        shape: Spatial shape of the input in samples, without channels: an int or one size per
            axis.
        reduce: "average" or "sum". For the maximum use `global_max_pool`, which is not linear.
        channels: Number of channels, which become the first axis of the input and of the output;
            None for arrays without a channel axis.

    Returns:
        An operator from `(*shape)` to one sample along each axis. If `channels` is given, both
        shapes start with the channels.

    Raises:
        ArgumentError: when `reduce` is not one of the allowed values, or a size is below 1.
        ShapeError: for a shape without axes.
        KindError: when a size is not an integer.

    >>> import convalg as ca
    >>> ca.global_pool((2, 2))([[1, 2], [3, 6]]).tolist()
    [[Fraction(3, 1)]]
    """
    return _reduced(reduce)(shape, as_shape(shape), channels=channels)


def adaptive_pool(
    shape: Shape,
    out_shape: object,
    *,
    reduce: Literal["average", "sum"] = "average",
    channels: int | None = None,
) -> Operator:
    """Return the pooling whose windows are chosen to give an output of `out_shape`.

    On an axis of n input samples, output o of m averages (or sums) the samples floor(o n / m) to
    ceil((o + 1) n / m) - 1; neighbouring windows may share one sample.

    Args:
        shape: Spatial shape of the input in samples, without channels: an int or one size per
            axis.
        out_shape: Spatial shape of the output in samples: an int or one size per axis.
        reduce: "average" or "sum". For the maximum use `adaptive_max_pool`, which is not linear.
        channels: Number of channels, which become the first axis of the input and of the output;
            None for arrays without a channel axis.

    Returns:
        An operator from `(*shape)` to `(*out_shape)`, with the channels in front of both shapes if
        given.

    Raises:
        ShapeError: when `out_shape` has another number of axes than `shape`.
        ArgumentError: when `reduce` is not one of the allowed values, or a size is below 1.
        KindError: when a size is not an integer.
        SymbolicError: for symbolic sizes.
        TooLargeError: when the axes have too many samples.

    Source:
        PyTorch, AdaptiveAvgPool.

    >>> import convalg as ca
    >>> ca.adaptive_pool(5, 3, reduce="sum")([1, 2, 3, 4, 5]).tolist()
    [3, 9, 9]
    """
    pool = _reduced(reduce)
    sizes, wanted = concrete_shape(shape), adaptive_shape(shape, out_shape)
    if all(n % m == 0 for n, m in zip(sizes, wanted, strict=True)):
        size = tuple(n // m for n, m in zip(sizes, wanted, strict=True))
        return pool(sizes, size, channels=channels)
    windows.check_samples((*sizes, *wanted), "an adaptive pooling")
    each = [list(windows.adaptive(n, m)) for n, m in zip(sizes, wanted, strict=True)]
    parts: list[Operator] = []
    for n, m, ranges in zip(sizes, wanted, each, strict=True):
        rows = np.repeat(np.arange(m), [len(window) for window in ranges])
        parts.append(sparse_matrix(rows, np.concatenate(ranges), 1, (n,), (m,)))
    total = per_channel(parts, channels)
    if reduce == "sum":
        return total
    windows.check_places(size_product(total.out_shape), f"divisors for {total.out_shape}")
    divisors = np.ones((), dtype=object)
    for ranges in each:
        divisors = np.multiply.outer(divisors, [len(window) for window in ranges])
    return _divided(np.broadcast_to(divisors, total.out_shape), total)


def max_unpool(indices: object, shape: Shape, *, channels: int | None = None) -> Operator:
    """Return the operator that writes each value to the index of its maximum, and zeros elsewhere.

    It partly inverts a max pooling: `indices` are the positions of the maxima that were pooled.

    Args:
        indices: Flat indices in one channel of `shape`, as `ca.max_pool(...).indices(x)` returns
            them: an array of ints with the shape of the input, channels first. Where an index
            occurs several times in a channel, the last value is written.
        shape: Spatial shape of the output in samples, without channels: an int or one size per
            axis.
        channels: Number of channels, which become the first axis of the input and of the output;
            None for arrays without a channel axis.

    Returns:
        An operator from `indices.shape` to `(*shape)`, or to `(channels, *shape)`.

    Raises:
        ShapeError: when `indices` has no entries, another number of axes than the output, or
            another number of channels.
        ArgumentError: when an index is outside the channel.
        KindError: when an index is not an integer.
        SymbolicError: for symbolic sizes.
        TooLargeError: when the matrix would be too large.

    Source:
        PyTorch, MaxUnpool.

    >>> import convalg as ca
    >>> ca.max_unpool([1, 2], 4)([10, 20]).tolist()
    [0, 10, 20, 0]
    """
    sizes = concrete_shape(shape)
    positions = as_numbers(indices, "indices")
    if (kind := np.asarray(indices).dtype).kind not in "iu":
        raise KindError(f"indices must be integers, not {kind}")
    lead, fits = shapes((), (), channels)[0], positions.size > 0
    if not fits or positions.ndim != len(lead) + len(sizes) or positions.shape[: len(lead)] != lead:
        raise ShapeError(
            f"indices must have at least one entry, one axis for each axis of the output "
            f"{(*lead, *sizes)}, and its channels, not the shape {positions.shape}"
        )
    plane = size_product(sizes)
    windows.check_indices([size_product(lead) * plane], f"max_unpool to {(*lead, *sizes)}")
    if not 0 <= int(positions.min()) <= int(positions.max()) < plane:
        raise ArgumentError(
            f"indices must be in 0..{plane - 1} (the flat indices of {sizes}), not "
            f"{int(positions.min())}..{int(positions.max())}"
        )
    count = lead[0] if lead else 1
    steps = np.arange(count)[:, None] * plane
    flat = (positions.astype(np.int64).reshape(count, positions.size // count) + steps).ravel()
    # np.unique returns the first of equal indices; in reverse order this is the last one.
    kept, position = np.unique(flat[::-1], return_index=True)
    winners = flat.size - 1 - position
    return sparse_matrix(kept, winners, 1, positions.shape, (*lead, *sizes))


def per_channel(parts: list[Operator], channels: int | None) -> Operator:
    """Return the Kronecker product of one operator per axis, applied to each channel alike."""
    if channels is not None:
        parts = [identity(as_integer(channels, "channels")), *parts]
    product = parts[0]
    for part in parts[1:]:
        product = kron(product, part)
    return product


def shapes(
    before: tuple[int, ...], after: tuple[int, ...], channels: int | None
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return two spatial shapes with the channels in front, unless `channels` is None."""
    lead = () if channels is None else (as_size(channels, "channels"),)
    require_numbers(lead, "channels")
    return (*lead, *before), (*lead, *after)


def concrete_shape(shape: object, name: str = "shape") -> tuple[int, ...]:
    """Return a shape as a tuple of ints. Raises: SymbolicError for symbolic sizes."""
    sizes = as_shape(shape, name)
    require_numbers(sizes, name)
    return tuple(int(n) for n in sizes)


def concrete_axes(sizes: Shape, size: object, options: dict[str, object]) -> tuple[Axis, ...]:
    """Return the axes of a pooling with numbers as sizes. Raises: SymbolicError for symbols."""
    axes, pads = pooling_axes(sizes, size, conditions=[], **options)
    given = [
        (axis.taps, axis.stride, axis.dilation, *pad) for axis, pad in zip(axes, pads, strict=True)
    ]
    require_numbers([v for each in given for v in each], "each of size, stride, dilation, padding")
    return axes


def shape_text(shape: tuple[Size, ...]) -> str:
    """Return a shape as the text of an argument: an int for one axis, otherwise a tuple."""
    return str(shape[0]) if len(shape) == 1 else str(tuple(shape))


def values_text(values: tuple[Size, ...]) -> str:
    """Return values per axis as the text of an argument: one value if all are equal."""
    return str(values[0]) if len(set(values)) == 1 else str(tuple(values))


def channels_text(channels: int | None) -> str:
    """Return the text of the argument `channels` with its comma, or "" for None."""
    return "" if channels is None else f", channels={channels}"


def _reduced(reduce: object) -> Callable[..., Operator]:
    """Return the pooling of that name. Raises: ArgumentError for another name."""
    one_of(reduce, ("average", "sum"), "reduce")
    return average_pool if reduce == "average" else sum_pool


def adaptive_shape(shape: object, out_shape: object) -> tuple[int, ...]:
    """Return the checked output shape of an adaptive pooling of an input of `shape`."""
    return concrete_shape(per_axis(out_shape, "out_shape", len(as_shape(shape))), "out_shape")


def _counts(axis: Axis, counted: tuple[int, int], pad: tuple[int, int], number: int) -> Array:
    """Return the number of samples of each window on one axis: input samples and counted padding.

    Raises: ArgumentError when a window has none.
    """
    before, after = counted
    # The same windows over the input extended by its counted padding.
    wider = Axis(
        in_size=axis.numbers.in_size + before + after,
        out_size=axis.out_size,
        taps=axis.taps,
        stride=axis.stride,
        dilation=axis.dilation,
        padding=axis.padding - before,
    )
    counts: Array = np.sum(wider.columns() >= 0, axis=1)
    if not counts.all():
        raise ArgumentError(
            f"padding {pad} on axis {number} leaves window {int(np.argmin(counts))} without a "
            f"sample to average; pad less, or use count_include_pad=True or sum_pool"
        )
    return counts.astype(object)


def _divided(divisors: Array, total: Operator) -> Operator:
    """Return `total` with each output divided by its own divisor, exactly.

    The quotients are integer factors times one common fraction.
    """
    common = math.lcm(*set(map(int, divisors.ravel())))
    factors = np.array([common // int(d) for d in divisors.ravel()])
    if len(set(factors.tolist())) == 1:
        return scale(Fraction(int(factors[0]), common), total)
    # Small integers do not widen float32, and 16 bits widen float16, which could overflow.
    kind = np.result_type(np.uint16, np.min_scalar_type(factors.max()))
    gains = diagonal(factors.reshape(divisors.shape).astype(kind))
    return scale(Fraction(1, common), gains @ total)


def largest_indices(axes: tuple[Axis, ...]) -> list[Any]:
    """Return the integers of some axes that could exceed 64 bits.

    They are the strides, dilations, paddings, and the raw indices of the first and last windows.
    """
    corners = [
        axis.raw(output, tap)
        for axis in axes
        for output in (0, axis.out_size - 1)
        for tap in (0, axis.taps - 1)
    ]
    return [*corners, *(n for axis in axes for n in (axis.stride, axis.dilation, axis.padding))]

"""Pooling: sums and averages are operators; maxima, minima and Lp norms are maps."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from convalg.arguments import one_of
from convalg.arrays import Array, as_numbers
from convalg.axis import Axis, holds
from convalg.conventions import Padding, Shape, pooling_axes
from convalg.errors import ArgumentError, KindError, ShapeError, SymbolicError
from convalg.operators import windows
from convalg.operators.leaves import sparse_matrix
from convalg.operators.make import diagonal, identity, selection
from convalg.operators.tree import Operator, kron, scale
from convalg.size import (
    Condition,
    as_shape,
    as_size,
    is_symbolic,
    per_axis,
    require_numbers,
    size_product,
)


def sum_pool(
    shape: Shape,
    size: Any,
    *,
    stride: Any = None,
    padding: Padding = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    channels: int | None = None,
) -> Operator:
    """The sum over windows of `size` samples, `stride` apart (by default side by side).

    Shapes: `(*shape)`, or `(channels, *shape)`, to the number of windows on each axis; every
    channel on its own. Padding is zeros. With `ceil_mode` the last window may reach beyond the
    padding behind the input, as long as it does not start there.
    Raises: ShapeError, ArgumentError or KindError naming the argument at fault.

    >>> sum_pool(5, 2)([1, 2, 3, 4, 5]).tolist()
    [3, 7]
    >>> sum_pool(5, 2, ceil_mode=True)([1, 2, 3, 4, 5]).tolist()
    [3, 7, 5]
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
    needs: list[Condition] = []
    axes, _ = pooling_axes(shape, size, conditions=needs, **options)
    return selection(list(axes), channels, needs)


def average_pool(
    shape: Shape,
    size: Any,
    *,
    stride: Any = None,
    padding: Padding = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    channels: int | None = None,
) -> Operator:
    """The mean over windows of `size` samples. Integers give exact fractions.

    Shapes and errors: as `sum_pool`.
    Rule: the divisor is the number of samples in the window: those of the input and, with
    `count_include_pad`, of the padding. What a window of `ceil_mode` reaches beyond the padding
    never counts. `divisor_override` is one divisor for all windows. (PyTorch, and ONNX with
    count_include_pad=1; ONNX and TensorFlow count no padding by default.)

    >>> average_pool(4, 2)([1.0, 2.0, 3.0, 5.0]).tolist()
    [1.5, 4.0]
    >>> average_pool(3, 2, padding=1, count_include_pad=False)([2.0, 4.0, 6.0]).tolist()
    [2.0, 5.0]
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
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
            f"a divisor that changes at the border needs numbers for sizes, not {shape}"
        )
    places = size_product(total.out_shape) + sum(axis.out_size * axis.taps for axis in axes)
    windows.check_places(places, f"divisors of {total!r}")
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
    """The mean (or the sum) over all samples of a channel.

    Shapes: `(*shape)` or `(channels, *shape)`, to one sample on each axis: `(channels, 1, 1)`.
    Raises: ArgumentError for another `reduce`; `global_max_pool` is a map.

    >>> global_pool((2, 2))([[1, 2], [3, 6]]).tolist()
    [[Fraction(3, 1)]]
    """
    return _reduced(reduce)(shape, as_shape(shape), channels=channels)


def adaptive_pool(
    shape: Shape,
    out_shape: Any,
    *,
    reduce: Literal["average", "sum"] = "average",
    channels: int | None = None,
) -> Operator:
    """The mean (or the sum) over windows that cut the input into `out_shape` parts.

    Shapes: `(*shape)` or `(channels, *shape)`, to `out_shape`; windows may overlap by a sample.
    Rule: output o of m covers samples floor(o n / m) to ceil((o + 1) n / m) - 1.
    Raises: ShapeError, ArgumentError or KindError naming the argument at fault.
    Source: PyTorch, AdaptiveAvgPool.

    >>> adaptive_pool(5, 3, reduce="sum")([1, 2, 3, 4, 5]).tolist()
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
    for n, m, found in zip(sizes, wanted, each, strict=True):
        rows = np.repeat(np.arange(m), [len(window) for window in found])
        parts.append(sparse_matrix(rows, np.concatenate(found), 1, (n,), (m,)))
    total = per_channel(parts, channels)
    if reduce == "sum":
        return total
    windows.check_places(size_product(total.out_shape), f"divisors for {total.out_shape}")
    divisors = np.ones((), dtype=object)
    for found in each:
        divisors = np.multiply.outer(divisors, [len(window) for window in found])
    return _divided(np.broadcast_to(divisors, total.out_shape), total)


def max_unpool(indices: Any, shape: Shape, *, channels: int | None = None) -> Operator:
    """Each value put back at the index that it won from; zero elsewhere. An operator.

    Shapes: `indices` as `max_pool(...).indices(x)` gives them: flat places within one channel
    of `shape`; input of the shape of `indices`, output `(*shape)` or `(channels, *shape)`.
    Where an index comes twice in a channel, the last one is kept.
    Raises: ShapeError, ArgumentError or KindError naming the argument at fault.
    Source: PyTorch, MaxUnpool.

    >>> max_unpool([1, 2], 4)([10, 20]).tolist()
    [0, 10, 20, 0]
    """
    sizes = concrete_shape(shape)
    places = as_numbers(indices, "indices")
    if (kind := np.asarray(indices).dtype).kind not in "iu":
        raise KindError(f"indices must be integers, not {kind}")
    lead, fits = shapes((), (), channels)[0], places.size > 0
    if not fits or places.ndim != len(lead) + len(sizes) or places.shape[: len(lead)] != lead:
        raise ShapeError(
            f"indices must have one axis for each of {(*lead, *sizes)}, not shape {places.shape}"
        )
    plane = size_product(sizes)
    windows.check_indices([size_product(lead) * plane], f"max_unpool to {(*lead, *sizes)}")
    if not 0 <= int(places.min()) <= int(places.max()) < plane:
        raise ArgumentError(
            f"indices must lie in 0..{plane - 1}, the places of {sizes}, not "
            f"{int(places.min())}..{int(places.max())}"
        )
    count = lead[0] if lead else 1
    steps = np.arange(count)[:, None] * plane
    flat = (places.astype(np.int64).reshape(count, places.size // count) + steps).ravel()
    # The last of several: in reverse order it is the first.
    kept, position = np.unique(flat[::-1], return_index=True)
    winners = flat.size - 1 - position
    return sparse_matrix(kept, winners, 1, places.shape, (*lead, *sizes))


def per_channel(parts: list[Operator], channels: int | None) -> Operator:
    """One operator per axis as one of all axes, on each channel alike."""
    if channels is not None:
        parts = [identity(as_size(channels, "channels")), *parts]
    found = parts[0]
    for part in parts[1:]:
        found = kron(found, part)
    return found


def shapes(
    before: tuple[int, ...], after: tuple[int, ...], channels: int | None
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Input and output shapes, with the channels in front where there are some."""
    lead = () if channels is None else (as_size(channels, "channels"),)
    require_numbers(lead, "channels")
    return (*lead, *before), (*lead, *after)


def concrete_shape(shape: Any, name: str = "shape") -> tuple[int, ...]:
    """A shape of numbers. Raises: SymbolicError for letters."""
    sizes = as_shape(shape, name)
    require_numbers(sizes, name)
    return tuple(int(n) for n in sizes)


def concrete_axes(sizes: Shape, size: Any, options: dict[str, Any]) -> tuple[Axis, ...]:
    """The axes of a window of numbers. Raises: SymbolicError for letters."""
    axes, pads = pooling_axes(sizes, size, **options)
    given = [
        (axis.taps, axis.stride, axis.dilation, *pad) for axis, pad in zip(axes, pads, strict=True)
    ]
    require_numbers([v for each in given for v in each], "each of size, stride, dilation, padding")
    return axes


def shape_words(shape: tuple[Any, ...]) -> str:
    """A shape as it is written in a call."""
    return str(shape[0]) if len(shape) == 1 else str(tuple(shape))


def tail(channels: int | None) -> str:
    """The option `channels` as it is written in a call."""
    return "" if channels is None else f", channels={channels}"


def _reduced(reduce: str) -> Any:
    one_of(reduce, ("average", "sum"), "reduce")
    return average_pool if reduce == "average" else sum_pool


def adaptive_shape(shape: Any, out_shape: Any) -> tuple[int, ...]:
    """The output sizes of an adaptive pooling, one per axis."""
    return concrete_shape(per_axis(out_shape, "out_shape", len(as_shape(shape))), "out_shape")


def _counts(axis: Axis, counted: tuple[int, int], pad: tuple[int, int], number: int) -> Array:
    """How many samples of each window count on one axis, with the padding that counts."""
    before, after = counted
    # The same windows over the input with its counted padding as further samples.
    wider = Axis(
        in_size=int(axis.in_size) + before + after,
        out_size=axis.out_size,
        taps=axis.taps,
        stride=axis.stride,
        dilation=axis.dilation,
        padding=axis.padding - before,
    )
    found = np.sum(wider.columns() >= 0, axis=1)
    if not found.all():
        raise ArgumentError(
            f"padding {pad} on axis {number} leaves window {int(np.argmin(found))} without a "
            f"sample to average; pad less, or use count_include_pad=True or sum_pool"
        )
    return found.astype(object)


def _divided(divisors: Array, total: Operator) -> Operator:
    """Each output over its own divisor: whole factors and one common fraction, all exact."""
    common = math.lcm(*set(map(int, divisors.ravel())))
    factors = np.array([common // int(d) for d in divisors.ravel()])
    if len(set(factors.tolist())) == 1:
        return scale(Fraction(int(factors[0]), common), total)
    # Small integers leave the type of single floats alone, and half floats no room to overflow.
    kind = np.result_type(np.uint16, np.min_scalar_type(factors.max()))
    gains = diagonal(factors.reshape(divisors.shape).astype(kind))
    return scale(Fraction(1, common), gains @ total)


def largest_indices(axes: tuple[Axis, ...]) -> list[Any]:
    """Strides, dilations and padding, and the raw indices that outputs read first and last."""
    corners = [
        axis.raw(output, tap)
        for axis in axes
        for output in (0, axis.out_size - 1)
        for tap in (0, axis.taps - 1)
    ]
    return [*corners, *(n for axis in axes for n in (axis.stride, axis.dilation, axis.padding))]

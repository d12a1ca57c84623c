"""Changes of a problem: how wrong implementations alter their arrays and options.

Each change yields the problems in which the variants of a mistake result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations, product
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.axis import span
from convalg.check.problem import Problem

Change = Callable[[Problem], Iterator[Problem]]


def flipped(p: Problem) -> Iterator[Problem]:
    """Yield the problem with the kernel flipped along all axes."""
    if p.w is not None:
        yield replace(p, w=np.flip(p.w, axis=tuple(range(2, p.w.ndim))))


def flipped_on_one(p: Problem) -> Iterator[Problem]:
    """Yield the problem with the kernel flipped along one axis."""
    if p.w is not None and p.dims > 1:
        for axis in range(2, p.w.ndim):
            yield replace(p, w=np.flip(p.w, axis=axis))


def kernel_transposed(p: Problem) -> Iterator[Problem]:
    """Yield the problem with the axes of the kernel exchanged, or the kernel rotated."""
    if p.w is not None and p.dims > 1:
        transposed = np.swapaxes(p.w, -1, -2)
        yield replace(p, w=transposed)
        # The entries are read in the other order, into the correct shape.
        yield replace(p, w=np.ascontiguousarray(transposed).reshape(p.w.shape))
        yield replace(p, w=p.w.reshape(transposed.shape).swapaxes(-1, -2))
        yield replace(p, w=np.rot90(p.w, 1, (-2, -1)))
        yield replace(p, w=np.rot90(p.w, -1, (-2, -1)))


def image_transposed(p: Problem) -> Iterator[Problem]:
    """Yield the problem with the axes of the input, the output, or both exchanged."""
    if p.dims > 1:
        transposed = np.swapaxes(p.x, -1, -2)
        yield replace(p, x=transposed)
        yield replace(p, x=transposed, after=(*p.after, lambda y: np.swapaxes(y, -1, -2)))
        yield replace(p, after=(*p.after, lambda y: np.swapaxes(y, -1, -2)))
        yield replace(p, x=np.ascontiguousarray(transposed).reshape(p.x.shape))


def channels_swapped(p: Problem) -> Iterator[Problem]:
    """Yield the problem with input and output channels of the kernel exchanged."""
    if p.w is not None:
        first, second, *taps = p.w.shape
        yield replace(p, w=p.w.swapaxes(0, 1))
        yield replace(p, w=p.w.reshape(second, first, *taps).swapaxes(0, 1))
        yield replace(p, w=np.ascontiguousarray(p.w.swapaxes(0, 1)).reshape(p.w.shape))


def channels_last(p: Problem) -> Iterator[Problem]:
    """Reorder the axes of the result, such as channels after the spatial axes."""
    yield replace(p, after=(*p.after, lambda y: np.moveaxis(y, 1, -1)))
    yield replace(p, after=(*p.after, lambda y: np.moveaxis(y, 0, -1)))
    yield replace(p, after=(*p.after, lambda y: np.moveaxis(y, (0, 1), (-1, -2))))
    yield replace(p, after=(*p.after, lambda y: y.swapaxes(0, 1)))


def channels_last_kernel(p: Problem) -> Iterator[Problem]:
    """Move the channels of the kernel gradient after its taps."""
    yield replace(p, after=(*p.after, lambda y: np.moveaxis(y, 1, -1)))
    yield replace(p, after=(*p.after, lambda y: np.moveaxis(y, (1, 0), (-2, -1))))


def last_tap(p: Problem) -> Iterator[Problem]:
    """Keep the last tap of one or all input channels, or the last row or column of taps."""
    if p.w is None:
        return
    last = (slice(-1, None),) * p.dims
    kept = [(slice(None), slice(None), *last), (slice(None), slice(-1, None), *last)]
    kept += [
        (slice(None),) * (2 + axis) + (slice(-1, None),)
        for axis in range(p.dims if p.dims > 1 else 0)
    ]
    for index in kept:
        w = np.zeros_like(p.w)
        w[index] = p.w[index]
        yield replace(p, w=w)


def last_position(p: Problem) -> Iterator[Problem]:
    """Keep the last position of g for one or all samples, or its last row or column."""
    if p.g is None:
        return
    last = (slice(-1, None),) * p.dims
    kept = [(slice(None), slice(None), *last), (slice(-1, None), slice(None), *last)]
    for axis in range(p.dims if p.dims > 1 else 0):
        rows = (slice(None),) * (1 + axis) + (slice(-1, None),)
        kept += [(slice(None), *rows), (slice(-1, None), *rows)]
    for index in kept:
        g = np.zeros_like(p.g)
        g[index] = p.g[index]
        yield replace(p, g=g)


def on_one_axis(name: str, default: object) -> Change:
    """Return the change that applies an option along one axis only."""

    def change(p: Problem) -> Iterator[Problem]:
        values = getattr(p, name)
        for axis, value in enumerate(values if p.dims > 1 else ()):
            alone = [default] * p.dims
            alone[axis] = value
            yield _with(p, **{name: tuple(alone)})

    return change


def padding_fixed(p: Problem) -> Iterator[Problem]:
    """Replace the padding by that of "same" (the odd sample on either side) or of "full"."""
    taps = p.size if p.w is None else p.w.shape[2:]
    dilations = p.dilation or (1,) * p.dims
    full = [span(k, d) - 1 for k, d in zip(taps, dilations, strict=True)]
    yield replace(p, padding=tuple((width // 2, width - width // 2) for width in full))
    yield replace(p, padding=tuple((width - width // 2, width // 2) for width in full))
    yield replace(p, padding=tuple((k // 2, k // 2) for k in taps))
    yield replace(p, padding=tuple((width, width) for width in full))


def too_short(p: Problem) -> Iterator[Problem]:
    """Drop the last row and column of the result, always or if the stride divides evenly."""
    last = tuple(slice(None, -1) for _ in range(p.dims))
    yield replace(p, after=(*p.after, _taking((slice(None), slice(None), *last))))
    taps = p.size if p.w is None else p.w.shape[2:]
    geometry = zip(p.spatial, p.padding, p.dilation or (1,) * p.dims, taps, p.stride, strict=True)
    exact = [(n + a + b - span(k, d)) % s == 0 for n, (a, b), d, k, s in geometry]
    kept = tuple(slice(None, -1 if divides else None) for divides in exact)
    yield replace(p, after=(*p.after, _taking((slice(None), slice(None), *kept))))
    for axis in range(p.dims if p.dims > 1 else 0):
        alone = (slice(None),) * (2 + axis) + (slice(None, -1),)
        yield replace(p, after=(*p.after, _taking(alone)))


def columns_misordered(p: Problem) -> Iterator[Problem]:
    """Flatten the kernel in an order other than that of the columns it is multiplied with."""
    if p.w is None:
        return
    axes = range(1, p.w.ndim)
    for order in permutations(axes):
        if order != tuple(axes):
            shape = [p.w.shape[k] for k in order]
            reordered = p.w.reshape(len(p.w), *shape)
            yield replace(p, w=reordered.transpose(0, *(1 + order.index(k) for k in axes)))


def reshaped(p: Problem) -> Iterator[Problem]:
    """Reshape a result whose axes are in another order, such as (positions, channels)."""
    for order in permutations(range(3)):
        if order != (0, 1, 2):
            yield replace(p, after=(*p.after, _reshaping(order, from_order=True)))
            yield replace(p, after=(*p.after, _reshaping(order, from_order=False)))


def _reshaping(order: tuple[int, ...], *, from_order: bool) -> Callable[[Array], Array]:
    """Return the function that reshapes from (or to) another order of axes without a transpose.

    `order`: the order of the axes (batch, channels, positions).
    """

    def step(y: Array) -> Array:
        flat = y.reshape(*y.shape[:2], -1)
        if from_order:
            return np.ascontiguousarray(flat.transpose(order)).reshape(y.shape)
        shape = [flat.shape[k] for k in order]
        back = [order.index(k) for k in range(3)]
        return flat.reshape(shape).transpose(back).reshape(y.shape)

    return step


def samples_added(p: Problem) -> Iterator[Problem]:
    """Replace the result by its sum over the batch, broadcast or not, or by cumulative sums."""
    yield replace(p, after=(*p.after, lambda y: np.broadcast_to(y.sum(axis=0), y.shape)))
    yield replace(p, after=(*p.after, lambda y: y.sum(axis=0, keepdims=True)))
    yield replace(p, after=(*p.after, lambda y: y.cumsum(axis=0)))


def padding_multiplied(p: Problem) -> Iterator[Problem]:
    """Multiply the padding by the dilation, or by the stride."""
    for factors in (p.dilation, p.stride):
        if factors:
            pads = zip(p.padding, factors, strict=True)
            yield replace(p, padding=tuple((a * k, b * k) for (a, b), k in pads))


def image_flipped(p: Problem) -> Iterator[Problem]:
    """Flip the image or the result, along all axes or along one axis."""
    every = tuple(range(2, p.x.ndim))
    for axes in dict.fromkeys((every, *((axis,) for axis in every))):
        yield replace(p, x=np.flip(p.x, axes))
        yield replace(p, after=(*p.after, _flipping(axes)))


def _flipping(axes: tuple[int, ...]) -> Callable[[Array], Array]:
    """Return the function that flips an array along some axes."""
    return lambda y: np.flip(y, axes)


def kernel_shared(p: Problem) -> Iterator[Problem]:
    """Use the kernel of the first group (or the last) for all groups."""
    if p.groups > 1 and p.w is not None:
        each = len(p.w) // p.groups
        for kept in (p.w[:each], p.w[-each:]):
            yield replace(p, w=np.concatenate([kept] * p.groups))


def one_output_channel(p: Problem) -> Iterator[Problem]:
    """Keep only the first output channel of a kernel gradient, or the last."""
    for kept in (slice(0, 1), slice(-1, None)):
        yield replace(p, after=(*p.after, _keeping(kept)))


def _keeping(kept: slice) -> Callable[[Array], Array]:
    """Return the function that sets all entries outside a slice of the first axis to zero."""

    def step(y: Array) -> Array:
        masked = np.zeros_like(y)
        masked[kept] = y[kept]
        return masked

    return step


def gradient_flipped(p: Problem) -> Iterator[Problem]:
    """Yield the problem with g flipped along all axes."""
    if p.g is not None:
        yield replace(p, g=np.flip(p.g, axis=tuple(range(2, p.g.ndim))))


def option(name: str, value: object) -> Change:
    """Return the change that sets an option to one value along all axes."""

    def change(p: Problem) -> Iterator[Problem]:
        yield _with(p, **{name: (value,) * len(getattr(p, name))})

    return change


def swapped(name: str) -> Change:
    """Return the change that reverses an option, or uses the value of one axis for all."""

    def change(p: Problem) -> Iterator[Problem]:
        values = getattr(p, name)
        if len(set(values)) > 1:
            yield _with(p, **{name: values[::-1]})
            for value in dict.fromkeys(values):
                yield _with(p, **{name: (value,) * len(values)})

    return change


def stride_misplaced(p: Problem) -> Iterator[Problem]:
    """Apply the stride to the input, from another offset, twice, or with another value."""
    steps = (slice(None), slice(None), *(slice(None, None, s) for s in p.stride))
    ones = (1,) * p.dims
    if p.dilation:
        both = tuple(s * d for s, d in zip(p.stride, p.dilation, strict=True))
        yield replace(p, dilation=both)
    yield replace(p, x=p.x[steps], stride=ones)
    yield replace(p, x=p.x[steps])
    yield replace(p, after=(*p.after, lambda y: y[steps]))
    for last in (1, 2):
        offsets = [(s - 1) // last for s in p.stride]
        late = (
            slice(None),
            slice(None),
            *(slice(first, None, s) for first, s in zip(offsets, p.stride, strict=True)),
        )
        if any(offsets):
            yield replace(p, stride=ones, after=(*p.after, _taking(late)))
    yield replace(p, stride=tuple(s + 1 for s in p.stride))
    yield replace(p, stride=tuple(max(s - 1, 1) for s in p.stride))
    yield replace(p, stride=tuple(s * s for s in p.stride))


def stride_dilation(p: Problem) -> Iterator[Problem]:
    """Exchange stride and dilation, or use one of them for both."""
    yield replace(p, stride=p.dilation, dilation=p.stride)
    yield replace(p, dilation=p.stride)
    yield replace(p, stride=p.dilation)


def dilation_wrong(p: Problem) -> Iterator[Problem]:
    """Use the dilation as the number of zeros between taps, or the dilation less one."""
    yield replace(p, dilation=tuple(d + 1 for d in p.dilation))
    yield replace(p, dilation=tuple(max(d - 1, 1) for d in p.dilation))


def padding(*sides: Callable[[int, int], tuple[int, int]]) -> Change:
    """Return the change that maps the padding (before, after) of each axis by a function.

    `sides`: a function for each variant.
    """

    def change(p: Problem) -> Iterator[Problem]:
        for side in sides:
            yield replace(p, padding=tuple(side(*pair) for pair in p.padding))

    return change


def one_axis(p: Problem) -> Iterator[Problem]:
    """Use all options of one axis for every axis."""
    names = [n for n in ("stride", "padding", "dilation", "output_padding") if getattr(p, n)]
    for k in range(p.dims):
        yield _with(p, **{name: (getattr(p, name)[k],) * p.dims for name in names})


def size_rounded_up(p: Problem) -> Iterator[Problem]:
    """Extend the padding at the end, so that one more window fits."""
    pads = [(a, b + s - 1) for (a, b), s in zip(p.padding, p.stride, strict=True)]
    yield replace(p, padding=tuple(pads))


def padding_swapped(p: Problem) -> Iterator[Problem]:
    """Use the padding of one axis for another."""
    if len(set(p.padding)) > 1:
        yield replace(p, padding=p.padding[::-1])
        for pair in dict.fromkeys(p.padding):
            yield replace(p, padding=(pair,) * len(p.padding))


def padding_values(p: Problem) -> Iterator[Problem]:
    """Fill the padding with a constant, or by another boundary rule."""
    around = ((0, 0), (0, 0), *p.padding)
    for value in (1, -1):
        x = np.pad(p.x, around, constant_values=value)
        yield replace(p, x=x, padding=((0, 0),) * p.dims)
    for boundary in ("edge", "reflect", "symmetric", "circular"):
        yield replace(p, boundary=boundary)


def groups_ignored(p: Problem) -> Iterator[Problem]:
    """Apply each kernel to all channels (repeated), or to the first or last group of channels."""
    if p.groups == 1 or p.w is None:
        return
    each = p.w.shape[1]
    wide = np.tile(p.w, (1, p.groups) + (1,) * p.dims)
    yield replace(p, w=wide, groups=1)
    alone = np.zeros_like(wide)
    alone[:, :each] = p.w
    yield replace(p, w=alone, groups=1)
    last = np.zeros_like(wide)
    last[:, -each:] = p.w
    yield replace(p, w=last, groups=1)


def groups_ignored_transposed(p: Problem) -> Iterator[Problem]:
    """Use a transposed layer without groups, with the kernel as it is or repeated."""
    if p.groups == 1 or p.w is None:
        return
    yield replace(p, groups=1)
    wide = np.tile(p.w, (1, p.groups) + (1,) * p.dims)
    yield replace(p, w=wide, groups=1)


def groups_interleaved(p: Problem) -> Iterator[Problem]:
    """Assign channel c to group c mod G, for the inputs, the outputs, or both."""
    if p.groups == 1 or p.w is None:
        return
    inputs = _interleaved(p.x.shape[1], p.groups)
    reads = (p.x, p.x[:, inputs], p.x[:, np.argsort(inputs)])
    kernels = _interleaved(p.w.shape[0], p.groups)
    weights = (p.w, p.w[kernels], p.w[np.argsort(kernels)])
    # The outputs of a layer, and of a transposed one.
    counts = dict.fromkeys((p.w.shape[0], p.w.shape[1] * p.groups))
    orders = [_interleaved(count, p.groups) for count in counts]
    after = [(), *(((_reordering(o),)) for order in orders for o in (order, np.argsort(order)))]
    for x, w, step in product(reads, weights, after):
        yield replace(p, x=x, w=w, after=(*p.after, *step))


def _reordering(order: Array) -> Callable[[Array], Array]:
    """Return the function that reorders the channels of an array with that many channels."""
    return lambda y: y[:, order] if y.shape[1] == len(order) else y


def _taking(index: tuple[slice, ...]) -> Callable[[Array], Array]:
    """Return the function that takes a part of an array."""
    return lambda y: y[index]


def _repeating(sample: int, *, batch: bool) -> Callable[[Array], Array]:
    """Return the function that takes one sample of a batch, repeated for the batch or not."""
    return lambda y: np.broadcast_to(y[sample], y.shape) if batch else y[sample][None]


def _with(p: Problem, **options: Any) -> Problem:
    """Return a problem with some options replaced by name."""
    return replace(p, **options)


def _interleaved(count: int, groups: int) -> Array:
    """Return the indices of channels assigned to groups in turn, in the order of the groups."""
    return np.arange(count).reshape(groups, count // groups).T.ravel()


def one_channel(p: Problem) -> Iterator[Problem]:
    """Keep only the first input channel of the kernel (or the last)."""
    if p.w is not None and p.w.shape[1] > 1:
        for kept in (0, -1):
            w = np.zeros_like(p.w)
            w[:, kept] = p.w[:, kept]
            yield replace(p, w=w)


def one_sample(p: Problem) -> Iterator[Problem]:
    """Use only the first sample of the batch (or the last)."""
    for kept in (0, -1):
        x = np.zeros_like(p.x)
        x[kept] = p.x[kept]
        yield replace(p, x=x)
        yield replace(p, after=(*p.after, _repeating(kept, batch=True)))
        yield replace(p, after=(*p.after, _repeating(kept, batch=False)))


def same(p: Problem) -> Iterator[Problem]:
    """Yield the problem unchanged."""
    yield p


def scaled_batch(p: Problem) -> Iterator[Problem]:
    """Divide the result by the batch size."""
    yield replace(p, after=(*p.after, lambda y: y / len(p.x)))


def scaled_positions(p: Problem) -> Iterator[Problem]:
    """Divide the result by the number of output positions."""
    count = 1 if p.g is None else int(np.prod(p.g.shape[2:]))
    yield replace(p, after=(*p.after, lambda y: y / count))
    yield replace(p, after=(*p.after, lambda y: y / (count * len(p.x))))


def taps_flipped(p: Problem) -> Iterator[Problem]:
    """Flip the result along its spatial axes."""
    yield replace(p, after=(*p.after, lambda y: np.flip(y, axis=tuple(range(2, y.ndim)))))


def taps_swapped(p: Problem) -> Iterator[Problem]:
    """Exchange height and width of the result."""
    yield replace(p, after=(*p.after, lambda y: np.swapaxes(y, -1, -2)))


def channels_of_gradient(p: Problem) -> Iterator[Problem]:
    """Exchange the first two axes of the result."""
    yield replace(p, after=(*p.after, lambda y: y.swapaxes(0, 1)))
    yield replace(
        p, after=(*p.after, lambda y: np.ascontiguousarray(y.swapaxes(0, 1)).reshape(y.shape))
    )


def include(value: bool) -> Change:
    """Return the change that sets `count_include_pad`."""

    def change(p: Problem) -> Iterator[Problem]:
        yield replace(p, count_include_pad=value)

    return change


def include_inverted(p: Problem) -> Iterator[Problem]:
    """Invert `count_include_pad`."""
    yield replace(p, count_include_pad=not p.count_include_pad)


def floor(p: Problem) -> Iterator[Problem]:
    """Round sizes down."""
    yield replace(p, ceil_mode=False)


def ceil(p: Problem) -> Iterator[Problem]:
    """Round sizes up."""
    yield replace(p, ceil_mode=True)


def side_by_side(p: Problem) -> Iterator[Problem]:
    """Use the window size as the stride."""
    yield replace(p, stride=p.size)


def sizes_swapped(p: Problem) -> Iterator[Problem]:
    """Exchange the axes of the window."""
    if len(set(p.size)) > 1:
        yield replace(p, size=p.size[::-1])
        for size in p.size:
            yield replace(p, size=(size,) * p.dims)

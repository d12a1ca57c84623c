"""Changes of a problem: what wrong implementations make of the arrays and options they get.

Each yields the variants in which a mistake is met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from convalg.base import Array
from convalg.check.problem import Problem

Change = Callable[[Problem], Iterator[Problem]]


def flipped(p: Problem) -> Iterator[Problem]:
    """The kernel turned round on all axes."""
    if p.w is not None:
        yield replace(p, w=np.flip(p.w, axis=tuple(range(2, p.w.ndim))))


def flipped_on_one(p: Problem) -> Iterator[Problem]:
    """The kernel turned round on one axis."""
    if p.w is not None and p.dims > 1:
        for axis in range(2, p.w.ndim):
            yield replace(p, w=np.flip(p.w, axis=axis))


def kernel_transposed(p: Problem) -> Iterator[Problem]:
    """The kernel's axes exchanged, its numbers read in the other order, or rotated."""
    if p.w is not None and p.dims > 1:
        turned = np.swapaxes(p.w, -1, -2)
        yield replace(p, w=turned)
        # The numbers read in the other order, into the right shape.
        yield replace(p, w=np.ascontiguousarray(turned).reshape(p.w.shape))
        yield replace(p, w=p.w.reshape(turned.shape).swapaxes(-1, -2))
        yield replace(p, w=np.rot90(p.w, 1, (-2, -1)))
        yield replace(p, w=np.rot90(p.w, -1, (-2, -1)))


def image_transposed(p: Problem) -> Iterator[Problem]:
    """The image's axes exchanged, on the way in or out."""
    if p.dims > 1:
        turned = np.swapaxes(p.x, -1, -2)
        yield replace(p, x=turned)
        yield replace(p, x=turned, after=(*p.after, lambda y: np.swapaxes(y, -1, -2)))
        yield replace(p, after=(*p.after, lambda y: np.swapaxes(y, -1, -2)))
        yield replace(p, x=np.ascontiguousarray(turned).reshape(p.x.shape))


def channels_swapped(p: Problem) -> Iterator[Problem]:
    """Input and output channels of the kernel exchanged."""
    if p.w is not None:
        first, second, *taps = p.w.shape
        yield replace(p, w=p.w.swapaxes(0, 1))
        yield replace(p, w=p.w.reshape(second, first, *taps).swapaxes(0, 1))
        yield replace(p, w=np.ascontiguousarray(p.w.swapaxes(0, 1)).reshape(p.w.shape))


def option(name: str, value: Any) -> Change:
    """One value of an option on all axes."""

    def change(p: Problem) -> Iterator[Problem]:
        known = getattr(p, name)
        yield _with(p, **{name: (value,) * len(known)})

    return change


def swapped(name: str) -> Change:
    """An option used on the wrong axis: the other way round, or one axis' value on all."""

    def change(p: Problem) -> Iterator[Problem]:
        values = getattr(p, name)
        if len(set(values)) > 1:
            yield _with(p, **{name: values[::-1]})
            for value in dict.fromkeys(values):
                yield _with(p, **{name: (value,) * len(values)})

    return change


def stride_misplaced(p: Problem) -> Iterator[Problem]:
    """The input sampled first, samples taken from another offset, or sampling done twice."""
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
    """Stride and dilation exchanged, or one used for both."""
    yield replace(p, stride=p.dilation, dilation=p.stride)
    yield replace(p, dilation=p.stride)
    yield replace(p, stride=p.dilation)


def dilation_wrong(p: Problem) -> Iterator[Problem]:
    """Dilation read as the number of holes, or one less."""
    yield replace(p, dilation=tuple(d + 1 for d in p.dilation))
    yield replace(p, dilation=tuple(max(d - 1, 1) for d in p.dilation))


def padding(*sides: Callable[[int, int], tuple[int, int]]) -> Change:
    """Other padding on both sides."""

    def change(p: Problem) -> Iterator[Problem]:
        for side in sides:
            yield replace(p, padding=tuple(side(*pair) for pair in p.padding))

    return change


def one_axis(p: Problem) -> Iterator[Problem]:
    """All options of one axis on every axis."""
    names = [n for n in ("stride", "padding", "dilation", "output_padding") if getattr(p, n)]
    for k in range(p.dims):
        yield _with(p, **{name: (getattr(p, name)[k],) * p.dims for name in names})


def size_rounded_up(p: Problem) -> Iterator[Problem]:
    """Padding behind for a last window that begins inside."""
    pads = [(a, b + s - 1) for (a, b), s in zip(p.padding, p.stride, strict=True)]
    yield replace(p, padding=tuple(pads))


def padding_swapped(p: Problem) -> Iterator[Problem]:
    """The padding of one axis on another."""
    if len(set(p.padding)) > 1:
        yield replace(p, padding=p.padding[::-1])
        for pair in dict.fromkeys(p.padding):
            yield replace(p, padding=(pair,) * len(p.padding))


def padding_values(p: Problem) -> Iterator[Problem]:
    """The padding filled by another boundary rule."""
    for boundary in ("edge", "reflect", "symmetric", "circular"):
        yield replace(p, boundary=boundary)


def groups_ignored(p: Problem) -> Iterator[Problem]:
    """All channels read by one kernel: the first group only, or the kernel repeated."""
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
    """All channels written by one kernel of a transposed layer."""
    if p.groups == 1 or p.w is None:
        return
    yield replace(p, groups=1)
    wide = np.tile(p.w, (1, p.groups) + (1,) * p.dims)
    yield replace(p, w=wide, groups=1)


def groups_interleaved(p: Problem) -> Iterator[Problem]:
    """Channel c taken to be in group c mod G, of the inputs, of the outputs, or of both."""
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
    return lambda y: y[:, order] if y.shape[1] == len(order) else y


def _taking(index: Any) -> Callable[[Array], Array]:
    return lambda y: y[index]


def _filling(sample: int, *, everywhere: bool) -> Callable[[Array], Array]:
    return lambda y: np.broadcast_to(y[sample], y.shape) if everywhere else y[sample][None]


def _with(p: Problem, **options: Any) -> Problem:
    """`replace` for options by name."""
    return replace(p, **options)


def _interleaved(count: int, groups: int) -> Array:
    return np.arange(count).reshape(groups, count // groups).T.ravel()


def one_channel(p: Problem) -> Iterator[Problem]:
    """Only the first input channel (or the last) is read."""
    if p.w is not None and p.w.shape[1] > 1:
        for kept in (0, -1):
            w = np.zeros_like(p.w)
            w[:, kept] = p.w[:, kept]
            yield replace(p, w=w)


def one_sample(p: Problem) -> Iterator[Problem]:
    """Only one sample of the batch is looked at."""
    for kept in (0, -1):
        x = np.zeros_like(p.x)
        x[kept] = p.x[kept]
        yield replace(p, x=x)
        yield replace(p, after=(*p.after, _filling(kept, everywhere=True)))
        yield replace(p, after=(*p.after, _filling(kept, everywhere=False)))
    yield replace(p, after=(*p.after, lambda y: np.broadcast_to(y.sum(axis=0), y.shape)))


def same(p: Problem) -> Iterator[Problem]:
    """The problem as it is."""
    yield p


def scaled_batch(p: Problem) -> Iterator[Problem]:
    """The answer divided by the batch size."""
    yield replace(p, after=(*p.after, lambda y: y / len(p.x)))


def scaled_places(p: Problem) -> Iterator[Problem]:
    """The answer divided by the number of outputs."""
    places = 1 if p.g is None else int(np.prod(p.g.shape[2:]))
    yield replace(p, after=(*p.after, lambda y: y / places))
    yield replace(p, after=(*p.after, lambda y: y / (places * len(p.x))))


def taps_flipped(p: Problem) -> Iterator[Problem]:
    """The answer turned round on its taps."""
    yield replace(p, after=(*p.after, lambda y: np.flip(y, axis=tuple(range(2, y.ndim)))))


def taps_swapped(p: Problem) -> Iterator[Problem]:
    """The answer with height and width exchanged."""
    yield replace(p, after=(*p.after, lambda y: np.swapaxes(y, -1, -2)))


def channels_of_gradient(p: Problem) -> Iterator[Problem]:
    """The answer with its channels exchanged."""
    yield replace(p, after=(*p.after, lambda y: y.swapaxes(0, 1)))
    yield replace(
        p, after=(*p.after, lambda y: np.ascontiguousarray(y.swapaxes(0, 1)).reshape(y.shape))
    )


def include(value: bool) -> Change:
    """The padding counted, or not."""

    def change(p: Problem) -> Iterator[Problem]:
        yield replace(p, count_include_pad=value)

    return change


def floor(p: Problem) -> Iterator[Problem]:
    """Sizes rounded down."""
    yield replace(p, ceil_mode=False)


def ceil(p: Problem) -> Iterator[Problem]:
    """Sizes rounded up."""
    yield replace(p, ceil_mode=True)


def side_by_side(p: Problem) -> Iterator[Problem]:
    """Windows side by side."""
    yield replace(p, stride=p.size)


def sizes_swapped(p: Problem) -> Iterator[Problem]:
    """The window's axes exchanged."""
    if len(set(p.size)) > 1:
        yield replace(p, size=p.size[::-1])
        for size in p.size:
            yield replace(p, size=(size,) * p.dims)

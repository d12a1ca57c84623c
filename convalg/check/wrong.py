"""Computations that wrong implementations are known to do, where no changed option says it.

Entries that are NaN stand for any value: what a mistake leaves there is nobody's to say.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from convalg import engine
from convalg.axis import Axis
from convalg.base import Array
from convalg.check.problem import (
    Problem,
    average_gradient,
    averaging,
    forward,
    kernel_gradient,
    layer,
    maximum,
    maximum_gradient,
    transposed,
)
from convalg.linear import correlation, transposed_correlation
from convalg.maps.pooling import average_pool, max_pool, min_pool, sum_pool
from convalg.operators import Convolution
from convalg.spec import Geometry, pooling_axes, transposed_geometry

# Correlation layers and their gradients.


def swapped_channels(w: Array, groups: int) -> Array:
    """The kernel with input and output channels exchanged, group by group."""
    first, second, *taps = w.shape
    each = w.reshape(groups, first // groups, second, *taps).swapaxes(1, 2)
    return each.reshape(groups * second, first // groups, *taps)


def lattice_input_gradient(p: Problem) -> Array:
    """dL/dx as loops over g compute it: i = s o + d t - p for every output that g has."""
    assert p.g is not None
    return _lattice(p).T(p.g)


def lattice_kernel_gradient(p: Problem) -> Array:
    """dL/dw as loops over g compute it, whatever the options would make the output's size."""
    assert p.g is not None
    return _lattice(p).kernel_gradient(p.x, p.g)


def gathered_input_gradient(p: Problem) -> Array:
    """dL/dx of a transposed layer as the correlation of g, whatever size that has."""
    assert p.g is not None
    options: dict[str, Any] = {
        "stride": p.stride,
        "padding": p.padding,
        "dilation": p.dilation,
        "groups": p.groups,
    }
    return correlation(p.g.shape[2:], p.w, **options)(p.g)


def gathered_kernel_gradient(p: Problem) -> Array:
    """dL/dw of a transposed layer as loops over x compute it: x and g change places."""
    assert p.g is not None
    return lattice_kernel_gradient(replace(p, x=p.g, g=p.x))


def _lattice(p: Problem) -> Convolution:
    """The layer whose output has the size of g; what it reads beyond the input is zero."""
    assert p.w is not None
    assert p.g is not None
    axes = tuple(
        Axis(n, o, k, s, d, pad[0], p.boundary)
        for n, o, k, s, d, pad in zip(
            p.spatial, p.g.shape[2:], p.w.shape[2:], p.stride, p.dilation, p.padding, strict=True
        )
    )
    inputs, outputs = p.w.shape[1] * p.groups, p.w.shape[0]
    return Convolution(Geometry(axes, inputs, outputs, p.groups), p.w)


def short_span(p: Problem) -> Array:
    """The output cropped to the size that d k, taken for d (k - 1) + 1, would leave."""
    assert p.w is not None
    y = forward(p)
    taps = p.w.shape[2:]
    sizes = [
        max((n + sum(pad) - d * k) // s + 1, 0)
        for n, pad, d, k, s in zip(p.spatial, p.padding, p.dilation, taps, p.stride, strict=True)
    ]
    return y[(slice(None), slice(None), *(slice(0, size) for size in sizes))]


def transposed_instead(p: Problem) -> Array:
    """The transposed layer with the same options."""
    assert p.w is not None
    kernel = swapped_channels(p.w, p.groups)
    return transposed(replace(p, w=kernel, output_padding=(0,) * p.dims))


def remainder_lost(p: Problem) -> Array:
    """dL/dx as the shortest transposed layer gives it."""
    assert p.w is not None
    assert p.g is not None
    options: dict[str, Any] = {
        "stride": p.stride,
        "padding": p.padding,
        "dilation": p.dilation,
        "groups": p.groups,
    }
    return transposed_correlation(p.g.shape[2:], p.w, **options)(p.g)


def forward_of_gradient(p: Problem) -> Array:
    """The layer applied to g, with channels exchanged so that they fit."""
    assert p.w is not None
    assert p.g is not None
    kernel = swapped_channels(p.w, p.groups)
    return forward(replace(p, x=p.g, w=kernel))


def unflipped_forward_of_gradient(p: Problem) -> Array:
    """The layer applied to g with stride 1 and the padding of a full one, less p."""
    assert p.w is not None
    assert p.g is not None
    pads = tuple(
        (max(d * (k - 1) - before, 0), max(d * (k - 1) - after, 0))
        for (before, after), d, k in zip(p.padding, p.dilation, p.w.shape[2:], strict=True)
    )
    kernel = swapped_channels(p.w, p.groups)
    return forward(replace(p, x=p.g, w=kernel, padding=pads, stride=(1,) * p.dims))


def uncropped(p: Problem) -> Array:
    """dL/dx of the padded input, padding and all."""
    return layer(_with_padding_as_samples(p)).T(p.g)


def _with_padding_as_samples(p: Problem) -> Problem:
    x = np.pad(p.x, ((0, 0), (0, 0), *p.padding))
    return replace(p, x=x, padding=((0, 0),) * p.dims)


def per_sample(p: Problem) -> Array:
    """One kernel gradient for each sample."""
    assert p.g is not None
    pairs = zip(p.x, p.g, strict=True)
    return np.stack([kernel_gradient(replace(p, x=x[None], g=g[None])) for x, g in pairs])


def first_sample(p: Problem) -> Array:
    """The kernel gradient of the first sample."""
    return per_sample(p)[0]


def last_sample(p: Problem) -> Array:
    """The kernel gradient of the last sample."""
    return per_sample(p)[-1]


def remainder_kept(p: Problem) -> Array:
    """dL/dw with as many taps as the input has room for."""
    assert p.w is not None
    assert p.g is not None
    taps = [
        (n + sum(pad) - s * (o - 1) - 1) // d + 1
        for n, pad, s, o, d in zip(
            p.spatial, p.padding, p.stride, p.g.shape[2:], p.dilation, strict=True
        )
    ]
    return kernel_gradient(replace(p, w=np.zeros((*p.w.shape[:2], *taps))))


def ungrouped_kernel_gradient(p: Problem) -> Array:
    """dL/dw of the layer without groups."""
    assert p.w is not None
    inputs = p.w.shape[1] * p.groups
    wide = np.zeros((p.w.shape[0], inputs, *p.w.shape[2:]))
    return kernel_gradient(replace(p, w=wide, groups=1))


def _spread(p: Problem, last_channel: bool) -> tuple[Array, Array, tuple[int, ...]]:
    """What each (tap, output) of an adjoint adds, where, and the shape that it is added to."""
    assert p.w is not None
    options: dict[str, Any] = {
        "stride": p.stride,
        "padding": p.padding,
        "dilation": p.dilation,
        "groups": p.groups,
    }
    if p.g is not None:
        geometry, g = layer(p).geometry, p.g  # type: ignore[attr-defined]
    else:
        geometry = transposed_geometry(
            p.spatial, p.w.shape, output_padding=p.output_padding, **options
        )
        g = p.x
    groups, outputs, inputs = geometry.channels
    kernel = p.w.reshape(groups, outputs, inputs, -1)
    upstream = g.reshape(len(g), groups, outputs, -1)
    if last_channel:
        kernel, upstream = kernel[:, -1:], upstream[:, :, -1:]
    found = np.einsum("goct,ngop->ngctp", kernel, upstream)
    found = found.reshape(len(g), groups * inputs, *found.shape[-2:])
    places, _ = engine.table(geometry.axes)
    return found, places, geometry.in_spatial


def _assigned(found: Array, places: Array, shape: tuple[int, ...], by_window: bool) -> Array:
    """Contributions written one over the other, window by window or tap by tap."""
    x = np.zeros((*found.shape[:2], math.prod(shape)))
    count = places.shape[1] if by_window else places.shape[0]
    for k in range(count):
        where = places[:, k] if by_window else places[k]
        value = found[..., k] if by_window else found[..., k, :]
        kept = where >= 0
        x[..., where[kept]] = value[..., kept]
    return x.reshape(*found.shape[:2], *shape)


def overwritten(p: Problem) -> Array:
    """Patches written one over the other, window by window."""
    return _assigned(*_spread(p, False), True)


def overwritten_by_taps(p: Problem) -> Array:
    """Patches written one over the other, tap by tap."""
    return _assigned(*_spread(p, False), False)


def overwritten_by_channels(p: Problem) -> Array:
    """Patches written one over the other, by each output channel too."""
    return _assigned(*_spread(p, True), True)


def overwritten_by_channels_and_taps(p: Problem) -> Array:
    """Patches written one over the other, tap by tap and by each output channel."""
    return _assigned(*_spread(p, True), False)


# Transposed layers.


def zeros_behind(p: Problem) -> Array:
    """The shortest output with zeros behind it."""
    return _with_zeros(p, behind=True)


def zeros_before(p: Problem) -> Array:
    """The shortest output with zeros before it."""
    return _with_zeros(p, behind=False)


def _with_zeros(p: Problem, *, behind: bool) -> Array:
    y = transposed(replace(p, output_padding=(0,) * p.dims))
    widths = [(0, extra) if behind else (extra, 0) for extra in p.output_padding]
    return np.pad(y, ((0, 0), (0, 0), *widths))


def extra_before(p: Problem) -> Array:
    """The output begins earlier by output_padding, and ends as the shortest one does."""
    plain = replace(p, output_padding=(0,) * p.dims, padding=((0, 0),) * p.dims)
    whole = transposed(plain)
    for axis, ((before, after), extra) in enumerate(
        zip(p.padding, p.output_padding, strict=True), start=2
    ):
        short = max(extra - before, 0)
        widths = [(0, 0)] * whole.ndim
        widths[axis] = (short, 0)
        whole = np.pad(whole, widths)
        kept = slice(max(before - extra, 0), whole.shape[axis] - after)
        whole = whole[(slice(None),) * axis + (kept,)]
    return whole


def padded_input(p: Problem) -> Array:
    """The input padded, and the output not cropped."""
    return transposed(_with_padding_as_samples(p))


def stretched_with_padding(p: Problem) -> Array:
    """The correlation on the stretched input, padded by p itself."""
    assert p.w is not None
    pads = tuple(
        (d * (k - 1) - before, d * (k - 1) - after)
        for (before, after), d, k in zip(p.padding, p.dilation, p.w.shape[2:], strict=True)
    )
    return transposed(replace(p, padding=pads))


def plain_layer(p: Problem) -> Array:
    """A correlation layer with the same options."""
    assert p.w is not None
    return forward(replace(p, w=swapped_channels(p.w, p.groups)))


def overstretched(p: Problem) -> Array:
    """One zero too many between the samples."""
    return transposed(replace(p, stride=tuple(s + 1 for s in p.stride)))


# Pooling.


def lattice_average_gradient(p: Problem) -> Array:
    """dL/dx as loops over g compute it, as far as there are windows."""
    return average_gradient(_fitted(p, averaging(p).out_shape))


def lattice_maximum_gradient(p: Problem) -> Array:
    """dL/dx of a max pooling as loops over g compute it, as far as there are windows."""
    return maximum_gradient(_fitted(p, maximum(p).shape[1:]))


def _fitted(p: Problem, shape: tuple[int, ...]) -> Problem:
    """The problem with g cut, or filled up with zeros, to the windows that there are."""
    assert p.g is not None
    g = np.zeros((len(p.g), *shape))
    common = tuple(slice(0, min(n, m)) for n, m in zip(p.g.shape, g.shape, strict=True))
    g[common] = p.g[common]
    return replace(p, g=g)


def whole_divisor(p: Problem) -> Array:
    """Every window divided by its full size."""
    found = average_pool(
        p.spatial,
        p.size,
        stride=p.stride,
        padding=p.padding,
        ceil_mode=p.ceil_mode,
        divisor_override=math.prod(p.size),
        channels=p.x.shape[1],
    )
    return found(p.x) if p.g is None else found.T(p.g)


def summed(p: Problem) -> Array:
    """Every window summed."""
    found = _sums(p)
    return found(p.x) if p.g is None else found.T(p.g)


def _options(p: Problem) -> dict[str, Any]:
    return {
        "stride": p.stride,
        "padding": p.padding,
        "dilation": p.dilation or (1,) * p.dims,
        "ceil_mode": p.ceil_mode,
        "channels": p.x.shape[1],
    }


def _sums(p: Problem) -> Any:
    return sum_pool(p.spatial, p.size, **_options(p))


def extra_average(p: Problem) -> Array:
    """The averages, with one more window where the last one would start in the padding."""
    return _with_extra_window(p, averaging(p)(p.x))


def extra_maximum(p: Problem) -> Array:
    """The maxima, with one more window where the last one would start in the padding."""
    return _with_extra_window(p, maximum(p))


def _with_extra_window(p: Problem, right: Array) -> Array:
    if not p.ceil_mode:
        return right
    widths = [(0, 0), (0, 0)]
    dilations = p.dilation or (1,) * p.dims
    for n, pad, k, s, d, outputs in zip(
        p.spatial, p.padding, p.size, p.stride, dilations, right.shape[2:], strict=True
    ):
        all_windows = -(-(n + sum(pad) - d * (k - 1) - 1) // s) + 1
        widths.append((0, all_windows - outputs))
    return np.pad(np.asarray(right, dtype=float), widths, constant_values=math.nan)


def zero_padding(p: Problem) -> Array:
    """The maximum with the padding as zeros."""
    return _zero_padded(p)(np.pad(p.x, ((0, 0), (0, 0), *p.padding)))


def _zero_padded(p: Problem) -> Any:
    sizes = tuple(n + sum(pad) for n, pad in zip(p.spatial, p.padding, strict=True))
    return max_pool(sizes, p.size, **{**_options(p), "padding": 0})


def from_zero(p: Problem) -> Array:
    """The maximum with zero."""
    return np.maximum(maximum(p), 0)


def mean_instead(p: Problem) -> Array:
    """The mean of each window."""
    return average_pool(p.spatial, p.size, **_options(p))(p.x)


def smallest(p: Problem) -> Array:
    """The minimum of each window."""
    return min_pool(p.spatial, p.size, **_options(p))(p.x)


def largest_magnitude(p: Problem) -> Array:
    """The largest absolute value of each window."""
    return max_pool(p.spatial, p.size, **_options(p))(np.abs(p.x))


def _windows(p: Problem) -> tuple[Array, Array, Array]:
    """Samples (N, C, taps, windows), which of them exist, and their flat places."""
    options = {k: v for k, v in _options(p).items() if k != "channels"}
    axes, _ = pooling_axes(p.spatial, p.size, **options)
    places, _ = engine.table(axes)
    flat = p.x.reshape(*p.x.shape[:2], -1)
    inside = places >= 0
    return np.where(inside, flat[..., np.maximum(places, 0)], -math.inf), inside, places


def _sent_back(p: Problem, shares: Array, places: Array) -> Array:
    """Each window's gradient added to its samples by their shares (N, C, taps, windows)."""
    assert p.g is not None
    g = p.g.reshape(*p.g.shape[:2], 1, -1)
    x = np.zeros((*p.x.shape[:2], math.prod(p.spatial)))
    for tap, where in enumerate(places):
        for window in np.flatnonzero(where >= 0):
            x[..., where[window]] += (shares * g)[..., tap, window]
    return x.reshape(p.x.shape)


def to_all_ties(p: Problem) -> Array:
    """The gradient of each window to every sample that equals its maximum."""
    values, inside, places = _windows(p)
    return _sent_back(p, ((values == values.max(axis=2, keepdims=True)) & inside) * 1.0, places)


def split_ties(p: Problem) -> Array:
    """The gradient of each window in equal parts to the samples that equal its maximum."""
    values, inside, places = _windows(p)
    ties = ((values == values.max(axis=2, keepdims=True)) & inside) * 1.0
    return _sent_back(p, ties / np.maximum(ties.sum(axis=2, keepdims=True), 1), places)


def to_last_tie(p: Problem) -> Array:
    """The gradient of each window to the last sample that equals its maximum."""
    values, _, places = _windows(p)
    last = values.shape[2] - 1 - np.argmax(values[:, :, ::-1], axis=2)
    taps = np.arange(values.shape[2])[:, None]
    return _sent_back(p, (taps == last[:, :, None, :]) * 1.0, places)


def to_whole_window(p: Problem) -> Array:
    """The gradient of each window to all its samples."""
    return _sums(p).T(p.g)


def overwritten_winners(p: Problem) -> Array:
    """The gradient of each window written at its winner, over what was there."""
    assert p.g is not None
    values, _, places = _windows(p)
    winner = np.argmax(values, axis=2)
    found = np.take_along_axis(
        np.broadcast_to(places, values.shape), winner[:, :, None], axis=2
    ).squeeze(2)
    x = np.zeros((*p.x.shape[:2], math.prod(p.spatial)))
    g = p.g.reshape(*p.g.shape[:2], -1)
    for window in range(places.shape[1]):
        np.put_along_axis(x, found[..., window, None], g[..., window, None], axis=2)
    return x.reshape(p.x.shape)


def zero_padding_gradient(p: Problem) -> Array:
    """The gradient with the padding as zeros that may win."""
    wide = np.pad(p.x, ((0, 0), (0, 0), *p.padding))
    assert p.g is not None
    pool = _zero_padded(p)
    g = np.zeros((len(p.g), *pool.out_shape))
    g[tuple(slice(0, n) for n in p.g.shape)] = p.g
    found = pool.gradient(wide, g)
    inside = [slice(b, b + n) for (b, _), n in zip(p.padding, p.spatial, strict=True)]
    return found[(slice(None), slice(None), *inside)]


def windows_only(p: Problem) -> Array:
    """dL/dx of the samples that windows of an average pooling cover."""
    return _covered(p, averaging(p).T(p.g))


def winners_of_windows_only(p: Problem) -> Array:
    """dL/dx of the samples that windows of a max pooling cover."""
    return _covered(p, maximum_gradient(p))


def _covered(p: Problem, found: Array) -> Array:
    assert p.g is not None
    ends = [
        s * (o - 1) + k - before
        for s, o, k, (before, _) in zip(p.stride, p.g.shape[2:], p.size, p.padding, strict=True)
    ]
    kept: tuple[Any, ...] = (..., *(slice(0, end) for end in ends))
    return found[kept]


def overwritten_average(p: Problem) -> Array:
    """The shares of each window written over those of the windows before."""
    return _overwritten_shares(p, True)


def overwritten_average_by_taps(p: Problem) -> Array:
    """The shares written tap by tap, one over the other."""
    return _overwritten_shares(p, False)


def _overwritten_shares(p: Problem, by_window: bool) -> Array:
    assert p.g is not None
    _, _, places = _windows(p)
    ones = np.ones((1, *p.x.shape[1:]))
    shares = np.asarray(averaging(p)(ones), dtype=float)
    counts = np.asarray(_sums(p)(ones), dtype=float)
    g = (p.g * shares / np.where(counts == 0, 1, counts)).reshape(*p.g.shape[:2], 1, -1)
    found = np.broadcast_to(g, (*p.g.shape[:2], *places.shape))
    return _assigned(found, places, p.spatial, by_window)

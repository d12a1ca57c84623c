"""Computations that wrong poolings are known to do, where no changed option says it.

Entries that are NaN stand for any value: what a mistake leaves there is nobody's to say.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from convalg import engine
from convalg.arrays import Array
from convalg.axis import span, transposed_size
from convalg.check.mistakes.assignments import assigned
from convalg.check.problem import (
    Problem,
    average_gradient,
    averaging,
    maximum,
    maximum_gradient,
)
from convalg.conventions import pooling_axes
from convalg.maps.max_pooling import max_pool, min_pool
from convalg.operators.pooling import average_pool, sum_pool


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
        all_windows = -(-(n + sum(pad) - span(k, d)) // s) + 1
        widths.append((0, all_windows - outputs))
    return np.pad(np.asarray(right, dtype=float), widths, constant_values=math.nan)


def zero_padding(p: Problem) -> Array:
    """The maximum with the padding as zeros."""
    return _zero_padded(p)(np.pad(p.x, ((0, 0), (0, 0), *p.padding)))


def _zero_padded(p: Problem) -> Any:
    sizes = tuple(n + sum(pad) for n, pad in zip(p.spatial, p.padding, strict=True))
    return max_pool(sizes, p.size, **{**_options(p), "padding": 0})


def padding_of_minus_one(p: Problem) -> Array:
    """The maximum with the padding as -1."""
    wide = np.pad(p.x, ((0, 0), (0, 0), *p.padding), constant_values=-1)
    return _zero_padded(p)(wide)


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


def index_of_winner(p: Problem) -> Array:
    """Which sample of its window the first largest one is."""
    values, _, _ = _windows(p)
    return values.argmax(axis=2).reshape(maximum(p).shape)


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
        transposed_size(o, k, s, 1, before, 0)
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
    return assigned(found, places, p.spatial, by_window)

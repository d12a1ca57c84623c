"""Computations of known mistakes in poolings that are not a changed option.

Entries that are NaN match any value: the mistake does not determine them.
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
from convalg.maps.max_pooling import Extremum, max_pool, min_pool
from convalg.operators.pooling import average_pool, sum_pool
from convalg.operators.tree import Operator


def lattice_average_gradient(p: Problem) -> Array:
    """Return dL/dx of an average pooling as loops over g compute it, for the windows that exist."""
    return average_gradient(_fitted(p, averaging(p).out_shape))


def lattice_maximum_gradient(p: Problem) -> Array:
    """Return dL/dx of a max pooling as loops over g compute it, for the windows that exist."""
    return maximum_gradient(_fitted(p, maximum(p).shape[1:]))


def _fitted(p: Problem, shape: tuple[int, ...]) -> Problem:
    """Return the problem with g cut, or extended with zeros, to the number of windows."""
    g = np.zeros((len(p.gradient), *shape))
    common = tuple(slice(0, min(n, m)) for n, m in zip(p.gradient.shape, g.shape, strict=True))
    g[common] = p.gradient[common]
    return replace(p, g=g)


def whole_divisor(p: Problem) -> Array:
    """Return the sums of the windows divided by their full size, or its gradient."""
    pool = average_pool(
        p.spatial,
        p.size,
        stride=p.stride,
        padding=p.padding,
        ceil_mode=p.ceil_mode,
        divisor_override=math.prod(p.size),
        channels=p.x.shape[1],
    )
    return pool(p.x) if p.g is None else pool.T(p.g)


def summed(p: Problem) -> Array:
    """Return the sums of the windows, or the gradient of the sums."""
    sums = _sums(p)
    return sums(p.x) if p.g is None else sums.T(p.g)


def _options(p: Problem) -> dict[str, Any]:
    """Return the options of the pooling of a problem."""
    return {
        "stride": p.stride,
        "padding": p.padding,
        "dilation": p.dilation or (1,) * p.dims,
        "ceil_mode": p.ceil_mode,
        "channels": p.x.shape[1],
    }


def _sums(p: Problem) -> Operator:
    """Return the sum pooling with the options of a problem."""
    return sum_pool(p.spatial, p.size, **_options(p))


def extra_average(p: Problem) -> Array:
    """Return the averages, with NaN for windows that start in the padding after the input."""
    return _with_extra_window(p, averaging(p)(p.x))


def extra_maximum(p: Problem) -> Array:
    """Return the maxima, with NaN for windows that start in the padding after the input."""
    return _with_extra_window(p, maximum(p))


def _with_extra_window(p: Problem, right: Array) -> Array:
    """Return the result extended by NaN to the size with windows that start in the padding."""
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
    """Return the maxima with the padding filled with zeros."""
    return _zero_padded(p)(np.pad(p.x, ((0, 0), (0, 0), *p.padding)))


def _zero_padded(p: Problem) -> Extremum:
    """Return the max pooling of an input that is padded before."""
    sizes = tuple(n + sum(pad) for n, pad in zip(p.spatial, p.padding, strict=True))
    return max_pool(sizes, p.size, **{**_options(p), "padding": 0})


def padding_of_minus_one(p: Problem) -> Array:
    """Return the maxima with the padding filled with -1."""
    wide = np.pad(p.x, ((0, 0), (0, 0), *p.padding), constant_values=-1)
    return _zero_padded(p)(wide)


def from_zero(p: Problem) -> Array:
    """Return the maxima, with 0 instead of each negative maximum."""
    return np.maximum(maximum(p), 0)


def mean_instead(p: Problem) -> Array:
    """Return the mean of each window."""
    return average_pool(p.spatial, p.size, **_options(p))(p.x)


def smallest(p: Problem) -> Array:
    """Return the minimum of each window."""
    return min_pool(p.spatial, p.size, **_options(p))(p.x)


def largest_magnitude(p: Problem) -> Array:
    """Return the largest absolute value of each window."""
    return max_pool(p.spatial, p.size, **_options(p))(np.abs(p.x))


def _windows(p: Problem) -> tuple[Array, Array, Array]:
    """Return the samples of all windows, a mask of the samples that exist, and their flat indices.

    Shapes: samples (N, C, taps, windows), mask and indices (taps, windows).
    """
    options = {k: v for k, v in _options(p).items() if k != "channels"}
    axes, _ = pooling_axes(p.spatial, p.size, **options)
    indices, _ = engine.table(axes)
    flat = p.x.reshape(*p.x.shape[:2], -1)
    inside = indices >= 0
    return np.where(inside, flat[..., np.maximum(indices, 0)], -math.inf), inside, indices


def index_of_winner(p: Problem) -> Array:
    """Return the index of the first largest sample within its window."""
    values, _, _ = _windows(p)
    winners: Array = values.argmax(axis=2).reshape(maximum(p).shape)
    return winners


def _sent_back(p: Problem, shares: Array, indices: Array) -> Array:
    """Return dL/dx from the share of each sample in the gradient of its window.

    Shapes: shares (N, C, taps, windows), indices (taps, windows).
    """
    g = p.gradient.reshape(*p.gradient.shape[:2], 1, -1)
    x = np.zeros((*p.x.shape[:2], math.prod(p.spatial)))
    for tap, targets in enumerate(indices):
        for window in np.flatnonzero(targets >= 0):
            x[..., targets[window]] += (shares * g)[..., tap, window]
    return x.reshape(p.x.shape)


def to_all_ties(p: Problem) -> Array:
    """Return dL/dx with the gradient of each window at every sample equal to its maximum."""
    values, inside, indices = _windows(p)
    return _sent_back(p, ((values == values.max(axis=2, keepdims=True)) & inside) * 1.0, indices)


def split_ties(p: Problem) -> Array:
    """Return dL/dx with the gradient of each window split equally among its equal maxima."""
    values, inside, indices = _windows(p)
    ties = ((values == values.max(axis=2, keepdims=True)) & inside) * 1.0
    return _sent_back(p, ties / np.maximum(ties.sum(axis=2, keepdims=True), 1), indices)


def to_last_tie(p: Problem) -> Array:
    """Return dL/dx with the gradient of each window at the last of its equal maxima."""
    values, _, indices = _windows(p)
    last = values.shape[2] - 1 - np.argmax(values[:, :, ::-1], axis=2)
    taps = np.arange(values.shape[2])[:, None]
    return _sent_back(p, (taps == last[:, :, None, :]) * 1.0, indices)


def to_whole_window(p: Problem) -> Array:
    """Return dL/dx with the gradient of each window at all its samples."""
    return _sums(p).T(p.g)


def overwritten_winners(p: Problem) -> Array:
    """Return dL/dx with the gradient of each window assigned to its maximum, not added."""
    values, _, indices = _windows(p)
    winner = np.argmax(values, axis=2)
    targets = np.take_along_axis(
        np.broadcast_to(indices, values.shape), winner[:, :, None], axis=2
    ).squeeze(2)
    x = np.zeros((*p.x.shape[:2], math.prod(p.spatial)))
    g = p.gradient.reshape(*p.gradient.shape[:2], -1)
    for window in range(indices.shape[1]):
        np.put_along_axis(x, targets[..., window, None], g[..., window, None], axis=2)
    return x.reshape(p.x.shape)


def zero_padding_gradient(p: Problem) -> Array:
    """Return dL/dx with the padding filled with zeros, which may be the maximum of a window."""
    wide = np.pad(p.x, ((0, 0), (0, 0), *p.padding))
    pool = _zero_padded(p)
    g = np.zeros((len(p.gradient), *pool.out_shape))
    g[tuple(slice(0, n) for n in p.gradient.shape)] = p.gradient
    gradient = pool.gradient(wide, g)
    inside = [slice(b, b + n) for (b, _), n in zip(p.padding, p.spatial, strict=True)]
    return gradient[(slice(None), slice(None), *inside)]


def windows_only(p: Problem) -> Array:
    """Return dL/dx cut to the samples that windows of an average pooling cover."""
    return _covered(p, averaging(p).T(p.g))


def winners_of_windows_only(p: Problem) -> Array:
    """Return dL/dx cut to the samples that windows of a max pooling cover."""
    return _covered(p, maximum_gradient(p))


def _covered(p: Problem, gradient: Array) -> Array:
    """Return a gradient cut to the samples that the windows cover."""
    ends = [
        transposed_size(o, k, s, 1, before, 0)
        for s, o, k, (before, _) in zip(
            p.stride, p.gradient.shape[2:], p.size, p.padding, strict=True
        )
    ]
    return gradient[(slice(None), slice(None), *(slice(0, end) for end in ends))]


def overwritten_average(p: Problem) -> Array:
    """Return dL/dx with the gradients of earlier windows overwritten by those of later windows."""
    return _overwritten_shares(p, True)


def overwritten_average_by_taps(p: Problem) -> Array:
    """Return dL/dx with the gradients at earlier taps overwritten by those at later taps."""
    return _overwritten_shares(p, False)


def _overwritten_shares(p: Problem, by_window: bool) -> Array:
    """Return dL/dx of an average pooling, assigned window by window or tap by tap."""
    _, _, indices = _windows(p)
    ones = np.ones((1, *p.x.shape[1:]))
    shares = np.asarray(averaging(p)(ones), dtype=float)
    counts = np.asarray(_sums(p)(ones), dtype=float)
    g = (p.gradient * shares / np.where(counts == 0, 1, counts)).reshape(
        *p.gradient.shape[:2], 1, -1
    )
    terms = np.broadcast_to(g, (*p.gradient.shape[:2], *indices.shape))
    return assigned(terms, indices, p.spatial, by_window)

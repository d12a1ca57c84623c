"""Sums that are assigned where they must be added up (`=` for `+=`): what is left of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from convalg import engine
from convalg.arrays import Array
from convalg.axis import Axis
from convalg.check.problem import Problem, layer
from convalg.conventions import transposed_geometry
from convalg.geometry import Geometry
from convalg.operators.leaves import Convolution


def lattice(p: Problem) -> Convolution:
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
        geometry, g = layer(p).geometry, p.g
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


def assigned(found: Array, places: Array, shape: tuple[int, ...], by_window: bool) -> Array:
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
    return assigned(*_spread(p, False), True)


def overwritten_by_taps(p: Problem) -> Array:
    """Patches written one over the other, tap by tap."""
    return assigned(*_spread(p, False), False)


def overwritten_by_channels(p: Problem) -> Array:
    """Patches written one over the other, by each output channel too."""
    return assigned(*_spread(p, True), True)


def overwritten_by_channels_and_taps(p: Problem) -> Array:
    """Patches written one over the other, tap by tap and by each output channel."""
    return assigned(*_spread(p, True), False)


def last_tap_inside(p: Problem) -> Array:
    """y with the last tap of the last channel that lies inside the image, for each output."""
    assert p.w is not None
    geometry = layer(p).geometry
    places, _ = engine.table(geometry.axes)
    groups, outputs, inputs = geometry.channels
    kernel = p.w.reshape(groups, outputs, inputs, -1)[:, :, -1]
    x = p.x.reshape(len(p.x), groups, inputs, -1)[:, :, -1]
    found = np.zeros((len(x), groups, outputs, places.shape[1]))
    for o, reads in enumerate(places.T):
        inside = np.flatnonzero(reads >= 0)
        if len(inside):
            tap = inside[-1]
            found[..., o] = kernel[..., tap] * x[:, :, None, reads[tap]]
    return found.reshape(len(x), groups * outputs, *geometry.out_spatial)


def last_place_inside(p: Problem) -> Array:
    """dL/dw of the last place at which each tap lies inside the image, all samples summed."""
    total: Array = _last_products(p).sum(axis=0)
    return total


def last_place_and_sample_inside(p: Problem) -> Array:
    """dL/dw of the last place of the last sample at which each tap lies inside the image."""
    last: Array = _last_products(p)[-1]
    return last


def _last_products(p: Problem) -> Array:
    """For each sample and tap, g times x at the last place inside the image."""
    assert p.g is not None
    assert p.w is not None
    geometry = lattice(p).geometry
    places, _ = engine.table(geometry.axes)
    groups, outputs, inputs = geometry.channels
    x = p.x.reshape(len(p.x), groups, 1, inputs, -1)
    g = p.g.reshape(len(p.g), groups, outputs, 1, -1)
    found = np.zeros((len(x), groups, outputs, inputs, len(places)))
    for tap, reads in enumerate(places):
        inside = np.flatnonzero(reads >= 0)
        if len(inside):
            found[..., tap] = g[..., inside[-1]] * x[..., reads[inside[-1]]]
    return found.reshape(len(x), *p.w.shape)

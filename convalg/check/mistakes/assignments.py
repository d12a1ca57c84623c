"""Wrong results of sums whose terms are assigned instead of accumulated (`=` for `+=`)."""

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
    """Return the layer whose output has the size of g, with zeros for samples beyond the input."""
    axes = tuple(
        Axis(n, o, k, s, d, pad[0], p.boundary)
        for n, o, k, s, d, pad in zip(
            p.spatial,
            p.gradient.shape[2:],
            p.kernel.shape[2:],
            p.stride,
            p.dilation,
            p.padding,
            strict=True,
        )
    )
    inputs, outputs = p.kernel.shape[1] * p.groups, p.kernel.shape[0]
    return Convolution(Geometry(axes, inputs, outputs, p.groups), p.kernel)


def _spread(p: Problem, last_channel: bool) -> tuple[Array, Array, tuple[int, ...]]:
    """Return the terms of an adjoint, their target indices, and the spatial shape of the target.

    Shapes: terms (N, C_in, taps, outputs), indices (taps, outputs).
    """
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
            p.spatial, p.kernel.shape, output_padding=p.output_padding, **options
        )
        g = p.x
    groups, outputs, inputs = geometry.channels
    kernel = p.kernel.reshape(groups, outputs, inputs, -1)
    upstream = g.reshape(len(g), groups, outputs, -1)
    if last_channel:
        kernel, upstream = kernel[:, -1:], upstream[:, :, -1:]
    terms = np.einsum("goct,ngop->ngctp", kernel, upstream)
    terms = terms.reshape(len(g), groups * inputs, *terms.shape[-2:])
    indices, _ = engine.table(geometry.axes)
    return terms, indices, geometry.in_spatial


def assigned(terms: Array, indices: Array, shape: tuple[int, ...], by_window: bool) -> Array:
    """Return the array to which terms are assigned, window by window or tap by tap.

    Shapes: terms (N, C, taps, outputs), indices (taps, outputs); the result is `(N, C, *shape)`.
    """
    x = np.zeros((*terms.shape[:2], math.prod(shape)))
    count = indices.shape[1] if by_window else indices.shape[0]
    for k in range(count):
        targets = indices[:, k] if by_window else indices[k]
        value = terms[..., k] if by_window else terms[..., k, :]
        kept = targets >= 0
        x[..., targets[kept]] = value[..., kept]
    return x.reshape(*terms.shape[:2], *shape)


def overwritten(p: Problem) -> Array:
    """Return dL/dx whose terms overwrite each other, window by window."""
    return assigned(*_spread(p, False), True)


def overwritten_by_taps(p: Problem) -> Array:
    """Return dL/dx whose terms overwrite each other, tap by tap."""
    return assigned(*_spread(p, False), False)


def overwritten_by_channels(p: Problem) -> Array:
    """Return dL/dx overwritten window by window, and by each output channel."""
    return assigned(*_spread(p, True), True)


def overwritten_by_channels_and_taps(p: Problem) -> Array:
    """Return dL/dx overwritten tap by tap, and by each output channel."""
    return assigned(*_spread(p, True), False)


def last_tap_inside(p: Problem) -> Array:
    """Return y computed from the last channel and its last tap inside the image only."""
    geometry = layer(p).geometry
    indices, _ = engine.table(geometry.axes)
    groups, outputs, inputs = geometry.channels
    kernel = p.kernel.reshape(groups, outputs, inputs, -1)[:, :, -1]
    x = p.x.reshape(len(p.x), groups, inputs, -1)[:, :, -1]
    y = np.zeros((len(x), groups, outputs, indices.shape[1]))
    for o, reads in enumerate(indices.T):
        inside = np.flatnonzero(reads >= 0)
        if len(inside):
            tap = inside[-1]
            y[..., o] = kernel[..., tap] * x[:, :, None, reads[tap]]
    return y.reshape(len(x), groups * outputs, *geometry.out_spatial)


def last_position_inside(p: Problem) -> Array:
    """Return dL/dw of the last position that each tap reads inside the image, summed over N."""
    total: Array = _last_products(p).sum(axis=0)
    return total


def last_position_and_sample_inside(p: Problem) -> Array:
    """Return dL/dw of the last position that each tap reads inside the image of the last sample."""
    last: Array = _last_products(p)[-1]
    return last


def _last_products(p: Problem) -> Array:
    """Return g times x at the last position inside the image, for each sample and tap."""
    geometry = lattice(p).geometry
    indices, _ = engine.table(geometry.axes)
    groups, outputs, inputs = geometry.channels
    x = p.x.reshape(len(p.x), groups, 1, inputs, -1)
    g = p.gradient.reshape(len(p.gradient), groups, outputs, 1, -1)
    products = np.zeros((len(x), groups, outputs, inputs, len(indices)))
    for tap, reads in enumerate(indices):
        inside = np.flatnonzero(reads >= 0)
        if len(inside):
            products[..., tap] = g[..., inside[-1]] * x[..., reads[inside[-1]]]
    return products.reshape(len(x), *p.kernel.shape)

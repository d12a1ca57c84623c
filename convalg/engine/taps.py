"""The engine "taps": one tap at a time, for layers with one input channel per group (depthwise).

Every tap multiplies a view of the image by one number per output channel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from convalg.engine.arithmetic import Array
from convalg.engine.layer import EngineLayer
from convalg.engine.time_model import Work

BLOCK = 1 << 17
"""The number of output entries that are computed together; they should stay in the cache."""


def forward(layer: EngineLayer, kernel: Array, x: Array) -> Array:
    """Return y (batch, groups, outputs, *out) from x (batch, groups, inputs, *sizes)."""
    y = np.empty((len(x), layer.groups, layer.outputs, *layer.out), dtype=x.dtype)
    spread = (slice(None),) * 3 + (None,) * len(layer.out)
    for where, image in _pieces(layer, x):
        out, held = y[where], np.empty(y[where].shape, dtype=x.dtype)
        weights = kernel[where[1]]
        first = True
        for channel in range(layer.inputs):
            for tap, read in _parts(layer, image, channel):
                at: Any = (slice(None), slice(None), channel, *tap)
                factor = weights[at][(None, ...)][spread]
                np.multiply(read[:, :, None], factor, out=out if first else held)
                if not first:
                    np.add(out, held, out=out)
                first = False
    return y


def gradient(layer: EngineLayer, x: Array, g: Array) -> Array:
    """Return dL/dw (groups, outputs, inputs, *taps), summed over the batch, for g = dL/dy."""
    gradients = np.zeros((layer.groups, layer.outputs, layer.inputs, *layer.taps), dtype=x.dtype)
    around = (0, *range(3, 3 + len(layer.out)))
    for where, image in _pieces(layer, x):
        for channel in range(layer.inputs):
            for tap, read in _parts(layer, image, channel):
                slope = (g[where] * read[:, :, None]).sum(axis=around)
                at: Any = (where[1], slice(None), channel, *tap)
                gradients[at] += slope
    return gradients


def _pieces(layer: EngineLayer, x: Array) -> Iterator[tuple[tuple[slice, slice], Array]]:
    """Yield the slices of some samples and groups at a time, with their extended images."""
    each = layer.outputs * max(layer.positions, 1)
    groups = min(max(BLOCK // each, 1), layer.groups)
    samples = max(BLOCK // (each * groups), 1) if groups == layer.groups else 1
    for start in range(0, len(x), samples):
        for group in range(0, layer.groups, groups):
            where = (slice(start, start + samples), slice(group, group + groups))
            yield where, layer.extend(x[where], 3)


def _parts(
    layer: EngineLayer, image: Array, channel: int
) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Yield each tap with a view (batch, groups, *out) of the samples that it reads."""
    for tap in product(*(range(k) for k in layer.taps)):
        at: Any = (slice(None), slice(None), channel, *layer.read_by(tap))
        yield tap, image[at]


def work(layer: EngineLayer, batch: int) -> Work:
    """Return the work of this engine."""
    outputs = batch * layer.groups * layer.outputs * layer.positions
    pieces = max(1, -(-outputs // BLOCK))
    cost = Work(calls=4 + pieces * (4 + 5 * layer.weights))
    cost.added += 2 * outputs * layer.weights
    cost.run += 2 * outputs * layer.weights / layer.out[-1]
    if layer.strides[-1] > 1:
        cost.strided += outputs * layer.weights
    if not layer.is_bare:
        cost.copy(batch * layer.groups * layer.inputs * math.prod(layer.lengths), layer.out[-1])
    return cost

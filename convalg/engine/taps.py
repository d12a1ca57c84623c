"""Tap by tap, over the whole image at once: for layers with one channel to a group (depthwise).

Every tap multiplies a part of the image, which is a view, by one number to a channel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from convalg.engine.arithmetic import Array
from convalg.engine.cost import Work
from convalg.engine.layer import EngineLayer

BLOCK = 1 << 17
"""Entries of the output that are made together: they should stay in the cache."""


def forward(layer: EngineLayer, kernel: Array, x: Array) -> Array:
    """y (batch, groups, outputs, *out) from x (batch, groups, inputs, *sizes)."""
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
    """dL/dw (groups, outputs, inputs, *taps), summed over the batch, from x and g = dL/dy."""
    found = np.zeros((layer.groups, layer.outputs, layer.inputs, *layer.taps), dtype=x.dtype)
    around = (0, *range(3, 3 + len(layer.out)))
    for where, image in _pieces(layer, x):
        for channel in range(layer.inputs):
            for tap, read in _parts(layer, image, channel):
                slope = (g[where] * read[:, :, None]).sum(axis=around)
                at: Any = (where[1], slice(None), channel, *tap)
                found[at] += slope
    return found


def _pieces(layer: EngineLayer, x: Array) -> Iterator[tuple[tuple[slice, slice], Array]]:
    """The extended images of some samples and groups at a time, and which they are."""
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
    """For each tap what it reads: (batch, groups, *out), a view."""
    for tap in product(*(range(k) for k in layer.taps)):
        at: Any = (slice(None), slice(None), channel, *layer.read_by(tap))
        yield tap, image[at]


def work(layer: EngineLayer, batch: int) -> Work:
    """What this engine does; see `cost.Work`."""
    outputs = batch * layer.groups * layer.outputs * layer.positions
    pieces = max(1, -(-outputs // BLOCK))
    found = Work(calls=4 + pieces * (4 + 5 * layer.weights))
    found.added += 2 * outputs * layer.weights
    found.run += 2 * outputs * layer.weights / layer.out[-1]
    if layer.strides[-1] > 1:
        found.strided += outputs * layer.weights
    if not layer.is_bare:
        found.copy(batch * layer.groups * layer.inputs * math.prod(layer.lengths), layer.out[-1])
    return found

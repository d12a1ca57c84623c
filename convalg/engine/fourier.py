"""The engine "fft": correlation as a product for each frequency of the discrete Fourier transform.

No output reads beyond the end of the extended image, so the circular correlation of the extended
image has the same outputs. Rounding errors are relative to the largest numbers of the image, not to
each output.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from convalg.axis import span
from convalg.engine.arithmetic import Array
from convalg.engine.layer import EngineLayer, Sizes
from convalg.engine.time_model import Work

TOGETHER = 1 << 22
"""The number of entries of transforms that are in memory at once."""


def forward(layer: EngineLayer, kernel: Array, x: Array) -> Array:
    """Return y (batch, groups, outputs, *out) from x (batch, groups, inputs, *sizes)."""
    sizes = _sizes(layer)
    weights = _transform(layer, _dilated(layer, kernel), sizes).conj()
    y = np.empty((len(x), layer.groups, layer.outputs, *layer.out), dtype=x.dtype)
    every: Any = (..., *layer.read_by((0,) * len(layer.out)))
    for here in _slices(layer, sizes, len(x)):
        image = _transform(layer, layer.extend(x[here], 3), sizes)
        if layer.inputs == 1:
            spectrum = weights[None, :, :, 0] * image
        else:
            # (groups, frequencies, outputs, inputs) by (groups, frequencies, inputs, batch).
            product = _flat(weights).transpose(0, 3, 1, 2) @ _flat(image).transpose(1, 3, 2, 0)
            spectrum = product.transpose(3, 0, 2, 1)
        y[here] = _inverse(layer, spectrum, sizes)[every]
    return y


def gradient(layer: EngineLayer, x: Array, g: Array) -> Array:
    """Return dL/dw (groups, outputs, inputs, *taps), summed over the batch, for g = dL/dy."""
    sizes = _sizes(layer)
    total: Array | int = 0
    every: Any = (..., *layer.read_by((0,) * len(layer.out)))
    for here in _slices(layer, sizes, len(x)):
        image = _transform(layer, layer.extend(x[here], 3), sizes)
        upsampled = np.zeros((*g[here].shape[:3], *layer.lengths), dtype=g.dtype)
        upsampled[every] = g[here]
        upstream = _transform(layer, upsampled, sizes).conj()
        # (groups, frequencies, outputs, batch) by (groups, frequencies, batch, inputs).
        product = _flat(upstream).transpose(1, 3, 2, 0) @ _flat(image).transpose(1, 3, 0, 2)
        total = total + product.transpose(0, 2, 3, 1)
    shape = (layer.groups, layer.outputs, layer.inputs, *layer.taps)
    if isinstance(total, int):
        return np.zeros(shape, dtype=x.dtype)
    taps: Any = (
        ...,
        *(slice(0, d * k, d) for d, k in zip(layer.dilations, layer.taps, strict=True)),
    )
    slope: Array = _inverse(layer, total, sizes)[taps].astype(x.dtype, copy=False)
    return slope


def _sizes(layer: EngineLayer) -> Sizes:
    import scipy.fft

    return tuple(int(scipy.fft.next_fast_len(n, real=True)) for n in layer.lengths)


def _flat(values: Array) -> Array:
    return values.reshape(*values.shape[:3], -1)


def _transform(layer: EngineLayer, values: Array, sizes: Sizes) -> Array:
    import scipy.fft

    spectrum: Array = scipy.fft.rfftn(values, sizes, axes=tuple(range(3, 3 + len(sizes))))
    return spectrum


def _inverse(layer: EngineLayer, values: Array, sizes: Sizes) -> Array:
    import scipy.fft

    shape = (*values.shape[:3], *sizes[:-1], sizes[-1] // 2 + 1)
    axes = tuple(range(3, 3 + len(sizes)))
    signal: Array = scipy.fft.irfftn(values.reshape(shape), sizes, axes=axes)
    return signal


def _dilated(layer: EngineLayer, kernel: Array) -> Array:
    """Return the dilated kernel, upsampled with zeros between its taps."""
    if max(layer.dilations) == 1:
        return kernel
    spans = [span(k, d) for k, d in zip(layer.taps, layer.dilations, strict=True)]
    dilated = np.zeros((*kernel.shape[:3], *spans), dtype=kernel.dtype)
    every: Any = (..., *(slice(None, None, d) for d in layer.dilations))
    dilated[every] = kernel
    return dilated


def _slices(layer: EngineLayer, sizes: Sizes, batch: int) -> list[slice]:
    each = layer.groups * max(layer.inputs, layer.outputs) * math.prod(sizes)
    count = max(TOGETHER // max(each, 1), 1)
    return [slice(start, start + count) for start in range(0, batch, count)]


def work(layer: EngineLayer, batch: int, slope: bool) -> Work:
    """Return the work of this engine, or with `slope` of its gradient."""
    # The sizes that are fast to transform are hardly larger, and computing them would import SciPy.
    sizes = layer.lengths
    entries = math.prod(sizes)
    channels = layer.groups * (layer.inputs + layer.outputs)
    links = layer.groups * layer.inputs * layer.outputs
    cost = Work(calls=40 + 12 * len(_slices(layer, sizes, batch)))
    cost.transformed += (batch * channels + links) * entries * math.log2(entries + 1)
    if layer.inputs == 1 and not slope:
        # A complex product is four real ones, for half of the frequencies.
        cost.added += 4 * batch * links * entries
        return cost
    # For each frequency, sums of complex numbers over channels or samples.
    cost.transposed += batch * channels * entries
    sides = 2 * layer.outputs, 2 * layer.inputs, batch
    cost.products(layer.groups * entries / 2, *sides, long=slope)
    return cost

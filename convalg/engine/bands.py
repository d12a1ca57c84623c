"""The engine "bands": dense Toeplitz blocks along the last axis, applied to views of the image.

It applies layers with one input channel per group. A run of consecutive outputs is the product of a
small dense Toeplitz block and a run of samples. Runs of samples overlap, so one matrix product
processes every r-th run, where r is the smallest number for which these runs do not overlap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from convalg.axis import transposed_size
from convalg.engine.arithmetic import Array
from convalg.engine.layer import EngineLayer
from convalg.engine.time_model import Work

BLOCK = 1 << 20
"""The number of output entries that are computed together; they should stay in the cache."""


@dataclass(frozen=True)
class Bands:
    """A layer whose last axis is divided into runs of `run` outputs."""

    layer: EngineLayer
    run: int

    @cached_property
    def parts(self) -> list[tuple[int, int, int]]:
        """The parts of the last axis as (first output, outputs per run, number of runs).

        Outputs that do not fill a run are a second part of one shorter run.
        """
        out = self.layer.out[-1]
        full, rest = divmod(out, self.run)
        return [
            (first, size, count)
            for first, size, count in ((0, self.run, full), (full * self.run, rest, 1))
            if size and count
        ]

    def reads(self, size: int) -> int:
        """Return the number of samples that a run of `size` outputs reads."""
        layer = self.layer
        gaps = layer.taps[-1], layer.strides[-1], layer.dilations[-1]
        return int(transposed_size(size, *gaps, 0, 0))

    def corners(self, size: int) -> Iterator[tuple[int, slice]]:
        """Yield each output of a run with the positions of its taps among the run's samples."""
        layer = self.layer
        span = layer.dilations[-1] * (layer.taps[-1] - 1) + 1
        for o in range(size):
            first = o * layer.strides[-1]
            yield o, slice(first, first + span, layer.dilations[-1])

    def rows(self, image: Array, tap: tuple[int, ...]) -> Array:
        """Return the samples that a tap of the leading axes reads, with the last axis complete.

        Shapes: (batch, groups, *leading outputs, length of the last axis).
        """
        return image[(slice(None), slice(None), *self.layer.read_by(tap))]

    def matrices(self, rows: Array, part: tuple[int, int, int]) -> Iterator[tuple[slice, Array]]:
        """Yield the samples of some runs as the rows of a matrix, with the slice of these runs.

        The runs in one matrix do not overlap.
        """
        first, size, count = part
        step, reads = size * self.layer.strides[-1], self.reads(size)
        apart = min(-(-reads // step), count)
        rows = rows[..., first * self.layer.strides[-1] :]
        item = rows.strides[-1]
        for start in range(apart):
            chosen = len(range(start, count, apart))
            shape = (*rows.shape[:-1], chosen, reads)
            strides = (*rows.strides[:-1], item * step * apart, item)
            view = rows[..., start * step :]
            matrix = np.lib.stride_tricks.as_strided(view, shape, strides, writeable=False)
            yield slice(start, None, apart), matrix

    def leading(self) -> Iterator[tuple[int, ...]]:
        """Return an iterator over the taps of all axes but the last."""
        return product(*(range(k) for k in self.layer.taps[:-1]))


def forward(bands: Bands, kernel: Array, x: Array) -> Array:
    """Return y (batch, groups, outputs, *out) from x (batch, groups, 1, *sizes)."""
    layer = bands.layer
    y = np.empty((len(x), layer.groups, *layer.out[:-1], layer.outputs, layer.out[-1]), x.dtype)
    for here, image in _images(layer, x):
        for part in bands.parts:
            first, size, count = part
            # With one output channel the runs are contiguous in y.
            shape = (*y[here].shape[:-2], count, layer.outputs * size)
            piece = y[here][..., first : first + size * count]
            out = piece.reshape(shape) if layer.outputs == 1 else np.empty(shape, dtype=y.dtype)
            for number, tap in enumerate(bands.leading()):
                at: Any = (slice(None), slice(None), 0, *tap)
                block = _block(bands, kernel[at], size)
                lead = block.reshape(layer.groups, *(1,) * (len(layer.out) - 1), *block.shape[1:])
                for runs, matrix in bands.matrices(bands.rows(image, tap), part):
                    if number:
                        out[..., runs, :] += matrix @ lead
                    else:
                        np.matmul(matrix, lead, out=out[..., runs, :])
            if layer.outputs > 1:
                channels_first = out.reshape(*shape[:-1], layer.outputs, size).swapaxes(-2, -3)
                piece[...] = channels_first.reshape(piece.shape)
            elif not np.shares_memory(out, piece):
                piece[...] = out.reshape(piece.shape)
    return np.moveaxis(y, -2, 2)


def gradient(bands: Bands, x: Array, g: Array) -> Array:
    """Return dL/dw, summed over the batch, as an array of shape (groups, outputs, 1, *taps).

    `x` is the input of the layer, and `g` is dL/dy.
    """
    layer = bands.layer
    gradients = np.zeros((layer.groups, layer.outputs, 1, *layer.taps), dtype=x.dtype)
    for here, image in _images(layer, x):
        upstream = np.moveaxis(g[here], 2, -2)
        for part in bands.parts:
            first, size, count = part
            piece = upstream[..., first : first + size * count]
            runs_first = piece.reshape(*piece.shape[:-1], count, size)
            rows = runs_first.swapaxes(-2, -3).reshape(*piece.shape[:-2], count, -1)
            for tap in bands.leading():
                slope = np.zeros((layer.groups, bands.reads(size), rows.shape[-1]), dtype=x.dtype)
                for runs, matrix in bands.matrices(bands.rows(image, tap), part):
                    each = matrix.swapaxes(-1, -2) @ rows[..., runs, :]
                    slope += each.sum(axis=(0, *range(2, each.ndim - 2)))
                at: Any = (slice(None), slice(None), 0, *tap)
                parted = slope.reshape(layer.groups, -1, layer.outputs, size)
                for o, taps in bands.corners(size):
                    gradients[at] += parted[:, taps, :, o].swapaxes(1, 2)
    return gradients


def _block(bands: Bands, taps: Array, size: int) -> Array:
    """Return the Toeplitz block (groups, samples, outputs * size) of taps (groups, outputs, k)."""
    block = np.zeros((len(taps), bands.reads(size), taps.shape[1], size), dtype=taps.dtype)
    for o, where in bands.corners(size):
        block[:, where, :, o] = taps.swapaxes(1, 2)
    return block.reshape(len(taps), bands.reads(size), -1)


def _images(layer: EngineLayer, x: Array) -> Iterator[tuple[slice, Array]]:
    """Yield the extended images of some samples at a time: (batch, groups, *lengths)."""
    count = max(BLOCK // max(layer.groups * layer.outputs * layer.positions, 1), 1)
    for start in range(0, len(x), count):
        here = slice(start, start + count)
        image = layer.extend(x[here, :, 0], 2)
        # Runs are views of rows, whose samples must be contiguous.
        yield here, np.ascontiguousarray(image) if image.strides[-1] != x.itemsize else image


def bands(layer: EngineLayer) -> Bands:
    """Return the bands of a layer; a run is about as long as the kernel, a multiple of 8."""
    return Bands(layer, min(max(layer.taps[-1] // 8 * 8, 8), 64, layer.out[-1]))


def work(bands: Bands, batch: int, slope: bool, last: bool) -> Work:
    """Return the work of this engine, or with `slope` of its gradient.

    `last`: the batch is innermost in memory.
    """
    layer = bands.layer
    reads, leads = bands.reads(bands.run), math.prod(layer.taps[:-1])
    rows = batch * layer.groups * math.prod(layer.out[:-1])
    apart = -(-reads // (bands.run * layer.strides[-1]))
    images = -(-batch * layer.groups * layer.outputs * layer.positions // BLOCK)
    cost = Work(calls=images * (10 + len(bands.parts) * leads * (6 + 4 * apart)) + 3 * bands.run)
    runs = layer.out[-1] // bands.run
    sides: tuple[float, float] = (runs / apart, reads)
    if slope:
        sides = (reads, runs / apart)
        cost.calls += 3 * len(bands.parts) * leads * bands.run
    cost.products(leads * rows * apart, *sides, layer.outputs * bands.run)
    cost.added += (leads - 1) * 2 * rows * layer.outputs * layer.out[-1]
    if not layer.is_bare:
        cost.copy(batch * layer.groups * math.prod(layer.lengths), layer.lengths[-1])
    if layer.outputs > 1 or slope:
        cost.copy(rows * layer.outputs * layer.out[-1], bands.run)
    if last:
        cost.transposed += batch * layer.groups * math.prod(layer.sizes)
    return cost

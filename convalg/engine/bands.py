"""Dense Toeplitz bands along the last axis: overlapping views of the image as it lies, no copies.

For layers with one input channel to a group. A run of outputs reads a run of samples, by a small
dense Toeplitz block; runs of samples overlap, so that every few of them make one matrix.
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
from convalg.engine.cost import Work
from convalg.engine.layer import EngineLayer

BLOCK = 1 << 20
"""Entries of the output that are made together: they should stay in the cache."""


@dataclass(frozen=True)
class Bands:
    """A layer whose last axis is cut into runs of so many outputs."""

    layer: EngineLayer
    run: int

    @cached_property
    def parts(self) -> list[tuple[int, int, int]]:
        """Pieces of the last axis: first output, outputs to a run, runs; the last one is short."""
        out = self.layer.out[-1]
        whole, rest = divmod(out, self.run)
        return [
            (first, size, count)
            for first, size, count in ((0, self.run, whole), (whole * self.run, rest, 1))
            if size and count
        ]

    def reads(self, size: int) -> int:
        """Samples that a run of so many outputs reads."""
        layer = self.layer
        gaps = layer.taps[-1], layer.strides[-1], layer.dilations[-1]
        return int(transposed_size(size, *gaps, 0, 0))

    def corners(self, size: int) -> Iterator[tuple[int, slice]]:
        """Where the taps of each output of a run lie among the samples it reads."""
        layer = self.layer
        span = layer.dilations[-1] * (layer.taps[-1] - 1) + 1
        for o in range(size):
            first = o * layer.strides[-1]
            yield o, slice(first, first + span, layer.dilations[-1])

    def rows(self, image: Array, tap: tuple[int, ...]) -> Array:
        """What a tap of the leading axes reads: (batch, groups, *leading outputs, last)."""
        return image[(slice(None), slice(None), *self.layer.read_by(tap))]

    def matrices(self, rows: Array, part: tuple[int, int, int]) -> Iterator[tuple[slice, Array]]:
        """The samples of runs as matrices, and which runs they are.

        Runs overlap, and the rows of a matrix may not: so every few of them make one.
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
            found = np.lib.stride_tricks.as_strided(view, shape, strides, writeable=False)
            yield slice(start, None, apart), found

    def leading(self) -> Iterator[tuple[int, ...]]:
        """The taps of the leading axes."""
        return product(*(range(k) for k in self.layer.taps[:-1]))


def forward(bands: Bands, kernel: Array, x: Array) -> Array:
    """y (batch, groups, outputs, *out) from x (batch, groups, 1, *sizes)."""
    layer = bands.layer
    y = np.empty((len(x), layer.groups, *layer.out[:-1], layer.outputs, layer.out[-1]), x.dtype)
    for here, image in _images(layer, x):
        for part in bands.parts:
            first, size, count = part
            # With one channel the runs lie side by side already.
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
                found = out.reshape(*shape[:-1], layer.outputs, size).swapaxes(-2, -3)
                piece[...] = found.reshape(piece.shape)
            elif not np.shares_memory(out, piece):
                piece[...] = out.reshape(piece.shape)
    return np.moveaxis(y, -2, 2)


def gradient(bands: Bands, x: Array, g: Array) -> Array:
    """dL/dw (groups, outputs, 1, *taps), summed over the batch, from x and g = dL/dy."""
    layer = bands.layer
    found = np.zeros((layer.groups, layer.outputs, 1, *layer.taps), dtype=x.dtype)
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
                    found[at] += parted[:, taps, :, o].swapaxes(1, 2)
    return found


def _block(bands: Bands, taps: Array, size: int) -> Array:
    """The block (groups, samples, outputs * size) of one row of taps (groups, outputs, k)."""
    block = np.zeros((len(taps), bands.reads(size), taps.shape[1], size), dtype=taps.dtype)
    for o, where in bands.corners(size):
        block[:, where, :, o] = taps.swapaxes(1, 2)
    return block.reshape(len(taps), bands.reads(size), -1)


def _images(layer: EngineLayer, x: Array) -> Iterator[tuple[slice, Array]]:
    """The extended images of some samples at a time: (batch, groups, *lengths)."""
    count = max(BLOCK // max(layer.groups * layer.outputs * layer.positions, 1), 1)
    for start in range(0, len(x), count):
        here = slice(start, start + count)
        image = layer.extend(x[here, :, 0], 2)
        # Runs are views of rows whose samples lie side by side.
        yield here, np.ascontiguousarray(image) if image.strides[-1] != x.itemsize else image


def bands(layer: EngineLayer) -> Bands:
    """The usual run: about as long as the kernel, within 8 to 64, in whole registers."""
    return Bands(layer, min(max(layer.taps[-1] // 8 * 8, 8), 64, layer.out[-1]))


def work(bands: Bands, batch: int, slope: bool, last: bool) -> Work:
    """What this engine does; `last` says that the batch is innermost in memory."""
    layer = bands.layer
    reads, leads = bands.reads(bands.run), math.prod(layer.taps[:-1])
    rows = batch * layer.groups * math.prod(layer.out[:-1])
    apart = -(-reads // (bands.run * layer.strides[-1]))
    images = -(-batch * layer.groups * layer.outputs * layer.positions // BLOCK)
    found = Work(calls=images * (10 + len(bands.parts) * leads * (6 + 4 * apart)) + 3 * bands.run)
    runs = layer.out[-1] // bands.run
    sides: tuple[float, float] = (runs / apart, reads)
    if slope:
        sides = (reads, runs / apart)
        found.calls += 3 * len(bands.parts) * leads * bands.run
    found.products(leads * rows * apart, *sides, layer.outputs * bands.run)
    found.added += (leads - 1) * 2 * rows * layer.outputs * layer.out[-1]
    if not layer.is_bare:
        found.copy(batch * layer.groups * math.prod(layer.lengths), layer.lengths[-1])
    if layer.outputs > 1 or slope:
        found.copy(rows * layer.outputs * layer.out[-1], bands.run)
    if last:
        found.turned += batch * layer.groups * math.prod(layer.sizes)
    return found

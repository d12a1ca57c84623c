"""The engine "im2col": for each sample, columns of the values read, times the kernel.

The columns contain the taps of all axes but the first; there is one product per tap of the first
axis. The columns of another first-axis tap contain the same numbers, shifted by some rows, so they
are views. No array is transposed, and the output is written in place. If the inner size of the
products would be small, the columns contain all taps instead. A kernel of one tap needs no columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convalg.engine.arithmetic import Array
from convalg.engine.layer import EngineLayer
from convalg.engine.time_model import Work

BLOCK = 1 << 20
"""The number of entries of the columns in memory at once; they should stay in the cache."""
JOINED = 32
"""With fewer weights than this per output and first-axis tap, the columns contain all taps."""


@dataclass(frozen=True)
class Columns:
    """The columns of a layer, their shape, and the part of them that each product reads."""

    layer: EngineLayer

    @cached_property
    def joined(self) -> bool:
        """Whether the columns contain all taps, so that there is a single product."""
        layer = self.layer
        return layer.weights // layer.taps[0] < JOINED or layer.taps[0] == 1

    @cached_property
    def width(self) -> int:
        """The number of outputs for each index of the first axis."""
        return math.prod(self.layer.out[1:])

    @cached_property
    def depth(self) -> int:
        """The number of entries of one column."""
        layer = self.layer
        return layer.weights if self.joined else layer.weights // layer.taps[0]

    @cached_property
    def shifts(self) -> list[tuple[int, int]]:
        """For each product, the residue (modulo the stride) of the rows it reads, and its shift."""
        layer = self.layer
        if self.joined:
            return [(0, 0)]
        return [
            divmod(layer.dilations[0] * t, layer.strides[0])[::-1] for t in range(layer.taps[0])
        ]

    @cached_property
    def parts(self) -> list[tuple[int, int]]:
        """The ranges of rows of outputs that are computed together."""
        rows, each = self.layer.out[0], self.depth * self.width
        # The rows between two parts are copied twice, so a part should be several times larger.
        least = 1 if self.joined else 4 * max(shift for _, shift in self.shifts)
        count = min(max(BLOCK // max(each, 1), least, 1), rows)
        return [(a, min(a + count, rows)) for a in range(0, rows, count)]

    def kernel(self, kernel: Array) -> Array:
        """Return the kernel as an array (products, groups, outputs, depth)."""
        layer = self.layer
        if self.joined:
            return kernel.reshape(1, layer.groups, layer.outputs, -1)
        parted = np.moveaxis(kernel, 3, 0)
        return np.ascontiguousarray(parted).reshape(layer.taps[0], layer.groups, layer.outputs, -1)

    def back(self, slopes: Array) -> Array:
        """Return the gradient of the kernel from the gradients of the products."""
        layer = self.layer
        shape = layer.groups, layer.outputs, layer.inputs
        if self.joined:
            return slopes.reshape(*shape, *layer.taps)
        return np.moveaxis(slopes.reshape(layer.taps[0], *shape, *layer.taps[1:]), 0, 3)

    def of(self, image: Array, part: tuple[int, int]) -> Iterator[Array]:
        """Yield the columns (depth, outputs) of each product, from an image (inputs, *lengths)."""
        layer, (a, b) = self.layer, part
        image = image[:, a * layer.strides[0] :]
        step, dilated = (
            [s * n for s, n in zip(image.strides[1:], steps, strict=True)]
            for steps in (layer.strides, layer.dilations)
        )
        inner, grid = layer.taps[1:], layer.out[1:]
        if self.joined:
            shape = (layer.inputs, *layer.taps, b - a, *grid)
            view = _strided(image, shape, (image.strides[0], *dilated, *step))
            yield _flat(view, self.depth, (b - a) * self.width)
            return
        held: dict[int, Array] = {}
        for residue, shift in self.shifts:
            if residue not in held:
                rows = b - a + max(far for r, far in self.shifts if r == residue)
                shape = (layer.inputs, *inner, rows, *grid)
                strides = (image.strides[0], *dilated[1:], *step)
                view = _strided(image[:, residue:], shape, strides)
                held[residue] = _flat(view, self.depth, rows * self.width)
            yield held[residue][:, shift * self.width : (shift + b - a) * self.width]


def forward(layer: EngineLayer, kernel: Array, x: Array) -> Array:
    """Return y (batch, groups, outputs, *out) from x (batch, groups, inputs, *sizes)."""
    columns, batch = Columns(layer), len(x)
    weights = columns.kernel(kernel)
    shape = (batch, layer.groups, layer.outputs, *layer.out)
    if layer.weights == layer.inputs and layer.strides == (1,) * len(layer.out) and layer.is_bare:
        read = layer.extend(x, 3).reshape(batch, layer.groups, layer.inputs, -1)
        y: Array = np.matmul(weights[0], read).reshape(shape)
        return y
    y = np.empty((batch, layer.groups, layer.outputs, layer.positions), dtype=x.dtype)
    for image, where in _images(layer, x):
        for part in columns.parts:
            out = y[where][:, part[0] * columns.width : part[1] * columns.width]
            pairs = zip(weights[:, where[1]], columns.of(image, part), strict=True)
            first, read = next(pairs)
            np.matmul(first, read, out=out)
            for weight, read in pairs:
                out += weight @ read
    return y.reshape(shape)


def gradient(layer: EngineLayer, x: Array, g: Array) -> Array:
    """Return dL/dw (groups, outputs, inputs, *taps), summed over the batch, for g = dL/dy."""
    columns = Columns(layer)
    upstream = g.reshape(len(g), layer.groups, layer.outputs, layer.positions)
    shape = (len(columns.shifts), layer.groups, layer.outputs, columns.depth)
    slopes = np.zeros(shape, dtype=x.dtype)
    for image, where in _images(layer, x):
        for part in columns.parts:
            here = upstream[where][:, part[0] * columns.width : part[1] * columns.width]
            for slope, read in zip(slopes[:, where[1]], columns.of(image, part), strict=True):
                slope += here @ read.T
    return columns.back(slopes)


def _images(layer: EngineLayer, x: Array) -> Iterator[tuple[Array, tuple[int, int]]]:
    """Yield the extended image of each sample and group, with their indices, in the same buffer."""
    buffer = None
    if not layer.is_bare:
        buffer = np.zeros((layer.inputs, *layer.lengths), dtype=x.dtype)
    for sample in range(len(x)):
        for group in range(layer.groups):
            yield layer.extend(x[sample, group], 1, buffer), (sample, group)


def _strided(image: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    return np.lib.stride_tricks.as_strided(image, shape, strides, writeable=False)


def _flat(view: Array, rows: int, columns: int) -> Array:
    """Return the view as a matrix, copied if necessary."""
    return view.reshape(rows, columns)


def work(layer: EngineLayer, batch: int, slope: bool, last: bool) -> Work:
    """Return the work of this engine, or with `slope` of its gradient.

    `last`: the batch is innermost in memory.
    """
    columns = Columns(layer)
    images, parts, products = batch * layer.groups, len(columns.parts), len(columns.shifts)
    direct = layer.weights == layer.inputs and layer.is_bare and max(layer.strides) == 1
    if direct and not slope:
        cost = Work(calls=8)
    else:
        residues = len({residue for residue, _ in columns.shifts})
        cost = Work(calls=8 + images * (4 + parts * (3 * residues + 3 * products)))
        entries = 0 if direct else columns.depth * layer.positions * residues
        cost.copy(images * entries, run=layer.out[-1], step=layer.strides[-1])
        if not layer.is_bare:
            cost.copy(images * layer.inputs * math.prod(layer.lengths), layer.lengths[-1])
        if not columns.joined:
            # The kernel is copied, one first-axis tap at a time.
            weights = layer.groups * layer.outputs * layer.weights
            cost.copy(weights, run=math.prod(layer.taps[1:]))
        if not slope:
            cost.added += images * (products - 1) * 2 * layer.outputs * layer.positions
    if last:
        cost.transposed += images * layer.inputs * math.prod(layer.sizes)
    sides = (layer.outputs, columns.depth, layer.positions / parts)
    cost.products(images * parts * products, *sides, long=slope)
    return cost

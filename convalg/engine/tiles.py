"""The engine "tiles": a dense Toeplitz block times patches as columns, with the batch innermost.

A tile of outputs, such as 2 x 2, reads a patch of the image. A small dense Toeplitz block, the same
for every tile, maps the patch to the tile; the smallest tile is a single output. Since the batch is
the last axis, contiguous runs are long in every copy. Patches that overlap along the first axis
share rows of columns: each row is stored once, and the patches are views.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from operator import mul
from typing import Any

import numpy as np

from convalg.axis import transposed_size
from convalg.engine.arithmetic import Array
from convalg.engine.layer import EngineLayer, Sizes
from convalg.engine.time_model import Work

BLOCK = 1 << 20
"""The number of entries of the columns in memory at once."""
TOGETHER = 1 << 24
"""The number of entries of the extended images in memory at once."""


@dataclass(frozen=True)
class Tiling:
    """A layer divided into tiles of `tile` outputs on each axis."""

    layer: EngineLayer
    tile: Sizes

    @cached_property
    def grid(self) -> Sizes:
        """The number of tiles on each axis; the last tile may extend beyond the output."""
        return tuple([-(-o // t) for o, t in zip(self.layer.out, self.tile, strict=True)])

    @cached_property
    def step(self) -> Sizes:
        """Samples from one tile to the next."""
        return tuple(map(mul, self.tile, self.layer.strides))

    @cached_property
    def spacing(self) -> Sizes:
        """The distance between the samples of a patch; for a tile of one output, the dilation."""
        pairs = zip(self.tile, self.layer.dilations, strict=True)
        return tuple([d if t == 1 else 1 for t, d in pairs])

    @cached_property
    def patch(self) -> Sizes:
        """The number of samples that a tile reads, on each axis."""
        layer = self.layer
        spans = zip(self.tile, layer.taps, layer.strides, layer.dilations, strict=True)
        return tuple(
            [k if t == 1 else int(transposed_size(t, k, s, d, 0, 0)) for t, k, s, d in spans]
        )

    @cached_property
    def lengths(self) -> Sizes:
        """The sizes of the extended image, including samples that only the last tiles read."""
        rows = zip(self.grid, self.patch, self.step, self.spacing, strict=True)
        return tuple([int(transposed_size(g, e, s, d, 0, 0)) for g, e, s, d in rows])

    @cached_property
    def rows(self) -> int:
        """The number of rows of the block of one group: the outputs of a tile."""
        return self.layer.outputs * math.prod(self.tile)

    @cached_property
    def depth(self) -> int:
        """The number of columns of the block: the samples of a patch."""
        return self.layer.inputs * math.prod(self.patch)

    @cached_property
    def overlaps(self) -> bool:
        """Whether neighbouring patches along the first axis can share rows."""
        return self.spacing[0] == 1 and self.patch[0] > self.step[0]

    def corners(self) -> Iterator[tuple[slice | int, ...]]:
        """Yield, for each output of a tile, the index of the kernel in the block (`_shape`)."""
        layer = self.layer
        for position in product(*(range(t) for t in self.tile)):
            taps = [
                slice(0, k) if t == 1 else slice(o * s, o * s + (k - 1) * d + 1, d)
                for o, t, k, s, d in zip(
                    position, self.tile, layer.taps, layer.strides, layer.dilations, strict=True
                )
            ]
            yield (slice(None), slice(None), *position, taps[0], slice(None), *taps[1:])

    @cached_property
    def _shape(self) -> Sizes:
        layer = self.layer
        return (
            layer.groups,
            layer.outputs,
            *self.tile,
            self.patch[0],
            layer.inputs,
            *self.patch[1:],
        )

    def block(self, kernel: Array, out: Array | None = None) -> Array:
        """Return the Toeplitz block (groups, rows, depth) of a kernel.

        Shapes: kernel (groups, outputs, inputs, *taps).
        `out` must be zero outside the entries of the kernel, as after an earlier call.
        """
        block = np.zeros(self._shape, dtype=kernel.dtype) if out is None else out
        block = block.reshape(self._shape)
        for corner in self.corners():
            block[corner] = kernel.swapaxes(2, 3)
        return block.reshape(self.layer.groups, self.rows, self.depth)

    def kernel(self, slope: Array) -> Array:
        """Return the adjoint of `block`: the sum over all entries of each weight in the block."""
        slope = slope.reshape(self._shape)
        gradient = sum(slope[corner] for corner in self.corners())
        return np.asarray(gradient).swapaxes(2, 3)

    def parts(self, batch: int, most: int = 0) -> list[tuple[int, int]]:
        """Return the ranges of rows of tiles that are computed together.

        Their columns have about `most` entries, by default `BLOCK`.
        """
        rows = self.grid[0]
        # Another row of tiles adds this number of lines.
        lines = self.step[0] if self.overlaps else self.patch[0]
        each = max(self.layer.groups * lines * self.depth // self.patch[0] * self.width(batch), 1)
        count = min(max((most or BLOCK) // each, 1), rows)
        return [(a, min(a + count, rows)) for a in range(0, rows, count)]

    def entries(self, rows: int, batch: int) -> int:
        """Return the number of entries of the columns of some rows of tiles."""
        lines = rows * self.patch[0]
        if self.overlaps:
            lines = (rows - 1) * self.step[0] + self.patch[0]
        return self.layer.groups * lines * self.depth // self.patch[0] * self.width(batch)

    def width(self, batch: int) -> int:
        """Return the number of columns for each row of tiles."""
        return math.prod(self.grid[1:]) * batch

    def patches(self, image: Array, part: tuple[int, int]) -> Array:
        """Return the overlapping patches of some rows of tiles, as a writeable view.

        Shapes: image (groups, inputs, *lengths, batch), result (groups, rows of tiles, *patch
        with the inputs as second axis, *rest of the grid, batch).
        """
        layer, (a, b) = self.layer, part
        image = image[:, :, a * self.step[0] :]
        group, channel, first, *rest = image.strides[:-1]
        inner = (s * d for s, d in zip(rest, self.spacing[1:], strict=True))
        outer = (s * n for s, n in zip(rest, self.step[1:], strict=True))
        shape = (layer.inputs, *self.patch[1:], *self.grid[1:], image.shape[-1])
        strides = (channel, *inner, *outer, image.strides[-1])
        lead, steps = (layer.groups, b - a), (group, first * self.step[0])
        return np.lib.stride_tricks.as_strided(
            image, (*lead, self.patch[0], *shape), (*steps, first * self.spacing[0], *strides)
        )

    def columns(self, image: Array, part: tuple[int, int], out: Array | None = None) -> Array:
        """Return the patches as columns (groups, rows of tiles, depth, width), using `out`."""
        patches, width = self.patches(image, part), self.width(image.shape[-1])
        groups, count, lines = patches.shape[:3]
        if self.overlaps:
            # Each line of the image is stored once, and neighbouring tiles share it.
            lines = (count - 1) * self.step[0] + lines
            shape = (groups, 1, lines, *patches.shape[3:])
            patches = np.lib.stride_tricks.as_strided(patches, shape, patches.strides)
            count = 1
        held: Array = np.empty(patches.size, dtype=image.dtype) if out is None else out
        held = held[: patches.size].reshape(patches.shape)
        np.copyto(held, patches)
        if not self.overlaps:
            return held.reshape(groups, count, self.depth, width)
        held = held.reshape(groups, lines, -1, width)
        return np.lib.stride_tricks.as_strided(
            held,
            (groups, part[1] - part[0], self.depth, width),
            (held.strides[0], held.strides[1] * self.step[0], *held.strides[2:]),
            writeable=False,
        )

    def add_patches(self, image: Array, part: tuple[int, int], patches: Array) -> None:
        """Add patches (groups, rows of tiles, depth, width) to an image: adjoint of `columns`."""
        view = self.patches(image, part)
        patches = patches.reshape(view.shape)
        # Each step adds samples of a patch that no two tiles share.
        along = [
            range(0, e, n if gap == 1 else 1)
            for e, n, gap in zip(self.patch, self.step, self.spacing, strict=True)
        ]
        for position in product(*along):
            first, *rest = (
                slice(p, p + (n if gap == 1 else 1))
                for p, n, gap in zip(position, self.step, self.spacing, strict=True)
            )
            at: Any = (slice(None), slice(None), first, slice(None), *rest)
            view[at] += patches[at]

    def images(self, x: Array) -> Iterator[tuple[Array, slice]]:
        """Yield the extended images of some samples, batch innermost, with their slice."""
        layer = self.layer
        each = layer.groups * layer.inputs * math.prod(self.lengths)
        count = max(TOGETHER // max(each, 1), 1)
        for start in range(0, len(x), count):
            here = slice(start, min(start + count, len(x)))
            last = np.moveaxis(x[here], 0, -1)
            shape = (layer.groups, layer.inputs, *self.lengths, last.shape[-1])
            yield layer.extend(last, 2, np.zeros(shape, dtype=x.dtype)), here

    def side_by_side(self, full: Array) -> Array:
        """Return outputs (groups, outputs, *covered, batch) with separate tile and grid axes."""
        dims = len(self.tile)
        sizes = (n for pair in zip(self.grid, self.tile, strict=True) for n in pair)
        tiles = full.reshape(*full.shape[:2], *sizes, full.shape[-1])
        tile, grid = range(3, 2 * dims + 2, 2), range(2, 2 * dims + 2, 2)
        return tiles.transpose(0, 1, *tile, *grid, 2 * dims + 2)

    def upstream(self, g: Array) -> Array:
        """Return outputs (groups, outputs, *out, batch) as (groups, rows, rows of tiles, width)."""
        layer = self.layer
        if self.rows > layer.outputs:
            full = np.zeros((*g.shape[:2], *self.covered, g.shape[-1]), dtype=g.dtype)
            full[(slice(None), slice(None), *(slice(0, o) for o in layer.out))] = g
            g = self.side_by_side(full)
        return g.reshape(layer.groups, self.rows, self.grid[0], self.width(g.shape[-1]))

    @cached_property
    def covered(self) -> Sizes:
        """The number of outputs that the tiles cover on each axis, at least the output size."""
        return tuple(map(mul, self.grid, self.tile))


def forward(shape: Sizes, tiling: Tiling, kernel: Array, x: Array) -> Array:
    """Return y (batch, groups, outputs, *shape) from x, with the batch innermost in memory."""
    layer, batch = tiling.layer, len(x)
    x = x.reshape(*x.shape[:3], *layer.sizes)
    block = tiling.block(kernel.reshape(*kernel.shape[:3], *layer.taps))[:, None]
    y = np.empty((layer.groups, layer.outputs, *tiling.covered, batch), dtype=x.dtype)
    single = math.prod(tiling.tile) == 1
    for image, here in tiling.images(x):
        for a, b in tiling.parts(image.shape[-1]):
            columns = tiling.columns(image, (a, b))
            if single and image.shape[-1] == batch:
                rows = y.reshape(layer.groups, layer.outputs, tiling.grid[0], -1)
                np.matmul(block, columns, out=rows[:, :, a:b].swapaxes(1, 2))
                continue
            blocks = np.matmul(block, columns)
            grid = (b - a, *tiling.grid[1:], image.shape[-1])
            blocks = blocks.swapaxes(1, 2).reshape(layer.groups, layer.outputs, *tiling.tile, *grid)
            at = (slice(None),) * (2 + len(tiling.tile)) + (slice(a, b),)
            tiling.side_by_side(y)[at][..., here] = blocks
    cut = tuple(slice(0, o) for o in layer.out)
    y = np.moveaxis(y[(slice(None), slice(None), *cut)], -1, 0)
    return y.reshape(*y.shape[:3], *shape)


def gradient(shape: Sizes, tiling: Tiling, x: Array, g: Array) -> Array:
    """Return dL/dw (groups, outputs, inputs, *shape), summed over the batch, for g = dL/dy."""
    layer = tiling.layer
    x = x.reshape(*x.shape[:3], *layer.sizes)
    g = g.reshape(*g.shape[:3], *layer.out)
    slope = np.zeros((layer.groups, tiling.rows, tiling.depth), dtype=x.dtype)
    for image, here in tiling.images(x):
        upstream = tiling.upstream(np.moveaxis(g[here], 0, -1))
        for a, b in tiling.parts(image.shape[-1]):
            rows = upstream[:, :, a:b].swapaxes(1, 2)
            columns = tiling.columns(image, (a, b))
            slope += np.matmul(rows, columns.swapaxes(-1, -2)).sum(axis=1)
    gradients = tiling.kernel(slope)
    return gradients.reshape(*gradients.shape[:3], *shape)


def tilings(layer: EngineLayer, batch: int) -> Iterator[Tiling]:
    """Yield the tilings of a layer that may be fast: single outputs, or tiles on the last axes."""
    dims = len(layer.out)
    if dims == 1:
        layer, dims = layer.with_axis(), 2
    single = (1,) * dims
    yield Tiling(layer, single)
    if layer.taps[0] > 1 and batch * layer.weights * layer.positions <= 4 * BLOCK:
        # Without shared rows, the whole layer is one large product.
        yield Tiling(layer.with_axis(), (1, *single))
    for tile in (2, 4, 8):
        if layer.taps[-1] > 1 and layer.out[-1] >= tile:
            yield Tiling(layer, (*single[:-1], tile))
            if tile < 8 and layer.taps[-2] > 1 and layer.out[-2] >= tile:
                yield Tiling(layer, (*single[:-2], tile, tile))


def work(tiling: Tiling, batch: int, slope: bool, last: bool) -> Work:
    """Return the work of this engine, or with `slope` of its gradient.

    `last`: the batch is innermost in memory.
    """
    layer, width = tiling.layer, tiling.width(batch)
    outputs = math.prod(tiling.tile)
    parts = len(tiling.parts(batch))
    cost = Work(calls=24 + 8 * parts + 4 * outputs)
    # The block is filled with zeros, then with the kernel once for each output.
    cost.copied += layer.groups * tiling.rows * tiling.depth
    weights = layer.groups * layer.outputs * layer.weights
    cost.copy(outputs * weights, run=math.prod(layer.taps[1:]))
    image = layer.groups * layer.inputs * math.prod(tiling.lengths) * batch
    # With one sample, the step of the tiles makes the copied entries non-contiguous.
    step = tiling.step[-1] if batch == 1 else 1
    run = batch * (tiling.grid[-1] if tiling.step[-1] == 1 or batch == 1 else 1)
    if last or batch == 1:
        cost.copy(image, run=tiling.lengths[-1] * batch)
    else:
        cost.transposed += image
    cost.keep(image)
    overlap = tiling.step[0] / tiling.patch[0] if tiling.overlaps else 1
    tiles = layer.groups * tiling.grid[0]
    cost.copy(tiles * tiling.depth * width * overlap, run=run, step=step)
    results = tiles * tiling.rows * width
    if slope and not last and batch > 1:
        cost.transposed += results
    if outputs > 1:
        cost.copy(results, run=batch)
    cost.products(tiles, tiling.rows, tiling.depth, width, long=slope)
    return cost

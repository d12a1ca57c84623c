"""Batch innermost: dense Toeplitz blocks of the matrix, the same everywhere, by patches as columns.

A tile of outputs, say 2 x 2 of them, reads a patch of the image. What takes the patch to the tile
is a small dense Toeplitz block, the same for every tile; one output alone is the smallest tile.
With the batch as last axis every copy is a long run. Along the first axis patches that overlap
are views: rows of columns are laid once, and a tile takes as many as its patch has rows.
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
from convalg.engine.layer import EngineLayer, Sizes

BLOCK = 1 << 20
"""Entries of the columns that are held at once."""
TOGETHER = 1 << 24
"""Entries of the extended images that are held at once."""


@dataclass(frozen=True)
class Tiling:
    """A layer cut into tiles of so many outputs on each axis."""

    layer: EngineLayer
    tile: Sizes

    @cached_property
    def grid(self) -> Sizes:
        """Tiles on each axis; the last ones may stand over."""
        return tuple(-(-o // t) for o, t in zip(self.layer.out, self.tile, strict=True))

    @cached_property
    def step(self) -> Sizes:
        """Samples from one tile to the next."""
        return tuple(t * s for t, s in zip(self.tile, self.layer.strides, strict=True))

    @cached_property
    def spacing(self) -> Sizes:
        """Samples between those of a patch: one, or for a single output those of its taps."""
        pairs = zip(self.tile, self.layer.dilations, strict=True)
        return tuple(d if t == 1 else 1 for t, d in pairs)

    @cached_property
    def patch(self) -> Sizes:
        """Samples that a tile reads, on each axis."""
        layer = self.layer
        spans = zip(self.tile, layer.taps, layer.strides, layer.dilations, strict=True)
        return tuple(
            k if t == 1 else int(transposed_size(t, k, s, d, 0, 0)) for t, k, s, d in spans
        )

    @cached_property
    def lengths(self) -> Sizes:
        """Sizes of the extended image, with what the last tiles stand over."""
        rows = zip(self.grid, self.patch, self.step, self.spacing, strict=True)
        return tuple(int(transposed_size(g, e, s, d, 0, 0)) for g, e, s, d in rows)

    @cached_property
    def rows(self) -> int:
        """Rows of the block of one group: the outputs of a tile."""
        return self.layer.outputs * math.prod(self.tile)

    @cached_property
    def depth(self) -> int:
        """Columns of the block: the samples of a patch."""
        return self.layer.inputs * math.prod(self.patch)

    @cached_property
    def overlaps(self) -> bool:
        """Whether the patches of neighbours along the first axis can share rows."""
        return self.spacing[0] == 1 and self.patch[0] > self.step[0]

    def corners(self) -> Iterator[tuple[slice | int, ...]]:
        """Where the kernel lies in the block (`_shape`), for each output of a tile."""
        layer = self.layer
        for place in product(*(range(t) for t in self.tile)):
            taps = [
                slice(0, k) if t == 1 else slice(o * s, o * s + (k - 1) * d + 1, d)
                for o, t, k, s, d in zip(
                    place, self.tile, layer.taps, layer.strides, layer.dilations, strict=True
                )
            ]
            yield (slice(None), slice(None), *place, taps[0], slice(None), *taps[1:])

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
        """The Toeplitz block (groups, rows, depth) of a kernel (groups, outputs, inputs, *taps).

        An `out` that held a block before holds zeros where they belong.
        """
        block = np.zeros(self._shape, dtype=kernel.dtype) if out is None else out
        block = block.reshape(self._shape)
        for corner in self.corners():
            block[corner] = kernel.swapaxes(2, 3)
        return block.reshape(self.layer.groups, self.rows, self.depth)

    def kernel(self, slope: Array) -> Array:
        """The adjoint of `block`: each weight takes the sum over its places in the block."""
        slope = slope.reshape(self._shape)
        found = sum(slope[corner] for corner in self.corners())
        return np.asarray(found).swapaxes(2, 3)

    def parts(self, batch: int, most: int = 0) -> list[tuple[int, int]]:
        """Rows of tiles that are done together, with `most` entries of columns or about BLOCK."""
        rows, each = self.grid[0], max(self.laid(2, batch) - self.laid(1, batch), 1)
        count = min(max((most or BLOCK) // each, 1), rows)
        return [(a, min(a + count, rows)) for a in range(0, rows, count)]

    def laid(self, rows: int, batch: int) -> int:
        """Entries of the columns of so many rows of tiles."""
        lines = rows * self.patch[0]
        if self.overlaps:
            lines = (rows - 1) * self.step[0] + self.patch[0]
        return self.layer.groups * lines * self.depth // self.patch[0] * self.width(batch)

    def width(self, batch: int) -> int:
        """Columns to a row of tiles."""
        return math.prod(self.grid[1:]) * batch

    def patches(self, image: Array, part: tuple[int, int]) -> Array:
        """The patches of some rows of tiles, which overlap, as a view that may be written.

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
        """The patches as columns: (groups, rows of tiles, depth, width), in `out` if given."""
        patches, width = self.patches(image, part), self.width(image.shape[-1])
        groups, count, lines = patches.shape[:3]
        if self.overlaps:
            # Each line of the image is laid once, and neighbours share it.
            lines = (count - 1) * self.step[0] + lines
            shape = (groups, 1, lines, *patches.shape[3:])
            patches = np.lib.stride_tricks.as_strided(patches, shape, patches.strides)
            count = 1
        laid: Array = np.empty(patches.size, dtype=image.dtype) if out is None else out
        laid = laid[: patches.size].reshape(patches.shape)
        np.copyto(laid, patches)
        if not self.overlaps:
            return laid.reshape(groups, count, self.depth, width)
        laid = laid.reshape(groups, lines, -1, width)
        return np.lib.stride_tricks.as_strided(
            laid,
            (groups, part[1] - part[0], self.depth, width),
            (laid.strides[0], laid.strides[1] * self.step[0], *laid.strides[2:]),
            writeable=False,
        )

    def add_patches(self, image: Array, part: tuple[int, int], patches: Array) -> None:
        """The adjoint of `columns`: patches (groups, rows of tiles, depth, width) added up."""
        view = self.patches(image, part)
        patches = patches.reshape(view.shape)
        # Samples of a patch no further apart than the tiles: of those no two tiles share one.
        along = [
            range(0, e, n if gap == 1 else 1)
            for e, n, gap in zip(self.patch, self.step, self.spacing, strict=True)
        ]
        for place in product(*along):
            first, *rest = (
                slice(p, p + (n if gap == 1 else 1))
                for p, n, gap in zip(place, self.step, self.spacing, strict=True)
            )
            at: Any = (slice(None), slice(None), first, slice(None), *rest)
            view[at] += patches[at]

    def images(self, x: Array) -> Iterator[tuple[Array, slice]]:
        """The extended images of some samples at a time, batch innermost, and which they are."""
        layer = self.layer
        each = layer.groups * layer.inputs * math.prod(self.lengths)
        count = max(TOGETHER // max(each, 1), 1)
        for start in range(0, len(x), count):
            here = slice(start, min(start + count, len(x)))
            last = np.moveaxis(x[here], 0, -1)
            shape = (layer.groups, layer.inputs, *self.lengths, last.shape[-1])
            yield layer.extend(last, 2, np.zeros(shape, dtype=x.dtype)), here

    def side_by_side(self, full: Array) -> Array:
        """Outputs (groups, outputs, *whole, batch) with axes of the tile and of the grid."""
        dims = len(self.tile)
        sizes = (n for pair in zip(self.grid, self.tile, strict=True) for n in pair)
        tiles = full.reshape(*full.shape[:2], *sizes, full.shape[-1])
        tile, grid = range(3, 2 * dims + 2, 2), range(2, 2 * dims + 2, 2)
        return tiles.transpose(0, 1, *tile, *grid, 2 * dims + 2)

    def upstream(self, g: Array) -> Array:
        """Outputs (groups, outputs, *out, batch) as rows: (groups, rows, rows of tiles, width)."""
        layer = self.layer
        if self.rows > layer.outputs:
            full = np.zeros((*g.shape[:2], *self.whole, g.shape[-1]), dtype=g.dtype)
            full[(slice(None), slice(None), *(slice(0, o) for o in layer.out))] = g
            g = self.side_by_side(full)
        return g.reshape(layer.groups, self.rows, self.grid[0], self.width(g.shape[-1]))

    @cached_property
    def whole(self) -> Sizes:
        """Outputs of whole tiles, on each axis."""
        return tuple(g * t for g, t in zip(self.grid, self.tile, strict=True))


def forward(shape: Sizes, tiling: Tiling, kernel: Array, x: Array) -> Array:
    """y (batch, groups, outputs, *shape), batch innermost in memory, from x."""
    layer, batch = tiling.layer, len(x)
    x = x.reshape(*x.shape[:3], *layer.sizes)
    block = tiling.block(kernel.reshape(*kernel.shape[:3], *layer.taps))[:, None]
    y = np.empty((layer.groups, layer.outputs, *tiling.whole, batch), dtype=x.dtype)
    single = math.prod(tiling.tile) == 1
    for image, here in tiling.images(x):
        for a, b in tiling.parts(image.shape[-1]):
            columns = tiling.columns(image, (a, b))
            if single and image.shape[-1] == batch:
                rows = y.reshape(layer.groups, layer.outputs, tiling.grid[0], -1)
                np.matmul(block, columns, out=rows[:, :, a:b].swapaxes(1, 2))
                continue
            found = np.matmul(block, columns)
            grid = (b - a, *tiling.grid[1:], image.shape[-1])
            found = found.swapaxes(1, 2).reshape(layer.groups, layer.outputs, *tiling.tile, *grid)
            at = (slice(None),) * (2 + len(tiling.tile)) + (slice(a, b),)
            tiling.side_by_side(y)[at][..., here] = found
    cut = tuple(slice(0, o) for o in layer.out)
    y = np.moveaxis(y[(slice(None), slice(None), *cut)], -1, 0)
    return y.reshape(*y.shape[:3], *shape)


def gradient(shape: Sizes, tiling: Tiling, x: Array, g: Array) -> Array:
    """dL/dw (groups, outputs, inputs, *shape), summed over the batch, from x and g = dL/dy."""
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
    found = tiling.kernel(slope)
    return found.reshape(*found.shape[:3], *shape)


def tilings(layer: EngineLayer, batch: int) -> Iterator[Tiling]:
    """The ways to tile a layer that may pay: without tiles, and with tiles on the last axes."""
    dims = len(layer.out)
    if dims == 1:
        layer, dims = layer.with_axis(), 2
    single = (1,) * dims
    yield Tiling(layer, single)
    if layer.taps[0] > 1 and batch * layer.weights * layer.positions <= 4 * BLOCK:
        # One large product, with no rows to share.
        yield Tiling(layer.with_axis(), (1, *single))
    for tile in (2, 4, 8):
        if layer.taps[-1] > 1 and layer.out[-1] >= tile:
            yield Tiling(layer, (*single[:-1], tile))
            if tile < 8 and layer.taps[-2] > 1 and layer.out[-2] >= tile:
                yield Tiling(layer, (*single[:-2], tile, tile))


def work(tiling: Tiling, batch: int, slope: bool, last: bool) -> Work:
    """What this engine does; `last` says that the batch is innermost in memory already."""
    layer, width = tiling.layer, tiling.width(batch)
    outputs = math.prod(tiling.tile)
    parts = len(tiling.parts(batch))
    found = Work(calls=24 + 8 * parts + 4 * outputs)
    # The block is zeroed, and takes the kernel once for each output.
    found.copied += layer.groups * tiling.rows * tiling.depth
    weights = layer.groups * layer.outputs * layer.weights
    found.copy(outputs * weights, run=math.prod(layer.taps[1:]))
    image = layer.groups * layer.inputs * math.prod(tiling.lengths) * batch
    # Of one sample a tile's step parts what lies side by side.
    step = tiling.step[-1] if batch == 1 else 1
    run = batch * (tiling.grid[-1] if tiling.step[-1] == 1 or batch == 1 else 1)
    if last or batch == 1:
        found.copy(image, run=tiling.lengths[-1] * batch)
    else:
        found.turned += image
    found.keep(image)
    overlap = tiling.step[0] / tiling.patch[0] if tiling.overlaps else 1
    tiles = layer.groups * tiling.grid[0]
    found.copy(tiles * tiling.depth * width * overlap, run=run, step=step)
    results = tiles * tiling.rows * width
    if slope and not last and batch > 1:
        found.turned += results
    if outputs > 1:
        found.copy(results, run=batch)
    found.products(tiles, tiling.rows, tiling.depth, width, long=slope)
    return found

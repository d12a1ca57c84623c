"""Convolutions as dense Toeplitz tiles: one block of the matrix, the same everywhere, one GEMM.

A tile of 2 x 2 outputs, say, reads a patch of the input. What takes the patch to the tile is a
small dense Toeplitz block, and it is the same for every tile of the layer, so that the layer is
the product of this block with the patches as columns. A pooling over the tile is then a maximum
over rows of the product.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from convalg.base import Array
from convalg.network.layers.convolution import Conv
from convalg.train.stages import Place, Stage

MOST_COLUMNS = 1 << 21
"""Entries of the columns that are held at once; a larger layer is done in parts."""
SMALL_PRODUCT = 10**6
"""Products of up to so many multiplications have a faster way in OpenBLAS."""
NARROW = 512, 32
"""Up to this many weights to an output, and this many outputs, a tile of several outputs pays:
the product is so thin that more rows cost less than fewer columns save."""


class Tiles(Stage):
    """A correlation layer; with `pool` the max-pooling over its tiles, with `relu` a ReLU behind.

    ReLU and maximum change places, which leaves values and gradients as they are.
    """

    def __init__(self, place: Place, *, pool: Sequence[int] = (), relu: bool = False) -> None:
        super().__init__(place)
        layer = place.layer
        assert isinstance(layer, Conv)
        axes = layer.geometry(place.shapes[0]).axes
        self.groups, self.pooled, self.relu = layer.groups, bool(pool), relu
        self.taps = [int(axis.taps) for axis in axes]  # type: ignore[arg-type]
        self.strides = [int(axis.stride) for axis in axes]
        self.dilations = [int(axis.dilation) for axis in axes]
        out = [int(axis.out_size) for axis in axes]  # type: ignore[arg-type]
        self.tile = list(pool) or self._tile(out)
        # Outputs that no pooling window takes are not computed.
        self.grid = [o // t if pool else -(-o // t) for o, t in zip(out, self.tile, strict=True)]
        self.step = [t * s for t, s in zip(self.tile, self.strides, strict=True)]
        self.patch = [
            s - st + (k - 1) * d + 1
            for s, st, k, d in zip(self.step, self.strides, self.taps, self.dilations, strict=True)
        ]
        before = [int(axis.before) for axis in axes]  # type: ignore[arg-type]
        self._allocate(before, out)

    def _tile(self, out: Sequence[int]) -> list[int]:
        """Two outputs along the last two axes where that pays, else one."""
        kernel = self.place.weights["kernel"].shape
        thin = math.prod(kernel[1:]) <= NARROW[0] and kernel[0] <= NARROW[1] and self.groups == 1
        last = len(out) - 2
        # With fewer taps than 4 more than half of the block would be zeros.
        fits = [
            thin and k >= last and taps >= 4 and stride == 1 and size > 1
            for k, (taps, stride, size) in enumerate(zip(self.taps, self.strides, out, strict=True))
        ]
        return [2 if fit else 1 for fit in fits]

    def _allocate(self, before: Sequence[int], out: Sequence[int]) -> None:
        place = self.place
        kernel = place.weights["kernel"].shape
        inputs, outputs = place.shapes[0][0], kernel[0]
        self.inner = (
            slice(None),
            *(slice(b, b + n) for b, n in zip(before, place.shapes[0][1:], strict=True)),
        )
        padded = [
            max((g - 1) * s + e, b + n)
            for g, s, e, b, n in zip(
                self.grid, self.step, self.patch, before, place.shapes[0][1:], strict=True
            )
        ]
        self.image = place.zeros(inputs, *padded)
        self.block = np.zeros((outputs, *self.tile, kernel[1], *self.patch), dtype=place.dtype)
        self.slope = np.empty_like(self.block)
        rest = math.prod(self.grid[1:])
        width = inputs * math.prod(self.patch) * rest
        together = max(1, MOST_COLUMNS // max(width * place.batch, 1))
        self.parts = [
            slice(a, min(a + together, self.grid[0])) for a in range(0, self.grid[0], together)
        ]
        self.columns = place.empty(width * min(together, self.grid[0]))
        self.product = place.empty(outputs, math.prod(self.tile), *self.grid)
        self.spread = np.empty_like(self.product)
        if self.pooled:
            self.largest = place.empty(outputs, *self.grid)
            self.hit, self.left = (np.empty(self.largest.shape, dtype=bool) for _ in range(2))
            self.y = np.empty_like(self.largest)
        elif self.product.shape[1] == 1:
            self.y = self.product[:, 0]
        else:
            # Of whole tiles; the last ones may stand over.
            sizes = (g * t for g, t in zip(self.grid, self.tile, strict=True))
            self.full = place.zeros(outputs, *sizes)
            self.y = self.full[(slice(None), *(slice(0, o) for o in out))]
        self.back = None if place.first else np.empty_like(self.image)
        self.column_gradient = None if place.first else np.empty_like(self.columns)

    # The block, its patches, and where their products lie.

    def _corners(self) -> Iterator[tuple[slice | int, ...]]:
        """Where the kernel lies in the block, for each output of the tile."""
        for place in product(*(range(t) for t in self.tile)):
            taps = (
                slice(o * s, o * s + (k - 1) * d + 1, d)
                for o, s, k, d in zip(place, self.strides, self.taps, self.dilations, strict=True)
            )
            yield (slice(None), *place, slice(None), *taps)

    def _grouped(self, block: Array) -> Array:
        """Rows are the outputs of a tile and columns the samples of its patch, by groups."""
        rows = block.shape[0] // self.groups * math.prod(self.tile)
        return block.reshape(self.groups, rows, -1)

    def _columns(self, part: slice, buffer: Array) -> tuple[Array, Array]:
        """A buffer for the patches of some tiles: (inputs, *patch, *grid, batch), and by groups."""
        shape = (len(self.image), *self.patch, part.stop - part.start, *self.grid[1:])
        patches = buffer.reshape(-1)[: math.prod(shape) * self.place.batch]
        tiles = math.prod(shape[1 + len(self.patch) :]) * self.place.batch
        return patches.reshape(*shape, self.place.batch), patches.reshape(self.groups, -1, tiles)

    def _patches(self, image: Array, part: slice) -> Array:
        """The patches of some tiles, which overlap, as a view of the image."""
        image = image[:, part.start * self.step[0] :]
        grid, space = (part.stop - part.start, *self.grid[1:]), image.strides[1:-1]
        steps = (s * n for s, n in zip(space, self.step, strict=True))
        return np.lib.stride_tricks.as_strided(
            image,
            (len(image), *self.patch, *grid, image.shape[-1]),
            (image.strides[0], *space, *steps, image.strides[-1]),
        )

    def _read(self, part: slice) -> Array:
        """The patches of some tiles as columns, by groups."""
        patches, columns = self._columns(part, self.columns)
        np.copyto(patches, self._patches(self.image, part))
        return columns

    def _of(self, data: Array, part: slice) -> Array:
        """The columns of some tiles in an array like the product, by groups."""
        columns = data.reshape(self.groups, -1, data[0, 0].size)
        width = columns.shape[-1] // max(self.grid[0], 1)
        return columns[:, :, part.start * width : part.stop * width]

    def _rows(self, matrix: Array, part: slice) -> Array:
        """The columns of a matrix cut at every row of tiles where such products are small."""
        count, last = part.stop - part.start, matrix.shape[-1]
        small = self.block.size // self.groups * last <= SMALL_PRODUCT * count
        cut = count if small and last else 1
        return matrix.reshape(*matrix.shape[:-1], cut, last // cut).swapaxes(-2, -3)

    def _side_by_side(self) -> Array:
        """The outputs as tiles: a view of the product's shape, its rows as axes."""
        dims = len(self.tile)
        sizes = (n for pair in zip(self.grid, self.tile, strict=True) for n in pair)
        tiles = self.full.reshape(len(self.full), *sizes, self.place.batch)
        order = [0, *range(2, 2 * dims + 1, 2), *range(1, 2 * dims, 2), 2 * dims + 1]
        return tiles.transpose(order)

    # Forward and back.

    def forward(self, *inputs: Array) -> Array:
        self.image[self.inner] = inputs[0]
        for corner in self._corners():
            self.block[corner] = self.place.weights["kernel"]
        block = self._grouped(self.block)[:, None]
        for part in self.parts:
            found = self._rows(self._of(self.product, part), part)
            np.matmul(block, self._rows(self._read(part), part), out=found)
        self._pool()
        if "bias" in self.place.weights:
            bias = self.place.weights["bias"].reshape((-1,) + (1,) * (self.y.ndim - 1))
            # What the largest was is kept: backward looks for it.
            np.add(self.largest if self.pooled else self.y, bias, out=self.y)
        if self.relu:
            np.maximum(self.y, 0, out=self.y)
        return self.y

    def _pool(self) -> None:
        """From the product to y: the maximum over the tiles, or the tiles side by side."""
        if self.pooled:
            first, second, *others = self.product.swapaxes(0, 1)
            np.maximum(first, second, out=self.largest)
            for row in others:
                np.maximum(self.largest, row, out=self.largest)
            if "bias" not in self.place.weights:
                self.y[...] = self.largest
        elif self.product.shape[1] > 1:
            tiles = self._side_by_side()
            tiles[...] = self.product.reshape(tiles.shape)

    def _upstream(self, g: Array) -> Array:
        """dL/d(product) from dL/dy: to the winner of each tile, or tile by tile."""
        if self.relu:
            g = g * (self.y > 0)
        if "bias" in self.place.gradients:
            np.sum(g, axis=tuple(range(1, g.ndim)), out=self.place.gradients["bias"])
        if self.product.shape[1] == 1:
            self.spread[:, 0] = g
            return self.spread
        if not self.pooled:
            # What stands over is zero, and stays so.
            self.full[...] = 0
            self.y[...] = g
            tiles = self._side_by_side()
            self.spread.reshape(tiles.shape)[...] = tiles
            return self.spread
        self.left.fill(True)
        *others, last = range(self.product.shape[1])
        for row in others:
            np.equal(self.product[:, row], self.largest, out=self.hit)
            # Of equal ones the first takes all.
            np.logical_and(self.hit, self.left, out=self.hit)
            np.logical_xor(self.left, self.hit, out=self.left)
            np.multiply(g, self.hit, out=self.spread[:, row])
        np.multiply(g, self.left, out=self.spread[:, last])
        return self.spread

    def backward(self, g: Array) -> Sequence[Array | None]:
        upstream, block = self._upstream(g), self._grouped(self.block).transpose(0, 2, 1)
        # The longer side first, which is faster.
        slope = self._grouped(self.slope).transpose(0, 2, 1)
        slope[...] = 0
        if self.back is not None:
            self.back.fill(0)
        for part in self.parts:
            # The columns of the last part are still there.
            columns = self._columns(part, self.columns)[1]
            if len(self.parts) > 1:
                columns = self._read(part)
            here = self._rows(self._of(upstream, part), part)
            slope += np.matmul(self._rows(columns, part), here.swapaxes(-1, -2)).sum(axis=1)
            if self.back is not None and self.column_gradient is not None:
                patches, each = self._columns(part, self.column_gradient)
                np.matmul(block[:, None], here, out=self._rows(each, part))
                self._add_patches(self.back, patches, part)
        gradient = self.place.gradients["kernel"]
        gradient[...] = 0
        for corner in self._corners():
            gradient += self.slope[corner]
        return (None if self.back is None else self.back[self.inner],)

    def _add_patches(self, image: Array, patches: Array, part: slice) -> None:
        """Add patches where they lie in the image: of a step's samples none overlap."""
        view = self._patches(image, part)
        steps = (range(0, e, s) for e, s in zip(self.patch, self.step, strict=True))
        for place in product(*steps):
            at: Any = (
                slice(None),
                *(slice(a, a + s) for a, s in zip(place, self.step, strict=True)),
            )
            view[at] += patches[at]

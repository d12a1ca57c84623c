"""Convolutions as dense Toeplitz tiles, merged with a following max-pooling and ReLU.

The `Tiling` of the engine defines how a layer is split; here its buffers are allocated once, and a
pooling over the tile is a maximum over rows of the product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from convalg.arrays import Array
from convalg.engine.layer import EngineLayer, layer_of_geometry
from convalg.engine.tiles import Tiling
from convalg.network.layers.convolution import Conv
from convalg.train.stages import PlacedLayer, Stage

MOST_COLUMNS = 1 << 21
"""The most entries of the columns in memory at once; a larger layer is processed in parts."""
NARROW = 512, 32
"""The most weights per output, and the most output channels, for which a tile of several outputs is
faster: the product is so thin that additional rows cost less than the saved columns."""


class TilesStage(Stage):
    """A correlation layer, merged with a max-pooling (`pool`) and with a ReLU (`relu`) after it.

    `pool` is the size of the pooling windows, which are then the tiles; it is empty without a
    pooling. The ReLU is applied after the maximum, which does not change values or gradients.
    """

    def __init__(
        self, placed: PlacedLayer, *, pool: Sequence[int] = (), relu: bool = False
    ) -> None:
        super().__init__(placed)
        conv = placed.layer
        assert isinstance(conv, Conv)
        self.pooled, self.relu = bool(pool), relu
        layer = layer_of_geometry(conv.geometry(placed.shapes[0])).layer
        tile = tuple(pool) or self._tile(layer)
        if pool:
            # Outputs outside every pooling window are not computed.
            out = tuple(o // t * t for o, t in zip(layer.out, tile, strict=True))
            layer = replace(layer, out=out)
        if len(tile) == 1:
            layer, tile = layer.with_axis(), (1, *tile)
        self.tiling = Tiling(layer, tile)
        self._allocate()

    def _tile(self, layer: EngineLayer) -> tuple[int, ...]:
        """Return the tile: two outputs along each of the last two axes if faster, else one."""
        thin = layer.weights <= NARROW[0] and layer.outputs <= NARROW[1] and layer.groups == 1
        last = len(layer.out) - 2
        # With fewer than 4 taps, more than half of the block would be zeros.
        fits = [
            thin and k >= last and taps >= 4 and stride == 1 and size > 1
            for k, (taps, stride, size) in enumerate(
                zip(layer.taps, layer.strides, layer.out, strict=True)
            )
        ]
        return tuple(2 if fit else 1 for fit in fits)

    def _allocate(self) -> None:
        placed, tiling, layer = self.placed, self.tiling, self.tiling.layer
        self.image = placed.zeros(layer.groups, layer.inputs, *tiling.lengths)
        kernel = np.zeros((layer.groups, layer.outputs, layer.inputs, *layer.taps), placed.dtype)
        self.block = tiling.block(kernel)
        self.parts = tiling.parts(placed.batch, MOST_COLUMNS)
        rows, width = max(b - a for a, b in self.parts), tiling.width(placed.batch)
        self.columns = np.empty(tiling.entries(rows, placed.batch), dtype=placed.dtype)
        self.product = placed.empty(layer.groups, tiling.rows, *tiling.grid)
        self.spread = np.empty_like(self.product)
        self.back = None if placed.first else np.empty_like(self.image)
        shape = layer.groups, rows, tiling.depth, width
        self.column_gradient = np.empty(0 if placed.first else shape, dtype=placed.dtype)
        outputs, dims = layer.groups * layer.outputs, len(placed.out_shape) - 1
        if self.pooled:
            # A layer with a single axis has an additional axis in front.
            self.largest = placed.empty(outputs, *tiling.grid[-dims:])
            self.hit, self.left = (np.empty(self.largest.shape, dtype=bool) for _ in range(2))
            self.y = np.empty_like(self.largest)
        elif math.prod(tiling.tile) == 1:
            self.y = self.product.reshape(outputs, *tiling.grid[-dims:], placed.batch)
        else:
            # The outputs of complete tiles, the last of which may extend beyond the output.
            self.full = placed.zeros(layer.groups, layer.outputs, *tiling.covered)
            cut = tuple(slice(0, o) for o in layer.out[-dims:])
            full = self.full.reshape(outputs, *tiling.covered[-dims:], placed.batch)
            self.y = full[(slice(None), *cut)]

    def _kernel(self, array: Array) -> Array:
        """Reshape the kernel, or its gradient, to (groups, outputs, inputs, *taps)."""
        layer = self.tiling.layer
        return array.reshape(layer.groups, layer.outputs, layer.inputs, *layer.taps)

    def _rows(self, data: Array, part: tuple[int, int]) -> Array:
        """Return the rows of one part of an array in the shape of the product.

        The result has the shape (groups, rows of tiles, rows of the block, width).
        """
        tiling, (a, b) = self.tiling, part
        rows = data.reshape(tiling.layer.groups, tiling.rows, tiling.grid[0], -1)
        return rows[:, :, a:b].swapaxes(1, 2)

    def _by_output(self, data: Array) -> Array:
        """Reshape an array in the shape of the product to (outputs, tile, *grid, batch)."""
        return data.reshape(len(self.y), math.prod(self.tiling.tile), *self._grid())

    def _grid(self) -> tuple[int, ...]:
        dims = len(self.placed.out_shape) - 1
        return (*self.tiling.grid[-dims:], self.placed.batch)

    # Forward and backward.

    def forward(self, *inputs: Array) -> Array:
        tiling, layer = self.tiling, self.tiling.layer
        shape = layer.groups, layer.inputs, *layer.sizes, self.placed.batch
        layer.extend(inputs[0].reshape(shape), 2, self.image)
        block = tiling.block(self._kernel(self.placed.weights["kernel"]), self.block)[:, None]
        for part in self.parts:
            columns = tiling.columns(self.image, part, self.columns)
            np.matmul(block, columns, out=self._rows(self.product, part))
        self._pool()
        if "bias" in self.placed.weights:
            bias = self.placed.weights["bias"].reshape((-1,) + (1,) * (self.y.ndim - 1))
            # The maxima stay unchanged: `backward` compares with them.
            np.add(self.largest if self.pooled else self.y, bias, out=self.y)
        if self.relu:
            np.maximum(self.y, 0, out=self.y)
        return self.y

    def _pool(self) -> None:
        """Compute y from the product: the maxima of the tiles, or the tiles side by side."""
        if self.pooled:
            first, second, *others = self._by_output(self.product).swapaxes(0, 1)
            np.maximum(first, second, out=self.largest)
            for row in others:
                np.maximum(self.largest, row, out=self.largest)
            if "bias" not in self.placed.weights:
                self.y[...] = self.largest
        elif math.prod(self.tiling.tile) > 1:
            tiles = self.tiling.side_by_side(self.full)
            tiles[...] = self.product.reshape(tiles.shape)

    def _upstream(self, g: Array) -> Array:
        """Return dL/d(product) from dL/dy; with a pooling, only the maximum of a tile gets it."""
        if self.relu:
            g = g * (self.y > 0)
        if "bias" in self.placed.gradients:
            np.sum(g, axis=tuple(range(1, g.ndim)), out=self.placed.gradients["bias"])
        spread = self._by_output(self.spread)
        if math.prod(self.tiling.tile) == 1:
            spread[:, 0] = g
            return self.spread
        if not self.pooled:
            # The part of the tiles beyond the output is zero and stays zero.
            self.full[...] = 0
            self.y[...] = g
            tiles = self.tiling.side_by_side(self.full)
            self.spread.reshape(tiles.shape)[...] = tiles
            return self.spread
        by_output = self._by_output(self.product)
        self.left.fill(True)
        *others, last = range(by_output.shape[1])
        for row in others:
            np.equal(by_output[:, row], self.largest, out=self.hit)
            # Of equal maxima the first gets the gradient.
            np.logical_and(self.hit, self.left, out=self.hit)
            np.logical_xor(self.left, self.hit, out=self.left)
            np.multiply(g, self.hit, out=spread[:, row])
        np.multiply(g, self.left, out=spread[:, last])
        return self.spread

    def backward(self, g: Array) -> Sequence[Array | None]:
        tiling, upstream = self.tiling, self._upstream(g)
        block = self.block.swapaxes(1, 2)[:, None]
        # The product is faster with the longer axis first.
        slope = np.zeros((len(block), tiling.depth, tiling.rows), dtype=self.placed.dtype)
        if self.back is not None:
            self.back.fill(0)
        columns: Array | None = None
        for part in self.parts:
            if columns is None or len(self.parts) > 1:
                columns = tiling.columns(self.image, part, self.columns)
            upstream_part = self._rows(upstream, part)
            slope += np.matmul(columns, upstream_part.swapaxes(-1, -2)).sum(axis=1)
            if self.back is not None:
                each = self.column_gradient[:, : part[1] - part[0]]
                np.matmul(block, upstream_part, out=each)
                tiling.add_patches(self.back, part, each)
        self._kernel(self.placed.gradients["kernel"])[...] = tiling.kernel(slope.swapaxes(1, 2))
        if self.back is None:
            return (None,)
        return (tiling.layer.shrink(self.back, 2).reshape(*self.placed.shapes[0], -1),)

"""Winograd's F(2 x 2, 3 x 3): four outputs of a 3 x 3 kernel by 16 products instead of 36.

For floats: the transforms add up to four numbers on each side before the product, which costs
some digits. Source: Lavin & Gray, Fast algorithms for convolutional neural networks, section 4.1.
"""

from __future__ import annotations

import math

import numpy as np

from convalg.engine.arithmetic import Array
from convalg.engine.cost import Work
from convalg.engine.layer import EngineLayer

TOGETHER = 1 << 20
"""Entries of the transformed image that are held at once."""
KERNEL = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
"""G of the source: w becomes G w G^T."""


def fits(layer: EngineLayer) -> bool:
    """Whether it is a 3 x 3 kernel without stride or dilation."""
    return layer.taps == (3, 3) and layer.strides == (1, 1) and layer.dilations == (1, 1)


def forward(layer: EngineLayer, kernel: Array, x: Array) -> Array:
    """y (batch, groups, outputs, *out) from x (batch, groups, inputs, *sizes)."""
    g = KERNEL.astype(kernel.real.dtype)
    weights = np.einsum("ia,jb,gocab->ijgoc", g, g, kernel, optimize=True)
    grid = tuple(-(-o // 2) for o in layer.out)
    # Rows and columns, even and odd ones apart, so that all further reads are runs.
    image = np.zeros((layer.groups, layer.inputs, 2 * grid[0] + 2, 2 * grid[1] + 2), x.dtype)
    y = np.empty((len(x), layer.groups, layer.outputs, *layer.out), dtype=x.dtype)
    whole = np.empty((layer.groups, layer.outputs, 2 * grid[0], 2 * grid[1]), dtype=x.dtype)
    shape = (4, 4, layer.groups, layer.inputs, math.prod(grid))
    tiles = np.empty((4, 4, layer.groups, layer.inputs, *grid), dtype=x.dtype)
    for sample in range(len(x)):
        layer.extend(x[sample], 2, image)
        parts = [[np.ascontiguousarray(image[..., r::2, c::2]) for c in (0, 1)] for r in (0, 1)]
        rows = [
            _four([parts[r % 2][c][..., r // 2 : r // 2 + grid[0], :] for r in range(4)])
            for c in (0, 1)
        ]
        for i in range(4):
            cut = [rows[c % 2][i][..., c // 2 : c // 2 + grid[1]] for c in range(4)]
            for j, found in enumerate(_four(cut)):
                tiles[i, j] = found
        product = np.matmul(weights, tiles.reshape(shape))
        half = _two(product)
        for r, each in enumerate(half):
            for c, found in enumerate(_two(each)):
                whole[..., r::2, c::2] = found.reshape(layer.groups, layer.outputs, *grid)
        y[sample] = whole[..., : layer.out[0], : layer.out[1]]
    return y


def _four(d: list[Array]) -> tuple[Array, Array, Array, Array]:
    """B^T d of the source, along one axis."""
    return d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]


def _two(m: Array) -> tuple[Array, Array]:
    """A^T m of the source, along the first axis."""
    middle = m[1] + m[2]
    return m[0] + middle, m[1] - m[2] - m[3]


def work(layer: EngineLayer, batch: int) -> Work:
    """What this engine does; see `cost.Work`."""
    grid = math.prod(-(-o // 2) for o in layer.out)
    found = Work(calls=20 + 70 * batch)
    found.copy(2 * batch * layer.groups * layer.inputs * 4 * grid, 2)
    found.added += batch * layer.groups * (40 * layer.inputs + 24 * layer.outputs) * grid
    found.copy(batch * layer.groups * layer.outputs * 4 * grid, 2)
    found.products(batch * layer.groups * 16, layer.outputs, layer.inputs, grid)
    return found

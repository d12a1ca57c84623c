"""Stages that multiply by the sparse matrix of a layer.

A convolution is a CSR matrix, which is created once and refilled with each new kernel. A
max-pooling is the selection matrix of its maxima; a ReLU or a dropout is a diagonal matrix.
Back-propagation multiplies by the transposed matrix. The gradient of a kernel is the product of g
with the samples of x that each tap reads, for which the pattern of the layer gives the unfolding
matrix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy.sparse

from convalg.arrays import Array
from convalg.axis import Axis
from convalg.network.layers.convolution import Conv, ConvTranspose
from convalg.operators.leaves import Convolution
from convalg.pattern.pattern import label_block
from convalg.size import size_product
from convalg.train.stages import DropoutStage, MaxPoolStage, PlacedLayer, Stage


def diagonal(values: Array) -> scipy.sparse.dia_array:
    """Return the diagonal matrix of the entries of an array in row-major order."""
    return scipy.sparse.dia_array((values.reshape(1, -1), [0]), shape=(values.size, values.size))


class SparseLayerStage(Stage):
    """A correlation layer, or a transposed layer, as a CSR matrix whose values are refilled."""

    def __init__(self, placed: PlacedLayer) -> None:
        super().__init__(placed)
        layer = placed.layer
        assert isinstance(layer, Conv | ConvTranspose)
        self.is_transposed = isinstance(layer, ConvTranspose)
        self.operator = Convolution(layer.geometry(placed.shapes[0]), placed.weights["kernel"])
        self.matrix = self.operator.to_scipy(dtype=placed.dtype)
        self.windows = _windows(self.operator, placed.dtype)
        self.x: Array = np.empty(0)

    def forward(self, *inputs: Array) -> Array:
        placed, kernel = self.placed, self.placed.weights["kernel"]
        self.operator.pattern.csr_values(kernel, self.matrix.data)
        self.x = inputs[0].reshape(-1, placed.batch)
        matrix = self.matrix.T if self.is_transposed else self.matrix
        y: Array = (matrix @ self.x).reshape(*placed.out_shape, placed.batch)
        if "bias" in placed.weights:
            y += placed.weights["bias"].reshape((-1,) + (1,) * (y.ndim - 1))
        return y

    def backward(self, g: Array) -> Sequence[Array | None]:
        placed = self.placed
        if "bias" in placed.gradients:
            np.sum(g, axis=tuple(range(1, g.ndim)), out=placed.gradients["bias"])
        upstream = g.reshape(-1, placed.batch)
        self._kernel_gradient(upstream)
        if placed.first:
            return (None,)
        matrix = self.matrix if self.is_transposed else self.matrix.T
        return ((matrix @ upstream).reshape(*placed.shapes[0], placed.batch),)

    def _kernel_gradient(self, upstream: Array) -> None:
        """Write the gradient of the kernel; a transposed layer exchanges inputs and outputs."""
        gradient = self.placed.gradients["kernel"]
        after, before = (self.x, upstream) if self.is_transposed else (upstream, self.x)
        groups, outputs, inputs = self.operator.geometry.channels
        taps = math.prod(gradient.shape[2:])
        read = (self.windows @ before).reshape(groups, inputs * taps, -1)
        each = np.matmul(read, after.reshape(groups, outputs, -1).swapaxes(1, 2))
        gradient[...] = each.swapaxes(1, 2).reshape(gradient.shape)


def _windows(operator: Convolution, dtype: np.dtype) -> scipy.sparse.csr_array:
    """Return the unfolding matrix of a layer, with one row for each tap and output position.

    Its non-zeros are those of the pattern for one output channel of each group; the rows are
    ordered by group, input channel, tap and output position.
    """
    geometry = operator.geometry
    groups, _, inputs = geometry.channels
    block = label_block(geometry)
    positions, size = (int(size_product(n)) for n in (geometry.out_spatial, geometry.taps))
    position = np.repeat(np.arange(positions), np.diff(block.indptr))
    group = np.arange(groups)[:, None]
    rows = (group * inputs * size + block.labels) * positions + position
    columns = group * inputs * int(size_product(geometry.in_spatial)) + block.columns
    shape = groups * inputs * size * positions, int(size_product(geometry.in_shape))
    ones = np.ones(rows.size, dtype=dtype)
    return scipy.sparse.coo_array((ones, (rows.ravel(), columns.ravel())), shape=shape).tocsr()


class SparseMaxPoolStage(MaxPoolStage):
    """A max-pooling as the 0/1 matrix that selects the maxima of every sample."""

    def __init__(self, placed: PlacedLayer, axes: Sequence[Axis]) -> None:
        super().__init__(placed, axes)
        size = math.prod(placed.shapes[0]) * placed.batch
        kind = scipy.sparse.get_index_dtype(maxval=size)
        # Padding is never the maximum, so its index may have any value.
        index = np.zeros(self.windows.padded.shape, dtype=kind)
        self.windows.layer.extend(
            np.arange(size).reshape(*placed.shapes[0], placed.batch), 1, index
        )
        self.index = [index[tap] for tap in self.windows.taps()]
        ones = np.ones(self.y.size, dtype=placed.dtype)
        columns, ends = np.zeros(self.y.size, kind), np.arange(self.y.size + 1, dtype=kind)
        self.matrix = scipy.sparse.csr_array((ones, columns, ends), shape=(self.y.size, size))

    def forward(self, *inputs: Array) -> Array:
        y = super().forward(*inputs)
        columns = self.matrix.indices.reshape(y.shape)
        columns.fill(0)
        for index, hit in zip(self.index, self.hits, strict=True):
            columns += index * hit
        selected: Array = self.matrix @ np.ascontiguousarray(inputs[0]).reshape(-1)
        return selected.reshape(y.shape)

    def backward(self, g: Array) -> Sequence[Array | None]:
        back = self.matrix.T @ g.reshape(-1)
        return (back.reshape(*self.placed.shapes[0], self.placed.batch),)


class SparseReLUStage(Stage):
    """A ReLU as a diagonal matrix with ones where the input is positive."""

    def forward(self, *inputs: Array) -> Array:
        (x,) = inputs
        self.matrix = diagonal((x > 0).astype(x.dtype))
        y: Array = self.matrix @ x.reshape(-1)
        return y.reshape(x.shape)

    def backward(self, g: Array) -> Sequence[Array | None]:
        return ((self.matrix @ g.reshape(-1)).reshape(g.shape),)


class SparseDropoutStage(DropoutStage):
    """A dropout as the diagonal matrix of its factors."""

    def forward(self, *inputs: Array) -> Array:
        (x,) = inputs
        factors = self.draw(x)
        self.mask = np.ones_like(x) if factors is None else factors
        self.matrix = diagonal(self.mask)
        y: Array = self.matrix @ x.reshape(-1)
        return y.reshape(x.shape)

    def backward(self, g: Array) -> Sequence[Array | None]:
        return ((self.matrix @ g.reshape(-1)).reshape(g.shape),)

"""Layers as the sparse matrices that they are: the algebra as written.

A convolution is its CSR matrix, made once and refilled; back-propagation is the transposed
matrix; a max-pooling is the selection of its winners, a ReLU or a dropout a diagonal; and the
gradient of a kernel is g times what the pattern reads of x, row by row of its labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

from convalg.arrays import Array
from convalg.axis import Axis
from convalg.network.layers.convolution import Conv, ConvTranspose
from convalg.operators.leaves import Convolution
from convalg.pattern.pattern import label_block
from convalg.size import size_product
from convalg.train.stages import DropoutStage, MaxPoolStage, Place, Stage


def diagonal(values: Array) -> scipy.sparse.dia_array:
    """The diagonal matrix of an array's entries, row by row."""
    return scipy.sparse.dia_array((values.reshape(1, -1), [0]), shape=(values.size, values.size))


class SparseLayerStage(Stage):
    """A correlation layer, or a transposed one, as a CSR matrix whose values are refilled."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        layer = place.layer
        assert isinstance(layer, Conv | ConvTranspose)
        self.turned = isinstance(layer, ConvTranspose)
        self.operator = Convolution(layer.geometry(place.shapes[0]), place.weights["kernel"])
        self.matrix = self.operator.to_scipy(dtype=place.dtype)
        self.windows = _windows(self.operator, place.dtype)
        self.x: Array = np.empty(0)

    def forward(self, *inputs: Array) -> Array:
        place, kernel = self.place, self.place.weights["kernel"]
        self.operator.pattern.csr_values(kernel, self.matrix.data)
        self.x = inputs[0].reshape(-1, place.batch)
        matrix = self.matrix.T if self.turned else self.matrix
        y = (matrix @ self.x).reshape(*place.out_shape, place.batch)
        if "bias" in place.weights:
            y += place.weights["bias"].reshape((-1,) + (1,) * (y.ndim - 1))
        return y

    def backward(self, g: Array) -> Sequence[Array | None]:
        place = self.place
        if "bias" in place.gradients:
            np.sum(g, axis=tuple(range(1, g.ndim)), out=place.gradients["bias"])
        upstream = g.reshape(-1, place.batch)
        self._kernel_gradient(upstream)
        if place.first:
            return (None,)
        matrix = self.matrix if self.turned else self.matrix.T
        return ((matrix @ upstream).reshape(*place.shapes[0], place.batch),)

    def _kernel_gradient(self, upstream: Array) -> None:
        """Of the correlation: a transposed layer reads what it writes."""
        gradient = self.place.gradients["kernel"]
        after, before = (self.x, upstream) if self.turned else (upstream, self.x)
        groups, outputs, inputs = self.operator.geometry.channels
        taps = math.prod(gradient.shape[2:])
        read = (self.windows @ before).reshape(groups, inputs * taps, -1)
        each = np.matmul(read, after.reshape(groups, outputs, -1).swapaxes(1, 2))
        gradient[...] = each.swapaxes(1, 2).reshape(gradient.shape)


def _windows(operator: Convolution, dtype: Any) -> scipy.sparse.csr_array:
    """What each tap reads at each output, whatever its weight: a row for every tap and place.

    The rows of the pattern for one output channel of each group, in the order of their labels.
    """
    geometry = operator.geometry
    groups, _, inputs = geometry.channels
    block = label_block(geometry)
    places, size = (int(size_product(n)) for n in (geometry.out_spatial, geometry.taps))
    place = np.repeat(np.arange(places), np.diff(block.indptr))
    group = np.arange(groups)[:, None]
    rows = (group * inputs * size + block.labels) * places + place
    columns = group * inputs * int(size_product(geometry.in_spatial)) + block.columns
    shape = groups * inputs * size * places, int(size_product(geometry.in_shape))
    ones = np.ones(rows.size, dtype=dtype)
    return scipy.sparse.coo_array((ones, (rows.ravel(), columns.ravel())), shape=shape).tocsr()


class SparseMaxPoolStage(MaxPoolStage):
    """A max-pooling as the 0/1 matrix that selects the winners of every sample."""

    def __init__(self, place: Place, axes: Sequence[Axis]) -> None:
        super().__init__(place, axes)
        size = math.prod(place.shapes[0]) * place.batch
        kind = scipy.sparse.get_index_dtype(maxval=size)
        # What is padded never wins.
        index = np.zeros(self.windows.padded.shape, dtype=kind)
        self.windows.layer.extend(np.arange(size).reshape(*place.shapes[0], place.batch), 1, index)
        self.index = [index[tap] for tap in self.windows.taps()]
        ones = np.ones(self.y.size, dtype=place.dtype)
        columns, ends = np.zeros(self.y.size, kind), np.arange(self.y.size + 1, dtype=kind)
        self.matrix = scipy.sparse.csr_array((ones, columns, ends), shape=(self.y.size, size))

    def forward(self, *inputs: Array) -> Array:
        y = super().forward(*inputs)
        columns = self.matrix.indices.reshape(y.shape)
        columns.fill(0)
        for index, hit in zip(self.index, self.hits, strict=True):
            columns += index * hit
        return (self.matrix @ np.ascontiguousarray(inputs[0]).reshape(-1)).reshape(y.shape)

    def backward(self, g: Array) -> Sequence[Array | None]:
        back = self.matrix.T @ g.reshape(-1)
        return (back.reshape(*self.place.shapes[0], self.place.batch),)


class SparseReLUStage(Stage):
    """A ReLU as the diagonal of where the input is positive."""

    def forward(self, *inputs: Array) -> Array:
        (x,) = inputs
        self.matrix = diagonal((x > 0).astype(x.dtype))
        return (self.matrix @ x.reshape(-1)).reshape(x.shape)

    def backward(self, g: Array) -> Sequence[Array | None]:
        return ((self.matrix @ g.reshape(-1)).reshape(g.shape),)


class SparseDropoutStage(DropoutStage):
    """A dropout as the diagonal of its factors."""

    def forward(self, *inputs: Array) -> Array:
        (x,) = inputs
        factors = self.draw(x)
        self.mask = np.ones_like(x) if factors is None else factors
        self.matrix = diagonal(self.mask)
        return (self.matrix @ x.reshape(-1)).reshape(x.shape)

    def backward(self, g: Array) -> Sequence[Array | None]:
        return ((self.matrix @ g.reshape(-1)).reshape(g.shape),)

"""Layers as the sparse matrices that they are: the algebra as written.

A convolution is its CSR matrix, made once and refilled; back-propagation is the transposed
matrix; a max-pooling is the selection of its winners, a ReLU or a dropout a diagonal; and the
gradient of a kernel is g x^T, read at the non-zeros and added up by their labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy.sparse

from convalg.axis import Axis
from convalg.base import Array
from convalg.network.layers.convolution import Conv, ConvTranspose
from convalg.operators import Convolution
from convalg.train.stages import Dropout, Largest, Place, Stage

MOST_OUTER = 1 << 23
"""Entries of g x^T that are held; the kernel of a larger layer takes its gradient from B(x)."""


def diagonal(values: Array) -> scipy.sparse.csr_array:
    """The diagonal matrix of an array's entries, row by row."""
    count = values.size
    return scipy.sparse.csr_array(
        (values.reshape(-1), np.arange(count), np.arange(count + 1)), shape=(count, count)
    )


class MatrixLayer(Stage):
    """A correlation layer, or a transposed one, as a CSR matrix whose values are refilled."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        layer = place.layer
        assert isinstance(layer, Conv | ConvTranspose)
        self.turned = isinstance(layer, ConvTranspose)
        geometry = layer.geometry(place.shapes[0])
        self.operator = Convolution(geometry, place.weights["kernel"])
        self.matrix = self.operator.to_scipy(dtype=place.dtype)
        self.x: Array = np.empty(0)
        rows, columns = self.matrix.shape
        self.by_label: scipy.sparse.csr_array | None = None
        if rows * columns <= MOST_OUTER:
            row, column, label = self.operator.pattern.triples().T
            self.places = row * columns + column
            order = np.argsort(label, kind="stable")
            ends = np.searchsorted(label[order], np.arange(self.operator.weights.size + 1))
            ones = np.ones(len(order), dtype=place.dtype)
            self.by_label = scipy.sparse.csr_array(
                (ones, order, ends), shape=(self.operator.weights.size, len(order))
            )

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
        place.gradients["kernel"][...] = self._kernel_gradient(upstream)
        if place.first:
            return (None,)
        matrix = self.matrix if self.turned else self.matrix.T
        return ((matrix @ upstream).reshape(*place.shapes[0], place.batch),)

    def _kernel_gradient(self, upstream: Array) -> Array:
        """Of the correlation: a transposed layer reads what it writes."""
        shape = self.operator.weights.shape
        after, before = (self.x, upstream) if self.turned else (upstream, self.x)
        if self.by_label is not None:
            outer = after @ before.T
            return (self.by_label @ outer.reshape(-1)[self.places]).reshape(shape)
        pairs = ((before, self.operator.in_shape), (after, self.operator.out_shape))
        return self.operator.kernel_gradient(*(a.T.reshape(-1, *shape) for a, shape in pairs))


class Selection(Largest):
    """A max-pooling as the 0/1 matrix that selects the winners of every sample."""

    def __init__(self, place: Place, axes: Sequence[Axis]) -> None:
        super().__init__(place, axes)
        size = math.prod(place.shapes[0]) * place.batch
        index = np.full(self.windows.padded.shape, -1)
        index[self.windows.inner] = np.arange(size).reshape(*place.shapes[0], place.batch)
        self.index = np.stack([index[tap] for tap in self.windows.taps()])
        self.matrix = scipy.sparse.csr_array((self.y.size, size), dtype=place.dtype)

    def forward(self, *inputs: Array) -> Array:
        y = super().forward(*inputs)
        columns = np.take_along_axis(self.index, self.winner[None], axis=0)[0]
        ones = np.ones(y.size, dtype=self.place.dtype)
        ends = np.arange(y.size + 1)
        self.matrix = scipy.sparse.csr_array(
            (ones, columns.reshape(-1), ends), shape=self.matrix.shape
        )
        return (self.matrix @ np.ascontiguousarray(inputs[0]).reshape(-1)).reshape(y.shape)

    def backward(self, g: Array) -> Sequence[Array | None]:
        back = self.matrix.T @ g.reshape(-1)
        return (back.reshape(*self.place.shapes[0], self.place.batch),)


class MatrixReLU(Stage):
    """A ReLU as the diagonal of where the input is positive."""

    def forward(self, *inputs: Array) -> Array:
        (x,) = inputs
        self.matrix = diagonal((x > 0).astype(x.dtype))
        return (self.matrix @ x.reshape(-1)).reshape(x.shape)

    def backward(self, g: Array) -> Sequence[Array | None]:
        return ((self.matrix @ g.reshape(-1)).reshape(g.shape),)


class MatrixDropout(Dropout):
    """A dropout as the diagonal of its factors."""

    def forward(self, *inputs: Array) -> Array:
        (x,) = inputs
        factors = self.draw(x)
        self.mask = np.ones_like(x) if factors is None else factors
        self.matrix = diagonal(self.mask)
        return (self.matrix @ x.reshape(-1)).reshape(x.shape)

    def backward(self, g: Array) -> Sequence[Array | None]:
        return ((self.matrix @ g.reshape(-1)).reshape(g.shape),)

"""The layers of LeNet-5: a convolution with a connection table, trained sub-sampling, radial units.

Source: LeCun, Bottou, Bengio & Haffner 1998, section II.B.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from convalg.arrays import Array, one_sample
from convalg.conventions import correlation_geometry, pooling_axes
from convalg.errors import ArgumentError, ShapeError
from convalg.maps.chains import Affine, spread_over, spreading
from convalg.network.layers.base import Cost, Layer, Shape, channels_of, only_shape
from convalg.network.layers.fitted import Fitted, FittedConvolution, WindowedLayer
from convalg.operators import pooling
from convalg.operators.convolution import correlation
from convalg.operators.dense import dense, diagonal
from convalg.operators.leaves import gathering
from convalg.operators.tree import Map, Operator, compose
from convalg.pattern.pattern import Pattern
from convalg.size import per_axis, size_product


@dataclass(frozen=True, eq=False)
class Shared(Affine):
    """An affine map whose operator is computed from the trained array `values`.

    `by_values` returns the Jacobian of the map by that array at one sample.
    """

    name: str
    values: Array
    by_values: Callable[[Array], Operator]

    @property
    def parameters(self) -> dict[str, Array]:
        return {self.name: self.values, "bias": self.bias}

    def by(self, name: str, x: object) -> Operator:
        if name != self.name:
            return super().by(name, x)
        return self.by_values(one_sample(x, self.in_shape))


@dataclass(frozen=True, repr=False)
class TableConv(WindowedLayer[FittedConvolution]):
    """A correlation layer in which output channel k reads only the input channels `table[k]`.

    The kernel has shape `(pairs, *taps)`: one plane of taps for each connected pair of channels, in
    the order of the table.

    Args:
        table: for each output channel, a tuple with the indices of its input channels.
        kernel_size: the number of taps: one integer for all axes, or one for each axis.
        stride: the step of the window in samples: one integer for all axes, or one for each axis.
        padding: the number of zeros added around the input: one integer for all axes, one for each
            axis, a pair (before, after) for each axis, or a rule such as "same".

    >>> import convalg as ca
    >>> layer = ca.layers.TableConv(((0, 1), (1,)), 5)
    >>> layer.out_shape((2, 14, 14)), layer.weights((2, 14, 14))
    ((2, 10, 10), {'kernel': (3, 5, 5), 'bias': (2,)})
    """

    linear = True

    table: tuple[tuple[int, ...], ...]
    kernel_size: Any
    stride: Any = 1
    padding: Any = 0

    def _pairs(self) -> list[tuple[int, int]]:
        return [(o, c) for o, row in enumerate(self.table) for c in row]

    def fit(self, shape: Shape) -> FittedConvolution:
        if not self.table:
            raise ArgumentError(
                f"table must have one row for each output channel, not {self.table}"
            )
        wrong = [row for row in self.table if len(set(row)) != len(row) or not row]
        wrong += [row for row in self.table if row and not 0 <= min(row) <= max(row) < shape[0]]
        if wrong:
            raise ArgumentError(
                f"each row of table must contain at least one input channel from 0 to "
                f"{shape[0] - 1}, each at most once, not {wrong[0]}"
            )
        taps = per_axis(self.kernel_size, "kernel_size", len(shape) - 1)
        # All connected pairs of channels have this geometry.
        plane = correlation_geometry(
            shape[1:], (1, 1, *taps), stride=self.stride, padding=self.padding
        )
        out_shape = (len(self.table), *plane.out_shape[1:])
        return FittedConvolution(out_shape, plane.axes, geometry=plane)

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        taps = self.fitted(only_shape(shapes)).geometry.kernel_shape[2:]
        return {"kernel": (len(self._pairs()), *taps), "bias": (len(self.table),)}

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape, kernel = only_shape(shapes), weights["kernel"]
        taps, channels = kernel.shape[1:], self.channels(shape)
        dense_kernel = np.zeros((*channels.shape, *taps), dtype=kernel.dtype)
        dense_kernel[tuple(np.transpose(self._pairs()))] = kernel
        layer = correlation(shape[1:], dense_kernel, stride=self.stride, padding=self.padding)
        planes = np.full(channels.shape, -1)
        planes[tuple(np.transpose(self._pairs()))] = np.arange(len(kernel))
        # Tap t of a pair is entry t of its plane; pairs that are not connected are marked by -1.
        inner = np.arange(math.prod(taps)).reshape(taps)
        planes = planes.reshape(planes.shape + (1,) * len(taps))
        table = np.where(planes < 0, -1, planes * inner.size + inner)
        spread = gathering(table, kernel.shape, dense_kernel.shape)
        return Shared(
            layer,
            weights["bias"],
            "kernel",
            kernel,
            lambda x: compose(layer.by_kernel(x), spread),
        )

    def channels(self, shape: Shape) -> Array:
        connected = np.zeros((len(self.table), channels_of(shape)), dtype=bool)
        connected[tuple(np.transpose(self._pairs()))] = True
        return connected

    def cost(self, *shapes: Shape) -> Cost:
        shape, pairs = only_shape(shapes), len(self._pairs())
        plane = self.fitted(shape).geometry
        outputs = math.prod(int(n) for n in plane.out_spatial)
        taps = math.prod(int(n) for n in plane.taps)
        nonzeros, biases = pairs * Pattern(plane).products, outputs * len(self.table)
        return Cost(
            parameters=pairs * taps + len(self.table),
            nonzeros=nonzeros,
            padded=pairs * outputs * taps,
            unshared=nonzeros + biases,
            connected=size_product(shape) * biases + biases,
        )


@dataclass(frozen=True, repr=False)
class Subsample(WindowedLayer[Fitted]):
    """The sum of each window, scaled and shifted by two trained numbers for each channel.

    Args:
        kernel_size: the number of samples of a window: one integer for all axes, or one for each
            axis.
        stride: the step of the window in samples: one integer for all axes, or one for each axis;
            by default `kernel_size`.

    >>> import convalg as ca
    >>> ca.layers.Subsample(2).out_shape((6, 28, 28)), ca.layers.Subsample(2).weights((6, 28, 28))
    ((6, 14, 14), {'scale': (6,), 'bias': (6,)})
    """

    linear = True

    kernel_size: Any
    stride: Any = None

    def fit(self, shape: Shape) -> Fitted:
        axes = pooling_axes(shape[1:], self.kernel_size, stride=self.stride)[0]
        return Fitted((shape[0], *(axis.out_size for axis in axes)), axes)

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        count = (channels_of(only_shape(shapes)),)
        return {"scale": count, "bias": count}

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape, after, scale = only_shape(shapes), self.out_shape(*shapes), weights["scale"]
        total = pooling.sum_pool(shape[1:], self.kernel_size, stride=self.stride, channels=shape[0])
        gain = diagonal(np.broadcast_to(spread_over(scale, after), after))
        spread = spreading(scale.shape, after)
        return Shared(
            compose(gain, total),
            weights["bias"],
            "scale",
            scale,
            lambda x: compose(diagonal(total(x)), spread),
        )

    def cost(self, *shapes: Shape) -> Cost:
        shape, outputs = only_shape(shapes), size_product(self.out_shape(*shapes))
        taps = math.prod(int(axis.taps) for axis in self.fitted(shape).axes)
        products = outputs * taps
        return Cost(
            parameters=2 * shape[0],
            nonzeros=products,
            padded=products,
            unshared=products + outputs,
            connected=size_product(shape) * outputs + outputs,
        )


@dataclass(frozen=True, eq=False)
class Distances(Map):
    """The map from an input to its squared distances to given points."""

    in_shape: tuple[Any, ...]
    out_shape: tuple[Any, ...]
    points: Array

    def _apply(self, x: Array) -> Array:
        distances: Array = (self._steps(x) ** 2).sum(axis=-1)
        return distances

    def _steps(self, x: Array) -> Array:
        # Wider integers, so that differences and squares of small ones do not overflow.
        wide = x.astype(np.int64) if x.dtype.kind in "biu" else x
        return wide[:, None, :] - self.points

    def at(self, x: object, /) -> Operator:
        return dense(2 * self._steps(one_sample(x, self.in_shape)[None])[0], self.in_shape)


@dataclass(frozen=True, repr=False)
class Radial(Layer):
    """The squared distances between an input vector and given points.

    The points are the rows of the buffer "points", of shape `(out_channels, inputs)`.

    Args:
        out_channels: the number of points.

    >>> import convalg as ca
    >>> net = ca.sequential((2,), [ca.layers.Radial(2)])
    >>> net.set_weights("radial1", points=[[1, 1], [-1, 1]])
    >>> net([1, 0]).tolist()
    [1, 5]
    """

    out_channels: int

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = only_shape(shapes)
        if len(shape) != 1:
            raise ShapeError(
                f"the input of a Radial must be a vector, not an array of shape {shape}: add a "
                f"Flatten before it"
            )
        return (self.out_channels,)

    def buffers(self, *shapes: Shape) -> dict[str, Shape]:
        return {"points": (self.out_channels, channels_of(only_shape(shapes)))}

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return Distances(only_shape(shapes), self.out_shape(*shapes), weights["points"])

    def channels(self, shape: Shape) -> Array:
        return np.ones((self.out_channels, channels_of(shape)), dtype=bool)

    def cost(self, *shapes: Shape) -> Cost:
        squares = self.out_channels * channels_of(only_shape(shapes))
        return Cost(0, squares, squares, squares, squares)

"""The layers of LeNet-5: a convolution by a table, trained sub-sampling, radial units.

Source: LeCun, Bottou, Bengio & Haffner 1998, section II.B.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from convalg.arrays import Array, one_sample
from convalg.axis import Axis
from convalg.conventions import correlation_geometry, pooling_axes
from convalg.errors import ArgumentError, ShapeError
from convalg.geometry import Geometry
from convalg.maps.chains import Affine, spread_over, spreading
from convalg.network.layers.base import Cost, Layer, Link, Shape, channels_of, one
from convalg.operators import pooling
from convalg.operators.leaves import gathering
from convalg.operators.make import correlation, dense, diagonal
from convalg.operators.tree import Map, Operator, compose
from convalg.pattern.pattern import Pattern
from convalg.size import per_axis, size_product


@dataclass(frozen=True, eq=False)
class Shared(Affine):
    """An affine map whose operator is made of fewer trained numbers, `values`.

    `by_values`: the Jacobian with respect to them, at one sample.
    """

    name: str
    values: Array
    by_values: Callable[[Array], Operator]

    @property
    def parameters(self) -> dict[str, Array]:
        return {self.name: self.values, "bias": self.bias}

    def by(self, name: str, x: Any) -> Operator:
        if name != self.name:
            return super().by(name, x)
        return self.by_values(one_sample(x, self.in_shape))


@dataclass(frozen=True, repr=False)
class TableConv(Layer):
    """A correlation layer whose output channel k reads the input channels `table[k]` alone.

    Its kernel has a plane of taps for each connected pair, in the order of the table.

    >>> layer = TableConv(((0, 1), (1,)), 5)
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

    def _plane(self, shape: Shape) -> Geometry:
        """The geometry of one pair of channels."""
        taps = per_axis(self.kernel_size, "kernel_size", len(shape) - 1)
        return correlation_geometry(
            shape[1:], (1, 1, *taps), stride=self.stride, padding=self.padding
        )

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = one(shapes)
        if not self.table:
            raise ArgumentError(f"a table needs a row for each output channel, not {self.table}")
        wrong = [row for row in self.table if len(set(row)) != len(row) or not row]
        wrong += [row for row in self.table if row and not 0 <= min(row) <= max(row) < shape[0]]
        if wrong:
            raise ArgumentError(
                f"a row of the table names input channels 0 to {shape[0] - 1}, each once, not "
                f"{wrong[0]}"
            )
        return (len(self.table), *self._plane(shape).out_shape[1:])

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        taps = self._plane(one(shapes)).kernel_shape[2:]
        return {"kernel": (len(self._pairs()), *taps), "bias": (len(self.table),)}

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape, kernel = one(shapes), weights["kernel"]
        taps, channels = kernel.shape[1:], self.channels(shape)
        whole = np.zeros((*channels.shape, *taps), dtype=kernel.dtype)
        whole[tuple(np.transpose(self._pairs()))] = kernel
        layer = correlation(shape[1:], whole, stride=self.stride, padding=self.padding)
        places = np.full(channels.shape, -1)
        places[tuple(np.transpose(self._pairs()))] = np.arange(len(kernel))
        # Tap t of a pair is entry t of its plane; unconnected pairs read nothing.
        inner = np.arange(math.prod(taps)).reshape(taps)
        each = places.reshape(places.shape + (1,) * len(taps))
        table = np.where(each < 0, -1, each * inner.size + inner)
        put = gathering(table, kernel.shape, whole.shape)
        return Shared(
            layer,
            weights["bias"],
            "kernel",
            kernel,
            lambda x: compose(layer.by_kernel(x), put),
        )

    def links(self, shape: Shape) -> tuple[Link, ...]:
        return tuple(Link(axis) for axis in self._plane(shape).axes)

    def channels(self, shape: Shape) -> Array:
        found = np.zeros((len(self.table), channels_of(shape)), dtype=bool)
        found[tuple(np.transpose(self._pairs()))] = True
        return found

    def cost(self, *shapes: Shape) -> Cost:
        shape, pairs = one(shapes), len(self._pairs())
        plane = self._plane(shape)
        places = math.prod(int(n) for n in plane.out_spatial)
        taps = math.prod(int(n) for n in plane.taps)
        nonzeros, biases = pairs * Pattern(plane).products, places * len(self.table)
        whole = size_product(shape) * biases
        return Cost(
            parameters=pairs * taps + len(self.table),
            nonzeros=nonzeros,
            padded=pairs * places * taps,
            unshared=nonzeros + biases,
            connected=whole + biases,
        )


@dataclass(frozen=True, repr=False)
class Subsample(Layer):
    """The sum of each window times one trained number a channel, plus another.

    >>> Subsample(2).out_shape((6, 28, 28)), Subsample(2).weights((6, 28, 28))
    ((6, 14, 14), {'scale': (6,), 'bias': (6,)})
    """

    linear = True

    kernel_size: Any
    stride: Any = None

    def _axes(self, shape: Shape) -> tuple[Axis, ...]:
        return pooling_axes(shape[1:], self.kernel_size, stride=self.stride)[0]

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = one(shapes)
        return (shape[0], *(axis.out_size for axis in self._axes(shape)))

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        count = (channels_of(one(shapes)),)
        return {"scale": count, "bias": count}

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape, after, scale = one(shapes), self.out_shape(*shapes), weights["scale"]
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

    def links(self, shape: Shape) -> tuple[Link, ...]:
        return tuple(Link(axis) for axis in self._axes(shape))

    def cost(self, *shapes: Shape) -> Cost:
        shape, outputs = one(shapes), size_product(self.out_shape(*shapes))
        read = math.prod(int(axis.taps) for axis in self._axes(shape))
        products = outputs * read
        return Cost(
            parameters=2 * shape[0],
            nonzeros=products,
            padded=products,
            unshared=products + outputs,
            connected=size_product(shape) * outputs + outputs,
        )


@dataclass(frozen=True, eq=False)
class Distances(Map):
    """The squared distance of the input to each of some points."""

    in_shape: tuple[Any, ...]
    out_shape: tuple[Any, ...]
    points: Array

    def _apply(self, x: Array) -> Array:
        return (self._steps(x) ** 2).sum(axis=-1)

    def _steps(self, x: Array) -> Array:
        # Small whole numbers are widened, so that their differences and squares fit.
        wide = x.astype(np.int64) if x.dtype.kind in "biu" else x
        return wide[:, None, :] - self.points

    def at(self, x: Any, /) -> Operator:
        return dense(2 * self._steps(one_sample(x, self.in_shape)[None])[0], self.in_shape)


@dataclass(frozen=True, repr=False)
class Radial(Layer):
    """The squared distance to each of `out_channels` points, which are set and not trained.

    >>> Radial(2).map(((2,),), {"points": np.array([[1, 1], [-1, 1]])})([1, 0]).tolist()
    [1, 5]
    """

    out_channels: int

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = one(shapes)
        if len(shape) != 1:
            raise ShapeError(f"radial units read a vector, not {shape}: put a Flatten before them")
        return (self.out_channels,)

    def buffers(self, *shapes: Shape) -> dict[str, Shape]:
        return {"points": (self.out_channels, channels_of(one(shapes)))}

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return Distances(one(shapes), self.out_shape(*shapes), weights["points"])

    def channels(self, shape: Shape) -> Array:
        return np.ones((self.out_channels, channels_of(shape)), dtype=bool)

    def cost(self, *shapes: Shape) -> Cost:
        squares = self.out_channels * channels_of(one(shapes))
        return Cost(0, squares, squares, squares, squares)

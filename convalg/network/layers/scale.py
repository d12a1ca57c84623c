"""Layers that standardise, scale and shift their input, and the product of two branches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convalg.arrays import Array, one_sample
from convalg.errors import ShapeError
from convalg.limits import check_room
from convalg.maps.chains import Affine, chain, embeddings
from convalg.maps.normalisation import batch_norm_training
from convalg.network.layers.base import (
    Cost,
    Indices,
    Layer,
    Link,
    Shape,
    all_indices,
    channels_of,
    grouped,
    only_shape,
    regrouped,
)
from convalg.operators.dense import diagonal, identity
from convalg.operators.rearrange import reshape
from convalg.operators.tree import Map, Operator, add, compose
from convalg.size import is_symbolic, size_product


@dataclass(frozen=True, repr=False)
class Standardise(Layer):
    """The input divided into rows, each of them shifted to mean 0 and scaled to variance 1.

    One row for each channel is instance norm; one for each group of channels is group norm; one for
    each index of the leading axes is layer norm. Add a Scale and a Shift for the trained arrays.

    Args:
        rows: the number of rows, in row-major order.
        epsilon: the number added to the variance.

    >>> from convalg.network.layers.scale import Standardise
    >>> Standardise(4).out_shape((8, 5, 5))
    (8, 5, 5)
    """

    rows: int
    epsilon: float = 1e-5

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = only_shape(shapes)
        if size_product(shape) % self.rows:
            raise ShapeError(
                f"an input of shape {shape} cannot be divided into {self.rows} equal rows"
            )
        return shape

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape = only_shape(shapes)
        cut = (1, self.rows, size_product(shape) // self.rows)
        norm = batch_norm_training(cut, epsilon=self.epsilon)
        return chain(reshape(cut, shape), norm, reshape(shape, cut))

    def links(self, shape: Shape) -> tuple[Link, ...] | None:
        return None if len(shape) > 1 else ()

    def channels(self, shape: Shape) -> Array | None:
        inputs = channels_of(shape)
        return grouped(inputs, inputs, self.rows) if inputs % self.rows == 0 else None

    def reads(self, units: Indices, shapes: tuple[Shape, ...], port: int = 0) -> list[Indices]:
        shape = only_shape(shapes)
        if self.reads_all(shape):
            return super().reads(units, shapes, port)
        flat = (self.rows, size_product(shape) // self.rows)
        rows = [part[0] for part in regrouped(units, shape, flat)]
        if not rows:
            return []
        return regrouped((np.unique(np.concatenate(rows)), all_indices(flat[1])), flat, shape)

    def reads_all(self, shape: Shape) -> bool:
        return bool(channels_of(shape) % self.rows == 0)


@dataclass(frozen=True, repr=False)
class _Broadcast(Layer):
    """The base class of layers with an array that is broadcast to the input as in NumPy."""

    linear = True
    name = ""

    array: Shape = ()

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = only_shape(shapes)
        tail = shape[len(shape) - len(self.array) :]
        fits = len(self.array) <= len(shape) and all(
            a in (1, n) for a, n in zip(self.array, tail, strict=True)
        )
        if not fits:
            raise ShapeError(
                f"an array of shape {self.array} cannot be broadcast to an input of shape {shape}"
            )
        return shape

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        return {self.name: self.array} if size_product(self.array) > 1 else {}

    def buffers(self, *shapes: Shape) -> dict[str, Shape]:
        # A single number belongs to the formula of the model and is not trained.
        return {} if size_product(self.array) > 1 else {self.name: self.array}

    def _spread(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Array:
        return np.broadcast_to(weights[self.name], only_shape(shapes))


@dataclass(frozen=True, repr=False)
class Scale(_Broadcast):
    """The elementwise product of the input and the array "scale", broadcast as in NumPy.

    Args:
        array: the shape of the array. An array with several entries is trained; an array with one
            entry is a buffer.

    >>> import convalg as ca
    >>> ca.layers.Scale((8, 1, 1)).weights((8, 4, 4)), ca.layers.Scale().buffers((8, 4, 4))
    ({'scale': (8, 1, 1)}, {'scale': ()})
    """

    name = "scale"

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return diagonal(self._spread(shapes, weights))

    def cost(self, *shapes: Shape) -> Cost:
        parameters = sum(map(size_product, self.weights(*shapes).values()))
        size = size_product(only_shape(shapes))
        return Cost(parameters, size, size, size, size**2)


@dataclass(frozen=True, repr=False)
class Shift(_Broadcast):
    """The sum of the input and the array "bias", broadcast as in NumPy.

    Args:
        array: the shape of the array. An array with several entries is trained; an array with one
            entry is a buffer.

    >>> import convalg as ca
    >>> ca.layers.Shift((8, 1, 1)).weights((8, 4, 4))
    {'bias': (8, 1, 1)}
    """

    name = "bias"

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return Affine(identity(only_shape(shapes)), self._spread(shapes, weights))


@dataclass(frozen=True, eq=False)
class Multiplied(Map):
    """The map that multiplies the first half of the channels by the second half, elementwise."""

    in_shape: tuple[Any, ...]
    out_shape: tuple[Any, ...]

    def _apply(self, x: Array) -> Array:
        half = self.out_shape[0]
        return x[:, :half] * x[:, half:]

    def at(self, x: object, /) -> Operator:
        value = one_sample(x, self.in_shape)
        half = self.out_shape[0]
        first, second = (cut.T for cut in embeddings([self.out_shape, self.out_shape]))
        return add(compose(diagonal(value[half:]), first), compose(diagonal(value[:half]), second))


@dataclass(frozen=True, repr=False)
class Product(Layer):
    """The elementwise product of the first half of the channels and the second half.

    After a Concat of two branches, it is the product of the branches.

    >>> import convalg as ca
    >>> ca.layers.Product().out_shape((16, 4, 4))
    (8, 4, 4)
    """

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = only_shape(shapes)
        count = channels_of(shape)
        if not is_symbolic(count) and count % 2:
            raise ShapeError(
                f"the input of a Product must have an even number of channels, not the shape "
                f"{shape}"
            )
        return (count // 2, *shape[1:])

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return Multiplied(only_shape(shapes), self.out_shape(*shapes))

    def channels(self, shape: Shape) -> Array:
        half = channels_of(shape) // 2
        check_room(2 * half**2, 1, f"a table of {half} by {2 * half} channels")
        return np.tile(np.eye(half, dtype=bool), (1, 2))

    def cost(self, *shapes: Shape) -> Cost:
        size = size_product(self.out_shape(*shapes))
        return Cost(0, size, size, size, size)

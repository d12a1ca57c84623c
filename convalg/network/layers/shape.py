"""Layers that change the shape of their input, and layers that join branches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from convalg.arrays import Array
from convalg.axis import Axis, Boundary, holds
from convalg.conventions import check_reflect
from convalg.errors import ArgumentError, ShapeError, SymbolicError
from convalg.maps.chains import embeddings
from convalg.network.layers.base import (
    Indices,
    Layer,
    Link,
    Shape,
    channels_of,
    only_shape,
    regrouped,
)
from convalg.network.layers.grids import Grid
from convalg.operators import resize
from convalg.operators.dense import identity
from convalg.operators.padding import pad
from convalg.operators.rearrange import flatten, reshape
from convalg.operators.tree import Map, Operator
from convalg.size import as_shape, as_size, is_symbolic, padding_pairs, size_product


@dataclass(frozen=True, repr=False)
class Flatten(Layer):
    """The input as a vector, in row-major order: first all samples of channel 0, then of channel 1.

    >>> import convalg as ca
    >>> ca.layers.Flatten().out_shape((16, 5, 5))
    (400,)
    """

    linear = True

    def out_shape(self, *shapes: Shape) -> Shape:
        return (size_product(only_shape(shapes)),)

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return flatten(only_shape(shapes))

    def links(self, shape: Shape) -> tuple[Link, ...] | None:
        return None if len(shape) > 1 else ()

    def channels(self, shape: Shape) -> Array | None:
        count = channels_of(shape)
        inner = size_product(shape[1:])
        return np.repeat(np.eye(count, dtype=bool), inner, axis=0)

    def reads(self, units: Indices, shapes: tuple[Shape, ...], port: int = 0) -> list[Indices]:
        return regrouped(units, self.out_shape(*shapes), only_shape(shapes))


@dataclass(frozen=True, repr=False)
class Reshape(Layer):
    """The same samples in another shape, in row-major order.

    Args:
        shape: the shape of the output, whose sizes have the same product as those of the input.

    >>> import convalg as ca
    >>> ca.layers.Reshape((4, 4, 4)).out_shape((64,))
    (4, 4, 4)
    """

    linear = True

    shape: Any

    def out_shape(self, *shapes: Shape) -> Shape:
        wanted = tuple(as_shape(self.shape))
        if size_product(wanted) != size_product(only_shape(shapes)):
            raise ShapeError(
                f"a Reshape to {wanted} needs {size_product(wanted)} samples, but the input of "
                f"shape {only_shape(shapes)} has {size_product(only_shape(shapes))}"
            )
        return wanted

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return reshape(only_shape(shapes), self.out_shape(*shapes))

    def links(self, shape: Shape) -> tuple[Link, ...] | None:
        return None

    def channels(self, shape: Shape) -> Array:
        after = self.out_shape(shape)
        return np.ones((after[0], channels_of(shape)), dtype=bool)

    def reads(self, units: Indices, shapes: tuple[Shape, ...], port: int = 0) -> list[Indices]:
        return regrouped(units, self.out_shape(*shapes), only_shape(shapes))


@dataclass(frozen=True, repr=False)
class Pad(Layer):
    """The input with samples added around it, or removed where the padding is negative.

    Args:
        padding: the number of samples added at each end: one integer for all axes, one for each
            axis, or a pair (before, after) for each axis.
        boundary: the rule for the values of the added samples: "zeros", "circular", "reflect",
            "symmetric" or "edge".

    >>> import convalg as ca
    >>> ca.layers.Pad(1).out_shape((3, 8, 8))
    (3, 10, 10)
    """

    linear = True

    padding: Any = 0
    boundary: Boundary = "zeros"

    def _pairs(self, shape: Shape) -> tuple[tuple[Any, Any], ...]:
        return padding_pairs(self.padding, len(shape) - 1, least=None)

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = only_shape(shapes)
        pairs = self._pairs(shape)
        for k, (n, pair) in enumerate(zip(shape[1:], pairs, strict=True)):
            check_reflect(self.boundary, pair, n, k)
            if holds(n + sum(pair) < 1):
                raise ShapeError(
                    f"padding {pair} removes all {n} samples of the input on axis {k}: remove fewer"
                )
        return (shape[0], *(n + a + b for n, (a, b) in zip(shape[1:], pairs, strict=True)))

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape = only_shape(shapes)
        pairs = self._pairs(shape)
        return pad(shape[1:], pairs, boundary=self.boundary, channels=shape[0])

    def links(self, shape: Shape) -> tuple[Link, ...]:
        pairs = self._pairs(shape)
        return tuple(
            Link(Axis(n, n + a + b, padding=a, boundary=self.boundary))
            for n, (a, b) in zip(shape[1:], pairs, strict=True)
        )


@dataclass(frozen=True, repr=False)
class Upsample(Layer):
    """The input interpolated on a finer grid along every spatial axis.

    Args:
        factor: the number of output samples for each input sample, along every axis.
        mode: "nearest" repeats the nearest sample, "linear" interpolates linearly along each axis.
        align_corners: whether the first samples of both grids are at the same position, and so
            are the last samples.

    >>> import convalg as ca
    >>> ca.layers.Upsample(2).out_shape((8, 7, 7))
    (8, 14, 14)
    """

    linear = True

    factor: int = 2
    mode: Literal["nearest", "linear"] = "nearest"
    align_corners: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.mode, str) or self.mode not in ("nearest", "linear"):
            raise ArgumentError(f"mode must be one of nearest, linear, not {self.mode!r}")
        super().__post_init__()

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = only_shape(shapes)
        return (shape[0], *(n * as_size(self.factor, "factor") for n in shape[1:]))

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape = only_shape(shapes)
        return resize.resize(
            shape[1:],
            scale=self.factor,
            mode=self.mode,
            coordinates="align_corners" if self.align_corners else "half_pixel",
            channels=shape[0],
        )

    def links(self, shape: Shape) -> tuple[Link, ...]:
        links = []
        for n in shape[1:]:
            if self.align_corners:
                if is_symbolic(n):
                    raise SymbolicError(
                        f"the samples that an upsampling with align_corners reads have no symbolic "
                        f"formula, and a size is {n}: use integers for sizes"
                    )
                grid = Grid(n, n * self.factor, self.mode, "align_corners")
                links.append(Link(grid.hull, table=grid))
                continue
            if self.mode == "nearest":
                # Each sample is copied to `factor` outputs, the adjoint of a sum pooling.
                axis = Axis(n * self.factor, n, taps=self.factor, stride=self.factor)
            else:
                # The kernel is a triangle of 2 factor - 1 taps, or of 2 factor taps for an even
                # factor, for which no output is at the position of a sample.
                taps = 2 * self.factor if self.factor % 2 == 0 else 2 * self.factor - 1
                axis = Axis(n * self.factor, n, taps, self.factor, 1, (taps - self.factor) // 2)
            links.append(Link(axis, transposed=True))
        return tuple(links)


@dataclass(frozen=True, repr=False)
class Add(Layer):
    """The sum of several inputs of the same shape, such as a residual branch and its shortcut.

    Pass the names of the nodes as a list: `net.add(ca.layers.Add(), [first, second])`.

    >>> import convalg as ca
    >>> ca.layers.Add().out_shape((8, 4, 4), (8, 4, 4))
    (8, 4, 4)
    """

    many = True
    linear = True

    def out_shape(self, *shapes: Shape) -> Shape:
        for shape in shapes[1:]:
            if shape != shapes[0]:
                raise ShapeError(
                    f"the inputs of an Add must have the same shape, not {shapes[0]} and {shape}"
                )
        return shapes[0]

    def reads(self, units: Indices, shapes: tuple[Shape, ...], port: int = 0) -> list[Indices]:
        return [units]

    def join(self, inputs: list[Array]) -> Array:
        return sum(inputs[1:], start=inputs[0])

    def joins(self, shapes: tuple[Shape, ...]) -> list[Operator]:
        return [identity(shape) for shape in shapes]

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        raise ArgumentError(
            f"an Add of {len(shapes)} inputs has no map of one input: run it in a network"
        )


@dataclass(frozen=True, repr=False)
class Concat(Layer):
    """The concatenation of several inputs along axis 0, the channel axis.

    Inputs of shapes `(c1, *spatial)`, `(c2, *spatial)`, ... become one output of shape
    `(c1 + c2 + ..., *spatial)`. Pass the names of the nodes as a list:
    `net.add(ca.layers.Concat(), [first, second])`.

    >>> import convalg as ca
    >>> ca.layers.Concat().out_shape((8, 4, 4), (2, 4, 4))
    (10, 4, 4)
    """

    many = True
    linear = True

    def out_shape(self, *shapes: Shape) -> Shape:
        for shape in shapes[1:]:
            if shape[1:] != shapes[0][1:]:
                raise ShapeError(
                    f"the inputs of a Concat must have the same spatial shape, not the shapes "
                    f"{shapes[0]} and {shape}"
                )
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])

    def reads(self, units: Indices, shapes: tuple[Shape, ...], port: int = 0) -> list[Indices]:
        own = units[0] - sum(int(shape[0]) for shape in shapes[:port])
        return [(own[(own >= 0) & (own < int(shapes[port][0]))], *units[1:])]

    def join(self, inputs: list[Array]) -> Array:
        return np.concatenate(inputs, axis=1)

    def joins(self, shapes: tuple[Shape, ...]) -> list[Operator]:
        return embeddings(shapes)

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        raise ArgumentError(
            f"a Concat of {len(shapes)} inputs has no map of one input: run it in a network"
        )

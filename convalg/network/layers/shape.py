"""Layers that rearrange samples, and layers that join branches."""

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
    """All samples of all channels as one vector, in row-major order.

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
    """The same numbers in another shape, in row-major order.

    Args:
        shape: the shape of the output.

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
                f"Reshape to {wanted} needs {size_product(wanted)} numbers, and the input of shape "
                f"{only_shape(shapes)} has {size_product(only_shape(shapes))}"
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
    """Samples added around the input; a negative padding crops.

    Args:
        padding: a number of samples, one for each axis, or a pair (before, after) for each.
        boundary: the rule for the samples that are added.

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
                    f"padding {pair} crops the whole input of {n} samples on axis {k}: crop less"
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
    """A finer grid, by the nearest sample or by (bi-)linear interpolation.

    Args:
        factor: samples of the output for each sample of the input, along each axis.
        mode: "nearest" or "linear".
        align_corners: whether the first and the last samples of both grids coincide.

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
            raise ArgumentError(f"mode of an Upsample must be nearest or linear, not {self.mode!r}")
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
                        f"an upsampling with align_corners has no symbolic formula for the samples "
                        f"it reads, and a size is {n}: use numbers for sizes"
                    )
                grid = Grid(n, n * self.factor, self.mode, "align_corners")
                links.append(Link(grid.hull, table=grid))
                continue
            if self.mode == "nearest":
                # Each sample is written to `factor` outputs: the adjoint of a sum pooling.
                axis = Axis(n * self.factor, n, taps=self.factor, stride=self.factor)
            else:
                # A triangular kernel of 2 factor - 1 taps, or 2 factor where no output is at the
                # position of a sample.
                taps = 2 * self.factor if self.factor % 2 == 0 else 2 * self.factor - 1
                axis = Axis(n * self.factor, n, taps, self.factor, 1, (taps - self.factor) // 2)
            links.append(Link(axis, transposed=True))
        return tuple(links)


@dataclass(frozen=True, repr=False)
class Add(Layer):
    """The sum of several inputs of the same shape.

    >>> import convalg as ca
    >>> ca.layers.Add().out_shape((8, 4, 4), (8, 4, 4))
    (8, 4, 4)
    """

    many = True
    linear = True

    def out_shape(self, *shapes: Shape) -> Shape:
        for shape in shapes[1:]:
            if shape != shapes[0]:
                raise ShapeError(f"Add takes inputs of the same shape, not {shapes[0]} and {shape}")
        return shapes[0]

    def reads(self, units: Indices, shapes: tuple[Shape, ...], port: int = 0) -> list[Indices]:
        return [units]

    def join(self, inputs: list[Array]) -> Array:
        return sum(inputs[1:], start=inputs[0])

    def joins(self, shapes: tuple[Shape, ...]) -> list[Operator]:
        return [identity(shape) for shape in shapes]

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        raise ArgumentError(
            f"Add of {len(shapes)} inputs is applied by its network: it has no map of one input"
        )


@dataclass(frozen=True, repr=False)
class Concat(Layer):
    """The concatenation of several inputs along the channels.

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
                    f"Concat takes inputs of the same spatial shape, not {shapes[0]} and {shape}"
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
            f"Concat of {len(shapes)} inputs is applied by its network: it has no map of one input"
        )

"""Opaque layers: operators of imported models of which only the shape is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convalg.arrays import Array
from convalg.errors import ArgumentError, KindError
from convalg.network.layers.base import (
    Cost,
    Indices,
    Layer,
    Link,
    Shape,
    all_indices,
    channels_of,
)
from convalg.network.layers.checks import count, tuple_of
from convalg.operators.tree import Map


@dataclass(frozen=True, repr=False)
class Opaque(Layer):
    """An operator of another framework of which only the output shape is known.

    Each output is assumed to read all entries of the input, unless `like` is given. Running the
    layer raises an ArgumentError.

    Args:
        operator: the name of the operator in the other framework.
        shape: the shape of the output.
        reason: the reason why the operator cannot be run, as text for the error message.
        like: a layer that reads the same entries and has arrays of the same shapes, or None.
        arrays: a tuple of (name, shape) pairs, one for each trained array; ignored if `like` is
            given.

    Raises:
        KindError: when an argument has the wrong type.

    >>> import convalg as ca
    >>> layer = ca.layers.Opaque("TopK", (10,))
    >>> layer.out_shape((8, 4, 4)), layer.links((8, 4, 4))
    ((10,), None)
    """

    operator: str
    shape: Shape
    reason: str = ""
    like: Layer | None = None
    arrays: tuple[tuple[str, Shape], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.like is None or isinstance(self.like, Layer)):
            raise KindError(f"like must be a layer or None, not {self.like!r}")
        pairs = isinstance(self.arrays, tuple) and all(
            isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)
            for pair in self.arrays
        )
        if not pairs:
            raise KindError(f"arrays must be a tuple of (name, shape) pairs, not {self.arrays!r}")
        for name, shape in self.arrays:
            tuple_of(count)(shape, name)

    def out_shape(self, *shapes: Shape) -> Shape:
        return self.shape

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        return dict(self.arrays) if self.like is None else self.like.weights(*shapes)

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        tail = f": {self.reason}" if self.reason else ""
        raise ArgumentError(
            f"{self.operator} is an opaque layer, of which only the output shape {self.shape} is "
            f"known, so it cannot be run{tail}"
        )

    def links(self, shape: Shape) -> tuple[Link, ...] | None:
        return None if self.like is None else self.like.links(shape)

    def channels(self, shape: Shape) -> Array | None:
        if self.like is not None:
            return self.like.channels(shape)
        return np.ones((channels_of(self.shape), channels_of(shape)), dtype=bool)

    def reads(self, units: Indices, shapes: tuple[Shape, ...], port: int = 0) -> list[Indices]:
        if self.like is not None:
            return self.like.reads(units, shapes, port)
        return [tuple(all_indices(int(n)) for n in shapes[port])]

    def reads_all(self, shape: Shape) -> bool:
        return self.like is not None and self.like.reads_all(shape)

    def cost(self, *shapes: Shape) -> Cost:
        return super().cost(*shapes) if self.like is None else self.like.cost(*shapes)

"""What every layer of a network can be asked: shapes, arrays, what it reads, the map that it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np

from convalg.axis import Axis
from convalg.base import Array, Map, Operator
from convalg.errors import KindError, ShapeError
from convalg.spec import size_product

Shape = tuple[Any, ...]


@dataclass(frozen=True)
class Link:
    """What an output reads along one axis: the axis of a layer, or with `turned` its adjoint."""

    axis: Axis
    turned: bool = False
    table: tuple[tuple[int, ...], ...] | None = None
    """What each output really reads, where that is no arithmetic progression: then the axis is
    the hull."""

    @cached_property
    def reach(self) -> tuple[Any, Any]:
        """How far output 0 reaches before the input, and how far it reaches from there."""
        return self.axis.before, self.axis.span - 1

    def columns(self) -> Array:
        """The input index read by each (output, tap), -1 where nothing is."""
        if self.table is None:
            return self.axis.columns()
        longest = max(map(len, self.table))
        return np.array([[*row, *[-1] * (longest - len(row))] for row in self.table])


@dataclass(frozen=True)
class Cost:
    """What a layer costs; see `Network.counts`."""

    parameters: int = 0
    nonzeros: int = 0
    padded: int = 0
    unshared: int = 0
    connected: int = 0


@dataclass(frozen=True)
class Layer(ABC):
    """A layer of a network; frozen, so that one can stand at several places."""

    many: ClassVar[bool] = False
    """Whether it takes several inputs."""
    linear: ClassVar[bool] = False
    """Whether it is linear, or affine, in its input."""

    @abstractmethod
    def out_shape(self, *shapes: Shape) -> Shape:
        """The shape of the output, `(channels, *spatial)`, from those of the inputs."""

    @abstractmethod
    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        """The layer for inputs of these shapes; for several inputs, of them one behind another."""

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        """The shapes of its trainable arrays by name."""
        return {}

    def buffers(self, *shapes: Shape) -> dict[str, Shape]:
        """The shapes of arrays that are set but not trained: running statistics."""
        return {}

    def links(self, shape: Shape) -> tuple[Link, ...] | None:
        """What an output reads along each spatial axis; None where it reads all of them."""
        return tuple(map(_same, shape[1:]))

    def channels(self, shape: Shape) -> Array | None:
        """Which input channels each output channel reads, as booleans; None: its own only."""
        return None

    def join(self, inputs: list[Array]) -> Array:
        """The output of a layer with several inputs, from batches of them.

        Raises: KindError for a layer with one input.
        """
        raise KindError(f"{self!r} takes one input, and joins none of {len(inputs)}")

    def joins(self, shapes: tuple[Shape, ...]) -> list[Operator]:
        """What takes each of several inputs to the output, which is their sum."""
        raise KindError(f"{self!r} takes one input, and joins none of {len(shapes)}")

    def cost(self, *shapes: Shape) -> Cost:
        """Parameters and multiplications."""
        return Cost(parameters=sum(size_product(s) for s in self.weights(*shapes).values()))

    def __repr__(self) -> str:
        shown = []
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value != entry.default:
                name = "" if entry.name in ("out_channels", "kernel_size") else f"{entry.name}="
                shown.append(f"{name}{value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


@lru_cache(maxsize=512, typed=True)
def _same(size: Any) -> Link:
    """The axis along which each output reads its own input."""
    return Link(Axis(size, size))


def one(shapes: tuple[Shape, ...]) -> Shape:
    """The shape of the only input. Raises: ShapeError when there are more, or none."""
    if len(shapes) != 1:
        raise ShapeError(f"this layer takes one input, not {len(shapes)} of shapes {shapes}")
    return shapes[0]


def channels_of(shape: Shape) -> Any:
    """The number of channels of a shape. Raises: ShapeError when it has no axes."""
    if not shape:
        raise ShapeError(f"a layer's input is (channels, *spatial), not {shape}")
    return shape[0]


def grouped(outputs: int, inputs: Any, groups: int) -> Array:
    """Which input channels each output channel reads."""
    block = np.ones((outputs // groups, int(inputs) // groups), dtype=bool)
    return np.kron(np.eye(groups, dtype=bool), block)

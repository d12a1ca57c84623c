"""Layers whose windows follow from their options: the options are normalised once per shape."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar

from convalg.axis import Axis
from convalg.geometry import Geometry
from convalg.network.layers.base import Layer, Link, Shape, only_shape


@dataclass(frozen=True, eq=False)
class Fitted:
    """A layer at one input shape: its output shape, and its windows along each spatial axis."""

    out_shape: Shape
    axes: tuple[Axis, ...]
    transposed: bool = False

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """Which inputs an output reads along each spatial axis."""
        return tuple(Link(axis, transposed=self.transposed) for axis in self.axes)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedConvolution(Fitted):
    """A layer with a kernel at one input shape; its geometry is that of a correlation."""

    geometry: Geometry


F_co = TypeVar("F_co", bound=Fitted, covariant=True)


@dataclass(frozen=True, repr=False)
class WindowedLayer(Layer, Generic[F_co]):
    """The base class of layers whose windows follow from their options and the input shape."""

    @abstractmethod
    def fit(self, shape: Shape) -> F_co:
        """Return the layer at an input shape, computed from its options."""

    def fitted(self, shape: Shape) -> F_co:
        """Return the layer at an input shape; deep networks repeat layers, so it is cached."""
        try:
            result: F_co = _fitted(self, *shape)
        except TypeError:
            # A shape with entries that cannot be hashed: `fit` raises the error that names them.
            return self.fit(shape)
        return result

    def out_shape(self, *shapes: Shape) -> Shape:
        return self.fitted(only_shape(shapes)).out_shape

    def links(self, shape: Shape) -> tuple[Link, ...]:
        return self.fitted(shape).links


# Typed, since entries of a shape that are equal to an integer may be invalid: True, 3.0.
@lru_cache(maxsize=512, typed=True)
def _fitted(layer: WindowedLayer[Any], *shape: object) -> Any:
    return layer.fit(shape)

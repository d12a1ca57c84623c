"""Layers with windows, whose options are normalised once for each input shape."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Generic, TypeVar

from convalg.axis import Axis
from convalg.geometry import Geometry
from convalg.network.layers.base import Layer, Link, Shape, only_shape


@dataclass(frozen=True, eq=False)
class Fitted:
    """A layer for one input shape: its output shape, and its windows along each spatial axis."""

    out_shape: Shape
    axes: tuple[Axis, ...]
    transposed: bool = False

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """The link of each spatial axis."""
        return tuple(Link(axis, transposed=self.transposed) for axis in self.axes)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedConvolution(Fitted):
    """A layer with a kernel for one input shape.

    `geometry` describes the correlation, or the correlation whose adjoint the layer is.
    """

    geometry: Geometry


F_co = TypeVar("F_co", bound=Fitted, covariant=True)


@dataclass(frozen=True, repr=False)
class WindowedLayer(Layer, Generic[F_co]):
    """The base class of layers whose windows are determined by options and the input shape."""

    @abstractmethod
    def fit(self, shape: Shape) -> F_co:
        """Compute the layer for an input shape from its options."""

    def fitted(self, shape: Shape) -> F_co:
        """Return the layer for an input shape, cached since networks repeat layers."""
        try:
            result: F_co = _fitted(self, *shape)
        except TypeError:
            # The shape has entries that are not hashable; `fit` raises an error that names them.
            return self.fit(shape)
        return result

    def out_shape(self, *shapes: Shape) -> Shape:
        return self.fitted(only_shape(shapes)).out_shape

    def links(self, shape: Shape) -> tuple[Link, ...]:
        return self.fitted(shape).links


# Typed, since True and 3.0 are invalid sizes although they equal integers.
@lru_cache(maxsize=512, typed=True)
def _fitted(layer: WindowedLayer[F_co], *shape: object) -> F_co:
    return layer.fit(shape)

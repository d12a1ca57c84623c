"""Activation functions, applied elementwise or along the channels."""

from __future__ import annotations

from dataclasses import dataclass

from convalg.arrays import Array
from convalg.maps import activations
from convalg.network.layers.base import Layer, Shape, channels_of, grouped, only_shape
from convalg.operators.tree import Map


@dataclass(frozen=True, repr=False)
class ElementwiseLayer(Layer):
    """The base class of layers whose output has the shape of the input."""

    def out_shape(self, *shapes: Shape) -> Shape:
        return only_shape(shapes)


@dataclass(frozen=True, repr=False)
class ReLU(ElementwiseLayer):
    """The rectified linear unit max(x, 0), elementwise.

    >>> import convalg as ca
    >>> ca.layers.ReLU().out_shape((8, 4, 4))
    (8, 4, 4)
    """

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return activations.relu(only_shape(shapes))


@dataclass(frozen=True, repr=False)
class LeakyReLU(ElementwiseLayer):
    """The leaky rectified linear unit, elementwise: x for x > 0, and slope * x for x <= 0.

    Args:
        slope: the factor for negative inputs.

    >>> import convalg as ca
    >>> ca.layers.LeakyReLU(0.2)
    LeakyReLU(slope=0.2)
    """

    slope: float = 0.01

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return activations.leaky_relu(only_shape(shapes), self.slope)


@dataclass(frozen=True, repr=False)
class Sigmoid(ElementwiseLayer):
    """The logistic function 1 / (1 + exp(-x)), elementwise.

    >>> import convalg as ca
    >>> ca.layers.Sigmoid().out_shape((10,))
    (10,)
    """

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return activations.sigmoid(only_shape(shapes))


@dataclass(frozen=True, repr=False)
class Tanh(ElementwiseLayer):
    """The hyperbolic tangent, elementwise.

    >>> import convalg as ca
    >>> ca.layers.Tanh().out_shape((10,))
    (10,)
    """

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return activations.tanh(only_shape(shapes))


@dataclass(frozen=True, repr=False)
class Softmax(ElementwiseLayer):
    """The softmax along the channels: exp(x) divided by the sum of exp(x) over the channels.

    >>> import convalg as ca
    >>> ca.layers.Softmax().out_shape((10,))
    (10,)
    """

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return activations.softmax(only_shape(shapes))

    def channels(self, shape: Shape) -> Array:
        return grouped(channels_of(shape), channels_of(shape), 1)

    def reads_all(self, shape: Shape) -> bool:
        return True

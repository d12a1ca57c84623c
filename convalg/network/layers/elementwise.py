"""Activations and normalisations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convalg.arrays import Array
from convalg.maps import activations, normalisation
from convalg.network.layers.base import Layer, Shape, channels_of, grouped, only_shape
from convalg.network.layers.checks import count
from convalg.operators.make import identity
from convalg.operators.tree import Map


@dataclass(frozen=True, repr=False)
class ElementwiseLayer(Layer):
    """The base class of layers that keep the shape."""

    def out_shape(self, *shapes: Shape) -> Shape:
        return only_shape(shapes)


@dataclass(frozen=True, repr=False)
class ReLU(ElementwiseLayer):
    """max(x, 0), elementwise.

    >>> import convalg as ca
    >>> ca.layers.ReLU().out_shape((8, 4, 4))
    (8, 4, 4)
    """

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return activations.relu(only_shape(shapes))


@dataclass(frozen=True, repr=False)
class LeakyReLU(ElementwiseLayer):
    """x where it is positive and slope * x elsewhere, elementwise.

    Args:
        slope: the slope for negative numbers.

    >>> import convalg as ca
    >>> ca.layers.LeakyReLU(0.2)
    LeakyReLU(slope=0.2)
    """

    slope: float = 0.01

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return activations.leaky_relu(only_shape(shapes), self.slope)


@dataclass(frozen=True, repr=False)
class Sigmoid(ElementwiseLayer):
    """1 / (1 + exp(-x)), elementwise.

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
    """The softmax along the channels, exp(x) / sum(exp(x)).

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


@dataclass(frozen=True, repr=False)
class Dropout(ElementwiseLayer):
    """Dropout; the identity, except in training.

    Args:
        rate: the share of numbers that are set to zero in training.

    >>> import convalg as ca
    >>> ca.layers.Dropout(0.5).out_shape((4096,))
    (4096,)
    """

    linear = True

    rate: float = 0.5

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return identity(only_shape(shapes))


@dataclass(frozen=True, repr=False)
class Identity(ElementwiseLayer):
    """The identity, for a named node in the graph.

    >>> import convalg as ca
    >>> ca.layers.Identity().out_shape((4,))
    (4,)
    """

    linear = True

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return identity(only_shape(shapes))


@dataclass(frozen=True, repr=False)
class BatchNorm(ElementwiseLayer):
    """Batch norm with running statistics and two trained numbers for each channel.

    Args:
        epsilon: the number added to the variance.

    >>> import convalg as ca
    >>> ca.layers.BatchNorm().weights((64, 8, 8))
    {'scale': (64,), 'offset': (64,)}
    """

    linear = True

    epsilon: float = 1e-5

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        count = (channels_of(only_shape(shapes)),)
        return {"scale": count, "offset": count}

    def buffers(self, *shapes: Shape) -> dict[str, Shape]:
        count = (channels_of(only_shape(shapes)),)
        return {"mean": count, "variance": count}

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return normalisation.batch_norm(
            only_shape(shapes),
            weights["mean"],
            weights["variance"],
            scale=weights["scale"],
            offset=weights["offset"],
            epsilon=self.epsilon,
        )


@dataclass(frozen=True, repr=False)
class LRN(ElementwiseLayer):
    """Local response normalisation: x / (k + alpha mean(x^2))^beta, over neighbouring channels.

    Args:
        size: the number of channels in the mean, with zeros beyond the first and the last one.
        alpha: the factor of the mean.
        beta: the exponent.
        k: the summand.

    >>> import convalg as ca
    >>> ca.layers.LRN(5).out_shape((96, 55, 55))
    (96, 55, 55)
    """

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        count(self.size, "size")

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return normalisation.local_response_norm(
            only_shape(shapes), self.size, alpha=self.alpha, beta=self.beta, k=self.k
        )

    def channels(self, shape: Shape) -> Array:
        count = channels_of(shape)
        reach = self.size // 2
        steps = np.arange(count)[None, :] - np.arange(count)[:, None]
        return (steps >= -reach) & (steps <= (self.size - 1) // 2)

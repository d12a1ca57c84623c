"""Batch normalisation and local response normalisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convalg.arrays import Array
from convalg.maps import normalisation
from convalg.network.layers.activations import ElementwiseLayer
from convalg.network.layers.base import Shape, channels_of, only_shape
from convalg.network.layers.checks import count
from convalg.operators.tree import Map


@dataclass(frozen=True, repr=False)
class BatchNorm(ElementwiseLayer):
    """Batch normalisation with fixed statistics, as at inference.

    For each channel, the output is scale * (x - mean) / sqrt(variance + epsilon) + offset. The
    arrays "scale" and "offset" are trained; "mean" and "variance" are buffers.

    Args:
        epsilon: the number added to the variance, at least 0.

    Raises:
        ArgumentError: when epsilon is negative or infinite.

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
    """Local response normalisation over neighbouring channels: x / (k + alpha mean(x^2))^beta.

    Args:
        size: the number of neighbouring channels in the mean; channels beyond the first and the
            last one count as zeros.
        alpha: the factor of the mean.
        beta: the exponent.
        k: the number added to the scaled mean.

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

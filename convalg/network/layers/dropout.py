"""Layers that are the identity at inference: dropout and the identity itself."""

from __future__ import annotations

from dataclasses import dataclass

from convalg.arrays import Array
from convalg.network.layers.activations import ElementwiseLayer
from convalg.network.layers.base import Shape, only_shape
from convalg.operators.dense import identity
from convalg.operators.tree import Map


@dataclass(frozen=True, repr=False)
class Dropout(ElementwiseLayer):
    """Dropout, which is the identity except in training.

    Args:
        rate: the share of entries that are set to zero in training, from 0 to 1.

    Raises:
        ArgumentError: when rate is not from 0 to 1.

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
    """The identity, which adds a node with a name of its own to the graph.

    >>> import convalg as ca
    >>> ca.layers.Identity().out_shape((4,))
    (4,)
    """

    linear = True

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return identity(only_shape(shapes))

"""Layers that do nothing at inference: dropout and identity."""

from __future__ import annotations

from dataclasses import dataclass

from convalg.arrays import Array
from convalg.network.layers.activations import ElementwiseLayer
from convalg.network.layers.base import Shape, only_shape
from convalg.operators.dense import identity
from convalg.operators.tree import Map


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

"""Effective receptive fields: how strongly an output depends on each pixel.

Source: Luo et al. 2016, Understanding the effective receptive field.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.errors import ArgumentError, KindError
from convalg.network.graph import INPUT, Graph
from convalg.network.jacobian import jacobian
from convalg.network.layers.activations import LeakyReLU, ReLU, Sigmoid, Tanh
from convalg.network.layers.convolution import Conv
from convalg.network.layers.dropout import Dropout, Identity
from convalg.network.layers.normalisation import BatchNorm
from convalg.network.layers.pooling import AvgPool, GlobalAvgPool

_WINDOWS = (Conv, AvgPool, GlobalAvgPool)
_POINTS = (BatchNorm, Dropout, Identity, LeakyReLU, ReLU, Sigmoid, Tanh)


@dataclass(frozen=True, eq=False)
class EffectiveField:
    """How strongly an output depends on each pixel.

    Attributes:
        profile: for a stack of layers with uniform kernels, the exact weight of each pixel of the
            receptive field, one tuple for each axis; the weights of an axis sum to 1. Empty if the
            field was computed from the gradient at an input.
        start: for each axis, the position of the first pixel of `profile` for output 0.
        variance: the variance of the weights along each axis, in squared pixels.
        values: the product of the profiles of all axes as floats, of the shape of the receptive
            field; or the absolute gradient summed over channels, of the image's spatial shape.
    """

    profile: tuple[tuple[Fraction, ...], ...]
    start: tuple[int, ...]
    variance: tuple[Any, ...]
    values: Array

    def above(self, share: float) -> tuple[int, ...]:
        """Return for each axis the number of pixels with at least a share of the largest weight.

        Args:
            share: the share, from 0 to 1.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 64), [ca.layers.Conv(1, 3)] * 5)
        >>> net.effective_receptive_field().above(0.0455)
        (9,)
        """
        lines = self.profile or tuple(
            tuple(self.values.sum(axis=tuple(k for k in range(self.values.ndim) if k != axis)))
            for axis in range(self.values.ndim)
        )
        return tuple(sum(1 for v in line if v >= share * max(line)) for line in lines)

    def mass(self, radius: float = 2.0) -> float:
        """Return the share of the total weight that is near the centre, from 0 to 1.

        Args:
            radius: the largest distance from the centre along each axis, in standard deviations.

        Raises:
            ArgumentError: when the gradient is zero everywhere.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 64), [ca.layers.Conv(1, 3)] * 5)
        >>> round(net.effective_receptive_field().mass(2.0), 3)
        0.951
        """
        inside = self.values
        for axis, spread in enumerate(self.variance):
            weight = self.values.sum(axis=tuple(k for k in range(self.values.ndim) if k != axis))
            positions = np.arange(len(weight))
            total = float(weight.sum())
            if total == 0:
                raise ArgumentError(
                    f"the gradient is zero everywhere, so its share within a radius of {radius} is "
                    f"undefined: pass another input x"
                )
            centre = float((weight * positions).sum()) / total
            far = np.abs(positions - centre) > radius * math.sqrt(float(spread)) + 1e-9
            shape = [1] * self.values.ndim
            shape[axis] = len(positions)
            inside = np.where(far.reshape(shape), 0, inside)
        return float(inside.sum() / self.values.sum())


def effective_field(net: Graph, node: str, x: object) -> EffectiveField:
    """Return the effective field of a node; see `Network.effective_receptive_field`."""
    return _profile(net, node) if x is None else _gradient(net, node, x)


def _profile(net: Graph, node: str) -> EffectiveField:
    """Return the exact profile of a stack of layers with uniform kernels.

    Rule: with S the product of the strides of the earlier layers, the profile has the coefficients
    of the product over all layers of (1/k) sum over t of z^(S (d t - p)); the variance is the sum
    over all layers of S^2 d^2 (k^2 - 1) / 12.
    """
    dims = len(net.in_shape) - 1
    lines: list[dict[int, Fraction]] = [{0: Fraction(1)} for _ in range(dims)]
    steps, variance = [1] * dims, [Fraction(0)] * dims
    for name in _stack(net, node):
        layer = net[name]
        (source,) = net.sources(name)
        if isinstance(layer, _POINTS):
            continue
        if not isinstance(layer, _WINDOWS):
            raise KindError(
                f"the exact profile is defined for convolutions, average poolings and elementwise "
                f"layers, not for {name}, which is {layer!r}: pass an input x"
            )
        links = layer.links(net.shapes[source])
        for k, link in enumerate(links):
            axis = link.axis
            taps = int(axis.taps)
            spread: dict[int, Fraction] = {}
            for position, share in lines[k].items():
                for tap in range(taps):
                    to = position + steps[k] * int(axis.raw(0, tap))
                    spread[to] = spread.get(to, Fraction(0)) + share / taps
            lines[k] = spread
            variance[k] += Fraction((steps[k] * int(axis.dilation)) ** 2 * (taps**2 - 1), 12)
            steps[k] *= int(axis.stride)
    profile = tuple(
        tuple(line.get(k, Fraction(0)) for k in range(min(line), max(line) + 1)) for line in lines
    )
    values = np.ones(())
    for line in profile:
        values = np.multiply.outer(values, np.array([float(v) for v in line]))
    return EffectiveField(profile, tuple(min(line) for line in lines), tuple(variance), values)


def _stack(net: Graph, node: str) -> list[str]:
    """Return the layers up to a node, the first one first. Raises: KindError if branches meet."""
    path: list[str] = []
    while node != INPUT:
        sources = net.sources(node)
        if len(sources) != 1:
            raise KindError(
                f"the exact profile is defined for a stack of layers without branches, but "
                f"branches meet at {node}: pass an input x"
            )
        path.append(node)
        node = sources[0]
    return path[::-1]


def _gradient(net: Graph, node: str, x: object) -> EffectiveField:
    """Return the field from the gradient of the central output, summed over channels."""
    operator = jacobian(net, x, node)
    shape = net.shapes[node]
    g = np.zeros(shape)
    g[(slice(None), *(n // 2 for n in shape[1:]))] = 1
    gradient = np.asarray(operator.T(g), dtype=float)
    values = np.abs(gradient).sum(axis=0)
    variance = []
    for axis in range(values.ndim):
        weight = values.sum(axis=tuple(k for k in range(values.ndim) if k != axis))
        positions, total = np.arange(len(weight)), max(float(weight.sum()), 1e-300)
        centre = float((weight * positions).sum()) / total
        variance.append(float((weight * (positions - centre) ** 2).sum()) / total)
    return EffectiveField((), (0,) * values.ndim, tuple(variance), values)

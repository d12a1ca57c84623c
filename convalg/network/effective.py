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

    For a stack of layers with uniform kernels, `profile` has for each axis the exact shares of
    the pixels of the receptive field, which sum to 1, and `start` the position of the first pixel
    for output 0. For a given input, `values` is the magnitude of the gradient at each pixel of
    the image, summed over channels, and `profile` is empty. `variance` has one number for each
    axis.
    """

    profile: tuple[tuple[Fraction, ...], ...]
    start: tuple[int, ...]
    variance: tuple[Any, ...]
    values: Array

    def above(self, share: float) -> tuple[int, ...]:
        """Count the pixels, by axis, with at least this share of the largest weight.

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
        """Return the share within `radius` standard deviations of the centre on all axes.

        Raises:
            ArgumentError: when the gradient is zero.

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
                    f"the gradient is zero everywhere, so no share of it is within a radius of "
                    f"{radius}: choose another input x"
                )
            centre = float((weight * positions).sum()) / total
            far = np.abs(positions - centre) > radius * math.sqrt(float(spread)) + 1e-9
            shape = [1] * self.values.ndim
            shape[axis] = len(positions)
            inside = np.where(far.reshape(shape), 0, inside)
        return float(inside.sum() / self.values.sum())


def effective_field(net: Graph, node: str, x: object) -> EffectiveField:
    """See `Network.effective_receptive_field`."""
    return _profile(net, node) if x is None else _gradient(net, node, x)


def _profile(net: Graph, node: str) -> EffectiveField:
    """Return the exact profile of a stack of layers with uniform kernels.

    Rule: the coefficients of prod over layers of (1/k) sum over t of z^(S (d t - p)); the
    variance is the sum of S^2 d^2 (k^2 - 1) / 12, with S the stride so far.
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
                f"the exact profile is defined for convolutions and average poolings, and {name} "
                f"is {layer!r}: pass an input x"
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
    """Return the layers up to a node. Raises: KindError where branches meet."""
    path: list[str] = []
    while node != INPUT:
        sources = net.sources(node)
        if len(sources) != 1:
            raise KindError(
                f"branches meet at {node}, and the exact profile is defined for a single stack of "
                f"layers: pass an input x"
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

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
from convalg.network.layers.convolution import Conv
from convalg.network.layers.elementwise import (
    BatchNorm,
    Dropout,
    Identity,
    LeakyReLU,
    ReLU,
    Sigmoid,
    Tanh,
)
from convalg.network.layers.pooling import AvgPool, GlobalAvgPool

_WINDOWS = (Conv, AvgPool, GlobalAvgPool)
_POINTS = (BatchNorm, Dropout, Identity, LeakyReLU, ReLU, Sigmoid, Tanh)


@dataclass(frozen=True, eq=False)
class EffectiveField:
    """How strongly an output depends on each pixel.

    `profile`: for a stack with uniform kernels, by axis, exact shares that sum to 1, over the
    whole receptive field; `start` the position of the first for output 0. `variance` by axis.
    For a given input, `values` is the size of the gradient at each pixel of the image.
    """

    profile: tuple[tuple[Fraction, ...], ...]
    start: tuple[int, ...]
    variance: tuple[Any, ...]
    values: Array

    def above(self, share: float) -> tuple[int, ...]:
        """How many pixels, by axis, carry at least this share of the largest weight.

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
        """The share within `radius` standard deviations of the centre, on all axes at once."""
        inside = self.values
        for axis, spread in enumerate(self.variance):
            weight = self.values.sum(axis=tuple(k for k in range(self.values.ndim) if k != axis))
            places = np.arange(len(weight))
            total = float(weight.sum())
            if total == 0:
                raise ArgumentError(
                    f"the gradient is zero everywhere: nothing lies within {radius}"
                )
            centre = float((weight * places).sum()) / total
            far = np.abs(places - centre) > radius * math.sqrt(float(spread)) + 1e-9
            shape = [1] * self.values.ndim
            shape[axis] = len(places)
            inside = np.where(far.reshape(shape), 0, inside)
        return float(inside.sum() / self.values.sum())


def effective_field(net: Graph, node: str, x: Any) -> EffectiveField:
    """See `Network.effective_receptive_field`."""
    return _profile(net, node) if x is None else _gradient(net, node, x)


def _profile(net: Graph, node: str) -> EffectiveField:
    """Exact, for a stack of layers with uniform kernels.

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
                f"the exact profile is that of convolutions and average poolings, and {name} is "
                f"{layer!r}: pass an input x"
            )
        links = layer.links(net.shapes[source])
        for k, link in enumerate(links):
            axis = link.axis
            taps = int(axis.taps)
            spread: dict[int, Fraction] = {}
            for place, share in lines[k].items():
                for tap in range(taps):
                    to = place + steps[k] * int(axis.raw(0, tap))
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
    """The layers up to a node. Raises: KindError where branches meet."""
    path: list[str] = []
    while node != INPUT:
        sources = net.sources(node)
        if len(sources) != 1:
            raise KindError(f"branches meet at {node}: the exact profile is that of one stack")
        path.append(node)
        node = sources[0]
    return path[::-1]


def _gradient(net: Graph, node: str, x: Any) -> EffectiveField:
    """The gradient of the sum over channels of the central output, at one input."""
    operator = jacobian(net, x, node)
    shape = net.shapes[node]
    g = np.zeros(shape)
    g[(slice(None), *(n // 2 for n in shape[1:]))] = 1
    gradient = np.asarray(operator.T(g), dtype=float)
    values = np.abs(gradient).sum(axis=0)
    variance = []
    for axis in range(values.ndim):
        weight = values.sum(axis=tuple(k for k in range(values.ndim) if k != axis))
        places, total = np.arange(len(weight)), max(float(weight.sum()), 1e-300)
        centre = float((weight * places).sum()) / total
        variance.append(float((weight * (places - centre) ** 2).sum()) / total)
    return EffectiveField((), (0,) * values.ndim, tuple(variance), values)

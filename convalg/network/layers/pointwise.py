"""Elementwise functions of imported models as one layer: GELU, swish, softplus, and others."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from convalg.arrays import Array
from convalg.errors import ArgumentError
from convalg.maps.activations import ElementwiseMap
from convalg.network.layers.base import (
    Layer,
    Shape,
    only_shape,
)
from convalg.operators.tree import Map


def _erf_slope(x: Array) -> Array:
    slope: Array = 2 / math.sqrt(math.pi) * np.exp(-x * x)
    return slope


def _gelu(x: Array) -> Array:
    from scipy.special import erf

    value: Array = x * (erf(x / math.sqrt(2)) + 1) / 2
    return value


def _gelu_slope(x: Array) -> Array:
    from scipy.special import erf

    density = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    slope: Array = (erf(x / math.sqrt(2)) + 1) / 2 + x * density
    return slope


def _erf(x: Array) -> Array:
    from scipy.special import erf

    value: Array = erf(x)
    return value


def _logistic(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    value: Array = np.where(x >= 0, 1, small) / (1 + small)
    return value


def _swish_slope(x: Array) -> Array:
    share = _logistic(x)
    slope: Array = share + x * share * (1 - share)
    return slope


def _softplus(x: Array) -> Array:
    return np.logaddexp(x, np.zeros((), x.dtype))


def _inside(x: Array, low: float, high: float) -> Array:
    return ((x > low) & (x < high)).astype(x.dtype)


def _hard(x: Array, slope: float, offset: float) -> Array:
    return np.clip(slope * x + offset, 0, 1)


def _hard_slope(x: Array, slope: float, offset: float) -> Array:
    return slope * _inside(slope * x + offset, 0, 1)


FUNCTIONS: dict[str, tuple[Callable[..., Array], Callable[..., Array]]] = {
    "abs": (np.abs, np.sign),
    "clip": (lambda x, low, high: np.clip(x, low, high), _inside),
    "elu": (
        lambda x, a: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0))),
        lambda x, a: np.where(x > 0, 1, a * np.exp(np.minimum(x, 0))),
    ),
    "erf": (_erf, _erf_slope),
    "exp": (np.exp, np.exp),
    "gelu": (_gelu, _gelu_slope),
    "hard_sigmoid": (_hard, _hard_slope),
    "hard_swish": (
        lambda x: x * _hard(x, 1 / 6, 0.5),
        lambda x: _hard(x, 1 / 6, 0.5) + x * _hard_slope(x, 1 / 6, 0.5),
    ),
    "log": (np.log, np.reciprocal),
    "power": (lambda x, p: x**p, lambda x, p: p * x ** (p - 1)),
    "scaled_tanh": (
        lambda x, a, s: a * np.tanh(s * x),
        lambda x, a, s: a * s * (1 - np.tanh(s * x) ** 2),
    ),
    "softplus": (_softplus, _logistic),
    "sqrt": (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "swish": (lambda x: x * _logistic(x), _swish_slope),
}
"""Each elementwise function with its derivative."""


@dataclass(frozen=True, repr=False)
class Pointwise(Layer):
    """A function of one real number, applied to every entry of the input.

    Args:
        function: the name of the function: "abs", "clip", "elu", "erf", "exp", "gelu",
            "hard_sigmoid", "hard_swish", "log", "power", "scaled_tanh", "softplus", "sqrt" or
            "swish".
        numbers: a tuple of the parameters of the function: (low, high) for "clip", (alpha,) for
            "elu", (slope, offset) for "hard_sigmoid", (exponent,) for "power", (amplitude, slope)
            for "scaled_tanh"; the other functions have none.

    Raises:
        ArgumentError: for an unknown function.

    >>> import convalg as ca
    >>> net = ca.sequential((3,), [ca.layers.Pointwise("clip", (0, 6))])
    >>> net([-1, 3, 8]).tolist()
    [0, 3, 6]
    """

    function: str
    numbers: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.function not in FUNCTIONS:
            raise ArgumentError(
                f"function must be one of {', '.join(FUNCTIONS)}, not {self.function!r}"
            )

    def out_shape(self, *shapes: Shape) -> Shape:
        return only_shape(shapes)

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        value, slope = FUNCTIONS[self.function]
        return ElementwiseMap(
            only_shape(shapes),
            lambda x: value(x, *self.numbers),
            lambda x: slope(x, *self.numbers),
            repr(self),
        )

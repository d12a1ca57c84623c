"""Layers that imported models need: opaque ones, numbers by numbers, sums and products."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.limits import check_room
from convalg.maps.activations import Elementwise
from convalg.maps.chains import Affine, chain, embeddings, one_sample
from convalg.maps.normalisation import batch_norm_training
from convalg.network.layers.base import (
    Cost,
    Indices,
    Layer,
    Link,
    Shape,
    channels_of,
    everything,
    grouped,
    one,
    regrouped,
)
from convalg.network.layers.checks import count, tuple_of
from convalg.operators.make import diagonal, identity, reshape
from convalg.operators.tree import Map, Operator, add, compose
from convalg.size import is_symbolic, size_product


@dataclass(frozen=True, repr=False)
class Opaque(Layer):
    """An operator of another framework that only has a shape: its output may read everything.

    `reason` says why it has no map; running it raises an ArgumentError.

    >>> Opaque("TopK", (10,)).out_shape((8, 4, 4)), Opaque("TopK", (10,)).links((8, 4, 4))
    ((10,), None)
    """

    operator: str
    shape: Shape
    reason: str = ""
    like: Layer | None = None
    """A layer that reads the same entries and has the same arrays, where there is one."""
    arrays: tuple[tuple[str, Shape], ...] = ()
    """Names and shapes of the trained arrays, without a `like`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.like is None or isinstance(self.like, Layer)):
            raise KindError(f"like must be a layer, not {self.like!r}")
        pairs = isinstance(self.arrays, tuple) and all(
            isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)
            for pair in self.arrays
        )
        if not pairs:
            raise KindError(f"arrays must be pairs of a name and a shape, not {self.arrays!r}")
        for name, shape in self.arrays:
            tuple_of(count)(shape, name)

    def out_shape(self, *shapes: Shape) -> Shape:
        return self.shape

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        return dict(self.arrays) if self.like is None else self.like.weights(*shapes)

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        tail = f": {self.reason}" if self.reason else ""
        raise ArgumentError(
            f"{self.operator} is opaque here, known by its shape {self.shape} alone, and cannot "
            f"be run{tail}"
        )

    def links(self, shape: Shape) -> tuple[Link, ...] | None:
        return None if self.like is None else self.like.links(shape)

    def channels(self, shape: Shape) -> Array | None:
        if self.like is not None:
            return self.like.channels(shape)
        return np.ones((channels_of(self.shape), channels_of(shape)), dtype=bool)

    def reads(self, units: Indices, shapes: tuple[Shape, ...], port: int = 0) -> list[Indices]:
        if self.like is not None:
            return self.like.reads(units, shapes, port)
        return [tuple(everything(int(n)) for n in shapes[port])]

    def reads_all(self, shape: Shape) -> bool:
        return self.like is not None and self.like.reads_all(shape)

    def cost(self, *shapes: Shape) -> Cost:
        return super().cost(*shapes) if self.like is None else self.like.cost(*shapes)


def _erf_slope(x: Array) -> Array:
    return 2 / math.sqrt(math.pi) * np.exp(-x * x)


def _gelu(x: Array) -> Array:
    from scipy.special import erf

    return x * (erf(x / math.sqrt(2)) + 1) / 2


def _gelu_slope(x: Array) -> Array:
    from scipy.special import erf

    return (erf(x / math.sqrt(2)) + 1) / 2 + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _erf(x: Array) -> Array:
    from scipy.special import erf

    return erf(x)


def _logistic(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def _swish_slope(x: Array) -> Array:
    share = _logistic(x)
    return share + x * share * (1 - share)


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
"""Functions of one number with their slopes."""


@dataclass(frozen=True, repr=False)
class Pointwise(Layer):
    """One of the functions of a number in `FUNCTIONS`, applied to every entry.

    >>> Pointwise("clip", (0, 6)).map(((3,),), {})([-1, 3, 8]).tolist()
    [0, 3, 6]
    """

    function: str
    numbers: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.function not in FUNCTIONS:
            raise ArgumentError(
                f"a pointwise function is one of {', '.join(FUNCTIONS)}, not {self.function!r}"
            )

    def out_shape(self, *shapes: Shape) -> Shape:
        return one(shapes)

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        value, slope = FUNCTIONS[self.function]
        return Elementwise(
            one(shapes),
            lambda x: value(x, *self.numbers),
            lambda x: slope(x, *self.numbers),
            repr(self),
        )


@dataclass(frozen=True, repr=False)
class Standardise(Layer):
    """The input cut into rows, each less its mean and over its deviation.

    As many rows as channels are instance norm, as many as groups group norm; one for each place
    before the last axes, layer norm. What is trained stands behind, as a Scale and a Shift.

    >>> Standardise(4).out_shape((8, 5, 5))
    (8, 5, 5)
    """

    rows: int
    epsilon: float = 1e-5

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = one(shapes)
        if size_product(shape) % self.rows:
            raise ShapeError(f"an input of {shape} cannot be cut into {self.rows} equal rows")
        return shape

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape = one(shapes)
        cut = (1, self.rows, size_product(shape) // self.rows)
        norm = batch_norm_training(cut, epsilon=self.epsilon)
        return chain(reshape(cut, shape), norm, reshape(shape, cut))

    def links(self, shape: Shape) -> tuple[Link, ...] | None:
        return None if len(shape) > 1 else ()

    def channels(self, shape: Shape) -> Array | None:
        inputs = channels_of(shape)
        return grouped(inputs, inputs, self.rows) if inputs % self.rows == 0 else None

    def reads(self, units: Indices, shapes: tuple[Shape, ...], port: int = 0) -> list[Indices]:
        shape = one(shapes)
        if self.reads_all(shape):
            return super().reads(units, shapes, port)
        flat = (self.rows, size_product(shape) // self.rows)
        rows = [part[0] for part in regrouped(units, shape, flat)]
        whole = (np.unique(np.concatenate(rows)), everything(flat[1])) if rows else ()
        return regrouped(whole, flat, shape) if whole else []

    def reads_all(self, shape: Shape) -> bool:
        return bool(channels_of(shape) % self.rows == 0)


@dataclass(frozen=True, repr=False)
class _Broadcast(Layer):
    """An array that is spread over the input, its axes counted from the last one."""

    linear = True
    name = ""

    array: Shape = ()

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = one(shapes)
        tail = shape[len(shape) - len(self.array) :]
        fits = len(self.array) <= len(shape) and all(
            a in (1, n) for a, n in zip(self.array, tail, strict=True)
        )
        if not fits:
            raise ShapeError(
                f"an array of shape {self.array} does not spread over an input of {shape}"
            )
        return shape

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        return {self.name: self.array} if size_product(self.array) > 1 else {}

    def buffers(self, *shapes: Shape) -> dict[str, Shape]:
        # A single number is part of the formula, not trained.
        return {} if size_product(self.array) > 1 else {self.name: self.array}

    def _spread(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Array:
        return np.broadcast_to(weights[self.name], one(shapes))


@dataclass(frozen=True, repr=False)
class Scale(_Broadcast):
    """The input times an array, which is spread over it as NumPy does.

    >>> Scale((8, 1, 1)).weights((8, 4, 4)), Scale().buffers((8, 4, 4))
    ({'scale': (8, 1, 1)}, {'scale': ()})
    """

    name = "scale"

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return diagonal(self._spread(shapes, weights))

    def cost(self, *shapes: Shape) -> Cost:
        parameters = sum(map(size_product, self.weights(*shapes).values()))
        places = size_product(one(shapes))
        return Cost(parameters, places, places, places, places**2)


@dataclass(frozen=True, repr=False)
class Shift(_Broadcast):
    """The input plus an array, which is spread over it as NumPy does.

    >>> Shift((8, 1, 1)).weights((8, 4, 4))
    {'bias': (8, 1, 1)}
    """

    name = "bias"

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return Affine(identity(one(shapes)), self._spread(shapes, weights))


@dataclass(frozen=True, eq=False)
class Multiplied(Map):
    """The first half of the channels times the second."""

    in_shape: tuple[Any, ...]
    out_shape: tuple[Any, ...]

    def _apply(self, x: Array) -> Array:
        half = self.out_shape[0]
        return x[:, :half] * x[:, half:]

    def at(self, x: Any, /) -> Operator:
        value = one_sample(x, self.in_shape)
        half = self.out_shape[0]
        first, second = (cut.T for cut in embeddings([self.out_shape, self.out_shape]))
        return add(compose(diagonal(value[half:]), first), compose(diagonal(value[:half]), second))


@dataclass(frozen=True, repr=False)
class Product(Layer):
    """The first half of the channels times the second: the product of two branches.

    The branches come one behind the other, from a Concat.

    >>> Product().out_shape((16, 4, 4))
    (8, 4, 4)
    """

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = one(shapes)
        count = channels_of(shape)
        if not is_symbolic(count) and count % 2:
            raise ShapeError(f"a product of two halves needs an even number of channels: {shape}")
        return (count // 2, *shape[1:])

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return Multiplied(one(shapes), self.out_shape(*shapes))

    def channels(self, shape: Shape) -> Array:
        half = channels_of(shape) // 2
        check_room(2 * half**2, 1, f"a table of {half} by {2 * half} channels")
        return np.tile(np.eye(half, dtype=bool), (1, 2))

    def cost(self, *shapes: Shape) -> Cost:
        places = size_product(self.out_shape(*shapes))
        return Cost(0, places, places, places, places)

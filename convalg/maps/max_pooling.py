"""Pooling by the largest or the smallest sample of each window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from convalg import engine
from convalg.arrays import Array, batch_of, check_real, one_sample
from convalg.conventions import Padding, Shape
from convalg.errors import ArgumentError, SymbolicError
from convalg.operators import windows
from convalg.operators.leaves import gathering
from convalg.operators.pooling import (
    adaptive_shape,
    concrete_axes,
    concrete_shape,
    largest_indices,
    shape_words,
    shapes,
    tail,
)
from convalg.operators.tree import Map, Operator
from convalg.size import (
    as_shape,
    is_expression,
    per_axis,
    size_product,
)


def max_pool(
    shape: Shape,
    size: Any,
    *,
    stride: Any = None,
    padding: Padding = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    channels: int | None = None,
) -> Extremum:
    """The largest sample of each window: a map; at a point, the selection of the winners.

    Shapes: as `sum_pool`. Padding is minus infinity: it never wins, also among negative
    samples. Of equal samples the first one wins, in row-major order of the window; a NaN wins
    over all numbers. `f.indices(x)` tells where the winners are.
    Raises: ShapeError, ArgumentError or KindError naming the argument at fault.
    Source: PyTorch, MaxPool; ONNX, operator MaxPool.

    >>> pool = max_pool(5, 3, stride=2, padding=1)
    >>> pool([-3, -1, -2, -1, -5]).tolist(), pool.indices([-3, -1, -2, -1, -5]).tolist()
    ([-1, -1, -1], [1, 1, 3])
    >>> pool.at([-3, -1, -2, -1, -5]).to_numpy().tolist()
    [[0, 1, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 1, 0]]
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
    return _extremum("max_pool", shape, size, options, channels)


def min_pool(
    shape: Shape,
    size: Any,
    *,
    stride: Any = None,
    padding: Padding = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    channels: int | None = None,
) -> Extremum:
    """The smallest sample of each window: a map, as `max_pool` with the signs turned.

    Shapes and errors: as `sum_pool`. Padding is plus infinity.

    >>> min_pool(4, 2)([4, 3, 1, 2]).tolist()
    [3, 1]
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
    return _extremum("min_pool", shape, size, options, channels)


def global_max_pool(shape: Shape, *, channels: int | None = None) -> Extremum:
    """The largest sample of each channel: a map.

    Shapes: as `global_pool`.

    >>> global_max_pool((2, 2))([[1, 2], [7, 6]]).tolist()
    [[7]]
    """
    return max_pool(shape, as_shape(shape), channels=channels)


def adaptive_max_pool(shape: Shape, out_shape: Any, *, channels: int | None = None) -> Extremum:
    """The largest sample of each window of `adaptive_pool`: a map.

    Shapes and errors: as `adaptive_pool`.

    >>> adaptive_max_pool(5, 3)([1, 5, 2, 4, 3]).tolist()
    [5, 5, 4]
    """
    sizes, wanted = concrete_shape(shape), adaptive_shape(shape, out_shape)
    windows.check_samples((*sizes, *wanted), "an adaptive pooling")
    words = f"adaptive_max_pool({shape_words(sizes)}, {shape_words(wanted)}{tail(channels)})"
    each = [[list(w) for w in windows.adaptive(n, m)] for n, m in zip(sizes, wanted, strict=True)]
    longest = [max(map(len, found)) for found in each]
    windows.check_places(math.prod((*longest, *wanted)), words)
    places = np.zeros((1, 1), dtype=np.int64)
    for n, found, most in zip(sizes, each, longest, strict=True):
        here = np.array([window + [-1] * (most - len(window)) for window in found]).T
        places = engine.joined(places, here, n)
    return Extremum("max", places, *shapes(sizes, wanted, channels), sizes, words)


@dataclass(frozen=True, eq=False)
class Extremum(Map):
    """The largest or smallest sample of each window; see `max_pool`.

    `places`: the flat input of each (tap, output) of one channel, -1 where there is none.
    """

    kind: Literal["max", "min"]
    places: Array
    in_shape: tuple[Any, ...]
    out_shape: tuple[Any, ...]
    plane: tuple[int, ...]
    words: str

    def __repr__(self) -> str:
        return self.words

    def indices(self, x: Any) -> Array:
        """Where each winner is, flat and row-major within its channel; -1 in empty windows.

        Shapes: x `(*batch, *in_shape)`, result `(*batch, *out_shape)`, int64.
        """
        values, batch = batch_of(x, self.in_shape, "x")
        return self._winners(values)[1].reshape(*batch, *self.out_shape)

    def _apply(self, x: Array) -> Array:
        return self._winners(x)[0]

    def at(self, x: Any, /) -> Operator:
        """The selection of the winners at one sample; its adjoint sends each gradient back."""
        value = one_sample(x, self.in_shape)
        found = self._winners(value[None])[1].reshape(-1, self.places.shape[1])
        steps = np.arange(len(found))[:, None] * size_product(self.plane)
        table = np.where(found < 0, -1, found + steps)
        return gathering(table, self.in_shape, self.out_shape)

    def _winners(self, x: Array) -> tuple[Array, Array]:
        """The best values and their places in the plane, channel by channel."""
        check_real(x)
        samples = x.reshape(-1, size_product(self.plane))
        taps, outputs = self.places.shape
        best = np.zeros((len(samples), outputs), dtype=x.dtype)
        winner = np.full(best.shape, -1, dtype=np.int64)
        for tap in range(taps):
            here = self.places[tap]
            value = np.take(samples, np.maximum(here, 0), axis=1)
            better = (here >= 0) & ((winner < 0) | self._beats(value, best))
            best = np.where(better, value, best)
            winner = np.where(better, here, winner)
        return self._with_empty(best, winner), winner

    def _beats(self, value: Array, best: Array) -> Array:
        try:
            larger = np.asarray(value > best if self.kind == "max" else value < best, dtype=bool)
        except TypeError:
            symbols = [v for v in value.ravel() if is_expression(v) and v.free_symbols]
            raise SymbolicError(
                f"which sample wins depends on the symbols, such as {symbols[:1]}: put in "
                f"numbers first"
            ) from None
        if value.dtype.kind == "f":
            return larger | (np.isnan(value) & ~np.isnan(best))
        return larger

    def _with_empty(self, best: Array, winner: Array) -> Array:
        empty = winner < 0
        if not empty.any():
            return best
        if best.dtype.kind != "f":
            raise ArgumentError(
                f"output {int(np.argwhere(empty)[0][1])} of {self.words} has only padding in its "
                f"window, and no integer is infinite: pass x.astype(float)"
            )
        return np.where(empty, -math.inf if self.kind == "max" else math.inf, best)


def _extremum(
    name: Literal["max_pool", "min_pool"],
    shape: Any,
    size: Any,
    options: dict[str, Any],
    channels: int | None,
) -> Extremum:
    sizes = concrete_shape(shape)
    axes = concrete_axes(sizes, size, options)
    after = tuple(int(axis.out_size) for axis in axes)
    defaults = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False}
    plain = {key: v.tolist() if hasattr(v, "tolist") else v for key, v in options.items()}
    given = [f", {key}={value!r}" for key, value in plain.items() if value != defaults[key]]
    window = shape_words(per_axis(size, "size", len(sizes)))
    words = f"{name}({shape_words(sizes)}, {window}{''.join(given)}{tail(channels)})"
    kind: Literal["max", "min"] = "max" if name == "max_pool" else "min"
    windows.check_places(size_product(after) * size_product([a.taps for a in axes]), words)
    windows.check_indices((*largest_indices(axes), size_product(sizes)), words)
    places, _ = engine.table(axes)
    return Extremum(kind, places, *shapes(sizes, after, channels), sizes, words)

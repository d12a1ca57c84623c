"""Max and min pooling."""

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
    channels_text,
    concrete_axes,
    concrete_shape,
    largest_indices,
    shape_text,
    shapes,
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
    size: object,
    *,
    stride: object = None,
    padding: Padding = 0,
    dilation: object = 1,
    ceil_mode: bool = False,
    channels: int | None = None,
) -> Extremum:
    """The largest sample of each window: a map whose Jacobian selects the maxima.

    Padding is minus infinity: it is never the maximum, not even among negative samples. Of equal
    samples the first in row-major order of the window is taken; a NaN is greater than every
    number. `f.indices(x)` returns the indices of the maxima.

    Args:
        shape, size, stride, padding, dilation, ceil_mode, channels: as for `sum_pool`.

    Raises:
        ShapeError, ArgumentError, KindError: naming the invalid argument.

    Source: PyTorch, MaxPool; ONNX, operator MaxPool.

    >>> import convalg as ca
    >>> pool = ca.max_pool(5, 3, stride=2, padding=1)
    >>> pool([-3, -1, -2, -1, -5]).tolist(), pool.indices([-3, -1, -2, -1, -5]).tolist()
    ([-1, -1, -1], [1, 1, 3])
    >>> pool.at([-3, -1, -2, -1, -5]).to_numpy().tolist()
    [[0, 1, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 1, 0]]
    """
    options: dict[str, object] = {
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "ceil_mode": ceil_mode,
    }
    return _extremum("max_pool", shape, size, options, channels)


def min_pool(
    shape: Shape,
    size: object,
    *,
    stride: object = None,
    padding: Padding = 0,
    dilation: object = 1,
    ceil_mode: bool = False,
    channels: int | None = None,
) -> Extremum:
    """The smallest sample of each window: a map, min(x) = -max(-x).

    Padding is plus infinity; arguments and errors: as for `max_pool`.

    >>> import convalg as ca
    >>> ca.min_pool(4, 2)([4, 3, 1, 2]).tolist()
    [3, 1]
    """
    options: dict[str, object] = {
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "ceil_mode": ceil_mode,
    }
    return _extremum("min_pool", shape, size, options, channels)


def global_max_pool(shape: Shape, *, channels: int | None = None) -> Extremum:
    """The largest sample of each channel: a map.

    Arguments and errors: as for `global_pool`.

    >>> import convalg as ca
    >>> ca.global_max_pool((2, 2))([[1, 2], [7, 6]]).tolist()
    [[7]]
    """
    return max_pool(shape, as_shape(shape), channels=channels)


def adaptive_max_pool(shape: Shape, out_shape: object, *, channels: int | None = None) -> Extremum:
    """The largest sample of each window of `adaptive_pool`: a map.

    Arguments and errors: as for `adaptive_pool`.

    >>> import convalg as ca
    >>> ca.adaptive_max_pool(5, 3)([1, 5, 2, 4, 3]).tolist()
    [5, 5, 4]
    """
    sizes, out_sizes = concrete_shape(shape), adaptive_shape(shape, out_shape)
    windows.check_samples((*sizes, *out_sizes), "an adaptive pooling")
    label = (
        f"adaptive_max_pool({shape_text(sizes)}, {shape_text(out_sizes)}{channels_text(channels)})"
    )
    per_axis_windows = [
        [list(window) for window in windows.adaptive(n, m)]
        for n, m in zip(sizes, out_sizes, strict=True)
    ]
    longest = [max(map(len, axis_windows)) for axis_windows in per_axis_windows]
    windows.check_places(math.prod((*longest, *out_sizes)), label)
    table = np.zeros((1, 1), dtype=np.int64)
    for n, axis_windows, most in zip(sizes, per_axis_windows, longest, strict=True):
        padded = np.array([window + [-1] * (most - len(window)) for window in axis_windows]).T
        table = engine.joined(table, padded, n)
    return Extremum("max", table, *shapes(sizes, out_sizes, channels), sizes, label)


@dataclass(frozen=True, eq=False)
class Extremum(Map):
    """The largest or smallest sample of each window; see `max_pool`.

    `table`: the flat input index of each (tap, output) of one channel, -1 for padding.
    """

    kind: Literal["max", "min"]
    table: Array
    in_shape: tuple[Any, ...]
    out_shape: tuple[Any, ...]
    plane: tuple[int, ...]
    label: str

    def __repr__(self) -> str:
        return self.label

    def indices(self, x: object) -> Array:
        """Return the index of each extremum, flat and row-major within its channel.

        The index is -1 where a window has only padding.

        Args:
            x: an input `(*batch, *in_shape)`.

        Returns:
            An int64 array `(*batch, *out_shape)`.

        >>> import convalg as ca
        >>> ca.max_pool(4, 2).indices([3, 1, 2, 5]).tolist()
        [0, 3]
        """
        values, batch = batch_of(x, self.in_shape, "x")
        return self._winners(values)[1].reshape(*batch, *self.out_shape)

    def _apply(self, x: Array) -> Array:
        return self._winners(x)[0]

    def at(self, x: object, /) -> Operator:
        """The selection of the extrema at one sample; its adjoint routes each gradient back."""
        value = one_sample(x, self.in_shape)
        winners = self._winners(value[None])[1].reshape(-1, self.table.shape[1])
        starts = np.arange(len(winners))[:, None] * size_product(self.plane)
        selected = np.where(winners < 0, -1, winners + starts)
        return gathering(selected, self.in_shape, self.out_shape)

    def _winners(self, x: Array) -> tuple[Array, Array]:
        """The extrema and their indices in the plane, channel by channel."""
        check_real(x)
        samples = x.reshape(-1, size_product(self.plane))
        taps, outputs = self.table.shape
        best = np.zeros((len(samples), outputs), dtype=x.dtype)
        winner = np.full(best.shape, -1, dtype=np.int64)
        for tap in range(taps):
            indices = self.table[tap]
            value = np.take(samples, np.maximum(indices, 0), axis=1)
            better = (indices >= 0) & ((winner < 0) | self._beats(value, best))
            best = np.where(better, value, best)
            winner = np.where(better, indices, winner)
        return self._with_empty(best, winner), winner

    def _beats(self, value: Array, best: Array) -> Array:
        try:
            larger = np.asarray(value > best if self.kind == "max" else value < best, dtype=bool)
        except TypeError:
            symbols = [v for v in value.ravel() if is_expression(v) and v.free_symbols]
            raise SymbolicError(
                f"the extremum of a window depends on symbols, such as {symbols[:1]}: substitute "
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
                f"output {int(np.argwhere(empty)[0][1])} of {self.label} has only padding in its "
                f"window, and an integer cannot be infinite: pass x.astype(float)"
            )
        return np.where(empty, -math.inf if self.kind == "max" else math.inf, best)


def _extremum(
    name: Literal["max_pool", "min_pool"],
    shape: object,
    size: object,
    options: dict[str, object],
    channels: int | None,
) -> Extremum:
    sizes = concrete_shape(shape)
    axes = concrete_axes(sizes, size, options)
    out_sizes = tuple(int(axis.out_size) for axis in axes)
    defaults = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False}
    values = {key: v.tolist() if hasattr(v, "tolist") else v for key, v in options.items()}
    given = [f", {key}={value!r}" for key, value in values.items() if value != defaults[key]]
    window = shape_text(per_axis(size, "size", len(sizes)))
    label = f"{name}({shape_text(sizes)}, {window}{''.join(given)}{channels_text(channels)})"
    kind: Literal["max", "min"] = "max" if name == "max_pool" else "min"
    windows.check_places(size_product(out_sizes) * size_product([a.taps for a in axes]), label)
    windows.check_indices((*largest_indices(axes), size_product(sizes)), label)
    table, _ = engine.table(axes)
    return Extremum(kind, table, *shapes(sizes, out_sizes, channels), sizes, label)

"""Max and min pooling: maps whose Jacobian selects the extremum of each window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from convalg import engine
from convalg.arrays import Array, batch_of, check_real, one_sample
from convalg.conventions import Padding, PerAxis, Shape
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
    size: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    channels: int | None = None,
) -> Extremum:
    """Return the max pooling: the largest sample of each window, separately for each channel.

    The padding is minus infinity, so that it is never the maximum. Among equal samples of a window
    the first one in row-major order is the maximum; NaN is greater than every number.
    `f.indices(x)` returns the indices of the maxima, and the Jacobian `f.at(x)` selects them.

    Args:
        shape: Spatial shape of the input in samples, without channels: an int or one size per
            axis.
        size: Samples of a window on each axis: an int or one per axis.
        stride: Distance between neighbouring windows in samples: an int or one per axis; `size`
            by default, so that the windows touch.
        padding: Samples added around the input: an int for all sides, one int per axis, one pair
            (before, after) per axis, or a padding mode of `correlation`, such as "same".
        dilation: Distance between neighbouring samples of a window: an int or one per axis.
        ceil_mode: Whether a last window that extends beyond the padding is kept. It is kept only
            if it starts inside the input or inside the padding in front of it.
        channels: Number of channels, which become the first axis of the input and of the output;
            None for arrays without a channel axis.

    Returns:
        A map from `(*shape)` to one sample per window, with the channels in front of both shapes
        if given.

    Raises:
        ShapeError: when a window is larger than the padded input, or an option does not have one
            value per axis.
        ArgumentError: when a value is out of range or is not one of the allowed values.
        KindError: when an argument is of the wrong type.
        SymbolicError: for symbolic sizes.
        TooLargeError: when the table of windows would be too large.

    Source:
        PyTorch, MaxPool; ONNX, operator MaxPool.

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
    size: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    channels: int | None = None,
) -> Extremum:
    """Return the min pooling: the smallest sample of each window, separately for each channel.

    The padding is plus infinity, so that it is never the minimum. Among equal samples of a window
    the first one in row-major order is the minimum; NaN is smaller than every number.

    Args:
        shape: Spatial shape of the input in samples, without channels: an int or one size per
            axis.
        size: Samples of a window on each axis: an int or one per axis.
        stride: Distance between neighbouring windows in samples: an int or one per axis; `size`
            by default, so that the windows touch.
        padding: Samples added around the input: an int for all sides, one int per axis, one pair
            (before, after) per axis, or a padding mode of `correlation`, such as "same".
        dilation: Distance between neighbouring samples of a window: an int or one per axis.
        ceil_mode: Whether a last window that extends beyond the padding is kept. It is kept only
            if it starts inside the input or inside the padding in front of it.
        channels: Number of channels, which become the first axis of the input and of the output;
            None for arrays without a channel axis.

    Returns:
        A map from `(*shape)` to one sample per window, with the channels in front of both shapes
        if given.

    Raises:
        ShapeError: when a window is larger than the padded input, or an option does not have one
            value per axis.
        ArgumentError: when a value is out of range or is not one of the allowed values.
        KindError: when an argument is of the wrong type.
        SymbolicError: for symbolic sizes.
        TooLargeError: when the table of windows would be too large.

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
    """Return the global max pooling: the largest sample of each channel.

    Args:
        shape: Spatial shape of the input in samples, without channels: an int or one size per
            axis.
        channels: Number of channels, which become the first axis of the input and of the output;
            None for arrays without a channel axis.

    Returns:
        A map from `(*shape)` to one sample on each axis, with the channels in front of both shapes
        if given.

    Raises:
        ArgumentError: for a size below 1.
        ShapeError: for a shape without axes.
        KindError: when a size is not an integer.
        SymbolicError: for symbolic sizes.

    >>> import convalg as ca
    >>> ca.global_max_pool((2, 2))([[1, 2], [7, 6]]).tolist()
    [[7]]
    """
    return max_pool(shape, as_shape(shape), channels=channels)


def adaptive_max_pool(shape: Shape, out_shape: object, *, channels: int | None = None) -> Extremum:
    """Return the max pooling whose windows are chosen to give an output of `out_shape`.

    On an axis of n input samples, output o of m is the maximum of the samples floor(o n / m) to
    ceil((o + 1) n / m) - 1; neighbouring windows may share one sample.

    Args:
        shape: Spatial shape of the input in samples, without channels: an int or one size per
            axis.
        out_shape: Spatial shape of the output in samples: an int or one size per axis.
        channels: Number of channels, which become the first axis of the input and of the output;
            None for arrays without a channel axis.

    Returns:
        A map from `(*shape)` to `(*out_shape)`, with the channels in front of both shapes if given.

    Raises:
        ShapeError: when `out_shape` has another number of axes than `shape`.
        ArgumentError: for a size below 1.
        KindError: when a size is not an integer.
        SymbolicError: for symbolic sizes.
        TooLargeError: when the table of windows would be too large.

    Source:
        PyTorch, AdaptiveMaxPool.

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
    """The largest or smallest sample of each window; see `max_pool` and `min_pool`.

    Attributes:
        kind: "max" or "min".
        table: The flat input index that each tap of each output reads within one channel, an array
            of shape (taps, outputs); -1 for the padding.
        in_shape: Shape of the input, channels included.
        out_shape: Shape of the output, channels included.
        plane: Spatial shape of the input, without channels.
        label: The call that creates the map, as its `repr` shows it.
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
        """Return the index of each extremum in its channel, flat and in row-major order.

        Args:
            x: Input of shape `(*batch, *in_shape)`.

        Returns:
            An int64 array of shape `(*batch, *out_shape)`, -1 where a window has only padding.

        Raises:
            ShapeError: when the shape of x does not end in `in_shape`.
            KindError: when x does not hold real numbers.
            SymbolicError: when the extremum of a window depends on symbols.

        >>> import convalg as ca
        >>> ca.max_pool(4, 2).indices([3, 1, 2, 5]).tolist()
        [0, 3]
        """
        values, batch = batch_of(x, self.in_shape, "x")
        return self._winners(values)[1].reshape(*batch, *self.out_shape)

    def _apply(self, x: Array) -> Array:
        return self._winners(x)[0]

    def at(self, x: object, /) -> Operator:
        """Return the operator that selects the extrema of one sample x.

        Its adjoint adds the gradient of each output to the input that was selected.
        """
        value = one_sample(x, self.in_shape)
        winners = self._winners(value[None])[1].reshape(-1, self.table.shape[1])
        starts = np.arange(len(winners))[:, None] * size_product(self.plane)
        selected = np.where(winners < 0, -1, winners + starts)
        return gathering(selected, self.in_shape, self.out_shape)

    def _winners(self, x: Array) -> tuple[Array, Array]:
        """Return the extrema and their flat indices, both (samples * channels, outputs)."""
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
                f"x must not have symbols that decide which sample of a window is the "
                f"{self.kind}imum, such as {symbols[:1]}: substitute numbers for them"
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
                f"x must hold floats, because output {int(np.argwhere(empty)[0][1])} of "
                f"{self.label} has only padding in its window and its value is infinite: pass "
                f"x.astype(float)"
            )
        return np.where(empty, -math.inf if self.kind == "max" else math.inf, best)


def _extremum(
    name: Literal["max_pool", "min_pool"],
    shape: object,
    size: PerAxis,
    options: dict[str, object],
    channels: int | None,
) -> Extremum:
    sizes = concrete_shape(shape)
    axes = concrete_axes(sizes, size, options)
    out_sizes = tuple(axis.numbers.out_size for axis in axes)
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

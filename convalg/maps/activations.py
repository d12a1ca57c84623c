"""Activations: maps whose Jacobian is a diagonal, and softmax."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from convalg import engine
from convalg.arrays import Array, as_floats, as_numbers, check_finite, check_real, one_sample
from convalg.axis import Axis
from convalg.conventions import Shape
from convalg.errors import ArgumentError, KindError
from convalg.operators.leaves import Selection
from convalg.operators.make import diagonal, identity
from convalg.operators.pooling import concrete_shape, shape_words
from convalg.operators.tree import Map, Operator, compose
from convalg.size import as_size, is_expression, require_numbers


@dataclass(frozen=True, eq=False)
class ElementwiseMap(Map):
    """One function of one number, applied to every entry; its Jacobian is a diagonal.

    The functions are those of a module, or partial ones of them, so that a map can be pickled.
    """

    in_shape: tuple[Any, ...]
    function: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    words: str

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.in_shape

    def _apply(self, x: Array) -> Array:
        return self.function(x)

    def at(self, x: Any, /) -> Operator:
        slopes = self.slope(one_sample(x, self.in_shape))
        check_finite(slopes, f"the slope of {self.words}")
        return diagonal(slopes)

    def __repr__(self) -> str:
        return self.words


def relu(shape: Shape) -> ElementwiseMap:
    """max(x, 0) for every entry: a map; at a point, a diagonal of zeros and ones.

    Shapes: `shape` is the whole shape of the input, channels too. The slope at 0 is 0.

    >>> relu(3)([-1, 0, 2]).tolist(), relu(3).at([-1, 0, 2])
    ([0, 0, 2], diagonal([0, 0, 1]))
    """
    return _elementwise("relu", shape, _relu, _relu_slope)


def leaky_relu(shape: Shape, slope: Any = 0.01) -> ElementwiseMap:
    """x where it is positive, `slope` * x elsewhere: a map.

    Shapes: as `relu`. The slope at 0 is `slope`; a fraction keeps whole numbers exact.
    Raises: KindError unless the slope is a number, ArgumentError unless it is finite.

    >>> leaky_relu(2, 0.5)([-2.0, 3.0]).tolist()
    [-1.0, 3.0]
    """
    factor = as_numbers(slope, "slope")
    if factor.ndim:
        raise KindError(f"slope must be one number, not an array of shape {factor.shape}")
    check_finite(factor, "slope")
    if factor.dtype.kind == "c":
        raise KindError(f"slope must be real, not {factor.dtype}")
    value = slope if factor.dtype.kind == "O" else factor.item()
    functions = partial(_leaky, value), partial(_leaky_slope, value)
    return _elementwise("leaky_relu", shape, *functions, f", {value}")


def sigmoid(shape: Shape) -> ElementwiseMap:
    """1 / (1 + exp(-x)) for every entry: a map. Whole numbers give floats.

    Shapes: as `relu`. Rule: the slope is y (1 - y).

    >>> sigmoid(1)([0.0]).tolist(), sigmoid(1).at([0.0])
    ([0.5], diagonal([0.25]))
    """
    return _elementwise("sigmoid", shape, _sigmoid, _sigmoid_slope)


def tanh(shape: Shape) -> ElementwiseMap:
    """The hyperbolic tangent of every entry: a map. Whole numbers give floats.

    Shapes: as `relu`. Rule: the slope is 1 - y^2.

    >>> tanh(1)([0.0]).tolist(), tanh(1).at([0.0])
    ([0.0], diagonal([1.0]))
    """
    return _elementwise("tanh", shape, _tanh, _tanh_slope)


@dataclass(frozen=True, eq=False)
class SoftmaxMap(Map):
    """exp(x) over its sum along an axis; see `softmax`."""

    in_shape: tuple[Any, ...]
    axis: int

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.in_shape

    def _apply(self, x: Array) -> Array:
        place = self.axis + 1
        x = as_floats(x)
        if x.dtype.kind == "O":
            powers = _exp(x)
            return powers / powers.sum(axis=place, keepdims=True)
        # The largest is taken out first, so that no power overflows.
        # What lies further below than a float reaches is minus infinity, of power zero; infinity
        # less infinity is NaN, as in the frameworks.
        with np.errstate(over="ignore", invalid="ignore"):
            powers = np.exp(x - x.max(axis=place, keepdims=True))
        # Half floats count to 2048 only.
        total = powers.sum(axis=place, keepdims=True, dtype=np.result_type(x, np.float32))
        return (powers / total).astype(x.dtype)

    def at(self, x: Any, /) -> Operator:
        """diag(p) - p p^T along the axis: diag(p) - diag(p) S^T S diag(p), with S the sum."""
        p = self(one_sample(x, self.in_shape))
        gain = diagonal(p)
        total = sum_over(self.in_shape, (self.axis,))
        return gain - compose(gain, total.T, total, gain)

    def __repr__(self) -> str:
        tail = f", axis={self.axis}" if self.axis else ""
        return f"softmax({shape_words(self.in_shape)}{tail})"


def softmax(shape: Shape, axis: int = 0) -> SoftmaxMap:
    """exp(x) over its sum along an axis, by default the channels: a map.

    Shapes: `shape` is the whole shape of the input. Whole numbers give floats.
    Raises: ArgumentError for an axis that there is not.

    >>> softmax(2)([0.0, 0.0]).tolist(), softmax(2).at([0.0, 0.0]).to_numpy().tolist()
    ([0.5, 0.5], [[0.25, -0.25], [-0.25, 0.25]])
    """
    return SoftmaxMap(*_along(shape, axis))


@dataclass(frozen=True, eq=False)
class LogSoftmax(Map):
    """The logarithm of a softmax; see `log_softmax`."""

    in_shape: tuple[Any, ...]
    axis: int

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.in_shape

    def _apply(self, x: Array) -> Array:
        place = self.axis + 1
        x = as_floats(x)
        if x.dtype.kind == "O":
            import sympy

            return x - np.frompyfunc(sympy.log, 1, 1)(_exp(x).sum(axis=place, keepdims=True))
        # Taken out first, the largest lets no power overflow and no logarithm meet a zero.
        with np.errstate(over="ignore", invalid="ignore"):
            low = x - x.max(axis=place, keepdims=True)
            kind = np.result_type(x, np.float32)
            total = np.exp(low).sum(axis=place, keepdims=True, dtype=kind)
            return (low - np.log(total)).astype(x.dtype)

    def at(self, x: Any, /) -> Operator:
        """1 - S^T S diag(p) along the axis, with the softmax p and the sum S."""
        p = SoftmaxMap(self.in_shape, self.axis)(one_sample(x, self.in_shape))
        total = sum_over(self.in_shape, (self.axis,))
        return identity(self.in_shape) - compose(total.T, total, diagonal(p))

    def __repr__(self) -> str:
        tail = f", axis={self.axis}" if self.axis else ""
        return f"log_softmax({shape_words(self.in_shape)}{tail})"


def log_softmax(shape: Shape, axis: int = 0) -> LogSoftmax:
    """The logarithm of a softmax along an axis: a map that stays finite where the softmax is 0.

    Shapes and errors: as `softmax`.
    Rule: x - log(sum exp(x)).

    >>> log_softmax(2)([0.0, 800.0]).tolist(), log_softmax(2).at([0.0, 0.0]).to_numpy().tolist()
    ([-800.0, 0.0], [[0.5, -0.5], [-0.5, 0.5]])
    """
    return LogSoftmax(*_along(shape, axis))


def _along(shape: Shape, axis: int) -> tuple[tuple[int, ...], int]:
    """The sizes, and an axis of them. Raises: ArgumentError for one that there is not."""
    sizes = concrete_shape(shape)
    place = as_size(axis, "axis", least=-len(sizes))
    require_numbers([place], "axis")
    if place >= len(sizes):
        raise ArgumentError(f"axis {axis} is beyond the {len(sizes)} axes of shape {sizes}")
    return sizes, place % len(sizes)


def sum_over(shape: tuple[Any, ...], axes: tuple[int, ...]) -> Selection:
    """The sum along some axes, of which one sample is left."""
    found = [Axis(n, 1, taps=n) if k in axes else Axis(n, n) for k, n in enumerate(shape)]
    return Selection(tuple(found), shape, tuple(axis.out_size for axis in found))


def _elementwise(
    name: str,
    shape: Any,
    function: Callable[[Array], Array],
    slope: Callable[[Array], Array],
    options: str = "",
) -> ElementwiseMap:
    sizes = concrete_shape(shape)
    return ElementwiseMap(sizes, function, slope, f"{name}({shape_words(sizes)}{options})")


def _relu(x: Array) -> Array:
    check_real(x)
    if x.dtype.kind == "O":
        import sympy

        return np.frompyfunc(lambda v: sympy.Max(v, 0) if is_expression(v) else max(v, 0), 1, 1)(x)
    # np.maximum hands NaN on.
    return np.maximum(x, 0)


def _relu_slope(x: Array) -> Array:
    return _where_positive(x, 1, 0)


def _leaky(slope: Any, x: Array) -> Array:
    # Only what is scaled may overflow. Integers both as int64: NumPy has no integer type for
    # uint64 next to it.
    low = x if x.dtype.kind == "O" else np.where(x > 0, 0, x).astype(x.dtype)
    return _chosen(x, engine.scaled(1, x), engine.scaled(slope, low))


def _leaky_slope(slope: Any, x: Array) -> Array:
    return _where_positive(x, 1, slope)


def _where_positive(x: Array, yes: Any, no: Any) -> Array:
    """`yes` where an entry is positive, `no` elsewhere; NaN stays NaN."""
    found = _chosen(x, np.full(x.shape, yes), np.full(x.shape, no))
    if x.dtype.kind != "f":
        return found
    kept = np.where(np.isnan(x), x, found)
    return kept if is_expression(no) else kept.astype(x.dtype)


def _chosen(x: Array, yes: Array, no: Array) -> Array:
    """`yes` where x > 0, else `no`; a piecewise expression where x has letters."""
    check_real(x)
    if x.dtype.kind != "O":
        return np.where(x > 0, yes, no)
    import sympy

    def choose(value: Any, first: Any, second: Any) -> Any:
        if is_expression(value) and value.free_symbols:
            return sympy.Piecewise((first, value > 0), (second, True))
        return first if value > 0 else second

    return np.frompyfunc(choose, 3, 1)(x, yes, no)


def _sigmoid(x: Array) -> Array:
    x = as_floats(x)
    if x.dtype.kind == "O":
        return 1 / (1 + _exp(-x))
    # exp of a negative number only, which cannot overflow.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def _sigmoid_slope(x: Array) -> Array:
    y = _sigmoid(x)
    return y * (1 - y) if x.dtype.kind == "O" else y * _sigmoid(-as_floats(x))


def _tanh_slope(x: Array) -> Array:
    if x.dtype.kind == "O":
        return 1 - _tanh(x) ** 2
    # 1 - tanh^2 without the cancellation for large x, whose double may be infinite.
    small = np.exp(-np.abs(as_floats(x))) ** 2
    return 4 * small / (1 + small) ** 2


def _tanh(x: Array) -> Array:
    x = as_floats(x)
    if x.dtype.kind != "O":
        return np.tanh(x)
    import sympy

    return np.frompyfunc(lambda v: sympy.tanh(sympy.sympify(v)), 1, 1)(x)


def _exp(x: Array) -> Array:
    import sympy

    return np.frompyfunc(lambda v: sympy.exp(sympy.sympify(v)), 1, 1)(x)

"""Activations: maps with a diagonal Jacobian, and softmax."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from convalg import engine
from convalg.arrays import (
    Array,
    as_floats,
    as_numbers,
    check_finite,
    check_real,
    entrywise,
    one_sample,
)
from convalg.axis import Axis, Size
from convalg.conventions import Shape
from convalg.errors import ArgumentError, KindError
from convalg.operators.dense import diagonal, identity
from convalg.operators.leaves import Selection
from convalg.operators.pooling import concrete_shape, shape_text
from convalg.operators.tree import Map, Operator, compose
from convalg.size import as_size, is_expression, require_numbers


@dataclass(frozen=True, eq=False)
class ElementwiseMap(Map):
    """A scalar function applied to every entry; its Jacobian is diagonal.

    Attributes:
        in_shape: Shape of the input and of the output, channels included.
        function: The function on arrays; a function of a module or a partial of one, so that the
            map can be pickled.
        slope: The derivative of the function, of the same kind.
        label: The call that creates the map, as its `repr` shows it.
    """

    in_shape: tuple[Any, ...]
    function: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    label: str

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.in_shape

    def _apply(self, x: Array) -> Array:
        return self.function(x)

    def at(self, x: object, /) -> Operator:
        slopes = self.slope(one_sample(x, self.in_shape))
        check_finite(slopes, f"the slope of {self.label}")
        return diagonal(slopes)

    def __repr__(self) -> str:
        return self.label


def relu(shape: Shape) -> ElementwiseMap:
    """Return the rectifier max(x, 0), applied to every entry.

    Its Jacobian at a point is a diagonal matrix of zeros and ones; the slope at 0 is 0.

    Args:
        shape: Shape of the input and of the output, channels included: an int or one size per
            axis.

    Raises:
        ArgumentError: for a size below 1.
        ShapeError: for a shape without axes.
        KindError: when a size is not an integer.
        SymbolicError: for symbolic sizes.

    >>> import convalg as ca
    >>> ca.relu(3)([-1, 0, 2]).tolist(), ca.relu(3).at([-1, 0, 2])
    ([0, 0, 2], diagonal([0, 0, 1]))
    """
    return _elementwise("relu", shape, _relu, _relu_slope)


def leaky_relu(shape: Shape, slope: object = 0.01) -> ElementwiseMap:
    """Return the leaky rectifier, applied to every entry: x if x > 0, otherwise `slope` * x.

    Args:
        shape: Shape of the input and of the output, channels included: an int or one size per
            axis.
        slope: The slope for negative entries and at 0, a finite real number. Results
            for integer inputs are exact if the slope is an int or a `Fraction`.

    Raises:
        KindError: when `slope` is not one real number, or a size is not an integer.
        ArgumentError: when `slope` is not finite, or a size is below 1.
        ShapeError: for a shape without axes.
        SymbolicError: for symbolic sizes.

    >>> import convalg as ca
    >>> ca.leaky_relu(2, 0.5)([-2.0, 3.0]).tolist()
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
    """Return the logistic sigmoid 1 / (1 + exp(-x)), applied to every entry.

    Its slope is y (1 - y) at the output y. Integers are converted to floats.

    Args:
        shape: Shape of the input and of the output, channels included: an int or one size per
            axis.

    Raises:
        ArgumentError: for a size below 1.
        ShapeError: for a shape without axes.
        KindError: when a size is not an integer.
        SymbolicError: for symbolic sizes.

    >>> import convalg as ca
    >>> ca.sigmoid(1)([0.0]).tolist(), ca.sigmoid(1).at([0.0])
    ([0.5], diagonal([0.25]))
    """
    return _elementwise("sigmoid", shape, _sigmoid, _sigmoid_slope)


def tanh(shape: Shape) -> ElementwiseMap:
    """Return the hyperbolic tangent, applied to every entry.

    Its slope is 1 - y^2 at the output y. Integers are converted to floats.

    Args:
        shape: Shape of the input and of the output, channels included: an int or one size per
            axis.

    Raises:
        ArgumentError: for a size below 1.
        ShapeError: for a shape without axes.
        KindError: when a size is not an integer.
        SymbolicError: for symbolic sizes.

    >>> import convalg as ca
    >>> ca.tanh(1)([0.0]).tolist(), ca.tanh(1).at([0.0])
    ([0.0], diagonal([1.0]))
    """
    return _elementwise("tanh", shape, _tanh, _tanh_slope)


@dataclass(frozen=True, eq=False)
class SoftmaxMap(Map):
    """exp(x) divided by its sum along an axis; see `softmax`.

    Attributes:
        in_shape: Shape of the input and of the output, channels included.
        axis: The axis of the sum, counted from 0.
    """

    in_shape: tuple[Any, ...]
    axis: int

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.in_shape

    def _apply(self, x: Array) -> Array:
        batch_axis = self.axis + 1
        x = as_floats(x)
        if x.dtype.kind == "O":
            exact = _exp(x)
            shares: Array = exact / exact.sum(axis=batch_axis, keepdims=True)
            return shares
        # Subtracting the maximum keeps every exponential from overflowing. A difference beyond the
        # range of floats becomes -inf, whose exponential is 0; inf - inf is NaN, as in the
        # frameworks.
        with np.errstate(over="ignore", invalid="ignore"):
            powers = np.exp(x - x.max(axis=batch_axis, keepdims=True))
        # In half precision, adding 1 to 2048 has no effect.
        total = powers.sum(axis=batch_axis, keepdims=True, dtype=np.result_type(x, np.float32))
        rounded: Array = (powers / total).astype(x.dtype)
        return rounded

    def at(self, x: object, /) -> Operator:
        """Return the Jacobian diag(p) - diag(p) S^T S diag(p).

        p is the softmax of x, and S sums along the axis.
        """
        p = self(one_sample(x, self.in_shape))
        gain = diagonal(p)
        total = sum_over(self.in_shape, (self.axis,))
        return gain - compose(gain, total.T, total, gain)

    def __repr__(self) -> str:
        tail = f", axis={self.axis}" if self.axis else ""
        return f"softmax({shape_text(self.in_shape)}{tail})"


def softmax(shape: Shape, axis: int = 0) -> SoftmaxMap:
    """Return the softmax exp(x) / sum(exp(x)) along an axis. Integers are converted to floats.

    Args:
        shape: Shape of the input and of the output, channels included: an int or one size per
            axis.
        axis: The axis of `shape` along which the outputs sum to 1: an int, counted from the last
            axis if negative. The first axis (the channels) by default.

    Raises:
        ArgumentError: when `shape` does not have this axis, or a size is below 1.
        ShapeError: for a shape without axes.
        KindError: when a size or the axis is not an integer.
        SymbolicError: for symbolic sizes.

    >>> import convalg as ca
    >>> ca.softmax(2)([0.0, 0.0]).tolist(), ca.softmax(2).at([0.0, 0.0]).to_numpy().tolist()
    ([0.5, 0.5], [[0.25, -0.25], [-0.25, 0.25]])
    """
    return SoftmaxMap(*_along(shape, axis))


@dataclass(frozen=True, eq=False)
class LogSoftmax(Map):
    """The logarithm of a softmax; see `log_softmax`.

    Attributes:
        in_shape: Shape of the input and of the output, channels included.
        axis: The axis of the sum, counted from 0.
    """

    in_shape: tuple[Any, ...]
    axis: int

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.in_shape

    def _apply(self, x: Array) -> Array:
        batch_axis = self.axis + 1
        x = as_floats(x)
        if x.dtype.kind == "O":
            import sympy

            return x - entrywise(sympy.log, _exp(x).sum(axis=batch_axis, keepdims=True))
        # Subtracting the maximum keeps every exponential from overflowing and the logarithm of the
        # sum finite.
        with np.errstate(over="ignore", invalid="ignore"):
            shifted = x - x.max(axis=batch_axis, keepdims=True)
            dtype = np.result_type(x, np.float32)
            total = np.exp(shifted).sum(axis=batch_axis, keepdims=True, dtype=dtype)
            logarithms: Array = (shifted - np.log(total)).astype(x.dtype)
        return logarithms

    def at(self, x: object, /) -> Operator:
        """Return the Jacobian I - S^T S diag(p).

        p is the softmax of x, and S sums along the axis.
        """
        p = SoftmaxMap(self.in_shape, self.axis)(one_sample(x, self.in_shape))
        total = sum_over(self.in_shape, (self.axis,))
        return identity(self.in_shape) - compose(total.T, total, diagonal(p))

    def __repr__(self) -> str:
        tail = f", axis={self.axis}" if self.axis else ""
        return f"log_softmax({shape_text(self.in_shape)}{tail})"


def log_softmax(shape: Shape, axis: int = 0) -> LogSoftmax:
    """Return the logarithm of the softmax along an axis: x - log(sum(exp(x))).

    It stays finite where the softmax itself is rounded to 0.

    Args:
        shape: Shape of the input and of the output, channels included: an int or one size per
            axis.
        axis: The axis of `shape` along which the softmax is computed: an int, counted from the
            last axis if negative. The first axis (the channels) by default.

    Raises:
        ArgumentError: when `shape` does not have this axis, or a size is below 1.
        ShapeError: for a shape without axes.
        KindError: when a size or the axis is not an integer.
        SymbolicError: for symbolic sizes.

    >>> log_softmax(2)([0.0, 800.0]).tolist(), log_softmax(2).at([0.0, 0.0]).to_numpy().tolist()
    ([-800.0, 0.0], [[0.5, -0.5], [-0.5, 0.5]])
    """
    return LogSoftmax(*_along(shape, axis))


def _along(shape: Shape, axis: int) -> tuple[tuple[int, ...], int]:
    """Return the shape and the axis, counted from 0. Raises: ArgumentError for a missing axis."""
    sizes = concrete_shape(shape)
    number = as_size(axis, "axis", least=-len(sizes))
    require_numbers([number], "axis")
    if number >= len(sizes):
        raise ArgumentError(
            f"axis must be between {-len(sizes)} and {len(sizes) - 1} for a shape of {sizes}, not "
            f"{axis}"
        )
    return sizes, number % len(sizes)


def sum_over(shape: tuple[Size, ...], axes: tuple[int, ...]) -> Selection:
    """Return the operator that sums along some axes; their size in the output is 1."""
    reduced = [Axis(n, 1, taps=n) if k in axes else Axis(n, n) for k, n in enumerate(shape)]
    return Selection(tuple(reduced), shape, tuple(axis.out_size for axis in reduced))


def _elementwise(
    name: str,
    shape: object,
    function: Callable[[Array], Array],
    slope: Callable[[Array], Array],
    options: str = "",
) -> ElementwiseMap:
    sizes = concrete_shape(shape)
    return ElementwiseMap(sizes, function, slope, f"{name}({shape_text(sizes)}{options})")


def _relu(x: Array) -> Array:
    check_real(x)
    if x.dtype.kind == "O":
        import sympy

        return entrywise(lambda v: sympy.Max(v, 0) if is_expression(v) else max(v, 0), x)
    # np.maximum propagates NaN.
    return np.maximum(x, 0)


def _relu_slope(x: Array) -> Array:
    return _where_positive(x, 1, 0)


def _leaky(slope: object, x: Array) -> Array:
    # Positive entries are set to 0 so that they cannot overflow when multiplied by the slope.
    # `engine.scaled` makes both results int64: NumPy has no common type of uint64 and int64.
    low = x if x.dtype.kind == "O" else np.where(x > 0, 0, x).astype(x.dtype)
    return _chosen(x, engine.scaled(1, x), engine.scaled(slope, low))


def _leaky_slope(slope: object, x: Array) -> Array:
    return _where_positive(x, 1, slope)


def _where_positive(x: Array, yes: object, no: object) -> Array:
    """Return `yes` for positive entries, `no` for others, and NaN for NaN."""
    chosen = _chosen(x, np.full(x.shape, yes), np.full(x.shape, no))
    if x.dtype.kind != "f":
        return chosen
    slopes = np.where(np.isnan(x), x, chosen)
    return slopes if is_expression(no) else slopes.astype(x.dtype)


def _chosen(x: Array, yes: Array, no: Array) -> Array:
    """Return `yes` where x > 0 and `no` elsewhere; a piecewise expression for a symbolic entry."""
    check_real(x)
    if x.dtype.kind != "O":
        return np.where(x > 0, yes, no)
    import sympy

    def choose(value: Any, first: object, second: object) -> object:
        if is_expression(value) and value.free_symbols:
            return sympy.Piecewise((first, value > 0), (second, True))
        return first if value > 0 else second

    return entrywise(choose, x, yes, no)


def _sigmoid(x: Array) -> Array:
    x = as_floats(x)
    if x.dtype.kind == "O":
        return 1 / (1 + _exp(-x))
    # The exponential of a negative number cannot overflow.
    small = np.exp(-np.abs(x))
    y: Array = np.where(x >= 0, 1, small) / (1 + small)
    return y


def _sigmoid_slope(x: Array) -> Array:
    y = _sigmoid(x)
    return y * (1 - y) if x.dtype.kind == "O" else y * _sigmoid(-as_floats(x))


def _tanh_slope(x: Array) -> Array:
    if x.dtype.kind == "O":
        return 1 - _tanh(x) ** 2
    # 1 - tanh^2 without cancellation for large x, where 2 x may overflow.
    small = np.exp(-np.abs(as_floats(x))) ** 2
    slope: Array = 4 * small / (1 + small) ** 2
    return slope


def _tanh(x: Array) -> Array:
    x = as_floats(x)
    if x.dtype.kind != "O":
        return np.tanh(x)
    import sympy

    return entrywise(lambda v: sympy.tanh(sympy.sympify(v)), x)


def _exp(x: Array) -> Array:
    import sympy

    return entrywise(lambda v: sympy.exp(sympy.sympify(v)), x)

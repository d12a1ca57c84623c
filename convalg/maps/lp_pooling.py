"""Lp pooling: the Lp norm of each window, and its Jacobian at a point."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from convalg import engine
from convalg.arrays import Array, as_floats, check_real, entrywise, one_sample
from convalg.conventions import Padding, PerAxis, Shape
from convalg.errors import KindError
from convalg.operators import windows
from convalg.operators.dense import diagonal
from convalg.operators.leaves import Selection, sparse_matrix
from convalg.operators.pooling import concrete_shape, sum_pool
from convalg.operators.tree import Map, Operator, compose
from convalg.size import as_size, size_product

SMALLEST = math.ulp(0.0)
LARGEST_POWER = 2**1023
TINY = 1e-290
"""A sum of powers below this may have lost terms that underflowed."""


def lp_pool(
    shape: Shape,
    size: PerAxis,
    p: int = 2,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    absolute: bool = True,
    channels: int | None = None,
) -> LpPoolMap:
    """Return the Lp pooling: the norm (sum of |x|^p)^(1/p) of each window, channel by channel.

    The padding is zero. The derivative at a window of zeros is defined as zero.

    Args:
        shape: Spatial shape of the input in samples, without channels: an int or one size per
            axis.
        size: Samples of a window on each axis: an int or one per axis.
        p: The exponent of the norm, an int of at least 1.
        stride: Distance between neighbouring windows in samples: an int or one per axis; `size`
            by default, so that the windows touch.
        padding: Samples added around the input: an int for all sides, one int per axis, one pair
            (before, after) per axis, or a padding mode of `correlation`, such as "same".
        dilation: Distance between neighbouring samples of a window: an int or one per axis.
        ceil_mode: Whether a last window that extends beyond the padding is kept. It is kept only
            if it starts inside the input or inside the padding in front of it.
        absolute: Whether the norm is of |x|. With False it is (sum of x^p)^(1/p), as in PyTorch:
            for an odd p, samples of opposite signs cancel, and for an odd p > 1 the result of a
            negative sum is NaN.
        channels: Number of channels, which become the first axis of the input and of the output;
            None for arrays without a channel axis.

    Returns:
        A map from `(*shape)` to one sample per window, with the channels in front of both shapes
        if given.

    Raises:
        ShapeError: when a window is larger than the padded input, or an option does not have one
            value per axis.
        ArgumentError: when p is below 1, or another value is out of range or is not one of the
            allowed values.
        KindError: when p is symbolic, `absolute` is not a bool, or another argument is of the
            wrong type.
        SymbolicError: when `shape` has symbolic sizes.

    Source:
        ONNX, operator LpPool; PyTorch, LPPool.

    >>> import convalg as ca
    >>> ca.lp_pool(4, 2)([3.0, -4.0, 0.0, 2.0]).tolist()
    [5.0, 2.0]
    """
    power = as_size(p, "p")
    if not isinstance(power, int):
        raise KindError(f"p must be an integer, not the symbolic {p}: substitute a number for it")
    if not isinstance(absolute, bool):
        raise KindError(f"absolute must be True or False, not {absolute!r}")
    total = sum_pool(
        concrete_shape(shape),
        size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
        channels=channels,
    )
    return LpPoolMap(total, power, absolute)


@dataclass(frozen=True, eq=False)
class LpPoolMap(Map):
    """The Lp norm of each window; see `lp_pool`.

    Attributes:
        total: The operator that sums each window.
        p: The exponent.
        absolute: Whether the norm is of |x| rather than of x.
    """

    total: Selection
    p: int
    absolute: bool

    @property
    def in_shape(self) -> tuple[Any, ...]:
        return self.total.in_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.total.out_shape

    def __repr__(self) -> str:
        call = repr(self.total).removeprefix("sum_pool(").removesuffix(")")
        return f"lp_pool({call}, p={self.p}{'' if self.absolute else ', absolute=False'})"

    def _apply(self, x: Array) -> Array:
        if self.p == 1:
            if self.absolute:
                check_real(x)
            if x.dtype.kind in "iu":
                # The absolute value of the smallest integer does not fit in its own type.
                (x,) = engine.prepared(1, x)
            return self.total(np.abs(x) if self.absolute else x)
        x = as_floats(x)
        values = np.abs(x) if self.absolute and self.p % 2 else x
        if x.dtype.kind != "f":
            return root(self.total(values**self.p), self.p)
        wide = values.astype(np.result_type(x, np.float64))
        with np.errstate(over="ignore", invalid="ignore"):
            total = self.total(_power(wide, self.p))
        norms = root(total, self.p)
        if not (np.isfinite(total) & (np.abs(total) >= TINY)).all():
            norms = self._scaled(wide, total, norms)
        return norms.astype(x.dtype)

    def _scaled(self, x: Array, total: Array, norms: Array) -> Array:
        """Return the norms, recomputed where a sum of powers overflowed or underflowed.

        Rule: (sum |x|^p)^(1/p) = m (sum (|x| / m)^p)^(1/p), with m the largest |x| of the window.
        """
        read = engine.unfold(self.total.axes, self._on_axes(x))
        largest = np.abs(read).max(axis=1, keepdims=True)
        lost = ~(np.isfinite(total) & (np.abs(total) >= TINY)).reshape(len(x), -1)
        lost &= np.isfinite(largest[:, 0]) & (largest[:, 0] > 0)
        unit = np.where(lost[:, None], largest, 1)
        with np.errstate(over="ignore", invalid="ignore"):
            powers = _power(read / unit, self.p).sum(axis=1)
        rescaled = (unit[:, 0] * root(powers, self.p)).reshape(norms.shape)
        return np.where(lost.reshape(norms.shape), rescaled, norms)

    def _on_axes(self, x: Array) -> Array:
        """Return a batch, or one sample, in the shape (samples, *sizes of the pooled axes)."""
        return x.reshape(-1, *(axis.numbers.in_size for axis in self.total.axes))

    def at(self, x: object, /) -> Operator:
        """Return the Jacobian diag(y^(1-p)) S diag(sign(x) |x|^(p-1)) at one sample x.

        S sums each window, and y is the output.
        """
        value = one_sample(x, self.in_shape)
        if self.p == 1:
            return compose(self.total, diagonal(_sign(value))) if self.absolute else self.total
        value = as_floats(value)
        y, floats = self(value), value.dtype.kind == "f"
        with np.errstate(over="ignore", divide="ignore"):
            inner = (_power if floats else pow)(value, self.p - 1)
            below = np.where(y == 0, 1, y)
            outer = np.where(y == 0, 0, 1 / (_power if floats else pow)(below, self.p - 1))
        if self.absolute and self.p % 2:
            inner = _sign(value) * inner
        if floats and not (_is_kept(inner, value) and _is_kept(outer, y)):
            return self._pairs(value, y)
        return compose(diagonal(outer), self.total, diagonal(inner))

    def _pairs(self, x: Array, y: Array) -> Operator:
        """Return the Jacobian with the entries (x / y)^(p-1), whose factors alone may overflow."""
        count, axes = size_product(self.in_shape), self.total.axes
        entries = size_product([axis.out_size * axis.taps for axis in axes])
        windows.check_places(entries, f"slopes of {self!r}", windows.BYTES_PER_ENTRY)
        # Inputs are numbered from 1, because the padding reads 0.
        numbers = engine.unfold(axes, self._on_axes(np.arange(1, count + 1)))[0]
        taps, outputs = np.nonzero(numbers)
        columns = numbers[taps, outputs] - 1
        inputs, norms = x.ravel()[columns], y.ravel()[outputs]
        ratios = np.where(norms == 0, 0, inputs / np.where(norms == 0, 1, norms))
        slopes = _power(ratios, self.p - 1)
        if self.absolute and self.p % 2:
            slopes = np.sign(inputs) * slopes
        return sparse_matrix(outputs, columns, slopes, self.in_shape, self.out_shape)


def _is_kept(powers: Array, values: Array) -> bool:
    """Return whether no power of a non-zero value has overflowed or underflowed."""
    in_range = np.isfinite(powers) & ((np.abs(powers) >= TINY) | (values == 0))
    return bool(in_range.all())


def _power(values: Array, p: int) -> Array:
    """Return values^p for floats and any p.

    A p that is too large for a float acts as infinity: the powers are 0, 1 or infinite.
    """
    sign = np.sign(values) if p % 2 else 1
    with np.errstate(over="ignore"):
        return sign * np.abs(values) ** (float(p) if p < LARGEST_POWER else np.inf)


def _sign(values: Array) -> Array:
    if values.dtype.kind != "O":
        return np.sign(values)
    import sympy

    return entrywise(sympy.sign, values)


def root(values: Array, p: int) -> Array:
    """Return the p-th root of each value: exact for exact objects, NaN for a negative float."""
    if p == 1:
        return values
    if values.dtype.kind == "O":
        import sympy

        return entrywise(lambda v: sympy.sympify(v) ** sympy.Rational(1, p), values)
    with np.errstate(invalid="ignore"):
        # 1 / p must not underflow to 0: zero to the power zero would be one.
        return np.sqrt(values) if p == 2 else values ** max(1 / p, SMALLEST)

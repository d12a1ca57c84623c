"""Normalisations: batch norm in inference and in training, and local response normalisation."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from convalg import engine
from convalg.arguments import one_of
from convalg.arrays import Array, as_floats, as_numbers, check_finite, one_sample
from convalg.axis import Axis
from convalg.conventions import Shape
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.maps.activations import sum_over
from convalg.maps.chains import spread_over, spreading
from convalg.operators import windows
from convalg.operators.dense import diagonal, identity
from convalg.operators.leaves import Selection
from convalg.operators.pooling import concrete_shape
from convalg.operators.rearrange import reshape
from convalg.operators.tree import Map, Operator, compose, scale
from convalg.size import as_size, is_expression, size_product


@dataclass(frozen=True, eq=False)
class BatchNormMap(Map):
    """Batch norm with fixed statistics, an affine map of each channel; see `batch_norm`."""

    in_shape: tuple[Any, ...]
    mean: Array
    variance: Array
    scale: Array
    offset: Array
    epsilon: Any

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.in_shape

    def _deviation(self, x: Array) -> Array:
        """The standard deviations, exact where x is."""
        level = _widened(self.variance) + _like(x, self.epsilon)
        return _root(level.astype(object) if x.dtype.kind == "O" else level)

    def _normalised(self, x: Array) -> Array:
        centre = np.broadcast_to(self._spread(-_widened(self.mean)), x.shape)
        normalised = engine.total([_widened(x), centre]) / self._spread(self._deviation(x))
        return _narrowed(normalised, x, self.mean, self.variance)

    def _spread(self, values: Array) -> Array:
        return spread_over(values, self.in_shape)

    def _apply(self, x: Array) -> Array:
        return self._spread(self.scale) * self._normalised(x) + self._spread(self.offset)

    def at(self, x: object, /) -> Operator:
        """The same diagonal at every x: scale / sqrt(variance + epsilon), by channel."""
        deviation = self._deviation(one_sample(x, self.in_shape))
        gain = diagonal(_narrowed(self.scale / deviation, self.scale, self.variance))
        rest = self.in_shape[1:]
        return gain.kron(identity(rest)) if rest else gain

    @property
    def parameters(self) -> dict[str, Array]:
        return {"scale": self.scale, "offset": self.offset}

    def by(self, name: str, x: object) -> Operator:
        if not isinstance(name, str) or name not in self.parameters:
            return super().by(name, x)
        value = one_sample(x, self.in_shape)
        spread = spreading(self.scale.shape, self.in_shape)
        return spread if name == "offset" else compose(diagonal(self._normalised(value)), spread)

    def __repr__(self) -> str:
        return f"batch_norm({self.in_shape}, <{self.in_shape[0]} channels>)"


def batch_norm(
    shape: Shape,
    mean: object,
    variance: object,
    *,
    scale: object = 1,
    offset: object = 0,
    epsilon: object = 1e-5,
) -> BatchNormMap:
    """Batch norm in inference, with fixed statistics: an affine map of each channel.

    y = scale (x - mean) / sqrt(variance + epsilon) + offset. Exact inputs give exact results where
    the constants are exact: the default epsilon is a float, `Fraction(1, 100_000)` is exact.

    Args:
        shape: the shape of the input, `(channels, *spatial)`.
        mean, variance, scale, offset: one number, or one per channel.
        epsilon: a number added to the variance, at least 0.

    Raises:
        ShapeError, ArgumentError, KindError: naming the invalid argument.

    Source: Ioffe & Szegedy 2015, algorithm 2.

    >>> import convalg as ca
    >>> norm = ca.batch_norm((2, 1), [1.0, 2.0], [4.0, 9.0], scale=[2.0, 3.0], epsilon=0)
    >>> norm([[3.0], [5.0]]).tolist(), norm.at([[3.0], [5.0]]).to_numpy().tolist()
    ([[2.0], [3.0]], [[1.0, 0.0], [0.0, 1.0]])
    """
    sizes = concrete_shape(shape)
    count = sizes[0]
    spread = _per_channel(variance, "variance", count)
    small = _epsilon(epsilon)
    low = (_widened(spread) + small).tolist()
    wrong = [v for v in low if not (is_expression(v) and v.free_symbols) and not v > 0]
    if wrong:
        raise ArgumentError(
            f"variance plus epsilon must be positive, but the smallest is {min(wrong)}"
        )
    centre = _per_channel(mean, "mean", count)
    gain, bias = _per_channel(scale, "scale", count), _per_channel(offset, "offset", count)
    return BatchNormMap(sizes, centre, spread, gain, bias, small)


@dataclass(frozen=True, eq=False)
class TrainingBatchNorm(Map):
    """Batch norm with the statistics of its input batch; see `batch_norm_training`."""

    in_shape: tuple[Any, ...]
    scale: Array
    offset: Array
    epsilon: Any

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.in_shape

    @property
    def _total(self) -> Selection:
        """The sum over the axes that share their statistics: samples and space."""
        axes = tuple(k for k in range(len(self.in_shape)) if k != 1)
        return sum_over(self.in_shape, axes)

    def statistics(self, x: object) -> tuple[Array, Array]:
        """Return the mean and the biased variance of each channel of one batch.

        Floats are summed in float64; exact objects stay exact.

        Args:
            x: one batch, of shape `in_shape`.

        >>> import convalg as ca
        >>> ca.batch_norm_training((2, 1)).statistics([[1.0], [5.0]])
        (array([3.]), array([4.]))
        """
        value = _widened(as_floats(one_sample(x, self.in_shape)))
        axes = tuple(k for k in range(value.ndim) if k != 1)
        if value.dtype.kind != "O":
            # inf - inf is NaN, as in the frameworks.
            with np.errstate(invalid="ignore"):
                return value.mean(axis=axes), value.var(axis=axes)
        share = Fraction(self.in_shape[1], value.size)
        mean = value.sum(axis=axes) * share
        return mean, ((value - self._spread(mean)) ** 2).sum(axis=axes) * share

    def _parts(self, x: Array) -> tuple[Array, Array]:
        """The normalised batch, and 1 / deviation for every entry."""
        x = as_floats(x)
        mean, variance = self.statistics(x)
        flat = np.flatnonzero(variance + self.epsilon == 0)
        if flat.size:
            raise ArgumentError(
                f"channel {flat[0]} is constant over the batch, and epsilon is {self.epsilon}, so "
                f"its deviation is 0: pass an epsilon above 0"
            )
        inverse = self._spread(1 / _root(variance + _like(x, self.epsilon)))
        with np.errstate(invalid="ignore"):
            z = (_widened(x) - self._spread(mean)) * inverse
        return _narrowed(z, x), np.broadcast_to(_narrowed(inverse, x), x.shape)

    def _spread(self, values: Array) -> Array:
        return spread_over(values, self.in_shape[1:])

    def _apply(self, x: Array) -> Array:
        scaled = [self._spread(self.scale) * self._parts(batch)[0] for batch in x]
        return np.array(scaled).reshape(x.shape) + self._spread(self.offset)

    def at(self, x: object, /) -> Operator:
        """diag(scale / sigma) (I - M - diag(z) M diag(z)), M the channel mean, z the normalised x.

        Source: Ioffe & Szegedy 2015, the derivatives in section 3.
        """
        z, inverse = self._parts(one_sample(x, self.in_shape))
        gain = diagonal(self._spread(self.scale) * inverse)
        total, inner = self._total, diagonal(z)
        count = size_product(self.in_shape) // self.in_shape[1]
        share = Fraction(1, count) if z.dtype.kind == "O" else 1 / count
        mean = scale(share, compose(total.T, total))
        return compose(gain, identity(self.in_shape) - mean - compose(inner, mean, inner))

    @property
    def parameters(self) -> dict[str, Array]:
        return {"scale": self.scale, "offset": self.offset}

    def by(self, name: str, x: object) -> Operator:
        if not isinstance(name, str) or name not in self.parameters:
            return super().by(name, x)
        z, _ = self._parts(one_sample(x, self.in_shape))
        spread = compose(self._total.T, reshape(self.in_shape[1], self._total.out_shape))
        return spread if name == "offset" else compose(diagonal(z), spread)

    def __repr__(self) -> str:
        return f"batch_norm_training({self.in_shape})"


def batch_norm_training(
    shape: Shape, *, scale: object = 1, offset: object = 0, epsilon: object = 1e-5
) -> TrainingBatchNorm:
    """Batch norm in training: a map of an entire batch, in which each sample depends on all others.

    y = scale (x - mean(x)) / sqrt(var(x) + epsilon) + offset, channel by channel, with the biased
    variance. Exact inputs give exact results where epsilon, scale and offset are exact (the default
    epsilon is a float).

    Args:
        shape: the shape of the batch, `(samples, channels, *spatial)`.
        scale, offset: one number, or one per channel.
        epsilon: a number added to the variance, at least 0.

    Raises:
        ShapeError, ArgumentError, KindError: naming the invalid argument.

    Source: Ioffe & Szegedy 2015, algorithm 1.

    >>> import convalg as ca
    >>> norm = ca.batch_norm_training((2, 1), epsilon=0)
    >>> norm([[1.0], [5.0]]).tolist(), norm.at([[1.0], [5.0]]).to_numpy().tolist()
    ([[-1.0], [1.0]], [[0.0, 0.0], [0.0, 0.0]])
    """
    sizes = concrete_shape(shape)
    if len(sizes) < 2:
        raise ShapeError(f"shape must be (samples, channels, *spatial), not {sizes}")
    gain, bias = _per_channel(scale, "scale", sizes[1]), _per_channel(offset, "offset", sizes[1])
    return TrainingBatchNorm(sizes, gain, bias, _epsilon(epsilon))


@dataclass(frozen=True, eq=False)
class LocalResponseNorm(Map):
    """Each entry divided by a power of a local sum of squares; see `local_response_norm`."""

    window: Selection
    size: int
    alpha: Any
    beta: Any
    k: Any

    @property
    def in_shape(self) -> tuple[Any, ...]:
        return self.window.in_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.window.in_shape

    def _level(self, x: Array) -> Array:
        """k + alpha / size * (the sum of squares over the neighbouring channels)."""
        # A square may overflow where the result does not.
        wide = _widened(x)
        level = _like(x, self.k) + self._share(x) * self.window(wide * wide)
        numeric = level[_is_number(level)] if level.dtype.kind == "O" else level
        undefined = numeric == 0 if float(self.beta).is_integer() else numeric <= 0
        if self.beta > 0 and undefined.any():
            raise ArgumentError(
                f"k + alpha / size * squares is {numeric[undefined][0]} at some entry of x, and "
                f"its power -{self.beta} is undefined: pass a k above 0, not {self.k}"
            )
        return level

    def _share(self, x: Array) -> Any:
        """alpha / size, exact where x and alpha are."""
        exact = x.dtype.kind == "O" and isinstance(self.alpha, numbers.Rational)
        return self.alpha * Fraction(1, self.size) if exact else float(self.alpha) / self.size

    def _apply(self, x: Array) -> Array:
        x = as_floats(x)
        # An infinite x times its power, 0, is NaN, as in the frameworks.
        with np.errstate(invalid="ignore"):
            return _narrowed(x * _power(self._level(x), -self.beta), x)

    def at(self, x: object, /) -> Operator:
        """diag(u^-b) - (2 a b / n) diag(x u^(-b-1)) W diag(x), u the level, W the window sum."""
        value = as_floats(one_sample(x, self.in_shape))
        level = self._level(value)
        outer = diagonal(_narrowed(value * _power(level, -self.beta - 1), value))
        factor = -2 * self._share(value) * _like(value, self.beta)
        spread = compose(outer, self.window, diagonal(value))
        return diagonal(_narrowed(_power(level, -self.beta), value)) + scale(factor, spread)

    def __repr__(self) -> str:
        options = f"alpha={self.alpha}, beta={self.beta}, k={self.k}"
        return f"local_response_norm({self.in_shape}, {self.size}, {options})"


def local_response_norm(
    shape: Shape,
    size: int,
    *,
    alpha: float | Fraction = 1e-4,
    beta: float | Fraction = 0.75,
    k: float | Fraction = 1.0,
    extra: Literal["before", "after"] = "before",
) -> LocalResponseNorm:
    """Local response normalisation over neighbouring channels: a map.

    y = x / (k + alpha / size * sum of x^2 over the window)^beta. TensorFlow and the paper omit the
    division by size. Exact inputs give exact results where alpha, beta and k are integers or
    fractions; the defaults of alpha and beta are floats.

    Args:
        shape: the shape of the input, `(channels, *spatial)`.
        size: the number of channels in a window.
        alpha, beta, k: the finite numbers of the formula.
        extra: the side with one more channel when `size` is even: "before" (PyTorch) or "after"
            (ONNX).

    Raises:
        ShapeError, ArgumentError, KindError: naming the invalid argument.

    Source: Krizhevsky et al. 2012, section 3.3.

    >>> import convalg as ca
    >>> ca.local_response_norm(2, 1, alpha=1.0, beta=1.0, k=0.0)([2.0, 4.0]).tolist()
    [0.5, 0.25]
    """
    sizes = concrete_shape(shape)
    span = as_size(size, "size")
    one_of(extra, ("before", "after"), "extra")
    constants = [_number(v, name) for v, name in ((alpha, "alpha"), (beta, "beta"), (k, "k"))]
    reach = span // 2 if extra == "before" else (span - 1) // 2
    channel = Axis(sizes[0], sizes[0], taps=span, padding=reach)
    axes = (channel, *(Axis(n, n) for n in sizes[1:]))
    return LocalResponseNorm(Selection(axes, sizes, sizes), span, *constants)


def _per_channel(values: object, name: str, channels: int) -> Array:
    """Return one number per channel, given one number for all or one each."""
    numbers_given = as_numbers(values, name)
    check_finite(numbers_given, name)
    if numbers_given.dtype.kind == "c":
        raise KindError(f"{name} must be real, not {numbers_given.dtype}")
    if numbers_given.dtype.kind in "iu":
        # In int64, differences of small integers do not wrap.
        (numbers_given,) = engine.prepared(1, numbers_given)
    if numbers_given.shape not in ((), (channels,)):
        raise ShapeError(
            f"{name} must be one number or {channels}, one per channel, not an array "
            f"of shape {numbers_given.shape}"
        )
    windows.check_places(channels, f"{name} of {channels} channels")
    frozen = np.broadcast_to(numbers_given, (channels,)).copy()
    frozen.setflags(write=False)
    return frozen


def _epsilon(value: Any) -> Any:
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if value.is_negative if is_expression(value) else not (real and value >= 0):
        raise ArgumentError(f"epsilon must be a number of at least 0, not {value!r}")
    check_finite(np.array(value), "epsilon")
    return value


def _number(value: object, name: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise KindError(f"{name} must be a number, not {value!r}")
    if not math.isfinite(value):
        raise ArgumentError(f"{name} must be finite, not {value!r}")
    # A narrow NumPy integer would wrap.
    return int(value) if isinstance(value, numbers.Integral) else value


def _like(x: Array, constant: Any) -> Any:
    """Return the constant as a float where x is: a fraction would turn floats into objects."""
    symbolic = is_expression(constant) and not constant.is_number
    return constant if symbolic or x.dtype.kind != "f" else float(constant)


def _widened(x: Array) -> Array:
    """Return floats with at least 64 bits, for sums and squares."""
    return x.astype(np.result_type(x, np.float64)) if x.dtype.kind == "f" else x


def _narrowed(wide: Array, *given: Array) -> Array:
    """Return a result computed in float64 in the common float type of the given arrays."""
    dtype = np.result_type(*given)
    return wide.astype(dtype) if wide.dtype.kind == dtype.kind == "f" else wide


def _is_number(values: Array) -> Array:
    """Mark the entries without symbols."""
    flags = [not is_expression(v) or v.is_number for v in values.ravel()]
    return np.array(flags, dtype=bool).reshape(values.shape)


def _root(values: Array) -> Array:
    return np.sqrt(values) if values.dtype.kind != "O" else _power(values, Fraction(1, 2))


def _power(values: Array, exponent: Any) -> Array:
    """Each entry to a power; exact entries stay exact, a rational result being a Fraction."""
    if values.dtype.kind != "O":
        return values ** float(exponent)
    import sympy

    def power(value: Any) -> Any:
        if not isinstance(exponent, numbers.Rational) or isinstance(value, (float, np.floating)):
            return value ** float(exponent)
        result = sympy.sympify(value) ** sympy.Rational(exponent.numerator, exponent.denominator)
        return Fraction(int(result.p), int(result.q)) if result.is_Rational else result

    return np.frompyfunc(power, 1, 1)(values)

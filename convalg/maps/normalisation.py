"""Normalisations: batch norm in use and in training, and local response normalisation."""

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
from convalg.operators.leaves import Selection
from convalg.operators.make import diagonal, identity, reshape
from convalg.operators.pooling import concrete_shape
from convalg.operators.tree import Map, Operator, compose, scale
from convalg.size import as_size, is_expression, size_product


@dataclass(frozen=True, eq=False)
class BatchNormMap(Map):
    """Batch norm with fixed statistics: affine, channel by channel; see `batch_norm`."""

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
        """Square roots as exact as x is."""
        level = _widened(self.variance) + _beside(x, self.epsilon)
        return _root(level.astype(object) if x.dtype.kind == "O" else level)

    def _normalised(self, x: Array) -> Array:
        centre = np.broadcast_to(self._spread(-_widened(self.mean)), x.shape)
        found = engine.total([_widened(x), centre]) / self._spread(self._deviation(x))
        return _narrowed(found, x, self.mean, self.variance)

    def _spread(self, values: Array) -> Array:
        return spread_over(values, self.in_shape)

    def _apply(self, x: Array) -> Array:
        return self._spread(self.scale) * self._normalised(x) + self._spread(self.offset)

    def at(self, x: Any, /) -> Operator:
        """The same diagonal everywhere: scale / sqrt(variance + epsilon), by channel."""
        deviation = self._deviation(one_sample(x, self.in_shape))
        gain = diagonal(_narrowed(self.scale / deviation, self.scale, self.variance))
        rest = self.in_shape[1:]
        return gain.kron(identity(rest)) if rest else gain

    @property
    def parameters(self) -> dict[str, Array]:
        return {"scale": self.scale, "offset": self.offset}

    def by(self, name: str, x: Any) -> Operator:
        if not isinstance(name, str) or name not in self.parameters:
            return super().by(name, x)
        value = one_sample(x, self.in_shape)
        spread = spreading(self.scale.shape, self.in_shape)
        return spread if name == "offset" else compose(diagonal(self._normalised(value)), spread)

    def __repr__(self) -> str:
        return f"batch_norm({self.in_shape}, <{self.in_shape[0]} channels>)"


def batch_norm(
    shape: Shape,
    mean: Any,
    variance: Any,
    *,
    scale: Any = 1,
    offset: Any = 0,
    epsilon: Any = 1e-5,
) -> BatchNormMap:
    """Batch norm in use, with fixed statistics: an affine map of every channel.

    Shapes: `shape` is `(channels, *spatial)`; the four arrays one number, or one per channel.
    Rule: y = scale (x - mean) / sqrt(variance + epsilon) + offset. Exact x stay exact where the
    constants are: the usual epsilon is a float, and `epsilon=Fraction(1, 100_000)` is exact.
    Raises: ShapeError, ArgumentError or KindError naming the argument at fault.
    Source: Ioffe & Szegedy 2015, algorithm 2.

    >>> norm = batch_norm((2, 1), [1.0, 2.0], [4.0, 9.0], scale=[2.0, 3.0], epsilon=0)
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
            f"variance plus epsilon must be positive, and the smallest is {min(wrong)}"
        )
    centre = _per_channel(mean, "mean", count)
    gain, bias = _per_channel(scale, "scale", count), _per_channel(offset, "offset", count)
    return BatchNormMap(sizes, centre, spread, gain, bias, small)


@dataclass(frozen=True, eq=False)
class TrainingBatchNorm(Map):
    """Batch norm with the statistics of the batch it is given; see `batch_norm_training`."""

    in_shape: tuple[Any, ...]
    scale: Array
    offset: Array
    epsilon: Any

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.in_shape

    @property
    def _total(self) -> Selection:
        """The sum over all places that share their statistics: samples and space."""
        places = tuple(k for k in range(len(self.in_shape)) if k != 1)
        return sum_over(self.in_shape, places)

    def statistics(self, x: Any) -> tuple[Array, Array]:
        """Mean and (biased) variance of each channel of one batch.

        Shapes: x `in_shape`. Floats are summed in float64; exact objects stay exact.
        """
        value = _widened(as_floats(one_sample(x, self.in_shape)))
        axes = tuple(k for k in range(value.ndim) if k != 1)
        if value.dtype.kind != "O":
            # Infinity less infinity is NaN, as in the frameworks.
            with np.errstate(invalid="ignore"):
                return value.mean(axis=axes), value.var(axis=axes)
        share = Fraction(self.in_shape[1], value.size)
        mean = value.sum(axis=axes) * share
        return mean, ((value - self._spread(mean)) ** 2).sum(axis=axes) * share

    def _parts(self, x: Array) -> tuple[Array, Array]:
        """The normalised batch, and one over the deviation at every place."""
        x = as_floats(x)
        mean, variance = self.statistics(x)
        flat = np.flatnonzero(variance + self.epsilon == 0)
        if flat.size:
            raise ArgumentError(
                f"channel {flat[0]} is constant over the batch, and with epsilon "
                f"{self.epsilon} nothing is left to divide by: give an epsilon above 0"
            )
        inverse = self._spread(1 / _root(variance + _beside(x, self.epsilon)))
        with np.errstate(invalid="ignore"):
            z = (_widened(x) - self._spread(mean)) * inverse
        return _narrowed(z, x), np.broadcast_to(_narrowed(inverse, x), x.shape)

    def _spread(self, values: Array) -> Array:
        return spread_over(values, self.in_shape[1:])

    def _apply(self, x: Array) -> Array:
        found = [self._spread(self.scale) * self._parts(one)[0] for one in x]
        return np.array(found).reshape(x.shape) + self._spread(self.offset)

    def at(self, x: Any, /) -> Operator:
        """diag(scale / sigma) (I - M - diag(z) M diag(z)): M the mean by channel, z = normalised.

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

    def by(self, name: str, x: Any) -> Operator:
        if not isinstance(name, str) or name not in self.parameters:
            return super().by(name, x)
        z, _ = self._parts(one_sample(x, self.in_shape))
        spread = compose(self._total.T, reshape(self.in_shape[1], self._total.out_shape))
        return spread if name == "offset" else compose(diagonal(z), spread)

    def __repr__(self) -> str:
        return f"batch_norm_training({self.in_shape})"


def batch_norm_training(
    shape: Shape, *, scale: Any = 1, offset: Any = 0, epsilon: Any = 1e-5
) -> TrainingBatchNorm:
    """Batch norm in training, a map of whole batches: every sample depends on all the others.

    Shapes: `shape` is `(samples, channels, *spatial)`; scale and offset one number, or one per
    channel. The variance is the biased one.
    Rule: y = scale (x - mean(x)) / sqrt(var(x) + epsilon) + offset, channel by channel. Exact x
    stay exact where epsilon, scale and offset are (the usual epsilon is a float).
    Raises: ShapeError, ArgumentError or KindError naming the argument at fault.
    Source: Ioffe & Szegedy 2015, algorithm 1.

    >>> norm = batch_norm_training((2, 1), epsilon=0)
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
    """Each entry over a power of the squares around it; see `local_response_norm`."""

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
        """k + alpha / size * (the sum of squares over the channels around)."""
        # A square may overflow where the result does not.
        wide = _widened(x)
        level = _beside(x, self.k) + self._share(x) * self.window(wide * wide)
        known = level[_is_number(level)] if level.dtype.kind == "O" else level
        without = known == 0 if float(self.beta).is_integer() else known <= 0
        if self.beta > 0 and without.any():
            raise ArgumentError(
                f"k + alpha / size * squares is {known[without][0]} at some entry of x, which "
                f"has no power -{self.beta}: give a k above 0, not {self.k}"
            )
        return level

    def _share(self, x: Array) -> Any:
        """alpha / size, exact where x and alpha are."""
        exact = x.dtype.kind == "O" and isinstance(self.alpha, numbers.Rational)
        return self.alpha * Fraction(1, self.size) if exact else float(self.alpha) / self.size

    def _apply(self, x: Array) -> Array:
        x = as_floats(x)
        # An infinity times its power, zero, is NaN, as in the frameworks.
        with np.errstate(invalid="ignore"):
            return _narrowed(x * _power(self._level(x), -self.beta), x)

    def at(self, x: Any, /) -> Operator:
        """diag(u^-b) - (2 a b / n) diag(x u^(-b-1)) W diag(x), with u the level and W the sum."""
        value = as_floats(one_sample(x, self.in_shape))
        level = self._level(value)
        outer = diagonal(_narrowed(value * _power(level, -self.beta - 1), value))
        factor = -2 * self._share(value) * _beside(value, self.beta)
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
    """Each entry over a power of the squares of its neighbours among the channels: a map.

    Shapes: `shape` is `(channels, *spatial)`. `size`: how many channels a window spans; for an
    even size `extra` says on which side it has one more: before (PyTorch) or after (ONNX).
    Rule: y = x / (k + alpha / size * sum of x^2 over the window)^beta. TensorFlow and the paper
    leave out the division by size. Exact x stay exact where alpha, beta and k are: whole numbers
    and fractions, which the usual alpha and beta are not.
    Raises: ShapeError, ArgumentError or KindError naming the argument at fault.
    Source: Krizhevsky et al. 2012, section 3.3.

    >>> local_response_norm(2, 1, alpha=1.0, beta=1.0, k=0.0)([2.0, 4.0]).tolist()
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


def _per_channel(values: Any, name: str, channels: int) -> Array:
    """One number for each channel, from one for all or one each."""
    found = as_numbers(values, name)
    check_finite(found, name)
    if found.dtype.kind == "c":
        raise KindError(f"{name} must be real, not {found.dtype}")
    if found.dtype.kind in "iu":
        # In int64, where differences of small integers do not wrap.
        (found,) = engine.prepared(1, found)
    if found.shape not in ((), (channels,)):
        raise ShapeError(
            f"{name} must be one number or {channels}, one per channel, not an array "
            f"of shape {found.shape}"
        )
    windows.check_places(channels, f"{name} of {channels} channels")
    frozen = np.broadcast_to(found, (channels,)).copy()
    frozen.setflags(write=False)
    return frozen


def _epsilon(value: Any) -> Any:
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if value.is_negative if is_expression(value) else not (real and value >= 0):
        raise ArgumentError(f"epsilon must be a number, at least 0, not {value!r}")
    check_finite(np.array(value), "epsilon")
    return value


def _number(value: Any, name: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise KindError(f"{name} must be a number, not {value!r}")
    if not math.isfinite(value):
        raise ArgumentError(f"{name} must be finite, not {value!r}")
    # A narrow integer of NumPy would wrap.
    return int(value) if isinstance(value, numbers.Integral) else value


def _beside(x: Array, constant: Any) -> Any:
    """A constant as floats can take it: a fraction would make them objects."""
    letters = is_expression(constant) and not constant.is_number
    return constant if letters or x.dtype.kind != "f" else float(constant)


def _widened(x: Array) -> Array:
    """Floats in at least 64 bits, for sums and squares."""
    return x.astype(np.result_type(x, np.float64)) if x.dtype.kind == "f" else x


def _narrowed(found: Array, *given: Array) -> Array:
    """What was computed in float64, in the float type of what was given again."""
    kind = np.result_type(*given)
    return found.astype(kind) if found.dtype.kind == kind.kind == "f" else found


def _is_number(values: Array) -> Array:
    """Which entries have no letters."""
    found = [not is_expression(v) or v.is_number for v in values.ravel()]
    return np.array(found, dtype=bool).reshape(values.shape)


def _root(values: Array) -> Array:
    return np.sqrt(values) if values.dtype.kind != "O" else _power(values, Fraction(1, 2))


def _power(values: Array, exponent: Any) -> Array:
    """Each entry to a power; what is exact stays so, a rational power as a fraction."""
    if values.dtype.kind != "O":
        return values ** float(exponent)
    import sympy

    def power(value: Any) -> Any:
        if not isinstance(exponent, numbers.Rational) or isinstance(value, (float, np.floating)):
            return value ** float(exponent)
        found = sympy.sympify(value) ** sympy.Rational(exponent.numerator, exponent.denominator)
        return Fraction(int(found.p), int(found.q)) if found.is_Rational else found

    return np.frompyfunc(power, 1, 1)(values)

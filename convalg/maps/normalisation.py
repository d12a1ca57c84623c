"""Batch normalisation in inference and in training, and local response normalisation."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from convalg import engine
from convalg.arguments import is_finite, one_of, shown
from convalg.arrays import Array, as_floats, as_numbers, check_finite, entrywise, one_sample
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
    """Batch norm with fixed statistics, an affine map of each channel; see `batch_norm`.

    Attributes:
        in_shape: Shape of the input and of the output, channels first.
        mean, variance, scale, offset: Arrays with one number per channel.
        epsilon: The number added to the variance.
    """

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
        """Return the standard deviation of each channel, exact if x is exact."""
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
        """Return the Jacobian: each channel times scale / sqrt(variance + epsilon), at every x."""
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
    """Return the batch norm of inference: an affine map of each channel with fixed statistics.

    y = scale (x - mean) / sqrt(variance + epsilon) + offset, channel by channel. Exact inputs give
    exact results if all arguments are exact; the default epsilon is a float, while
    `Fraction(1, 100_000)` is exact.

    Args:
        shape: Shape of the input and of the output, `(channels, *spatial)`: an int or one size per
            axis.
        mean: Mean of each channel: one number for all channels, or an array with one number per
            channel.
        variance: Variance of each channel: one number for all channels, or an array with one number
            per channel.
        scale: Factor of the normalised input: one number for all channels, or an array with one
            number per channel.
        offset: Number added after scaling: one number for all channels, or an array with one
            number per channel.
        epsilon: Number added to the variance, at least 0.

    Raises:
        ShapeError: when an array does not have one number per channel.
        ArgumentError: when `epsilon` is not a number of at least 0, variance + epsilon is not
            positive, or a number is not finite.
        KindError: when an argument is of the wrong type.
        SymbolicError: for symbolic sizes.

    Source:
        Ioffe & Szegedy 2015, algorithm 2.

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
            f"variance + epsilon must be positive in every channel, but the smallest is "
            f"{min(wrong)}: pass a larger variance or epsilon"
        )
    centre = _per_channel(mean, "mean", count)
    gain, bias = _per_channel(scale, "scale", count), _per_channel(offset, "offset", count)
    return BatchNormMap(sizes, centre, spread, gain, bias, small)


@dataclass(frozen=True, eq=False)
class TrainingBatchNorm(Map):
    """Batch norm with the statistics of its input batch; see `batch_norm_training`.

    Attributes:
        in_shape: Shape of the batch, `(samples, channels, *spatial)`.
        scale, offset: Arrays with one number per channel.
        epsilon: The number added to the variance.
    """

    in_shape: tuple[Any, ...]
    scale: Array
    offset: Array
    epsilon: Any

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.in_shape

    @property
    def _total(self) -> Selection:
        """The operator that sums over the samples and the spatial axes of each channel."""
        axes = tuple(k for k in range(len(self.in_shape)) if k != 1)
        return sum_over(self.in_shape, axes)

    def statistics(self, x: object) -> tuple[Array, Array]:
        """Return the mean and the biased variance of each channel of one batch.

        Floats are summed in float64; exact objects stay exact.

        Args:
            x: One batch of shape `in_shape`.

        Returns:
            The means and the variances, two arrays of shape (channels,).

        Raises:
            ShapeError: when x has another shape.
            KindError: when x does not hold real numbers.

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
        """Return the normalised batch and 1 / deviation, both with the shape of the batch.

        Raises: ArgumentError when a deviation is 0.
        """
        x = as_floats(x)
        mean, variance = self.statistics(x)
        flat = np.flatnonzero(variance + self.epsilon == 0)
        if flat.size:
            raise ArgumentError(
                f"variance + epsilon must be positive, but channel {flat[0]} of x is constant over "
                f"the batch and epsilon is {self.epsilon}: pass an epsilon above 0"
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
        """Return the Jacobian diag(scale / sigma) (I - M - diag(z) M diag(z)) at the batch x.

        M replaces each entry by the mean of its channel, and z is the normalised batch.
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
    """Return the batch norm of training: each channel normalised by the statistics of the batch.

    y = scale (x - mean(x)) / sqrt(var(x) + epsilon) + offset, channel by channel, with the biased
    variance. The input is the entire batch, because each output depends on all its samples. Exact
    inputs give exact results if all arguments are exact; the default epsilon is a float, while
    `Fraction(1, 100_000)` is exact.

    Args:
        shape: Shape of the batch, `(samples, channels, *spatial)`, one size per axis.
        scale: Factor of the normalised input: one number for all channels, or an array with one
            number per channel.
        offset: Number added after scaling: one number for all channels, or an array with one
            number per channel.
        epsilon: Number added to the variance, at least 0.

    Returns:
        A map from the batch to a batch of the same shape.

    Raises:
        ShapeError: when the batch has fewer than two axes, or an array does not have one number
            per channel.
        ArgumentError: when `epsilon` is not a number of at least 0, or a number is not finite.
        KindError: when an argument is of the wrong type.
        SymbolicError: for symbolic sizes.

    Source:
        Ioffe & Szegedy 2015, algorithm 1.

    >>> import convalg as ca
    >>> norm = ca.batch_norm_training((2, 1), epsilon=0)
    >>> norm([[1.0], [5.0]]).tolist(), norm.at([[1.0], [5.0]]).to_numpy().tolist()
    ([[-1.0], [1.0]], [[0.0, 0.0], [0.0, 0.0]])
    """
    sizes = concrete_shape(shape)
    if len(sizes) < 2:
        raise ShapeError(
            f"shape must be (samples, channels, *spatial), with at least two axes, not {sizes}"
        )
    gain, bias = _per_channel(scale, "scale", sizes[1]), _per_channel(offset, "offset", sizes[1])
    return TrainingBatchNorm(sizes, gain, bias, _epsilon(epsilon))


@dataclass(frozen=True, eq=False)
class LocalResponseNorm(Map):
    """Each entry divided by a power of a local sum of squares; see `local_response_norm`.

    Attributes:
        window: The operator that sums over neighbouring channels.
        size: Number of channels in a window.
        alpha, beta, k: The constants of the formula.
    """

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
        """Return k + alpha / size * (the sum of squares over the window) for each entry.

        Raises: ArgumentError when its power is undefined.
        """
        # A square may overflow where the result does not.
        wide = _widened(x)
        level: Array = _like(x, self.k) + self._share(x) * self.window(wide * wide)
        numeric = level[_is_number(level)] if level.dtype.kind == "O" else level
        undefined = numeric == 0 if float(self.beta).is_integer() else numeric <= 0
        if self.beta > 0 and undefined.any():
            raise ArgumentError(
                f"k + alpha / size * (sum of squares) must have a power -{self.beta}, but it is "
                f"{numeric[undefined][0]} at an entry of x: pass a k above 0, not {self.k}"
            )
        return level

    def _share(self, x: Array) -> Any:
        """Return alpha / size, exact if x and alpha are exact."""
        exact = x.dtype.kind == "O" and isinstance(self.alpha, numbers.Rational)
        return self.alpha * Fraction(1, self.size) if exact else float(self.alpha) / self.size

    def _apply(self, x: Array) -> Array:
        x = as_floats(x)
        # An infinite x times its power, 0, is NaN, as in the frameworks.
        with np.errstate(invalid="ignore"):
            return _narrowed(x * _power(self._level(x), -self.beta), x)

    def at(self, x: object, /) -> Operator:
        """Return the Jacobian diag(u^-b) - (2 a b / n) diag(x u^(-b-1)) W diag(x) at one sample x.

        u is the divisor before the power, and W sums over the windows of n channels.
        """
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
    """Return the local response normalisation over windows of neighbouring channels.

    y = x / (k + alpha / size * sum of x^2 over the window)^beta, as in PyTorch and ONNX; the paper
    and TensorFlow do not divide alpha by the size. Exact inputs give exact results if alpha, beta
    and k are ints or fractions; the defaults are floats.

    Args:
        shape: Shape of the input and of the output, `(channels, *spatial)`: an int or one size per
            axis.
        size: Number of channels in a window, at least 1.
        alpha: Factor of the mean square, a finite number.
        beta: Exponent of the divisor, a finite number.
        k: Constant added to the mean square, a finite number.
        extra: Side of the centre with one more channel if `size` is even: "before" (PyTorch) or
            "after" (ONNX).

    Raises:
        ArgumentError: when `size` is below 1, a constant is not finite, or `extra` is not an
            option.
        KindError: when an argument is of the wrong type.
        ShapeError: for a shape without axes.
        SymbolicError: for symbolic sizes.

    Source:
        Krizhevsky et al. 2012, section 3.3.

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
    """Return a read-only array with one number per channel, from one number or such an array.

    Raises: KindError, ArgumentError or ShapeError, which name the argument.
    """
    numbers_given = as_numbers(values, name)
    check_finite(numbers_given, name)
    if numbers_given.dtype.kind == "c":
        raise KindError(f"{name} must be real, not {numbers_given.dtype}")
    if numbers_given.dtype.kind in "iu":
        # Differences of narrow integers could overflow their type.
        (numbers_given,) = engine.prepared(1, numbers_given)
    if numbers_given.shape not in ((), (channels,)):
        raise ShapeError(
            f"{name} must be one number or an array of {channels} numbers, one per channel, not an "
            f"array of shape {numbers_given.shape}"
        )
    windows.check_places(channels, f"{name} of {channels} channels")
    frozen = np.broadcast_to(numbers_given, (channels,)).copy()
    frozen.setflags(write=False)
    return frozen


def _epsilon(value: Any) -> Any:
    """Return a number of at least 0, or a symbol. Raises: ArgumentError for anything else."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if (
        value.is_negative
        if is_expression(value)
        else not (real and is_finite(value) and value >= 0)
    ):
        raise ArgumentError(
            f"epsilon must be a finite real number of at least 0, not {shown(value)}"
        )
    check_finite(np.array(value), "epsilon")
    return value


def _number(value: object, name: str) -> Any:
    """Return a finite number. Raises: KindError or ArgumentError, which name the argument."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise KindError(f"{name} must be a real number, not {value!r} ({type(value).__name__})")
    if not is_finite(value):
        raise ArgumentError(f"{name} must be a finite number, not {value!r}")
    # Arithmetic with a narrow NumPy integer could overflow.
    return int(value) if isinstance(value, numbers.Integral) else value


def _like(x: Array, constant: Any) -> Any:
    """Return the constant, as a float if x holds floats: fractions would give arrays of objects."""
    symbolic = is_expression(constant) and not constant.is_number
    return constant if symbolic or x.dtype.kind != "f" else float(constant)


def _widened(x: Array) -> Array:
    """Return floats with at least 64 bits, for sums and squares; other types unchanged."""
    return x.astype(np.result_type(x, np.float64)) if x.dtype.kind == "f" else x


def _narrowed(wide: Array, *given: Array) -> Array:
    """Return a result computed in float64 converted to the common float type of some arrays."""
    dtype = np.result_type(*given)
    return wide.astype(dtype) if wide.dtype.kind == dtype.kind == "f" else wide


def _is_number(values: Array) -> Array:
    """Return an array of bools that is True for entries without symbols."""
    flags = [not is_expression(v) or v.is_number for v in values.ravel()]
    return np.array(flags, dtype=bool).reshape(values.shape)


def _root(values: Array) -> Array:
    return np.sqrt(values) if values.dtype.kind != "O" else _power(values, Fraction(1, 2))


def _power(values: Array, exponent: Any) -> Array:
    """Return each entry to a power; exact entries stay exact, and rationals are Fractions."""
    if values.dtype.kind != "O":
        return values ** float(exponent)
    import sympy

    def power(value: Any) -> Any:
        if not isinstance(exponent, numbers.Rational) or isinstance(value, (float, np.floating)):
            return value ** float(exponent)
        result = sympy.sympify(value) ** sympy.Rational(exponent.numerator, exponent.denominator)
        return Fraction(int(result.p), int(result.q)) if result.is_Rational else result

    return entrywise(power, values)

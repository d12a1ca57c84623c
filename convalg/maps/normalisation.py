"""Normalisations: batch norm in use and in training, and local response normalisation."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from convalg import engine
from convalg.axis import Axis
from convalg.base import Array, Map, Operator
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.kernels import as_numbers, check_finite
from convalg.linear import diagonal, identity, reshape
from convalg.maps.activations import sum_over
from convalg.maps.chains import as_floats, one_sample, spread_over, spreading
from convalg.maps.pooling import concrete_shape
from convalg.operators import Selection, compose, scale
from convalg.spec import Shape, as_size, is_expression, size_product


@dataclass(frozen=True, eq=False)
class BatchNorm(Map):
    """Batch norm with fixed statistics: affine, channel by channel; see `batch_norm`."""

    in_shape: tuple[Any, ...]
    mean: Array
    variance: Array
    scale: Array
    offset: Array
    epsilon: float

    @property
    def out_shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return self.in_shape

    @property
    def _deviation(self) -> Array:
        return _root(self.variance + self.epsilon)

    def _normalised(self, x: Array) -> Array:
        centre = np.broadcast_to(self._spread(-self.mean), x.shape)
        return engine.total([x, centre]) / self._spread(self._deviation)

    def _spread(self, values: Array) -> Array:
        return spread_over(values, self.in_shape)

    def _apply(self, x: Array) -> Array:
        return self._spread(self.scale) * self._normalised(x) + self._spread(self.offset)

    def at(self, x: Any, /) -> Operator:
        """The same diagonal everywhere: scale / sqrt(variance + epsilon), by channel."""
        one_sample(x, self.in_shape)
        gain = diagonal(self.scale / self._deviation)
        rest = self.in_shape[1:]
        return gain.kron(identity(rest)) if rest else gain

    @property
    def parameters(self) -> dict[str, Array]:
        return {"scale": self.scale, "offset": self.offset}

    def by(self, name: str, x: Any) -> Operator:
        if name not in self.parameters:
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
) -> BatchNorm:
    """Batch norm in use, with fixed statistics: an affine map of every channel.

    Shapes: `shape` is `(channels, *spatial)`; the four arrays one number, or one per channel.
    Rule: y = scale (x - mean) / sqrt(variance + epsilon) + offset.
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
    low = (spread + small).tolist()
    wrong = [v for v in low if not (is_expression(v) and v.free_symbols) and not v > 0]
    if wrong:
        raise ArgumentError(
            f"variance plus epsilon must be positive, and the smallest is {min(wrong)}"
        )
    centre = _per_channel(mean, "mean", count)
    gain, bias = _per_channel(scale, "scale", count), _per_channel(offset, "offset", count)
    return BatchNorm(sizes, centre, spread, gain, bias, small)


@dataclass(frozen=True, eq=False)
class TrainingBatchNorm(Map):
    """Batch norm with the statistics of the batch it is given; see `batch_norm_training`."""

    in_shape: tuple[Any, ...]
    scale: Array
    offset: Array
    epsilon: float

    @property
    def out_shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return self.in_shape

    @property
    def _total(self) -> Selection:
        """The sum over all places that share their statistics: samples and space."""
        places = tuple(k for k in range(len(self.in_shape)) if k != 1)
        return sum_over(self.in_shape, places)

    def statistics(self, x: Any) -> tuple[Array, Array]:
        """Mean and (biased) variance of each channel of one batch. Shapes: x `in_shape`."""
        value = one_sample(x, self.in_shape)
        axes = tuple(k for k in range(value.ndim) if k != 1)
        return value.mean(axis=axes), value.var(axis=axes)

    def _parts(self, x: Array) -> tuple[Array, Array]:
        """The normalised batch, and one over the deviation at every place."""
        mean, variance = self.statistics(x)
        inverse = self._spread(1 / _root(variance + self.epsilon))
        return (x - self._spread(mean)) * inverse, np.broadcast_to(inverse, x.shape)

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
        if name not in self.parameters:
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
    Rule: y = scale (x - mean(x)) / sqrt(var(x) + epsilon) + offset, channel by channel.
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
    alpha: float
    beta: float
    k: float

    @property
    def in_shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return self.window.in_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return self.window.in_shape

    def _level(self, x: Array) -> Array:
        """k + alpha / size * (the sum of squares over the channels around)."""
        # A square may overflow where the result does not.
        wide = x.astype(np.float64) if x.dtype.kind == "f" else x
        return self.k + self.alpha / self.size * self.window(wide * wide)

    def _apply(self, x: Array) -> Array:
        x = as_floats(x)
        return _narrowed(x * self._level(x) ** (-self.beta), x)

    def at(self, x: Any, /) -> Operator:
        """diag(u^-b) - (2 a b / n) diag(x u^(-b-1)) W diag(x), with u the level and W the sum."""
        value = as_floats(one_sample(x, self.in_shape))
        level = self._level(value)
        outer = diagonal(_narrowed(value * level ** (-self.beta - 1), value))
        factor = -2 * self.alpha * self.beta / self.size
        spread = compose(outer, self.window, diagonal(value))
        return diagonal(_narrowed(level ** (-self.beta), value)) + scale(factor, spread)

    def __repr__(self) -> str:
        options = f"alpha={self.alpha}, beta={self.beta}, k={self.k}"
        return f"local_response_norm({self.in_shape}, {self.size}, {options})"


def local_response_norm(
    shape: Shape,
    size: int,
    *,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    extra: Literal["before", "after"] = "before",
) -> LocalResponseNorm:
    """Each entry over a power of the squares of its neighbours among the channels: a map.

    Shapes: `shape` is `(channels, *spatial)`. `size`: how many channels a window spans; for an
    even size `extra` says on which side it has one more: before (PyTorch) or after (ONNX).
    Rule: y = x / (k + alpha / size * sum of x^2 over the window)^beta. TensorFlow and the paper
    leave out the division by size.
    Raises: ShapeError, ArgumentError or KindError naming the argument at fault.
    Source: Krizhevsky et al. 2012, section 3.3.

    >>> local_response_norm(2, 1, alpha=1.0, beta=1.0, k=0.0)([2.0, 4.0]).tolist()
    [0.5, 0.25]
    """
    sizes = concrete_shape(shape)
    span = as_size(size, "size")
    if extra not in ("before", "after"):
        raise ArgumentError(f"extra must be 'before' or 'after', not {extra!r}")
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
    real = (int, float, np.integer, np.floating)
    if isinstance(value, bool) or not isinstance(value, real):
        raise KindError(f"{name} must be a number, not {value!r}")
    if not np.isfinite(value):
        raise ArgumentError(f"{name} must be finite, not {value!r}")
    return value


def _narrowed(found: Array, x: Array) -> Array:
    """What was computed in float64, in the float type of x again."""
    return found.astype(x.dtype) if x.dtype.kind == "f" else found


def _root(values: Array) -> Array:
    if values.dtype.kind != "O":
        return np.sqrt(values)
    import sympy

    return np.frompyfunc(lambda v: sympy.sqrt(sympy.sympify(v)), 1, 1)(values)

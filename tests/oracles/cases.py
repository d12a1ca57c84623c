"""Operators with the integer matrices they must have, and random trees of them.

A case holds an operator, its dense matrix and its support, found without convalg: layers by
the nested loops of `naive`, moves of samples by NumPy, nodes by dense matrix algebra.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from strategies import Drawn, integers

import convalg as ca
from convalg.axis import BOUNDARIES

LARGEST = 30
"""Rows and columns of the matrices in a random tree."""


@dataclass(frozen=True)
class Case:
    """An operator, its matrix, and where the pattern puts something."""

    operator: ca.Operator
    matrix: np.ndarray
    support: np.ndarray

    @property
    def T(self) -> Case:  # noqa: N802 - as on operators
        return Case(self.operator.T, self.matrix.T, self.support.T)

    def __matmul__(self, other: Case) -> Case:
        support = self.support.astype(int) @ other.support.astype(int) > 0
        return Case(self.operator @ other.operator, self.matrix @ other.matrix, support)

    def __add__(self, other: Case) -> Case:
        support = self.support | other.support
        return Case(self.operator + other.operator, self.matrix + other.matrix, support)

    def __sub__(self, other: Case) -> Case:
        support = self.support | other.support
        return Case(self.operator - other.operator, self.matrix - other.matrix, support)

    def __rmul__(self, factor: int) -> Case:
        return Case(factor * self.operator, factor * self.matrix, self.support)

    def kron(self, other: Case) -> Case:
        return Case(
            self.operator.kron(other.operator),
            np.kron(self.matrix, other.matrix),
            np.kron(self.support, other.support),
        )


def layer(drawn: Drawn) -> Case:
    """The case of a layer, by nested loops."""
    oracle = drawn.oracle
    matrix = oracle.matrix(drawn.weights).astype(np.int64)
    ones = np.ones(oracle.kernel_shape, dtype=int)
    return Case(drawn.operator, matrix, oracle.matrix(ones) > 0)


def correlation(shape: Any, kernel: Any, **options: Any) -> Case:
    """The case of one correlation."""
    return layer(Drawn("correlation", shape, kernel, options))


def convolution(shape: Any, kernel: Any, **options: Any) -> Case:
    """The case of one convolution."""
    return layer(Drawn("convolution", shape, kernel, options))


def transposed(shape: Any, kernel: Any, **options: Any) -> Case:
    """The case of one transposed layer."""
    return layer(Drawn("transposed_correlation", shape, kernel, options))


def move(operator: ca.Operator, shape: Any, function: Callable[[np.ndarray], Any]) -> Case:
    """The case of an operator that does what `function` does to one array."""
    sizes = (shape,) if isinstance(shape, int) else shape
    basis = np.eye(math.prod(sizes), dtype=np.int64).reshape(-1, *sizes)
    matrix = np.stack([np.asarray(function(x)).ravel() for x in basis], axis=1)
    return Case(operator, matrix, matrix != 0)


def dense(weights: Any, **shapes: Any) -> Case:
    """The case of a dense matrix: every entry is in the support."""
    values = np.array(weights)
    return Case(ca.dense(weights, **shapes), values, np.ones(values.shape, dtype=bool))


def diagonal(values: Any) -> Case:
    """The case of a diagonal."""
    factors = np.array(values)
    return Case(ca.diagonal(values), np.diag(factors.ravel()), np.eye(factors.size, dtype=bool))


def windows(x: np.ndarray, size: int, stride: int) -> np.ndarray:
    """Sums over windows of all axes, `stride` apart."""
    view = np.lib.stride_tricks.sliding_window_view(x, (size,) * x.ndim)
    kept = view[(slice(None, None, stride),) * x.ndim]
    return kept.sum(axis=tuple(range(x.ndim, 2 * x.ndim)))


def stretched(x: np.ndarray, factor: int, size: int) -> np.ndarray:
    """Zeros between the samples of a signal, up to `size`."""
    y = np.zeros(size, dtype=x.dtype)
    y[: factor * len(x) : factor] = x
    return y


def elementary() -> dict[str, Case]:
    """Each operator that moves samples, in forms that differ."""
    return {
        "identity": move(ca.identity(3), 3, lambda x: x),
        "identity of channels": move(ca.identity(2, channels=3), (3, 2), lambda x: x),
        "pad": move(ca.pad(3, ((1, 2),)), 3, lambda x: np.pad(x, (1, 2))),
        "pad circular": move(
            ca.pad((2, 3), (1, 2), boundary="circular"),
            (2, 3),
            lambda x: np.pad(x, ((1, 1), (2, 2)), mode="wrap"),
        ),
        "pad edge": move(ca.pad(2, 3, boundary="edge"), 2, lambda x: np.pad(x, 3, mode="edge")),
        "pad channels": move(
            ca.pad(2, 1, channels=2), (2, 2), lambda x: np.pad(x, ((0, 0), (1, 1)))
        ),
        "pad and crop": move(ca.pad(4, ((2, -1),)), 4, lambda x: np.pad(x, (2, 0))[:-1]),
        "crop": move(ca.crop((4, 3), ((1, 0), (0, 1))), (4, 3), lambda x: x[1:, :-1]),
        "flip": move(ca.flip_axes((2, 3)), (2, 3), lambda x: x[::-1, ::-1]),
        "flip one": move(ca.flip_axes((2, 3), axes=(1,)), (2, 3), lambda x: x[:, ::-1]),
        "flip last": move(ca.flip_axes((2, 3), axes=(-1,)), (2, 3), lambda x: x[:, ::-1]),
        "shift": move(ca.shift(4, 1), 4, lambda x: np.pad(x, (1, 0))[:4]),
        "shift back": move(ca.shift(4, -3), 4, lambda x: np.pad(x, (0, 3))[3:]),
        "shift circular": move(
            ca.shift((2, 3), (1, -2), boundary="circular"),
            (2, 3),
            lambda x: np.roll(x, (1, -2), axis=(0, 1)),
        ),
        "downsample": move(ca.downsample(7, 3), 7, lambda x: x[::3]),
        "downsample offset": move(
            ca.downsample((5, 4), (2, 3), offset=(1, 0)), (5, 4), lambda x: x[1::2, ::3]
        ),
        "upsample": move(ca.upsample(3, 2), 3, lambda x: stretched(x, 2, 5)),
        "upsample to": move(ca.upsample(3, 2, size=7), 3, lambda x: stretched(x, 2, 7)),
        "reshape": move(ca.reshape((2, 3), (3, 2)), (2, 3), lambda x: x.reshape(3, 2)),
        "sum pool": move(ca.sum_pool(5, 2), 5, lambda x: windows(x, 2, 2)),
        "sum pool overlapping": move(
            ca.sum_pool((4, 4), 3, stride=1), (4, 4), lambda x: windows(x, 3, 1)
        ),
        "sum pool padded": move(
            ca.sum_pool(5, 3, stride=2, padding=1), 5, lambda x: windows(np.pad(x, 1), 3, 2)
        ),
        "dense": dense([[1, 0, -2], [3, 4, 0]]),
        "dense between shapes": dense([[1, 2, 3, 4]] * 2, in_shape=(2, 2), out_shape=(1, 2)),
        "diagonal": diagonal([[2, 0], [-1, 1]]),
    }


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> Case:
    """A random tree: products, sums, multiples, adjoints and Kronecker products of leaves."""
    shape = draw(st.sampled_from([(3,), (4,), (5,), (2, 3), (3, 3), (2, 2, 2)]))
    case = draw(_leaf(shape))
    for _ in range(draw(st.integers(1, depth))):
        case = _grown(draw, case)
    return case


def _grown(draw: st.DrawFn, case: Case) -> Case:
    """A case with one more node on it."""
    match draw(st.sampled_from(["after", "after", "before", "sum", "scale", "adjoint", "kron"])):
        case "after":
            return draw(_leaf(case.operator.out_shape)) @ case
        case "before":
            return case @ draw(_leaf(case.operator.in_shape)).T
        case "sum":
            return case + draw(st.sampled_from([-1, 1, 2])) * _beside(draw, case)
        case "scale":
            return draw(st.integers(-3, 3)) * case
        case "adjoint":
            return case.T
    other = draw(_leaf(draw(st.sampled_from([(2,), (3,)]))))
    pair = (case, other) if draw(st.booleans()) else (other, case)
    product = math.prod(n * m for n, m in zip(*(c.operator.shape for c in pair), strict=True))
    return pair[0].kron(pair[1]) if product <= LARGEST**2 else case


def _beside(draw: st.DrawFn, case: Case) -> Case:
    """Something of the same shapes to add."""
    into, out = case.operator.in_shape, case.operator.out_shape
    if into == out and draw(st.booleans()):
        return move(ca.identity(into), into, lambda x: x)
    if draw(st.booleans()):
        return case
    return dense(draw(integers((math.prod(out), math.prod(into)))), in_shape=into, out_shape=out)


@st.composite
def _leaf(draw: st.DrawFn, shape: tuple[int, ...]) -> Case:
    """A leaf over a given input shape, with an output that is not large."""
    made = draw(st.sampled_from(_LEAVES))(draw, shape)
    too_large = made is None or max(made.operator.shape) > LARGEST
    return diagonal(draw(integers(shape))) if too_large else made


def _correlation(draw: st.DrawFn, shape: tuple[int, ...]) -> Case:
    taps = tuple(draw(st.integers(1, min(n, 3))) for n in shape)
    fits = all(2 * (k - 1) < n for n, k in zip(shape, taps, strict=True))
    width = st.integers(0, 1 if min(shape) > 1 else 0)
    pair = st.tuples(*[st.tuples(width, width)] * len(shape))
    options = {
        "stride": draw(st.integers(1, 2)),
        "padding": draw(st.sampled_from(["same", "valid", "same_lower"]) | pair),
        "boundary": draw(st.sampled_from(BOUNDARIES)),
        "dilation": draw(st.integers(1, 2 if fits else 1)),
    }
    make = draw(st.sampled_from([correlation, convolution]))
    return make(shape, draw(integers(taps, 2)), **options)


def _channels(draw: st.DrawFn, shape: tuple[int, ...]) -> Case | None:
    if len(shape) < 2:
        return None
    channels, spatial = shape[0], shape[1:]
    taps = tuple(draw(st.integers(1, min(n, 2))) for n in spatial)
    groups = draw(st.sampled_from([1, channels]))
    lead = (draw(st.integers(1, 2)) * groups, channels // groups)
    padding = draw(st.sampled_from(["valid", "same"]))
    return correlation(spatial, draw(integers((*lead, *taps), 2)), padding=padding, groups=groups)


def _transposed(draw: st.DrawFn, shape: tuple[int, ...]) -> Case:
    taps = tuple(draw(st.integers(1, 3)) for _ in shape)
    stride = draw(st.integers(1, 2))
    options = {
        "stride": stride,
        "padding": tuple((draw(st.integers(0, (k - 1) // 2)), 0) for k in taps),
        "output_padding": draw(st.integers(0, stride - 1)),
    }
    return transposed(shape, draw(integers(taps, 2)), **options)


def _moved(draw: st.DrawFn, shape: tuple[int, ...]) -> Case:
    axes = tuple(range(len(shape)))
    amount = tuple(draw(st.integers(-1, 1)) for _ in shape)
    match draw(st.sampled_from(["pad", "flip", "shift", "downsample", "reshape", "pool"])):
        case "pad":
            return move(ca.pad(shape, 1), shape, lambda x: np.pad(x, 1))
        case "flip":
            return move(ca.flip_axes(shape), shape, np.flip)
        case "shift":
            operator = ca.shift(shape, amount, boundary="circular")
            return move(operator, shape, lambda x: np.roll(x, amount, axis=axes))
        case "downsample":
            kept = (slice(None, None, 2),) * len(shape)
            return move(ca.downsample(shape, 2), shape, lambda x: x[kept])
        case "reshape":
            return move(ca.reshape(shape, math.prod(shape)), shape, np.ravel)
    size = min(2, *shape)
    return move(ca.sum_pool(shape, size, stride=1), shape, lambda x: windows(x, size, 1))


def _dense(draw: st.DrawFn, shape: tuple[int, ...]) -> Case:
    rows = draw(st.integers(1, 3))
    return dense(draw(integers((rows, math.prod(shape)))), in_shape=shape)


_LEAVES = (_correlation, _correlation, _channels, _transposed, _moved, _moved, _dense)

NAMED: dict[str, Callable[[], Case]] = {
    "valid": lambda: correlation(5, [1, 2, 3]),
    "full": lambda: convolution((3, 3), [[1, 2], [3, 4]], padding="full"),
    "strided": lambda: correlation(7, [1, -2, 3], stride=2, padding=1),
    "dilated": lambda: correlation((5, 5), [[1, 2], [3, 4]], dilation=2),
    "circulant": lambda: convolution(5, [1, 2, 3], padding="same", boundary="circular"),
    "channels": lambda: correlation((3, 3), np.arange(24).reshape(2, 3, 2, 2) - 9, padding=1),
    "depthwise": lambda: correlation(4, [[[1, 2]], [[3, 4]], [[5, 6]]], groups=3),
    "transposed": lambda: transposed(3, [1, 2, 3], stride=2, output_padding=1),
    "three axes": lambda: correlation((2, 3, 2), np.arange(8).reshape(2, 2, 2), padding="same"),
}
"""Layers by name, each made when called."""

"""Activations and normalisations: values, exact derivatives by SymPy, extremes, types."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from strategies import integers

import convalg as ca

SYMBOLS = np.array(sympy.symbols("a b c", real=True), dtype=object)
POINT = dict(zip(SYMBOLS, (Fraction(1, 2), -2, 3), strict=True))


@pytest.mark.parametrize(
    "layer",
    [ca.sigmoid(3), ca.tanh(3), ca.softmax(3), ca.lp_pool(3, 2, 2, stride=1)],
    ids=repr,
)
def test_jacobians_are_derivatives(layer: ca.Map) -> None:
    """At symbols the Jacobian is SymPy's own derivative of the outputs."""
    outputs = layer(SYMBOLS)
    jacobian = layer.at(SYMBOLS).to_sympy()
    for row, output in enumerate(outputs):
        for column, letter in enumerate(SYMBOLS):
            difference = sympy.diff(output, letter) - jacobian[row, column]
            assert abs(float(difference.subs(POINT))) < 1e-12


@given(integers((4,)))
def test_piecewise_linear_ones(x: np.ndarray) -> None:
    assert ca.relu(4)(x).tolist() == [max(v, 0) for v in x.tolist()]
    assert np.array_equal(ca.relu(4).at(x)(x), ca.relu(4)(x))
    slope = Fraction(1, 3)
    leaky = ca.leaky_relu(4, slope)
    assert leaky(x).tolist() == [v if v > 0 else slope * v for v in x.tolist()]
    assert leaky.at(x)(x).tolist() == leaky(x).tolist()


def test_extremes_do_not_overflow() -> None:
    x = np.array([-1e4, -40.0, 0.0, 40.0, 1e4])
    assert np.isfinite(ca.sigmoid(5)(x)).all()
    assert ca.sigmoid(5)(x)[[0, 4]].tolist() == [0.0, 1.0]
    assert ca.sigmoid(5).at(x).to_numpy().diagonal()[1] == pytest.approx(np.exp(-40), rel=1e-12)
    assert ca.tanh(5).at(x).to_numpy().diagonal()[3] == pytest.approx(4 * np.exp(-80), rel=1e-12)
    p = ca.softmax(5)(x)
    assert p.tolist() == [0.0, 0.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("kind", ["int8", "uint8", "float16", "float32", "float64"])
def test_types(kind: str) -> None:
    x = np.array([3, 120, 7], dtype=kind)
    for layer in (ca.relu(3), ca.sigmoid(3), ca.tanh(3), ca.softmax(3)):
        found, right = layer(x), layer(x.astype(float))
        assert np.allclose(np.asarray(found, dtype=float), right, rtol=1e-2)
        if kind.startswith("float"):
            assert found.dtype == kind
    norm = ca.local_response_norm(3, 3, alpha=0.1)
    assert np.allclose(norm(x), norm(x.astype(float)), rtol=1e-2)


def test_nan_goes_on() -> None:
    x = np.array([np.nan, 1.0])
    for layer in (ca.relu(2), ca.leaky_relu(2), ca.sigmoid(2), ca.tanh(2)):
        assert np.isnan(layer(x)).tolist() == [True, False]


@given(st.integers(1, 4), st.integers(1, 5), st.sampled_from(["before", "after"]))
def test_local_response_norm(channels: int, size: int, extra: Any) -> None:
    x = np.random.default_rng(channels).normal(size=(channels, 2))
    layer = ca.local_response_norm((channels, 2), size, alpha=0.3, beta=0.6, k=1.5, extra=extra)
    before = size // 2 if extra == "before" else (size - 1) // 2
    for c, place in np.ndindex(*x.shape):
        near = range(max(c - before, 0), min(c - before + size, channels))
        level = 1.5 + 0.3 / size * sum(x[k, place] ** 2 for k in near)
        assert layer(x)[c, place] == pytest.approx(x[c, place] / level**0.6)


def slopes(layer: ca.Map, x: np.ndarray) -> np.ndarray:
    """The Jacobian by central differences."""
    step, found = 1e-6, []
    for k in range(x.size):
        unit = np.zeros(x.size)
        unit[k] = step
        unit = unit.reshape(x.shape)
        found.append((layer(x + unit) - layer(x - unit)).ravel() / (2 * step))
    return np.array(found).T


@pytest.mark.parametrize(
    "layer",
    [
        ca.local_response_norm((4, 2), 3, alpha=0.5),
        ca.batch_norm((3, 2), [1, 2, 3], [1, 4, 9], scale=[1, 2, 3], offset=1),
        ca.batch_norm_training((3, 2, 2), scale=[1.5, -2], offset=0.5),
        ca.softmax((2, 3), axis=1),
        ca.softmax((2, 3)),
    ],
    ids=repr,
)
def test_jacobians_by_differences(layer: ca.Map) -> None:
    x = np.random.default_rng(0).normal(size=layer.in_shape)
    assert np.allclose(layer.at(x).to_scipy().toarray(), slopes(layer, x), atol=1e-7)
    g = np.random.default_rng(1).normal(size=layer.out_shape)
    for name, value in layer.parameters.items():
        jacobian = layer.by(name, x)
        assert np.allclose(layer.parameter_gradients(x, g)[name], jacobian.T(g))
        # Each output is linear in scale and offset.
        parts = sum(layer.by(k, x)(v) for k, v in layer.parameters.items())
        assert np.allclose(parts, layer(x))
        assert value.shape == jacobian.in_shape


def test_batch_norm_normalises() -> None:
    x = np.random.default_rng(0).normal(3, 5, size=(8, 2, 5))
    found = ca.batch_norm_training((8, 2, 5), epsilon=0)(x)
    assert np.allclose(found.mean(axis=(0, 2)), 0)
    assert np.allclose(found.var(axis=(0, 2)), 1)
    mean, variance = ca.batch_norm_training((8, 2, 5)).statistics(x)
    fixed = ca.batch_norm((2, 5), mean, variance)
    trained = ca.batch_norm_training((8, 2, 5))
    assert np.allclose(fixed(x), trained(x))


def test_exact_batch_norm() -> None:
    """Symbols stay symbols."""
    norm = ca.batch_norm((1, 1), SYMBOLS[:1], SYMBOLS[1:2], epsilon=0)
    (found,) = norm(np.array([[sympy.Symbol("x")]], dtype=object)).ravel()
    a, b, x = SYMBOLS[0], SYMBOLS[1], sympy.Symbol("x")
    assert sympy.simplify(found - (x - a) / sympy.sqrt(b)) == 0

"""Activations: exact steps where they are linear, SymPy's derivatives where they are smooth."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from layer_strategies import batches, check_adjoint, check_slope, columns, distinct, slopes
from scipy import special
from strategies import integers

import convalg as ca
from convalg.errors import SymbolicError
from convalg.maps.activations import log_softmax

shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)
KINDS = ["bool", "int8", "uint8", "int16", "uint16", "int64", "uint64"]
FLOATS = ["float16", "float32", "float64"]


@given(shapes, batches, st.sampled_from([0, 2, -1, Fraction(1, 3), 0.25]), st.data())
def test_entries_below_zero_are_scaled(
    shape: tuple[int, ...], batch: Any, slope: Any, data: st.DataObject
) -> None:
    x = data.draw(integers((*batch, *shape)))
    for layer, factor in ((ca.relu(shape), 0), (ca.leaky_relu(shape, slope), slope)):
        right = [value if value > 0 else factor * value for value in x.ravel().tolist()]
        assert layer(x).ravel().tolist() == right
        assert layer(x).shape == x.shape


@given(shapes, st.sampled_from([2, -1, Fraction(1, 3)]), st.data())
def test_small_steps_are_scaled_exactly(
    shape: tuple[int, ...], slope: Any, data: st.DataObject
) -> None:
    x, step = data.draw(distinct(shape)), data.draw(integers(shape))
    g = data.draw(integers(shape))
    for layer in (ca.relu(shape), ca.leaky_relu(shape, slope)):
        check_slope(layer, x, step)
        check_adjoint(layer.at(x), g, step)
        factors = layer.at(x).to_numpy().diagonal()
        assert np.array_equal(layer.gradient(x, g).ravel(), factors * g.ravel())


def test_at_zero_the_slope_is_that_below() -> None:
    assert ca.relu(3).at([-1, 0, 1]).to_numpy().diagonal().tolist() == [0, 0, 1]
    assert ca.relu(2).at([-0.0, 0.0]).to_numpy().diagonal().tolist() == [0, 0]
    assert ca.leaky_relu(2, 3).at([0, 0]).to_numpy().diagonal().tolist() == [3, 3]


LETTERS = np.array(sympy.symbols("a b c d", real=True), dtype=object)
SMOOTH = [
    ca.sigmoid(4),
    ca.tanh(4),
    ca.softmax(4),
    ca.softmax((2, 2), axis=1),
    ca.softmax((2, 2)),
    log_softmax(4),
    log_softmax((2, 2), axis=1),
]


@pytest.mark.parametrize("kind", FLOATS)
def test_a_log_softmax_is_finite_where_the_softmax_is_zero(kind: Any) -> None:
    x = np.array([[0, 900, 901], [-500, 3, 3]], dtype=kind)
    for axis in (0, 1):
        found = log_softmax((2, 3), axis=axis)(x)
        assert found.dtype == x.dtype
        wanted = special.log_softmax(x.astype(float), axis=axis)
        np.testing.assert_allclose(found, wanted, rtol=2e-3 if kind == "float16" else 1e-6)
    assert repr(log_softmax((2, 3), axis=1)) == "log_softmax((2, 3), axis=1)"


@pytest.mark.parametrize("layer", SMOOTH, ids=repr)
def test_jacobian_at_symbols_is_sympys_derivative(layer: ca.Map) -> None:
    """An identity of expressions, not numbers at a point."""
    letters = LETTERS.reshape(layer.in_shape)
    jacobian = layer.at(letters).to_sympy()
    for row, y in enumerate(layer(letters).ravel()):
        for column, letter in enumerate(LETTERS):
            difference = (sympy.diff(y, letter) - jacobian[row, column]).rewrite(sympy.exp)
            assert sympy.simplify(difference) == 0


def test_values_at_symbols_are_the_definitions() -> None:
    a, b = LETTERS[:2]
    x = LETTERS[:2]
    assert sympy.simplify(ca.sigmoid(2)(x)[0] - 1 / (1 + sympy.exp(-a))) == 0
    assert ca.tanh(2)(x)[1] == sympy.tanh(b)
    assert sympy.simplify(ca.softmax(2)(x)[0] - sympy.exp(a) / (sympy.exp(a) + sympy.exp(b))) == 0
    exact = ca.sigmoid(2)(np.array([Fraction(1, 2), 0], dtype=object))
    assert exact.tolist() == [1 / (1 + sympy.exp(sympy.Rational(-1, 2))), sympy.Rational(1, 2)]


def test_piecewise_ones_at_symbols() -> None:
    letter = sympy.Symbol("x", real=True)
    x = np.array([letter], dtype=object)
    for value in (-2, 0, 5):
        assert ca.relu(1)(x)[0].subs(letter, value) == max(value, 0)
        found = ca.leaky_relu(1, Fraction(1, 2))(x)[0].subs(letter, value)
        assert found == (value if value > 0 else sympy.Rational(value, 2))
        slope = ca.relu(1).at(x).to_sympy()[0, 0].subs(letter, value)
        assert slope == int(value > 0)


def test_a_slope_may_be_a_letter() -> None:
    """Also at floats, which do not swallow it."""
    a = sympy.Symbol("a")
    layer = ca.leaky_relu(2, a)
    for x in ([3, -2], [3.0, -2.0]):
        assert sympy.nsimplify(layer(x)[1]) == -2 * a
        assert layer.at(x).to_sympy() == sympy.diag(1, a)


@given(st.integers(1, 3), st.integers(1, 4), st.integers(-1, 1), st.data())
def test_softmax_by_its_definition(n: int, m: int, axis: int, data: st.DataObject) -> None:
    layer = ca.softmax((n, m), axis=axis)
    x = data.draw(integers((2, n, m)))
    found = layer(x)
    for sample, row, column in np.ndindex(*x.shape):
        line = x[sample, row] if axis % 2 else x[sample, :, column]
        right = math.exp(x[sample, row, column]) / math.fsum(math.exp(v) for v in line.tolist())
        assert found[sample, row, column] == pytest.approx(right, rel=1e-13)
    jacobian = layer.at(x[0]).to_scipy().toarray()
    np.testing.assert_allclose(jacobian, slopes(layer, x[0].astype(float)), atol=1e-8)
    # Sums along the axis stay one, and the matrix is symmetric.
    np.testing.assert_allclose(jacobian, jacobian.T, atol=1e-15)
    np.testing.assert_allclose(jacobian.sum(axis=0), 0, atol=1e-15)


def test_infinities_are_quiet() -> None:
    """What has no value is NaN, as in the frameworks; a warning would be an error here."""
    inf, nan = math.inf, math.nan
    for found, right in (
        (ca.softmax(2)([inf, 0.0]), [nan, nan]),
        (ca.softmax(2)([-inf, -inf]), [nan, nan]),
        (ca.softmax(2)([-inf, 0.0]), [0, 1]),
        (ca.relu(3)([inf, -inf, nan]), [inf, 0, nan]),
        (ca.leaky_relu(2, 0)([inf, -1.0]), [inf, 0]),
        (ca.leaky_relu(2, -2)([inf, -inf]), [inf, inf]),
        (ca.sigmoid(3)([inf, -inf, nan]), [1, 0, nan]),
        (ca.tanh(3)([inf, -inf, nan]), [1, -1, nan]),
        (columns(ca.sigmoid(2).at([inf, -inf])).diagonal(), [0, 0]),
        (columns(ca.tanh(2).at([inf, -inf])).diagonal(), [0, 0]),
        (columns(ca.relu(2).at([inf, -inf])).diagonal(), [1, 0]),
    ):
        np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("kind", FLOATS)
def test_slopes_where_the_double_is_infinite(kind: str) -> None:
    top = np.finfo(kind).max
    x = np.array([top, -top, 1], dtype=kind)
    for layer in (ca.tanh(3), ca.sigmoid(3)):
        slope = layer.gradient(x, np.ones(3, kind))
        assert slope.dtype == kind
        assert slope[:2].tolist() == [0, 0]
    assert ca.tanh(3).gradient(x, np.ones(3, kind))[2] == pytest.approx(
        1 / math.cosh(1) ** 2, rel=4 * float(np.finfo(kind).eps)
    )


def test_only_what_is_scaled_can_overflow() -> None:
    top = 2**63 - 1
    assert ca.leaky_relu(2, 5)([top, -1]).tolist() == [top, -5]
    assert ca.leaky_relu(2, 5)([1e308, -1.0]).tolist() == [1e308, -5]
    assert ca.leaky_relu(2, -1)(np.array([-128, 127], np.int8)).tolist() == [128, 127]


def test_softmax_does_not_move_with_its_input() -> None:
    x = np.array([1.0, 2.0, 4.0])
    layer = ca.softmax(3)
    np.testing.assert_allclose(layer(x + 1e6), layer(x), rtol=1e-9)
    np.testing.assert_allclose(layer([1000, 1002, 999]), layer([1, 3, 0]), rtol=1e-12)


@pytest.mark.parametrize("make", [ca.sigmoid, ca.tanh])
@given(x=st.lists(st.floats(-20, 20), min_size=1, max_size=5))
def test_smooth_ones_by_differences(make: Any, x: list[float]) -> None:
    layer, point = make(len(x)), np.array(x)
    np.testing.assert_allclose(layer.at(point).to_numpy(), slopes(layer, point), atol=1e-8)


@pytest.mark.parametrize("kind", [*KINDS, *FLOATS])
def test_no_type_wraps(kind: str) -> None:
    """-x, x - max(x) and slope * x of the smallest and largest integers, as of Python's."""
    if kind == "bool":
        x = np.array([True, False, True])
    elif kind in FLOATS:
        x = np.array([-100, 0.5, 100], dtype=kind)
    else:
        limits = np.iinfo(kind)
        x = np.array([max(limits.min, -(2**60)), 3, min(limits.max, 2**60)], dtype=kind)
    wide = x.astype(float)
    assert ca.relu(3)(x).tolist() == [max(v, 0) for v in x.tolist()]
    right = [v if v > 0 else 2 * v for v in map(float if kind in FLOATS else int, x.tolist())]
    assert ca.leaky_relu(3, 2)(x).tolist() == right
    below = [v if v > 0 else 0.5 * v for v in wide.tolist()]
    assert ca.leaky_relu(3, 0.5)(x).tolist() == below
    close = {"rtol": 2e-3 if kind == "float16" else 1e-6, "atol": 1e-7}
    for make in (ca.sigmoid, ca.tanh, ca.softmax):
        layer = make(3)
        np.testing.assert_allclose(layer(x).astype(float), layer(wide), **close)
        np.testing.assert_allclose(columns(layer.at(x)), columns(layer.at(wide)), **close)


@pytest.mark.parametrize("kind", FLOATS)
def test_the_type_of_floats_is_kept(kind: str) -> None:
    x = np.array([-1, 0, 2], dtype=kind)
    layers = (ca.relu(3), ca.leaky_relu(3), ca.sigmoid(3), ca.tanh(3), ca.softmax(3))
    for layer in layers:
        assert layer(x).dtype == kind, layer
        assert layer.gradient(x, x).dtype == kind, layer
    # Whole numbers give floats where the function does, and stay whole where it does not.
    small = np.array([-1, 0, 2], dtype=np.int8)
    found = {repr(layer): layer(small).dtype.kind for layer in layers}
    assert list(found.values()) == ["i", "f", "f", "f", "f"]


def test_a_softmax_of_many_half_floats() -> None:
    """The sum of 70 000 ones is beyond half floats."""
    found = ca.softmax(70_000)(np.zeros(70_000, dtype=np.float16))
    np.testing.assert_allclose(found, 1 / 70_000, rtol=1e-2)


def test_unsigned_integers_beside_signed_ones_stay_whole() -> None:
    odd = 2**53 + 1
    x = np.array([odd, 1], dtype=np.uint64)
    assert ca.leaky_relu(2, 2)(x).tolist() == [odd, 1]
    joined = ca.concat([ca.relu(2), ca.leaky_relu(2, 2)])
    assert joined(x).tolist() == [odd, 1, odd, 1]


def test_extremes_neither_warn_nor_overflow() -> None:
    x = np.array([-1e308, -800.0, 0.0, 800.0, 1e308])
    assert ca.sigmoid(5)(x).tolist() == [0, 0, 0.5, 1, 1]
    assert ca.tanh(5)(x).tolist() == [-1, -1, 0, 1, 1]
    assert ca.sigmoid(5).at(x).to_numpy().diagonal().tolist() == [0, 0, 0.25, 0, 0]
    assert ca.softmax(3)([-1e308, 0.0, 1e308]).tolist() == [0, 0, 1]
    # Far out the slope is the exponential, not a difference that is lost.
    assert ca.sigmoid(1).at([700.0]).to_numpy()[0, 0] == pytest.approx(math.exp(-700), rel=1e-12)
    assert ca.tanh(1).at([300.0]).to_numpy()[0, 0] == pytest.approx(4 * math.exp(-600), rel=1e-12)


def test_activations_are_not_linear_and_the_proof_has_a_witness() -> None:
    for layer in (ca.relu(3), ca.leaky_relu(2, Fraction(1, 2))):
        verdict = ca.prove.linear(layer)
        assert verdict.status == "refuted"
        assert verdict.counterexample is not None
        assert verdict.counterexample.inputs
    verdict = ca.prove.linear(ca.relu(3), 3)
    assert verdict.status == "refuted"
    # With a slope of one nothing is left of it, and no proof may say otherwise.
    assert ca.prove.linear(ca.leaky_relu(3, 1)).status != "refuted"


def test_letters_and_numbers() -> None:
    n = ca.sizes("n")[0]
    for make in (ca.relu, ca.leaky_relu, ca.sigmoid, ca.tanh, ca.softmax):
        with pytest.raises(SymbolicError, match="shape must be given in numbers, not symbols"):
            make((n, 3))


def test_inputs_are_left_alone() -> None:
    x = np.array([-1.0, 2.0])
    x.setflags(write=False)
    for make in (ca.relu, ca.leaky_relu, ca.sigmoid, ca.tanh, ca.softmax):
        found = make(2)(x)
        found[:] = 7
        assert x.tolist() == [-1, 2]


def test_reprs() -> None:
    words = [ca.relu((2, 3)), ca.leaky_relu(3), ca.leaky_relu(3, Fraction(1, 3)), ca.sigmoid(3)]
    assert list(map(repr, words)) == [
        "relu((2, 3))",
        "leaky_relu(3, 0.01)",
        "leaky_relu(3, 1/3)",
        "sigmoid(3)",
    ]
    assert [repr(ca.softmax((2, 3), axis=-1)), repr(ca.softmax(3))] == [
        "softmax((2, 3), axis=1)",
        "softmax(3)",
    ]

"""Batch norm and local response norm by their formulas: exact, in every type, with gradients."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import naive_layers as naive
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_strategies import batches, check_adjoint, columns, slopes
from strategies import integers

import convalg as ca
from convalg.errors import ExactnessError

KINDS = ["int8", "uint8", "int16", "uint16", "int64", "float16", "float32", "float64"]
spatial = st.lists(st.integers(1, 3), max_size=2).map(tuple)
fractions = st.fractions(min_value=-5, max_value=5, max_denominator=4)


def drawn(data: st.DataObject, count: int, values: Any) -> np.ndarray:
    """One object for each channel."""
    return np.array(data.draw(st.lists(values, min_size=count, max_size=count)), dtype=object)


@given(st.integers(1, 3), spatial, batches, st.data())
def test_batch_norm_of_fractions_is_exact(
    count: int, space: tuple[int, ...], batch: Any, data: st.DataObject
) -> None:
    """Variances are squares less an exact epsilon, so that nothing has to be rounded."""
    deviation = drawn(data, count, st.fractions(Fraction(1, 2), 4, max_denominator=3))
    mean, scale, offset = (drawn(data, count, fractions) for _ in range(3))
    epsilon = Fraction(1, 100)
    norm = ca.batch_norm(
        (count, *space),
        mean,
        deviation**2 - epsilon,
        scale=scale,
        offset=offset,
        epsilon=epsilon,
    )
    x = data.draw(integers((*batch, count, *space)))
    found = norm(x)
    assert found.shape == x.shape
    for place in np.ndindex(*x.shape):
        c = place[len(batch)]
        right = scale[c] * (int(x[place]) - mean[c]) / deviation[c] + offset[c]
        assert found[place] == sympy.Rational(right.numerator, right.denominator)


@given(st.integers(1, 3), spatial, st.data())
def test_batch_norm_is_affine_and_exact_in_its_slopes(
    count: int, space: tuple[int, ...], data: st.DataObject
) -> None:
    deviation = drawn(data, count, st.fractions(1, 4, max_denominator=3))
    scale = drawn(data, count, fractions)
    norm = ca.batch_norm((count, *space), 1, deviation**2, scale=scale, offset=2, epsilon=0)
    shape = norm.in_shape
    x, v, g = (data.draw(integers(shape)) for _ in range(3))
    assert np.array_equal(norm(x + v) - norm(x), norm.at(x)(v))
    check_adjoint(norm.at(x), g, v)
    gains = np.array([scale[c] / deviation[c] for c in range(count)], dtype=object)
    wide = gains.reshape(count, *[1] * len(space))
    assert np.array_equal(norm.gradient(x, g), g * wide)
    # dL/dscale is the sum of g times what is normalised, dL/doffset the sum of g.
    batch, upstream = np.stack([x, v]), np.stack([g, g + 1])
    gradients = norm.parameter_gradients(batch, upstream)
    for c in range(count):
        pairs = [(batch[n, c].ravel(), upstream[n, c].ravel()) for n in range(2)]
        right = sum(
            sympy.Rational(int(b) * (int(a) - 1)) / sympy.sympify(deviation[c])
            for one, other in pairs
            for a, b in zip(one, other, strict=True)
        )
        assert sympy.sympify(gradients["scale"][c]) == right
        assert gradients["offset"][c] == sum(int(other.sum()) for _, other in pairs)
    assert np.array_equal(
        norm.by("scale", x)(norm.parameters["scale"])
        + norm.by("offset", x)(norm.parameters["offset"]),
        norm(x),
    )


LETTERS = np.array(sympy.symbols("a b c", real=True), dtype=object)


def test_training_at_symbols_is_sympys_derivative() -> None:
    """Three samples of one channel, with letters for scale, offset and epsilon too."""
    s, o = sympy.symbols("s o", real=True)
    e = sympy.Symbol("e", positive=True)
    norm = ca.batch_norm_training((3, 1), scale=s, offset=o, epsilon=e)
    x = LETTERS.reshape(3, 1)
    y = norm(x).ravel()
    mean = sum(LETTERS) / 3
    variance = sum((v - mean) ** 2 for v in LETTERS) / 3
    for value, letter in zip(y, LETTERS, strict=True):
        assert sympy.simplify(value - (s * (letter - mean) / sympy.sqrt(variance + e) + o)) == 0
    jacobian = norm.at(x).to_sympy()
    assert not jacobian.atoms(sympy.Float)
    point = dict(zip([*LETTERS, s, e], [1, sympy.Rational(5, 2), -3, 2, 1], strict=True))
    for row, value in enumerate(y):
        for column, letter in enumerate(LETTERS):
            exact = sympy.diff(value, letter).subs(point)
            assert sympy.simplify(exact - jacobian[row, column].subs(point)) == 0
        assert sympy.simplify(sympy.diff(value, s) - norm.by("scale", x).to_sympy()[row, 0]) == 0
        assert norm.by("offset", x).to_sympy()[row, 0] == 1


@settings(max_examples=60)
@given(st.integers(2, 3), st.integers(1, 3), spatial, st.data())
def test_training_by_its_formula(
    samples: int, count: int, space: tuple[int, ...], data: st.DataObject
) -> None:
    shape = (samples, count, *space)
    x = data.draw(integers(shape)).astype(float) + np.arange(samples).reshape(
        -1, *[1] * (1 + len(space))
    )
    scale, offset = np.arange(1, count + 1) / 2, np.arange(count) - 1.5
    norm = ca.batch_norm_training(shape, scale=scale, offset=offset, epsilon=0.5)
    y = norm(x)
    means, variances = norm.statistics(x)
    for c in range(count):
        values = [Fraction(float(v)) for v in x[:, c].ravel()]
        mean = sum(values) / len(values)
        variance = sum((v - mean) ** 2 for v in values) / len(values)
        assert means[c] == pytest.approx(float(mean), abs=1e-12)
        assert variances[c] == pytest.approx(float(variance), abs=1e-12)
        right = scale[c] * (x[:, c] - float(mean)) / np.sqrt(float(variance) + 0.5) + offset[c]
        np.testing.assert_allclose(y[:, c], right, atol=1e-12)
    np.testing.assert_allclose(norm.at(x).to_scipy().toarray(), slopes(norm, x), atol=1e-7)
    g = data.draw(integers(shape))
    found = norm.parameter_gradients(x, g)
    normalised = (y - offset.reshape(-1, *[1] * len(space))) / scale.reshape(-1, *[1] * len(space))
    axes = tuple(k for k in range(len(shape)) if k != 1)
    np.testing.assert_allclose(found["scale"], (g * normalised).sum(axis=axes), atol=1e-10)
    assert np.array_equal(found["offset"], g.sum(axis=axes))
    # A shift of the whole channel changes nothing, so that gradients add up to zero.
    back = norm.gradient(x, g)
    np.testing.assert_allclose(back.sum(axis=axes), 0, atol=1e-9)


def test_training_takes_batches_of_batches() -> None:
    norm = ca.batch_norm_training((2, 1, 3), epsilon=1)
    x = np.arange(24).reshape(4, 2, 1, 3) ** 2
    assert np.array_equal(norm(x), np.stack([norm(one) for one in x]))
    assert norm(x.reshape(2, 2, 2, 1, 3)).shape == (2, 2, 2, 1, 3)
    found = norm.parameter_gradients(x, x)
    each = [norm.parameter_gradients(one, one)["scale"] for one in x]
    np.testing.assert_allclose(found["scale"], sum(each))


def test_training_with_its_own_statistics_is_the_layer_in_use() -> None:
    x = np.random.default_rng(3).normal(2, 3, (4, 2, 3))
    training = ca.batch_norm_training(x.shape, scale=[2, 3], offset=[-1, 1])
    mean, variance = training.statistics(x)
    fixed = ca.batch_norm(x.shape[1:], mean, variance, scale=[2, 3], offset=[-1, 1])
    np.testing.assert_allclose(fixed(x), training(x), rtol=1e-12)


def small(kind: str) -> np.ndarray:
    """(2, 2): the extremes of a type in the first channel."""
    if kind.startswith("float"):
        return np.array([[-100, 100], [3, 5]], dtype=kind)
    limits = np.iinfo(kind)
    low, high = max(limits.min, -(2**50)), min(limits.max, 2**50)
    return np.array([[low, high], [3, 5]], dtype=kind)


@pytest.mark.parametrize("kind", KINDS)
def test_no_type_wraps(kind: str) -> None:
    """x - mean of unsigned integers, variance + epsilon, squares: as in wide floats."""
    x = small(kind)
    wide = x.astype(float)
    mean, variance = x[:, 1], np.array([100, 3], dtype=kind)
    norm = ca.batch_norm((2, 2), mean, variance, scale=variance, offset=mean, epsilon=1)
    floats = [np.asarray(v, dtype=float) for v in (mean, variance, variance, mean)]
    right = ca.batch_norm(
        (2, 2), floats[0], floats[1], scale=floats[2], offset=floats[3], epsilon=1
    )
    rtol = 5e-3 if kind == "float16" else 1e-6
    np.testing.assert_allclose(norm(x).astype(float), right(wide), rtol=rtol)
    gains = [columns(layer.at(wide)) for layer in (norm, right)]
    np.testing.assert_allclose(*gains, rtol=rtol)
    training = ca.batch_norm_training((2, 2))
    np.testing.assert_allclose(training(x).astype(float), training(wide), rtol=rtol, atol=1e-3)
    response = ca.local_response_norm((2, 2), 2, alpha=0.1)
    np.testing.assert_allclose(response(x).astype(float), response(wide), rtol=rtol)
    pair = [columns(response.at(v)) for v in (x, wide)]
    np.testing.assert_allclose(*pair, rtol=2e-2 if kind == "float16" else 1e-5, atol=1e-3)


def test_statistics_of_small_integers() -> None:
    """Each of these once wrapped, or was rounded to half a float."""
    found = ca.batch_norm((1,), np.array([200], np.uint8), 1, epsilon=0)(np.array([100], np.uint8))
    assert found.tolist() == [-100]
    found = ca.batch_norm((1,), np.array([-128], np.int8), 1, epsilon=0)(np.array([100], np.int8))
    assert found.tolist() == [228]
    found = ca.batch_norm((1,), 0, np.array([255], np.uint8), epsilon=1)([16.0])
    assert found.tolist() == [1]
    found = ca.batch_norm((1,), 0, np.array([3], np.int8), epsilon=0)([1.0])
    assert found == pytest.approx([3**-0.5], rel=1e-15)
    with pytest.raises(ExactnessError, match="which does not fit in a signed 64-bit integer"):
        ca.batch_norm((1,), 1, 1)(np.array([-(2**63)]))
    with pytest.raises(ExactnessError, match="which does not fit in a signed 64-bit integer"):
        ca.batch_norm((1,), np.array([2**64 - 1], np.uint64), 1)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_the_type_of_floats(kind: str) -> None:
    """Kept by local response norm; statistics in float64 make the result so."""
    x = np.ones((2, 2), dtype=kind)
    response = ca.local_response_norm((2, 2), 3)
    assert response(x).dtype == kind
    assert response.gradient(x, x).dtype == kind
    own = np.ones(2, dtype=kind)
    norm = ca.batch_norm((2, 2), own, own, scale=own, offset=own)
    assert norm(x).dtype == kind
    assert ca.batch_norm((2, 2), 0.0, 1.0)(x).dtype == np.float64


def test_squares_do_not_overflow_where_the_result_does_not() -> None:
    half = ca.local_response_norm(2, 2)(np.array([300, 1], dtype=np.float16))
    wide = ca.local_response_norm(2, 2)(np.array([300.0, 1.0]))
    np.testing.assert_allclose(half.astype(float), wide, rtol=1e-3)
    single = ca.local_response_norm(1, 1, beta=0.5)(np.array([1e30], dtype=np.float32))
    assert single == pytest.approx([100], rel=1e-6)


@given(
    st.integers(1, 4), spatial, st.integers(1, 6), st.sampled_from(["before", "after"]), st.data()
)
def test_local_response_norm_by_its_formula(
    count: int, space: tuple[int, ...], size: int, extra: Any, data: st.DataObject
) -> None:
    options = {"alpha": 0.3, "beta": 0.6, "k": 1.5}
    norm = ca.local_response_norm((count, *space), size, extra=extra, **options)
    x = data.draw(integers((count, *space)))
    level = 1.5 + 0.3 / size * naive.squares_around(x, size, extra).astype(float)
    np.testing.assert_allclose(norm(x), x / level**0.6, rtol=1e-12)
    assert np.array_equal(norm(np.stack([x, -x])), np.stack([norm(x), -norm(x)]))
    np.testing.assert_allclose(
        norm.at(x).to_scipy().toarray(), slopes(norm, x.astype(float)), atol=1e-7
    )


def test_the_odd_channel_of_an_even_window() -> None:
    x = np.array([1.0, 10.0, 100.0])
    options: dict[str, Any] = {"alpha": 2.0, "beta": 1.0, "k": 0.0}
    before = ca.local_response_norm(3, 2, **options)(x)
    after = ca.local_response_norm(3, 2, extra="after", **options)(x)
    np.testing.assert_allclose(before, [1 / 1, 10 / 101, 100 / 10100])
    np.testing.assert_allclose(after, [1 / 101, 10 / 10100, 100 / 10000])


def test_local_response_norm_at_symbols() -> None:
    """Whole constants: the derivative is an identity of expressions."""
    a, b = LETTERS[:2]
    norm = ca.local_response_norm(2, 2, alpha=2, beta=1, k=1, extra="after")
    y = norm(np.array([a, b], dtype=object))
    assert sympy.simplify(y[0] - a / (1 + a**2 + b**2)) == 0
    assert sympy.simplify(y[1] - b / (1 + b**2)) == 0
    jacobian = norm.at(np.array([a, b], dtype=object)).to_sympy()
    for row in range(2):
        for column, letter in enumerate((a, b)):
            difference = sympy.diff(y[row], letter) - jacobian[row, column]
            assert sympy.simplify(difference) == 0


@given(st.integers(2, 4), st.integers(1, 3), st.data())
def test_training_keeps_fractions(samples: int, count: int, data: st.DataObject) -> None:
    """Its definition in exact arithmetic: no entry is a float, whatever the square root is."""
    x = np.array([drawn(data, count, fractions) for _ in range(samples)], dtype=object)
    if data.draw(st.booleans()):
        x = x * 4  # whole numbers, as Python's own
        x = np.frompyfunc(int, 1, 1)(x)
    epsilon = data.draw(st.fractions(min_value=Fraction(1, 4), max_value=3, max_denominator=4))
    scale, offset = drawn(data, count, fractions), drawn(data, count, fractions)
    norm = ca.batch_norm_training((samples, count), scale=scale, offset=offset, epsilon=epsilon)
    means, variances = norm.statistics(x)
    y, jacobian = norm(x), norm.at(x).to_numpy().reshape(samples, count, samples, count)
    for c in range(count):
        column = [Fraction(value) for value in x[:, c]]
        mean = sum(column) / samples
        variance = sum((value - mean) ** 2 for value in column) / samples
        assert (means[c], variances[c]) == (mean, variance)
        root = sympy.sqrt(sympy.sympify(variance + epsilon))
        for k, value in enumerate(column):
            right = sympy.sympify(scale[c] * (value - mean)) / root + sympy.sympify(offset[c])
            assert sympy.simplify(sympy.sympify(y[k, c]) - right) == 0
            assert not sympy.sympify(y[k, c]).has(sympy.Float)
        # The derivative of sample 0 by sample 1, by hand.
        level = variance + epsilon
        slope = -scale[c] * (level + (column[0] - mean) * (column[1] - mean)) / samples
        right = sympy.sympify(slope) / (sympy.sympify(level) * root)
        assert sympy.simplify(sympy.sympify(jacobian[0, c, 1, c]) - right) == 0


def test_perfect_squares_are_fractions() -> None:
    x = np.array([[1], [5]], dtype=object)
    y = ca.batch_norm_training((2, 1), epsilon=0)(x)
    assert y.tolist() == [[-1], [1]]
    assert {type(value) for value in y.ravel()} == {Fraction}
    fixed = ca.batch_norm((2,), Fraction(1, 3), 4, epsilon=0)
    pair = np.array([3, 2], dtype=object)
    for found in (fixed(pair), ca.local_response_norm(2, 1, alpha=1, beta=1, k=1)(pair)):
        assert {type(value) for value in found} == {Fraction}
    assert fixed(pair).tolist() == [Fraction(4, 3), Fraction(5, 6)]
    assert fixed.at(pair).to_numpy().tolist() == [[Fraction(1, 2), 0], [0, Fraction(1, 2)]]


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 2), st.data())
def test_local_response_norm_keeps_fractions(
    count: int, size: int, beta: int, data: st.DataObject
) -> None:
    x = drawn(data, count, fractions)
    alpha, k = data.draw(st.fractions(0, 3, max_denominator=4)), Fraction(1, 2)
    norm = ca.local_response_norm((count,), size, alpha=alpha, beta=beta, k=k)
    level = k + alpha / size * naive.squares_around(x, size, "before")
    assert norm(x).tolist() == [value / one**beta for value, one in zip(x, level, strict=True)]
    exact, rounded = norm.at(x).to_numpy(), norm.at(x.astype(float)).to_numpy()
    assert all(isinstance(value, (int, Fraction)) for value in exact.ravel())
    np.testing.assert_allclose(exact.astype(float), rounded, rtol=1e-12, atol=1e-14)


def test_a_root_that_is_no_fraction_is_symbolic() -> None:
    norm = ca.local_response_norm(1, 1, alpha=1, beta=Fraction(1, 2), k=1)
    (found,) = norm(np.array([1], dtype=object))
    assert found == 1 / sympy.sqrt(2)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_fractions_beside_floats_are_floats(kind: type) -> None:
    x = np.array([[1], [4]], dtype=kind)
    half = Fraction(1, 2)
    for exact, plain in (
        (
            ca.batch_norm_training((2, 1), epsilon=half),
            ca.batch_norm_training((2, 1), epsilon=0.5),
        ),
        (ca.batch_norm((2, 1), 0, 1, epsilon=half), ca.batch_norm((2, 1), 0, 1, epsilon=0.5)),
        (
            ca.local_response_norm((2, 1), 1, alpha=half, beta=half, k=half),
            ca.local_response_norm((2, 1), 1, alpha=0.5, beta=0.5, k=0.5),
        ),
    ):
        assert exact(x).dtype == plain(x).dtype
        np.testing.assert_allclose(exact(x), plain(x), rtol=1e-6)
        assert np.array_equal(exact.at(x).to_numpy(), plain.at(x).to_numpy())


def test_constants_that_are_floats_give_floats() -> None:
    """As the docstrings say: the usual epsilon and alpha are floats."""
    x = np.array([[1], [4]], dtype=object)
    for layer in (
        ca.batch_norm_training((2, 1)),
        ca.batch_norm((2, 1), 0, 1),
        ca.local_response_norm((2, 1), 1),
    ):
        assert {type(value) for value in layer(x).ravel()} == {float}
        np.testing.assert_allclose(layer(x).astype(float), layer(x.astype(float)), rtol=1e-14)


def test_half_floats_whose_squares_and_differences_are_beyond_them() -> None:
    half = np.float16
    x = np.array([[60000], [-60000]], dtype=half)
    norm = ca.batch_norm_training((2, 1), scale=half(1), offset=half(0))
    assert norm(x).tolist() == [[1], [-1]]
    assert norm(x).dtype == half
    assert norm.statistics(x)[1].tolist() == pytest.approx([float(x[0, 0]) ** 2])
    large, one = np.array([60000], half), half(1)
    fixed = ca.batch_norm((1,), large, large, scale=one, offset=0 * one, epsilon=60000)
    found = fixed(np.array([-60000], half))
    assert found.dtype == half
    assert found[0] == pytest.approx(-120_000 / 120_000**0.5, rel=2e-3)
    single = np.array([[1e30], [-1e30]], dtype=np.float32)
    assert ca.batch_norm_training((2, 1))(single).tolist() == [[1], [-1]]


def test_infinity_is_nan_and_quiet() -> None:
    """As in the frameworks; a warning would be an error here."""
    found = ca.batch_norm_training((2, 2))([[np.inf, 1.0], [1.0, 3.0]])
    assert np.isnan(found[:, 0]).all()
    assert np.isfinite(found[:, 1]).all()
    found = ca.local_response_norm(3, 1)([np.inf, np.nan, 1.0])
    assert np.isnan(found[:2]).all()
    assert found[2] == pytest.approx(1.0001**-0.75)


def test_a_power_of_zero_that_there_is() -> None:
    assert ca.local_response_norm(1, 1, alpha=1, beta=-1, k=0)([0.0]).tolist() == [0]
    # Whole powers of negative numbers are numbers.
    assert ca.local_response_norm(1, 1, alpha=1, beta=1, k=-2)([1.0]).tolist() == [-1]


def test_norms_are_not_linear() -> None:
    fixed = ca.batch_norm((1, 2), 0, 1, offset=3, epsilon=0)
    verdict = ca.prove.linear(fixed)
    assert verdict.status == "refuted"
    assert ca.prove.linear(ca.local_response_norm(2, 2)).status != "proved"


def test_epsilon_is_any_number_from_zero_on() -> None:
    letter = sympy.Symbol("e")
    x = [[1]]
    for epsilon in (0, 1, 0.5, Fraction(1, 2), np.float32(0.5), np.int64(2), sympy.Rational(1, 3)):
        found = ca.batch_norm((1, 1), 0, 1, epsilon=epsilon)(x)[0, 0]
        assert float(found) == pytest.approx((1 + float(epsilon)) ** -0.5)
    found = ca.batch_norm((1, 1), 0, 1, epsilon=letter)(x)[0, 0]
    assert found == 1 / sympy.sqrt(letter + 1)


def test_parameters_cannot_be_written_from_outside() -> None:
    scale = np.array([1.0, 2.0])
    norm = ca.batch_norm((2, 1), 0, 1, scale=scale)
    scale[:] = 7
    assert norm.parameters["scale"].tolist() == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        norm.parameters["scale"][0] = 3


def test_reprs_are_one_short_line() -> None:
    for layer in (
        ca.batch_norm((64, 56, 56), 0, 1),
        ca.batch_norm_training((8, 64, 5, 5)),
        ca.local_response_norm((96, 55, 55), 5, alpha=1e-4, beta=0.75, k=2),
    ):
        assert "\n" not in repr(layer)
        assert len(repr(layer)) < 100

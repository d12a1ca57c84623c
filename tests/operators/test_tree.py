"""The algebra of operators, and how each kind prints."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from cases import NAMED, Case, elementary, trees
from hypothesis import given, settings
from strategies import Drawn, layers

import convalg as ca
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.operators.leaves import Adjoint
from convalg.operators.tree import Compose, Kron, Scaled, Sum, compose

NAMES = {name: getattr(ca, name) for name in ca.__all__ if name not in ("draw", "explain")}
LAYER = ca.correlation(5, [1, 2, 3])
DEEP = np.arange(432).reshape(16, 3, 3, 3)

PRINTED = {
    "correlation(5, [1, 2, 3])": LAYER,
    "correlation(5, [1, 2, 3], padding=1)": ca.correlation(5, [1, 2, 3], padding="same"),
    "correlation(5, [1, 2], padding=((0, 1),))": ca.correlation(5, [1, 2], padding="same"),
    "correlation(5, [1, 2, 3], padding='full')": ca.correlation(5, [1, 2, 3], padding=2),
    "correlation(7, [1, 2, 3], stride=2, padding=1)": ca.correlation(
        7, [1, 2, 3], stride=2, padding=1
    ),
    "correlation((5, 6), [[1, 2], [3, 4]], stride=(2, 1), dilation=(1, 2))": ca.correlation(
        (5, 6), [[1, 2], [3, 4]], stride=(2, 1), dilation=(1, 2)
    ),
    "correlation((5, 5), [[1, 2]], padding=(0, (1, 2)))": ca.correlation(
        (5, 5), [[1, 2]], padding=((0, 0), (1, 2))
    ),
    "correlation(4, [[[1, 2]], [[3, 4]]], groups=2)": ca.correlation(
        4, [[[1, 2]], [[3, 4]]], groups=2
    ),
    "correlation((32, 32), <16x3x3x3 int64>, padding=1)": ca.correlation((32, 32), DEEP, padding=1),
    "correlation((9, 9), <4x4 symbolic>)": ca.correlation((9, 9), ca.kernel(4, 4)),
    "correlation(5, [w0, w1])": ca.correlation(5, ca.kernel(2)),
    "correlation(5, [0.5, 1.0])": ca.correlation(5, [0.5, 1.0]),
    "convolution(5, [1, 2, 3], padding='full')": ca.convolution(5, [1, 2, 3], padding="full"),
    "convolution(5, [1, 2, 3], padding=1, boundary='circular')": ca.convolution(
        5, [1, 2, 3], padding="same", boundary="circular"
    ),
    "transposed_correlation(3, [1, 2, 3])": LAYER.T,
    "transposed_correlation(3, [1, 2, 3], stride=2, padding=1, output_padding=1)": (
        ca.transposed_correlation(3, [1, 2, 3], stride=2, padding=1, output_padding=1)
    ),
    "convolution(5, [1, 2, 3]).T": ca.convolution(5, [1, 2, 3]).T,
    "correlation(4, [1, 2, 3], padding=1, boundary='edge').T": ca.correlation(
        4, [1, 2, 3], padding=1, boundary="edge"
    ).T,
    "correlation(3, w).by_kernel([1, 2, 3])": ca.correlation(3, [1, 2]).by_kernel([1, 2, 3]),
    "pad(3, ((1, 2),))": ca.pad(3, ((1, 2),)),
    "pad((3, 4), (1, (0, 2)), boundary='reflect')": ca.pad((3, 4), (1, (0, 2)), boundary="reflect"),
    "crop(5, 1)": ca.crop(5, 1),
    "flip_axes((2, 3))": ca.flip_axes((2, 3)),
    "flip_axes((2, 3), axes=(1,))": ca.flip_axes((2, 3), axes=1),
    "shift(4, -1)": ca.shift(4, -1),
    "shift((4, 4), (1, 0), boundary='circular')": ca.shift((4, 4), (1, 0), boundary="circular"),
    "downsample(5, 2)": ca.downsample(5, 2),
    "downsample(6, 3, offset=1)": ca.downsample(6, 3, offset=1),
    "upsample(3, 2)": ca.upsample(3, 2),
    "upsample(3, 2, size=6)": ca.upsample(3, 2, size=6),
    "identity((2, 3))": ca.identity((2, 3)),
    "reshape((2, 3), 6)": ca.reshape((2, 3), 6),
    "sum_pool(5, 2)": ca.sum_pool(5, 2),
    "dense([[1, 2]])": ca.dense([[1, 2]]),
    "dense(<10x10 float64>)": ca.dense(np.ones((10, 10))),
    "diagonal([1, 0, 2])": ca.diagonal([1, 0, 2]),
    "3 * correlation(5, [1, 2, 3])": 3 * LAYER,
    "a * identity(2)": sympy.Symbol("a") * ca.identity(2),
    "identity(2) + flip_axes(2)": ca.identity(2) + ca.flip_axes(2),
    "crop(5, 1) @ flip_axes(5)": ca.crop(5, 1) @ ca.flip_axes(5),
    "crop(5, 1) @ (2 * flip_axes(5))": ca.crop(5, 1) @ (2 * ca.flip_axes(5)),
    "(identity(5) + flip_axes(5)) @ pad(3, 1)": ((ca.identity(5) + ca.flip_axes(5)) @ ca.pad(3, 1)),
    "2 * (crop(5, 1) @ flip_axes(5))": 2 * (ca.crop(5, 1) @ ca.flip_axes(5)),
    "(identity(2)).kron(flip_axes(3))": ca.identity(2).kron(ca.flip_axes(3)),
}


@pytest.mark.parametrize("text", PRINTED)
def test_repr_is_the_call_that_makes_it(text: str) -> None:
    assert repr(PRINTED[text]) == text


@pytest.mark.parametrize("text", [text for text in PRINTED if not set("<") & set(text)])
def test_printed_operators_can_be_made_again(text: str) -> None:
    symbols = {s.name: s for s in sympy.symbols("a w0 w1")}
    again = eval(text, {**NAMES, **symbols, "w": np.array([0, 0])})
    assert again.to_sympy() == PRINTED[text].to_sympy()


def again(operator: ca.Operator, **names: Any) -> ca.Operator:
    """An operator made from what another one prints."""
    return eval(repr(operator), {**NAMES, **names})


def check_printed(operator: ca.Operator) -> None:
    text = repr(operator)
    assert "\n" not in text
    assert len(text) < 400
    if "<" not in text:
        made = again(operator)
        assert (made.in_shape, made.out_shape) == (operator.in_shape, operator.out_shape), text
        assert np.array_equal(made.to_numpy(), operator.to_numpy()), text


@given(layers())
def test_every_layer_prints_the_call_that_makes_it(drawn: Drawn) -> None:
    operator = drawn.operator
    assert ("<" in repr(operator)) == (drawn.weights.size > 9)
    check_printed(operator)
    check_printed(operator.T)


@given(layers())
def test_every_simplified_layer_prints_the_call_that_makes_it(drawn: Drawn) -> None:
    """Where the padding is negative, so that no call makes it, no call is printed."""
    check_printed(drawn.operator.simplify())
    check_printed(drawn.operator.T.simplify())


@settings(max_examples=400)
@given(trees())
def test_every_simplified_tree_prints_the_call_that_makes_it(case: Case) -> None:
    simple = case.operator.simplify()
    assert np.array_equal(simple.to_numpy(), case.matrix)
    if "dense" not in repr(simple):
        check_printed(simple)


def test_a_reflection_wider_than_the_input_is_not_printed_as_a_call() -> None:
    """Strides may leave what is too wide unread."""
    last = ca.correlation(2, [-1], stride=2, padding=1, boundary="reflect")
    first = ca.correlation(5, [1, 2, 3], stride=2, padding=2, dilation=2, boundary="reflect")
    product = last @ ca.downsample(3, 2) @ first
    assert np.array_equal(product.simplify().to_numpy(), product.to_numpy())
    check_printed(product.simplify())


@given(layers())
def test_by_kernel_prints_the_call_that_makes_it(drawn: Drawn) -> None:
    x = np.arange(np.prod(drawn.operator.in_shape)).reshape(drawn.operator.in_shape)
    turned = drawn.operator.by_kernel(x)
    assert ("<" in repr(turned)) == (x.size > 9)
    if x.size <= 9:
        made = again(turned, w=drawn.weights)
        assert np.array_equal(made.to_numpy(), turned.to_numpy()), repr(turned)


@pytest.mark.parametrize("name", elementary())
def test_every_elementary_operator_prints_the_call_that_makes_it(name: str) -> None:
    operator = elementary()[name].operator
    for one in (operator, operator.T, operator.simplify()):
        assert np.array_equal(again(one).to_numpy(), one.to_numpy()), repr(one)


@given(trees())
def test_every_tree_prints_one_line_that_makes_it(case: Case) -> None:
    text = repr(case.operator)
    assert "\n" not in text
    # Large arrays print as their shape, and dense() prints without its shapes.
    if "<" not in text and "dense" not in text:
        assert np.array_equal(again(case.operator).to_numpy(), case.matrix), text


@pytest.mark.parametrize("name", [*NAMED, *elementary()])
def test_the_adjoint_of_the_adjoint(name: str) -> None:
    case = NAMED[name]() if name in NAMED else elementary()[name]
    operator = case.operator
    assert operator.T.in_shape == operator.out_shape
    assert operator.T.out_shape == operator.in_shape
    assert operator.T.T.in_shape == operator.in_shape
    assert repr(operator.T.T) == repr(operator)


def test_the_adjoint_is_pushed_inwards() -> None:
    first, second = ca.correlation(4, [1, 2]), ca.correlation(3, [5, 6])
    product = (second @ first).T
    assert isinstance(product, Compose)
    assert [type(factor) for factor in product.factors] == [Adjoint, Adjoint]
    assert isinstance((second + second).T, Sum)
    assert isinstance((2 * second).T, Scaled)
    assert isinstance(first.kron(second).T, Kron)


def test_products_are_flat_and_without_identities() -> None:
    a, b, c = ca.crop(5, ((0, 1),)), ca.crop(6, ((0, 1),)), ca.crop(7, ((0, 1),))
    for product in (a @ b @ c, a @ (b @ c), (a @ b) @ c):
        assert isinstance(product, Compose)
        assert len(product.factors) == 3
    assert (ca.identity(3) @ LAYER) is LAYER
    assert (LAYER @ ca.identity(5)) is LAYER
    assert repr(ca.identity(3) @ ca.identity(3)) == "identity(3)"
    assert repr(ca.reshape((2, 2), 4) @ ca.identity((2, 2))) == "reshape((2, 2), 4)"


def test_sums_are_flat() -> None:
    i = ca.identity(3)
    assert len((i + i + (i + i)).children) == 4
    assert (i + i - i).to_numpy().tolist() == np.eye(3).tolist()


def test_factors_are_multiplied() -> None:
    twice = 2 * (3 * LAYER)
    assert isinstance(twice, Scaled)
    assert (twice.factor, twice.operator) == (6, LAYER)
    assert 1 * LAYER is LAYER
    assert repr(LAYER * 2) == repr(2 * LAYER)
    negative = -LAYER
    assert repr(-negative) == repr(LAYER)
    assert (0 * LAYER)(np.ones(5, dtype=int)).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("factor", "ratio"),
    [
        (np.int64(3), "3"),
        (np.float64(0.5), "1/2"),
        (np.float32(2), "2"),
        (Fraction(1, 2), "1/2"),
        (2.5, "5/2"),
        (-1, "-1"),
        (sympy.Rational(1, 3), "1/3"),
    ],
)
def test_factors_of_every_kind(factor: Any, ratio: str) -> None:
    scaled = factor * LAYER
    assert isinstance(scaled, Scaled)
    exact = sympy.Matrix(LAYER.to_numpy().tolist()) * sympy.Rational(ratio)
    assert (scaled.to_sympy() - exact).is_zero_matrix
    assert repr(LAYER * factor) == repr(scaled)
    x = np.array([1, 0, 0, 0, 2])
    assert (sympy.Matrix(scaled(x).tolist()) - exact * sympy.Matrix(x)).is_zero_matrix


@pytest.mark.parametrize(
    "divisor", [3, -2, np.int8(4), Fraction(2, 3), 0.25, np.float32(0.5), sympy.Rational(5, 7)]
)
def test_a_quotient_is_the_product_with_the_reciprocal(divisor: Any) -> None:
    exact = LAYER.to_sympy() / sympy.Rational(str(Fraction(str(divisor))))
    assert ((LAYER / divisor).to_sympy() - exact).is_zero_matrix


def test_quotients_of_symbols_and_maps() -> None:
    a, (width,) = sympy.Symbol("a"), ca.sizes("K")
    assert (LAYER / a).to_sympy() == LAYER.to_sympy() / a
    assert (ca.relu(2) / 2)([4, -4]).tolist() == [2, 0]
    mean = ca.correlation(9, ca.kernel(width)) / width
    assert mean.at(K=3).to_sympy() == ca.correlation(9, ca.kernel(3)).to_sympy() / 3


@pytest.mark.parametrize("divisor", [0, 0.0, sympy.S.Zero, np.float64(0)])
def test_a_quotient_by_zero_is_refused(divisor: Any) -> None:
    with pytest.raises(ArgumentError, match="cannot be divided by zero"):
        LAYER / divisor


@pytest.mark.parametrize("divisor", [True, "2", 1j, None, LAYER, np.ones(2)])
def test_a_quotient_by_no_number_is_refused(divisor: Any) -> None:
    with pytest.raises(KindError, match="can be divided by one real number or symbol, not"):
        LAYER / divisor


def test_a_symbolic_factor_is_exact_everywhere() -> None:
    a = sympy.Symbol("a")
    assert (a * ca.correlation(3, [1, 2])).to_sympy() == sympy.Matrix(
        [[a, 2 * a, 0], [0, a, 2 * a]]
    )
    assert (a * ca.identity(2)).to_numpy().tolist() == [[a, 0], [0, a]]
    assert (a * ca.identity(2))([3, 4]).tolist() == [3 * a, 4 * a]
    with pytest.raises(KindError, match="use to_sympy"):
        (a * ca.identity(2)).to_scipy()


def test_arrays_do_not_spread_over_operators() -> None:
    """NumPy must not broadcast an operator as an object."""
    for expression in (
        lambda: np.array([1.0, 2.0]) * LAYER,
        lambda: LAYER * np.array([1.0, 2.0]),
        lambda: LAYER @ np.ones(5),
        lambda: LAYER + 1,
        lambda: True * LAYER,
        lambda: 1j * LAYER,
    ):
        with pytest.raises(KindError, match=r"scaled by one real|composes operators|adds two"):
            expression()
    with pytest.raises(TypeError):
        np.ones(5) @ LAYER
    with pytest.raises(TypeError):
        np.ones(5) + LAYER


def test_shapes_must_fit() -> None:
    with pytest.raises(ShapeError, match="must have the input shape of the left layer"):
        LAYER @ LAYER
    with pytest.raises(ShapeError, match="layers must have the same shapes to be added"):
        LAYER + ca.identity(5)
    with pytest.raises(ShapeError, match=r"x must have shape \(\*batch, 5\)"):
        LAYER(np.ones(4))
    with pytest.raises(ShapeError, match="must have the input shape of the left layer"):
        ca.correlation((2, 2), [[1]]) @ ca.identity(4)


def test_operators_are_frozen() -> None:
    for operator in (LAYER, LAYER.T, 2 * LAYER, LAYER.T @ LAYER, ca.identity(2), LAYER.kron(LAYER)):
        field = dataclasses.fields(operator)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(operator, field, None)


def test_operators_can_be_keys() -> None:
    """An operator is the same as itself; arrays inside are never compared."""
    other = ca.correlation(5, [1, 2, 3])
    assert other != LAYER
    assert len({LAYER, other, LAYER}) == 2


def test_shapes_are_python_integers() -> None:
    operator = ca.correlation(np.array([5, 4]), [[1, 2]], stride=np.int32(2), padding=np.int8(1))
    for number in (*operator.shape, *operator.in_shape, *operator.out_shape):
        assert type(number) is int
    huge = ca.correlation((2**20, 2**20, 2**20), np.ones((1, 1, 1)))
    assert huge.shape == (2**60, 2**60)


def test_a_linear_operator_is_its_own_jacobian() -> None:
    assert LAYER.at(np.ones(5)) is LAYER
    assert LAYER.at() is LAYER
    with pytest.raises(ShapeError, match="x must have shape"):
        LAYER.at(np.ones(3))


def test_kron_acts_on_the_first_and_on_the_last_axes() -> None:
    x = np.arange(30).reshape(5, 6)
    both = LAYER.kron(ca.correlation(6, [1, -1]))
    rows = np.apply_along_axis(lambda v: np.correlate(v, [1, 2, 3], "valid"), 0, x)
    expected = np.apply_along_axis(lambda v: np.correlate(v, [1, -1], "valid"), 1, rows)
    assert np.array_equal(both(x), expected)
    channels = ca.dense([[1, 2], [3, 4], [5, 6]]).kron(LAYER)
    assert (channels.in_shape, channels.out_shape) == ((2, 5), (3, 3))


def test_integers_stay_integers_where_everything_cancels() -> None:
    nothing = LAYER - LAYER
    for operator in (nothing, nothing.kron(LAYER), LAYER.kron(nothing), nothing.T @ nothing):
        assert operator.to_scipy().dtype == operator.to_numpy().dtype == np.int64
        assert not operator.to_numpy().any()


@pytest.mark.parametrize("name", [*NAMED, *elementary()])
@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.float64])
def test_a_type_asked_for_is_the_type_given(name: str, dtype: Any) -> None:
    case = NAMED[name]() if name in NAMED else elementary()[name]
    expressions = [case, case.T, 2 * case, case + case, case.T @ case]
    for one in expressions:
        sparse = one.operator.to_scipy(dtype=dtype)
        assert sparse.dtype == dtype
        assert np.array_equal(sparse.toarray(), one.matrix)


@pytest.mark.parametrize("value", [0.5, 0.25, -0.001])
def test_the_support_of_a_product_does_not_depend_on_the_values(value: float) -> None:
    """Entries below one, and zeros among the weights, are counted all the same."""
    for left in (ca.dense([[value, 0.0]]), ca.dense([[1, 0]])):
        product = left @ ca.flip_axes(2)
        assert product.counts.nonzeros == 2
    assert (ca.diagonal([value, 0.0]) @ ca.flip_axes(2)).counts.nonzeros == 2


def test_figures_of_one_layer() -> None:
    """The guide's 5x5 input and 3x3 kernel: 225 entries, 81 non-zeros, 9 parameters."""
    counts = ca.correlation((5, 5), ca.kernel(3, 3)).counts
    assert (counts.dense, counts.nonzeros, counts.parameters) == (225, 81, 9)
    assert counts.sharing.tolist() == [[9] * 3] * 3
    padded = ca.correlation((4, 4), ca.kernel(3, 3), padding=1).counts
    assert padded.multiplications == 100
    assert padded.sharing.tolist() == [[9, 12, 9], [12, 16, 12], [9, 12, 9]]


@pytest.mark.parametrize(
    "product",
    [
        ca.correlation(4, [1, 2], padding=1, boundary="circular").kron(
            ca.correlation(3, [3, 4], padding=1)
        ),
        ca.correlation(4, [1, 2], padding=1).kron(
            ca.correlation(3, [3, 4], padding=1, boundary="edge")
        ),
        ca.pad(2, 1, boundary="edge").kron(ca.pad(3, 1)),
        ca.pad(2, 1).kron(ca.pad(3, 2, boundary="circular")),
        # One axis has a boundary that it never reaches.
        ca.correlation(2, [1, 2], boundary="circular").kron(
            ca.correlation(3, [1, 2], padding=1, boundary="symmetric")
        ),
        ca.sum_pool(3, 2).kron(ca.correlation(3, [2, 3], padding=1, boundary="reflect")),
        ca.shift(3, 0, boundary="circular").kron(ca.sum_pool(5, 2, stride=1)),
        ca.flip_axes(2).kron(ca.sum_pool((3, 3), 2, stride=1)),
        ca.correlation((3, 4), [[1], [2]], padding=((0, 1), 0), boundary="circular")
        @ ca.transposed_correlation((3, 3), [[1, 2]], padding=0),
    ],
)
def test_axes_with_boundaries_of_their_own_are_not_printed_as_one(product: ca.Operator) -> None:
    check_printed(product.simplify())
    assert np.array_equal(product.simplify().to_numpy(), product.to_numpy())


def test_the_support_of_a_long_product_is_counted() -> None:
    """Ones are kept ones: 4^40 paths would not fit in 64 bits."""
    product = compose(*[ca.dense(np.ones((4, 4), dtype=int))] * 40)
    assert product.counts.nonzeros == 16
    assert "<33 more>" in repr(product)
    assert len(repr(ca.linear_recurrence(99, [[1], [2]], [[1, 0], [2, 3]]))) < 300

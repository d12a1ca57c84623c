"""Every face of every operator, against nested loops and dense integer algebra."""

from __future__ import annotations

from fractions import Fraction

import naive
import numpy as np
import pytest
import sympy
from cases import NAMED, Case, elementary, layer, trees
from faces import check_all, check_applied, check_lazy, check_matrices, check_stored, check_support
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Drawn, integers, layers

import convalg as ca
from convalg.errors import KindError, ShapeError


@given(layers())
def test_layer_applies_as_the_definition(drawn: Drawn) -> None:
    check_applied(layer(drawn))


@given(layers())
def test_matrix_of_a_layer_is_the_definition(drawn: Drawn) -> None:
    case = layer(drawn)
    check_matrices(case)
    check_lazy(case)
    sparse = case.operator.to_scipy()
    check_stored(sparse)
    check_stored(case.operator.T.to_scipy())
    check_stored(case.operator.to_scipy(order="F"))
    assert sparse.nnz == case.operator.counts.nonzeros == case.support.sum()


@given(layers())
def test_support_of_a_layer_is_the_definition(drawn: Drawn) -> None:
    case = layer(drawn)
    check_support(case)
    check_support(case.T)


@given(layers())
def test_counts_and_triples_of_a_layer(drawn: Drawn) -> None:
    """Each product once; rows sorted; the sharing of the weights sums to the products."""
    operator, oracle = drawn.operator, drawn.oracle
    counts = operator.counts
    shares = np.zeros(oracle.kernel_shape, dtype=int)
    for _, _, weight in oracle.terms:
        shares[weight] += 1
    assert counts.multiplications == len(oracle.terms) == counts.sharing.sum()
    assert counts.parameters == drawn.weights.size
    assert np.array_equal(counts.sharing, shares)
    if drawn.kind == "transposed_correlation":
        triples = operator.T.pattern.triples()[:, [1, 0, 2]]
    else:
        pattern = operator.pattern
        triples = pattern.triples()
        assert len(pattern) == len(triples) == pattern.products
        assert pattern.nonzeros == len(oracle.support())
        assert triples.tolist() == sorted(triples.tolist(), key=lambda t: (t[0], t[2]))
    shapes = (oracle.out_shape, oracle.in_shape, oracle.kernel_shape)
    expected = {tuple(map(naive.place, term, shapes)) for term in oracle.terms}
    assert len(triples) == len(oracle.terms)
    assert set(map(tuple, triples.tolist())) == expected


@given(layers(), st.data())
def test_matrix_by_kernel_and_gradient(drawn: Drawn, data: st.DataObject) -> None:
    """B(x) w = A(w) x, and dL/dw = B(x)^T g, for one sample and summed over a batch."""
    operator, oracle, w = drawn.operator, drawn.oracle, drawn.weights
    x = data.draw(integers((2, *oracle.in_shape)), label="x")
    g = data.draw(integers((2, *oracle.out_shape)), label="g")
    turned = operator.by_kernel(x[0])
    assert turned.in_shape == oracle.kernel_shape
    assert turned.out_shape == oracle.out_shape
    check_all(by_kernel_case(drawn, x[0]))
    assert np.array_equal(turned(w), operator(x[0]))
    assert np.array_equal(turned.to_numpy() @ w.ravel(), operator.to_numpy() @ x[0].ravel())
    gradient = operator.kernel_gradient(x[0], g[0])
    assert np.array_equal(gradient, turned.T(g[0]))
    assert np.array_equal(gradient, oracle.kernel_back(x[0], g[0]))
    both = oracle.kernel_back(x[0], g[0]) + oracle.kernel_back(x[1], g[1])
    assert np.array_equal(operator.kernel_gradient(x, g), both)
    assert (gradient * w).sum() == (g[0] * operator(x[0])).sum()


def by_kernel_case(drawn: Drawn, x: np.ndarray) -> Case:
    """B(x) as a case."""
    oracle = drawn.oracle
    ones = np.ones(oracle.in_shape, dtype=int)
    return Case(
        drawn.operator.by_kernel(x),
        oracle.kernel_matrix(x).astype(np.int64),
        oracle.kernel_matrix(ones) > 0,
    )


@given(layers(), st.data())
def test_refill_keeps_the_pattern(drawn: Drawn, data: st.DataObject) -> None:
    operator, oracle = drawn.operator, drawn.oracle
    w = data.draw(integers(oracle.kernel_shape), label="w")
    refilled = operator.refill(w)
    assert np.array_equal(refilled.kernel, w)
    assert np.array_equal(refilled.to_numpy(), oracle.matrix(w))
    assert np.array_equal(operator.to_numpy(), oracle.matrix(drawn.weights))
    doubled = (2 * operator).refill(w)
    assert np.array_equal(doubled.to_numpy(), 2 * oracle.matrix(w))


@given(layers(kinds=("correlation", "convolution")), st.data())
def test_refill_rewrites_a_matrix_in_place(drawn: Drawn, data: st.DataObject) -> None:
    w = data.draw(integers(drawn.oracle.kernel_shape), label="w")
    sparse = drawn.operator.to_scipy(dtype=float)
    values = sparse.data
    written = drawn.operator.refill(w).to_scipy(out=sparse)
    assert written is sparse
    assert sparse.data is values
    assert np.array_equal(sparse.toarray(), drawn.oracle.matrix(w))


def test_out_must_be_the_matrix_of_the_pattern() -> None:
    layer = ca.correlation(5, [1, 2, 3])
    with pytest.raises(ShapeError, match="out must be the CSR matrix"):
        layer.to_scipy(out=ca.correlation(6, [1, 2, 3]).to_scipy())
    with pytest.raises(ShapeError, match="out must be the CSR matrix"):
        layer.to_scipy(out=layer.to_scipy(format="csc"))


def test_out_with_the_same_count_in_other_places_is_refused() -> None:
    """Two patterns of one shape and one number of entries are not one pattern."""
    layer = ca.correlation(5, [1, 2], padding=((1, 0),))
    other = ca.correlation(5, [1, 2], padding=((0, 1),)).to_scipy()
    assert other.nnz == layer.to_scipy().nnz
    with pytest.raises(ShapeError, match="out must be the CSR matrix"):
        layer.to_scipy(out=other)


@settings(max_examples=60)
@given(layers(dims=(1, 1, 2)), st.data())
def test_fractions_stay_exact(drawn: Drawn, data: st.DataObject) -> None:
    oracle = drawn.oracle
    w = data.draw(integers(oracle.kernel_shape), label="w").astype(object) * Fraction(1, 7)
    x = data.draw(integers(oracle.in_shape), label="x").astype(object) * Fraction(1, 3)
    g = data.draw(integers(oracle.out_shape), label="g").astype(object) * Fraction(2, 5)
    operator = drawn.operator.refill(w)
    for found, expected in (
        (operator(x), oracle.apply(w, x)),
        (operator.T(g), oracle.back(w, g)),
        (operator.kernel_gradient(x, g), oracle.kernel_back(x, g)),
        (operator.by_kernel(x)(w), oracle.apply(w, x)),
        (operator.by_kernel(x).to_numpy(), oracle.kernel_matrix(x)),
        (operator.to_numpy(), oracle.matrix(w)),
        (operator.to_numpy(order="F"), oracle.matrix(w, "F")),
        (operator.simplify().to_numpy(), oracle.matrix(w)),
    ):
        assert found.dtype == object
        assert not any(isinstance(value, float) for value in found.ravel())
        assert np.array_equal(found, expected)
    assert np.array_equal(operator.to_sympy(), sympy.Matrix(oracle.matrix(w)))
    rounded = operator.to_scipy(dtype=float).toarray()
    np.testing.assert_allclose(rounded, oracle.matrix(w).astype(float), rtol=1e-14, atol=1e-15)


@settings(max_examples=40)
@given(layers(dims=(1, 1, 2)))
def test_symbols_stay_exact(drawn: Drawn) -> None:
    oracle = drawn.oracle
    w = ca.kernel(*oracle.kernel_shape)
    x, g = ca.kernel(*oracle.in_shape, name="x"), ca.kernel(*oracle.out_shape, name="g")
    operator = drawn.operator.refill(w)
    for found, expected in (
        (operator(x), oracle.apply(w, x)),
        (operator.T(g), oracle.back(w, g)),
        (operator.kernel_gradient(x, g), oracle.kernel_back(x, g)),
        (operator.to_numpy(), oracle.matrix(w)),
        (operator.by_kernel(x).to_numpy(), oracle.kernel_matrix(x)),
        (operator.simplify().to_numpy(), oracle.matrix(w)),
    ):
        assert found.shape == expected.shape
        for left, right in zip(found.ravel(), expected.ravel(), strict=True):
            assert sympy.expand(left - right) == 0
    assert operator.to_sympy() == sympy.Matrix(oracle.matrix(w))
    numbers = dict(zip(w.ravel().tolist(), drawn.weights.ravel().tolist(), strict=True))
    assert operator.to_sympy().subs(numbers) == sympy.Matrix(drawn.operator.to_numpy())


@pytest.mark.parametrize("name", [*NAMED, *elementary()])
def test_named_operators(name: str) -> None:
    case = NAMED[name]() if name in NAMED else elementary()[name]
    check_all(case)
    check_all(case.T)
    check_stored(case.operator.to_scipy())
    assert np.array_equal(case.operator.T.T.to_numpy(), case.matrix)
    assert np.array_equal(case.operator.simplify().to_numpy(), case.matrix)


@given(trees())
def test_tree_applies_as_dense_algebra(case: Case) -> None:
    check_applied(case)


@given(trees())
def test_matrices_of_a_tree_are_dense_algebra(case: Case) -> None:
    check_matrices(case)
    check_lazy(case)
    for order in ("C", "F"):
        check_stored(case.operator.to_scipy(order=order))


@given(trees())
def test_support_of_a_tree_is_boolean_algebra(case: Case) -> None:
    check_support(case)
    check_support(case.T)


@settings(max_examples=400)
@given(trees(depth=4))
def test_simplify_keeps_the_matrix(case: Case) -> None:
    simple = case.operator.simplify()
    assert (simple.in_shape, simple.out_shape) == (case.operator.in_shape, case.operator.out_shape)
    assert np.array_equal(simple.to_numpy(), case.matrix)
    assert np.array_equal(simple.T.to_numpy(), case.matrix.T)
    assert np.array_equal(simple.simplify().to_numpy(), case.matrix)
    assert len(repr(simple.simplify())) == len(repr(simple))


@given(layers(), layers())
def test_simplify_keeps_products_of_layers(first: Drawn, second: Drawn) -> None:
    """What fits of: B after A, A^T A, A A^T, A + A, and their adjoints."""
    a, b = layer(first), layer(second)
    expressions = [a.T @ a, a @ a.T, a + 2 * a, a.T]
    if a.operator.out_shape == b.operator.in_shape:
        expressions.append(b @ a)
    for case in expressions:
        assert np.array_equal(case.operator.simplify().to_numpy(), case.matrix)


@pytest.mark.thorough
@settings(max_examples=1500)
@given(layers(), st.data())
def test_every_face_of_many_layers(drawn: Drawn, data: st.DataObject) -> None:
    case = layer(drawn)
    check_all(case)
    check_all(case.T)
    check_all(by_kernel_case(drawn, data.draw(integers(drawn.oracle.in_shape))))
    assert np.array_equal(case.operator.simplify().to_numpy(), case.matrix)


@pytest.mark.thorough
@settings(max_examples=1500)
@given(trees(depth=5))
def test_every_face_of_many_trees(case: Case) -> None:
    check_all(case)
    check_all(case.T)
    assert np.array_equal(case.operator.simplify().to_numpy(), case.matrix)


def test_faces_that_need_one_kernel_say_so() -> None:
    layer = ca.correlation(5, [1, 2])
    with pytest.raises(KindError, match="only a single layer has a pattern"):
        _ = (layer.T @ layer).pattern
    with pytest.raises(KindError, match="must contain exactly one kernel"):
        _ = (layer.T @ layer).kernel

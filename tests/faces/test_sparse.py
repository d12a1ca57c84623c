"""A matrix given entry by entry, as a leaf: every face of it, alone and in trees with others."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import islpy
import numpy as np
import pytest
import scipy.sparse
import sympy
from cases import Case, trees
from faces import check_all, check_stored
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import integers

import convalg as ca
from convalg import engine
from convalg.engine import arithmetic
from convalg.errors import ExactnessError, ShapeError, SymbolicError, UndecidableError
from convalg.operators.leaves import SparseMatrix, gathering, sparse_matrix
from convalg.operators.tree import leaves

shapes = st.sampled_from([(1,), (3,), (5,), (1, 2), (2, 3), (2, 1, 2)])


@st.composite
def sparse(draw: st.DrawFn, before: Any = None, after: Any = None) -> Case:
    """Entries in any order, none at all too; a value may be zero and stays in the support."""
    into, out = before or draw(shapes), after or draw(shapes)
    rows, columns = math.prod(out), math.prod(into)
    every = [(r, c) for r in range(rows) for c in range(columns)]
    places = draw(st.lists(st.sampled_from(every), unique=True, max_size=12))
    where = np.array([r for r, _ in places], dtype=np.int64)
    read = np.array([c for _, c in places], dtype=np.int64)
    ones = draw(st.booleans())
    values = 1 if ones else draw(integers((len(places),)))
    matrix, support = (
        np.zeros((rows, columns), dtype=np.int64),
        np.zeros((rows, columns), dtype=bool),
    )
    matrix[where, read] = values
    support[where, read] = True
    return Case(sparse_matrix(where, read, values, into, out), matrix, support)


@st.composite
def mixed(draw: st.DrawFn) -> Case:
    """A random tree with such a matrix in a product, a sum or a Kronecker product."""
    tree = draw(trees(depth=2))
    into, out = tree.operator.in_shape, tree.operator.out_shape
    match draw(st.sampled_from(["after", "before", "sum", "kron", "between"])):
        case "after":
            return draw(sparse(before=out)) @ tree
        case "before":
            return tree @ draw(sparse(after=into))
        case "sum":
            return tree + draw(st.sampled_from([-2, 1, 3])) * draw(sparse(into, out))
        case "between":
            return tree.T @ draw(sparse(out, out)) @ tree
    other = draw(sparse(before=(2,)))
    small = draw(sparse(after=(2,)))
    return other.kron(small) if draw(st.booleans()) else small.kron(other)


@given(sparse())
def test_every_face(case: Case) -> None:
    check_all(case)
    check_all(case.T)
    check_stored(case.operator.to_scipy())
    assert np.array_equal(case.operator.simplify().to_numpy(), case.matrix)


@settings(max_examples=100)
@given(mixed())
def test_every_face_of_trees(case: Case) -> None:
    check_all(case)
    check_all(case.T)
    assert np.array_equal(case.operator.simplify().to_numpy(), case.matrix)


@given(sparse())
def test_the_adjoint_twice_is_the_same_object(case: Case) -> None:
    operator = case.operator
    assert operator.T.T is operator
    assert (operator.T.in_shape, operator.T.out_shape) == (operator.out_shape, operator.in_shape)
    for one in (operator, operator.T):
        assert isinstance(one, SparseMatrix)
        for row in range(one.shape[0]):
            line = one.indices[one.indptr[row] : one.indptr[row + 1]]
            assert (np.diff(line) > 0).all()
        for array in (one.indptr, one.indices, one.values):
            assert not array.flags.writeable


@given(sparse(), st.data())
def test_counts_and_what_has_no_parameters(case: Case, data: st.DataObject) -> None:
    counts = case.operator.counts
    values = case.operator.values  # type: ignore[attr-defined]
    assert counts.nonzeros == case.support.sum() == values.size
    # Ones move samples and multiply nothing.
    assert counts.multiplications == (values != 1).sum()
    assert counts.parameters == 0
    assert case.operator.parameters == {}
    x = data.draw(integers(case.operator.in_shape))
    assert case.operator.at(x) is case.operator
    g = data.draw(integers(case.operator.out_shape))
    assert np.array_equal(case.operator.gradient(x, g).ravel(), case.matrix.T @ g.ravel())


@given(sparse(), st.data())
def test_fractions_and_symbols_stay_exact(case: Case, data: st.DataObject) -> None:
    operator = case.operator
    drawn = data.draw(integers(operator.in_shape)).astype(object)
    right = case.matrix.astype(object) @ drawn.ravel()
    found = operator(drawn * Fraction(1, 7)).ravel()
    assert found.tolist() == [Fraction(value, 7) for value in right]
    letters = ca.kernel(*operator.in_shape, name="x")
    for value, row in zip(operator(letters).ravel(), case.matrix, strict=True):
        assert (
            sympy.expand(value - sum(int(w) * x for w, x in zip(row, letters.flat, strict=True)))
            == 0
        )
    # With weights that are exact themselves.
    rows, columns = np.nonzero(case.support)
    weights = np.array([Fraction(int(w), 3) for w in case.matrix[rows, columns]], dtype=object)
    if len(weights):
        exact = sparse_matrix(rows, columns, weights, operator.in_shape, operator.out_shape)
        assert exact(drawn).ravel().tolist() == [Fraction(value, 3) for value in right]
        assert exact.to_sympy() == sympy.Matrix(case.matrix.tolist()) / 3
        assert np.array_equal(exact.to_numpy(), case.matrix * Fraction(1, 3))
        with pytest.raises(SymbolicError, match=r"the entries are exact objects \(Fraction\)"):
            exact.to_scipy()
        np.testing.assert_allclose(exact.to_scipy(float).toarray(), case.matrix / 3)


@given(sparse(), st.sampled_from(["float16", "float32", "float64", "int8", "uint8", "bool"]))
def test_types(case: Case, kind: str) -> None:
    """Small integers and booleans are computed in int64; floats keep their type."""
    count = math.prod(case.operator.in_shape)
    x = (np.arange(count) * 37 % 100 if kind != "bool" else np.arange(count) % 2).astype(kind)
    found = case.operator(x.reshape(case.operator.in_shape))
    np.testing.assert_allclose(
        found.ravel().astype(float), case.matrix @ x.astype(float), rtol=1e-2
    )
    assert found.dtype == (kind if kind.startswith("float") else np.int64)


def test_empty_rows_and_columns() -> None:
    operator = gathering(np.array([-1, 2, -1, 2]), (3,), (4,))
    assert operator([5, 6, 7]).tolist() == [0, 7, 0, 7]
    assert operator.T([1, 10, 100, 1000]).tolist() == [0, 0, 1010]
    assert operator([[5, 6, 7], [1, 2, 3]]).tolist() == [[0, 7, 0, 7], [0, 3, 0, 3]]
    letter = sympy.Symbol("x")
    assert operator(np.array([1, 2, letter], dtype=object)).tolist() == [0, letter, 0, letter]


def test_an_empty_batch_is_a_batch() -> None:
    operator = gathering(np.array([-1, 2, -1, 2]), (3,), (4,))
    assert operator(np.zeros((0, 3))).shape == (0, 4)
    assert ca.unfold(4, 2)(np.zeros((2, 0, 4))).shape == (2, 0, 2, 3)


def test_no_entries_at_all() -> None:
    nothing = gathering(np.full(4, -1), (3,), (2, 2))
    assert nothing([1, 2, 3]).tolist() == [[0, 0], [0, 0]]
    assert nothing.T([[1, 2], [3, 4]]).tolist() == [0, 0, 0]
    assert nothing.to_scipy().nnz == 0
    assert nothing.to_sympy() == sympy.zeros(4, 3)
    assert nothing.to_isl().is_empty()
    assert nothing.counts.nonzeros == nothing.counts.multiplications == 0
    assert (nothing + nothing)([1, 2, 3]).tolist() == [[0, 0], [0, 0]]
    assert nothing.kron(ca.identity(2))(np.ones((3, 2))).sum() == 0
    assert ca.prove.equal(nothing, 2 * nothing)


def test_integers_beyond_64_bits() -> None:
    two = sparse_matrix(np.array([0, 0]), np.array([0, 1]), 1, (2,), (1,))
    assert two([2**62 - 1, 2**62 - 1]).tolist() == [2**63 - 2]
    for x in ([2**62, 2**62], np.array([2**63, 1], dtype=np.uint64)):
        with pytest.raises(ExactnessError, match="which does not fit in a signed 64-bit integer"):
            two(x)
    assert two(np.array([2**62, 2**62], dtype=object)).tolist() == [2**63]
    heavy = sparse_matrix(np.array([0]), np.array([0]), 2**62, (1,), (1,))
    assert heavy([1]).tolist() == [2**62]
    with pytest.raises(ExactnessError, match="which does not fit in a signed 64-bit integer"):
        heavy([2])
    with pytest.raises(ExactnessError, match="which does not fit in a signed 64-bit integer"):
        (heavy @ heavy).to_scipy()
    assert (heavy @ heavy).to_sympy()[0, 0] == 2**124
    one = gathering(np.array([0]), (1,), (1,))
    assert one(np.array([-(2**63) + 1])).tolist() == [-(2**63) + 1]


def test_weights_that_a_small_float_holds_do_not_widen_it() -> None:
    half = np.array([1, 2], dtype=np.float16)
    exact = sparse_matrix(np.array([0, 1]), np.array([1, 0]), np.array([3, 2048]), (2,), (2,))
    assert exact(half).dtype == np.float16
    assert exact(half).tolist() == [6, 2048]
    wide = sparse_matrix(np.array([0, 1]), np.array([1, 0]), np.array([3, 2049]), (2,), (2,))
    assert wide(half).tolist() == [6, 2049]


HALF = np.array([1, 0.5], dtype=np.float16)
HALVES = {
    "diagonal": ca.diagonal(HALF),
    "dense": ca.dense(HALF[None]),
    "correlation": ca.correlation(3, HALF),
    "transposed": ca.correlation(3, HALF).T,
    "patches": ca.correlation(3, HALF).by_kernel(np.array([1, 2, 3], np.float16)),
    "sparse": sparse_matrix(np.array([0, 1]), np.array([1, 0]), HALF, (2,), (2,)),
    "product": ca.diagonal(HALF) @ ca.correlation(3, HALF),
    "sum": ca.diagonal(HALF) + ca.identity(2),
    "multiple": 2 * ca.diagonal(HALF),
    "kron": ca.diagonal(HALF).kron(ca.diagonal(HALF)),
    "relu": ca.relu(2).at(np.array([1, -1], np.float16)),
}


@pytest.mark.parametrize("name", HALVES)
def test_half_floats_as_matrices(name: str) -> None:
    """SciPy has none: its matrices of them are of float32, which holds the same numbers."""
    operator = HALVES[name]
    dense = operator.to_numpy()
    assert dense.dtype in (np.float32, np.float64)
    unit = np.eye(operator.shape[1], dtype=np.float16).reshape(-1, *operator.in_shape)
    assert np.array_equal(dense.T, operator(unit).reshape(len(unit), -1))
    assert np.array_equal(operator.to_scipy().toarray(), dense)
    assert operator.to_scipy(np.float64).dtype == np.float64
    solver = operator.to_linear_operator()
    assert solver.dtype in (np.float32, np.float64)
    assert np.array_equal(solver.matmat(np.eye(operator.shape[1])), dense)
    assert ca.spectrum(operator).values.size == min(operator.shape)


@pytest.mark.parametrize("before", [(), (3,), (2, 1)])
@pytest.mark.parametrize("after", [(), (3,), (2, 1)])
def test_one_number_alone_is_a_shape(before: Any, after: Any) -> None:
    """The bias of all places, and its adjoint: a shape without axes."""
    rows, columns = math.prod(after), math.prod(before)
    operator = gathering(np.arange(rows) % columns, before, after)
    for one in (operator, operator.T):
        relation = one.to_isl()
        assert relation.wrap().count_val().to_python() == rows
        assert relation.dim(islpy.dim_type.in_) == len(one.out_shape)
        assert relation.dim(islpy.dim_type.out) == len(one.in_shape)
        assert one.to_sympy() == sympy.Matrix(one.to_numpy().tolist())
        x = np.arange(math.prod(one.in_shape)).reshape(one.in_shape) + 5
        assert np.array_equal(one(x).ravel(), one.to_numpy() @ x.ravel())
    empty = gathering(np.full(rows, -1), before, after)
    assert empty.to_isl().is_empty()


@given(sparse(), st.integers(0, 9))
def test_multiply_in_slices(case: Case, batch: int) -> None:
    """A batch that goes through in parts is the same as one sample at a time."""
    operator = case.operator
    x = np.arange(batch * operator.shape[1]).reshape(batch, operator.shape[1]) % 7 - 3
    arrays = operator.indptr, operator.indices, operator.values  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arithmetic, "CHUNK", 2 * max(operator.shape[0], 1))
        found = engine.multiply(*arrays, x)
    assert found.shape == (batch, operator.shape[0])
    assert np.array_equal(found, x @ case.matrix.T)


def test_against_scipy_at_size() -> None:
    random = np.random.default_rng(0)
    matrix = scipy.sparse.random_array((400, 300), density=0.02, rng=random, format="coo")
    rows, columns = matrix.coords
    operator = sparse_matrix(rows, columns, matrix.data, (300,), (400,))
    assert (operator.to_scipy() != matrix.tocsr()).nnz == 0
    assert (operator.T.to_scipy() != matrix.T.tocsr()).nnz == 0
    x = random.normal(size=(5, 300))
    np.testing.assert_allclose(operator(x), (matrix @ x.T).T, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(operator.to_linear_operator().matmat(x.T), matrix @ x.T, atol=1e-14)


def test_a_relation_up_to_so_many_entries() -> None:
    """One below, exact, one above the 4096 that are listed."""
    for count in (4095, 4096):
        table = np.arange(count)[::-1]
        assert gathering(table, (count,), (count,)).to_isl().is_injective()
    with pytest.raises(
        UndecidableError, match="has 4097 entries, more than the 4096 that can be listed"
    ):
        gathering(np.arange(4097), (4097,), (4097,)).to_isl()


@settings(max_examples=40)
@given(sparse(), st.data())
def test_proofs(case: Case, data: st.DataObject) -> None:
    """Equal to the same entries in a dense matrix, and not after one has changed."""
    operator = case.operator
    options = {"in_shape": operator.in_shape, "out_shape": operator.out_shape}
    assert ca.prove.equal(operator, ca.dense(case.matrix, **options))
    assert ca.prove.adjoint(operator, operator.T)
    assert ca.prove.linear(operator)
    place = tuple(data.draw(st.integers(0, n - 1)) for n in operator.shape)
    changed = case.matrix.copy()
    changed[place] += 1
    verdict = ca.prove.equal(operator, ca.dense(changed, **options))
    assert verdict.status == "refuted"
    found = verdict.counterexample
    assert found is not None
    assert (found.actual, found.claimed) == (case.matrix[place], changed[place])


def test_permutations_are_orthogonal() -> None:
    order = [3, 0, 2, 1]
    move = gathering(np.array(order), (4,), (2, 2))
    assert ca.prove.equal(move.T @ move, ca.identity(4))
    assert ca.prove.equal(move @ move.T, ca.identity((2, 2)))
    assert len(leaves(move.T @ move)) == 2


def test_words() -> None:
    named = gathering(np.array([1, 0]), (2,), (2,), "turn(2)")
    assert [repr(named), repr(named.T), repr(named.T.T)] == ["turn(2)", "turn(2).T", "turn(2)"]
    assert repr(named @ named.T) == "turn(2) @ turn(2).T"
    assert repr(gathering(np.array([0, -1]), (3,), (2,))) == "<sparse 2 x 3, 1 entries>"
    assert repr(gathering(np.array([0, -1]), (3,), (2,)).T) == "<sparse 3 x 2, 1 entries>"


def test_what_it_cannot_be_asked() -> None:
    operator = gathering(np.array([1, 0]), (2,), (2,))
    with pytest.raises(ShapeError, match=r"x must have shape \(\*batch, 2\), not \(3,\)"):
        operator([1, 2, 3])
    with pytest.raises(ShapeError, match="must have the input shape of the left layer"):
        operator @ ca.identity(3)
    with pytest.raises(
        TypeError, match="only a single layer has a pattern, not an operator of type SparseMatrix"
    ):
        _ = operator.pattern

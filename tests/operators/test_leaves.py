"""The leaves of operator trees, and their adjoints."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.errors import ShapeError
from convalg.operators.leaves import (
    Adjoint,
    Convolution,
    Matrix,
    Patches,
    Selection,
    checked_kernel,
    gathering,
    single_layer,
    sparse_matrix,
    transposed_axis,
)
from convalg.pattern.pattern import Pattern

LAYER = ca.correlation(5, [1, 2, 3])


def test_kinds_of_leaves() -> None:
    assert isinstance(LAYER, Convolution)
    assert isinstance(LAYER.by_kernel(np.ones(5)), Patches)
    assert isinstance(ca.sum_pool(4, 2), Selection)
    assert isinstance(ca.dense([[1]]), Matrix)


def test_adjoints_of_moves_are_moves() -> None:
    assert repr(ca.pad(3, 1).T) == "crop(5, 1)"
    assert repr(ca.crop(5, ((1, 2),)).T) == "pad(2, ((1, 2),))"
    assert repr(ca.flip_axes(4).T) == "flip_axes(4)"
    assert repr(ca.shift(4, 1).T) == "shift(4, -1)"
    assert repr(ca.downsample(5, 2).T) == "upsample(3, 2)"
    assert repr(ca.downsample(6, 2).T) == "upsample(3, 2, size=6)"
    assert repr(ca.reshape((2, 2), 4).T) == "reshape(4, (2, 2))"
    assert isinstance(ca.pad(3, 1, boundary="edge").T, Adjoint)


def test_weights_are_counted_once_both_ways() -> None:
    layer = ca.dense([[0, 1], [2, 3]])
    assert layer.T.T is layer
    assert (layer @ layer).counts.parameters == (layer @ layer).T.counts.parameters == 4


@st.composite
def entries(draw: st.DrawFn) -> tuple[tuple[int, int], dict[tuple[int, int], int]]:
    """The shape and the entries of a sparse matrix, in any order."""
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    indices = st.tuples(st.integers(0, shape[0] - 1), st.integers(0, shape[1] - 1))
    return shape, draw(st.dictionaries(indices, st.integers(-9, 9), max_size=12))


@given(entries())
def test_a_sparse_matrix_is_that_of_scipy(
    drawn: tuple[tuple[int, int], dict[tuple[int, int], int]],
) -> None:
    shape, values = drawn
    rows, columns = np.array([*values], dtype=np.int64).reshape(-1, 2).T
    data = np.array([*values.values()], dtype=np.int64)
    operator = sparse_matrix(rows, columns, data, shape[1:], shape[:1])
    wanted = scipy.sparse.coo_array((data, (rows, columns)), shape=shape).toarray()
    x, g = np.arange(1, shape[1] + 1), np.arange(1, shape[0] + 1)
    assert np.array_equal(operator.to_numpy(), wanted)
    assert np.array_equal(operator(x), wanted @ x)
    assert np.array_equal(operator.T(g), wanted.T @ g)
    assert operator.T.T is operator
    for array in (operator.indptr, operator.indices, operator.values):
        assert not array.flags.writeable


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=9))
def test_gathering_reads_the_entries_of_a_table(table: list[int]) -> None:
    x = np.array([5, 7, 11, 13])
    operator = gathering(np.array(table), (4,), (len(table),))
    assert operator(x).tolist() == [0 if i < 0 else x[i] for i in table]


@pytest.mark.parametrize("boundary", ["zeros", "circular"])
@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 3), st.sampled_from([1, 2, -1]))
def test_a_transposed_axis_has_the_transposed_triples(
    boundary: str, size: int, taps: int, padding: int, dilation: int
) -> None:
    make = ca.correlation if dilation > 0 else ca.convolution
    if size + 2 * padding <= abs(dilation) * (taps - 1):
        return
    options = {"padding": padding, "dilation": abs(dilation), "boundary": boundary}
    (axis,) = make(size, [1] * taps, **options).geometry.axes
    transposed = transposed_axis(axis)
    if transposed is None:
        # A circular axis whose sizes differ has no transposed axis.
        assert axis.boundary == "circular"
        assert axis.in_size != axis.out_size
        return
    triples = {
        (outputs, read, tap) for (outputs, tap), read in np.ndenumerate(axis.columns()) if read >= 0
    }
    swapped = {
        (read, outputs, tap)
        for (outputs, tap), read in np.ndenumerate(transposed.columns())
        if read >= 0
    }
    assert triples == swapped


def test_only_a_layer_or_its_adjoint_is_a_single_layer() -> None:
    assert single_layer(LAYER) == (LAYER, False)
    assert single_layer(LAYER.T) == (LAYER, True)
    for other in (2 * LAYER, ca.flip_axes(3), LAYER.T @ LAYER, ca.pad(3, 1, boundary="edge").T):
        assert single_layer(other) is None


def test_a_kernel_of_another_shape_is_refused() -> None:
    assert checked_kernel([1, 2], (2,)).tolist() == [1, 2]
    with pytest.raises(ShapeError, match=r"kernel must have shape \(3,\), not \(2,\)"):
        checked_kernel([1, 2], (3,))


def test_the_pattern_of_a_selection_is_that_of_a_layer_of_ones() -> None:
    pool = ca.sum_pool(6, 2, stride=1)
    layer = ca.correlation(6, [1, 1])
    assert isinstance(pool, Selection)
    assert isinstance(pool.pattern, Pattern)
    assert np.array_equal(pool.pattern.triples(), layer.pattern.triples())

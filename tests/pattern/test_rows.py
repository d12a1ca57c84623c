"""Rows that read alike: the runs of an axis, and matrices written in boxes of equal rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import CHANNELS, Drawn, integers, layers

import convalg as ca
from convalg.axis import BOUNDARIES, Axis
from convalg.errors import ExactnessError, ShapeError
from convalg.geometry import Geometry
from convalg.operators.leaves import Adjoint, Convolution, Selection
from convalg.operators.tree import leaves
from convalg.pattern import pattern
from convalg.pattern.pattern import Pattern
from convalg.pattern.rows import RowBoxes, RowRun, adjoint_runs, borders, runs


@contextmanager
def cells(entries: int) -> Iterator[None]:
    """Boxes from so many entries each; with 0 always."""
    caches = pattern.channel_rows, pattern.adjoint_channel_rows, pattern._landmarks
    usual = pattern.CELL
    pattern.CELL = entries
    for cache in caches:
        cache.cache_clear()
    try:
        yield
    finally:
        pattern.CELL = usual
        for cache in caches:
            cache.cache_clear()


@st.composite
def axes(draw: st.DrawFn, sizes: tuple[int, int] | None = None, most: int = 12) -> Axis:
    """Any axis: walked backwards or not, over the border as far as it likes, or reading nothing."""
    before, after = sizes or (draw(st.integers(1, most)), draw(st.integers(1, most)))
    signs = st.sampled_from([-1, 1])
    return Axis(
        before,
        after,
        draw(st.integers(1, 4)),
        draw(signs) * draw(st.integers(1, 3)),
        draw(signs) * draw(st.integers(1, 3)),
        draw(st.integers(-9, 9)),
        draw(st.sampled_from(BOUNDARIES)),
    )


@st.composite
def convolutions(draw: st.DrawFn, dims: tuple[int, ...] = (1, 1, 2, 2, 3)) -> Convolution:
    """A layer over any axes, with any weights."""
    count = draw(st.sampled_from(dims))
    found = tuple(draw(axes(most={1: 12, 2: 6, 3: 4}[count])) for _ in range(count))
    groups, outputs, inputs = draw(st.sampled_from(CHANNELS))
    geometry = Geometry(found, groups * inputs, groups * outputs, groups)
    return Convolution(geometry, draw(integers(geometry.kernel_shape)))


def by_triples(layer: Convolution) -> tuple[np.ndarray, np.ndarray]:
    """The dense matrix and how many triples meet on each entry."""
    matrix, meet = (np.zeros(layer.shape, dtype=np.int64) for _ in range(2))
    rows, columns, labels = layer.pattern.triples().T
    np.add.at(matrix, (rows, columns), layer.weights.ravel()[labels])
    np.add.at(meet, (rows, columns), 1)
    return matrix, meet


def check_csr(found: Any, matrix: np.ndarray, meet: np.ndarray) -> None:
    """The entries, and nothing but the support, in order and each once."""
    found.check_format(full_check=True)
    assert found.shape == matrix.shape
    assert np.array_equal(found.toarray(), matrix)
    for row, line in zip(np.split(found.indices, found.indptr[1:-1]), meet, strict=True):
        assert row.tolist() == np.flatnonzero(line).tolist()


def listed(found: tuple[RowRun, ...], size: int, taps: int) -> list[list[tuple[int, list[int]]]]:
    """For each row (column, taps) of its entries, in order."""
    rows: list[list[tuple[int, list[int]]] | None] = [None] * size
    before: dict[int, int] = {}
    for run in found:
        row = run.row
        chosen = np.arange(taps) if row.taps is None else np.arange(taps)[row.taps]
        cuts = np.arange(1, row.columns.size) if row.starts is None else row.starts[1:]
        each = [part.tolist() for part in np.split(chosen, cuts)] if row.columns.size else []
        for k, place in enumerate(range(size)[run.rows]):
            assert rows[place] is None
            before[place] = run.before + k * run.pitch
            moved = (row.columns + k * run.step).tolist()
            rows[place] = list(zip(moved, each, strict=True))
    complete = [row for row in rows if row is not None]
    assert len(complete) == size
    ends = np.cumsum([0, *map(len, complete)])[:-1].tolist()
    assert [before[place] for place in range(size)] == ends
    return complete


@settings(max_examples=300)
@given(axes())
def test_runs_are_the_rows_of_the_axis(axis: Axis) -> None:
    table = axis.columns()
    expected = [
        [(i, np.flatnonzero(row == i).tolist()) for i in sorted(set(row.tolist()) - {-1})]
        for row in table
    ]
    assert listed(runs(axis), axis.out_size, axis.taps) == expected
    assert set(borders(axis).tolist()) <= {run.first for run in runs(axis)}


@settings(max_examples=300)
@given(axes())
def test_adjoint_runs_are_the_columns_of_the_axis(axis: Axis) -> None:
    found = adjoint_runs(axis)
    if axis.boundary not in ("zeros", "circular"):
        assert found is None
        return
    assert found is not None
    table = axis.columns()
    expected = []
    for i in range(axis.in_size):
        readers = np.flatnonzero((table == i).any(axis=1)).tolist()
        expected.append([(o, np.flatnonzero(table[o] == i).tolist()) for o in readers])
    assert listed(found, axis.in_size, axis.taps) == expected


def test_runs_of_a_long_axis_are_few() -> None:
    """One between the borders, whatever the length; nothing is tabulated."""
    for size in (10**3, 10**15):
        axis = Axis(size, size, 3, padding=1)
        assert [run.count for run in runs(axis)] == [1, size - 2, 1]
        found = adjoint_runs(axis)
        assert found is not None
        assert sum(run.count for run in found) == size
    strided = adjoint_runs(Axis(10**6, 10**6 // 2, 4, stride=2, padding=1))
    assert strided is not None
    assert len(strided) < 12


@settings(max_examples=200)
@given(convolutions(), st.sampled_from([0, 2**60]))
def test_matrices_are_those_of_the_triples(layer: Convolution, size: int) -> None:
    """In boxes, and entry by entry."""
    matrix, meet = by_triples(layer)
    with cells(size):
        check_csr(layer.to_scipy(), matrix, meet)
        check_csr(Adjoint(layer).to_scipy(), matrix.T, meet.T)
        exact = layer.pattern.csr_values(layer.weights.astype(object))
        assert exact.tolist() == layer.to_scipy().data.tolist()


@settings(max_examples=200)
@given(layers(), st.sampled_from([0, 2**60]))
def test_layers_are_those_of_the_triples(drawn: Drawn, size: int) -> None:
    with cells(size):
        for layer in leaves(drawn.operator):
            assert isinstance(layer, Convolution)
            matrix, meet = by_triples(layer)
            check_csr(layer.to_scipy(), matrix, meet)
            check_csr(layer.T.to_scipy(), matrix.T, meet.T)


LARGE = {
    "zeros": ca.correlation((40, 30), np.arange(8 * 4 * 9).reshape(8, 4, 3, 3), padding=1),
    "reflect": ca.convolution(
        (40, 30), np.arange(8 * 4 * 9).reshape(8, 4, 3, 3), padding=1, boundary="reflect"
    ),
    "groups": ca.correlation((50, 40), np.arange(144).reshape(8, 2, 3, 3), groups=4, dilation=2),
    "strided": ca.transposed_correlation(
        (30, 30), np.arange(8 * 4 * 16).reshape(8, 4, 4, 4), stride=2, padding=1
    ),
    "long": ca.correlation(60_000, np.arange(9), padding=4, boundary="circular"),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_layers_are_written_in_boxes(name: str) -> None:
    """At their usual size, against SciPy's matrix of the triples."""
    operator = LARGE[name]
    (layer,) = leaves(operator)
    assert isinstance(layer, Convolution)
    kind = np.dtype(np.int32)
    turned = isinstance(operator, Adjoint)
    choose = pattern.adjoint_channel_rows if turned else pattern.channel_rows
    assert isinstance(choose(layer.geometry, kind), RowBoxes)
    rows, columns, labels = layer.pattern.triples().T
    weights = layer.weights.ravel()[labels]
    expected = scipy.sparse.coo_array((weights, (rows, columns)), shape=layer.shape).tocsr()
    expected = expected.T.tocsr() if turned else expected
    found = operator.to_scipy()
    assert np.array_equal(found.indptr, expected.indptr)
    assert np.array_equal(found.indices, expected.indices)
    assert np.array_equal(found.data, expected.data)
    if not turned:
        values = found.data
        assert layer.refill(layer.weights * 2).to_scipy(out=found).data is values
        assert np.array_equal(values, 2 * expected.data)


@pytest.mark.parametrize("size", [0, 2**60])
def test_a_layer_that_reads_nothing(size: int) -> None:
    layer = Convolution(Geometry((Axis(3, 4, 2, padding=-9), Axis(2, 2))), np.ones((2, 1), int))
    with cells(size):
        for matrix in (layer.to_scipy(), layer.T.to_scipy()):
            assert matrix.nnz == 0
            assert matrix.indptr.tolist() == [0] * (matrix.shape[0] + 1)
        assert layer.to_scipy(out=layer.to_scipy()).nnz == 0


@settings(max_examples=300)
@given(st.data())
def test_a_matrix_fits_its_own_pattern_only(data: st.DataObject) -> None:
    """Another layer of the same shape is told apart, unless it has the same places."""
    count = data.draw(st.integers(1, 2))
    pairs = [data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9))) for _ in range(count)]
    one, other = (Geometry(tuple(data.draw(axes(pair)) for pair in pairs)) for _ in range(2))
    with cells(data.draw(st.sampled_from([0, 2**60]))):
        structure = Pattern(other).csr_structure()
        same = all(map(np.array_equal, Pattern(one).csr_structure(), structure))
        assert Pattern(one).fits(*structure) == same


def test_out_needs_values_in_one_piece() -> None:
    layer = ca.correlation(5, [1, 2])
    matrix = layer.to_scipy()
    matrix.data = np.zeros(16, dtype=np.int64)[::2]
    with pytest.raises(
        ShapeError, match=r"out must be the CSR matrix of shape \(4, 5\) with 8 stored"
    ):
        layer.to_scipy(out=matrix)


@pytest.mark.parametrize("size", [0, 2**60])
def test_weights_that_meet_stay_in_64_bits(size: int) -> None:
    layer = ca.correlation((3, 3), np.full((3, 3), 2**60), padding=1, boundary="edge")
    with cells(size):
        assert layer.refill(np.full((3, 3), 2**60 // 2)).to_scipy().max() == 2**61
        with pytest.raises(ExactnessError, match="which does not fit in a signed 64-bit integer"):
            layer.refill(np.full((3, 3), 2**62)).to_scipy()


@pytest.mark.parametrize("size", [0, 2**60])
def test_weights_that_meet_fit_their_type(size: int) -> None:
    """100 + 27 is an int8, 100 + 28 is none."""
    fits, over = (ca.correlation(2, [100, w], padding=((1, 0),), boundary="edge") for w in (27, 28))
    with cells(size):
        matrix = fits.to_scipy(dtype=np.int8)
        assert matrix.dtype == np.int8
        assert matrix.toarray().tolist() == [[127, 0], [100, 27]]
        with pytest.raises(ExactnessError, match="128 does not fit into int8"):
            over.to_scipy(dtype=np.int8)
        with pytest.raises(ExactnessError, match="128 does not fit into int8"):
            over.to_scipy(out=matrix)
        assert matrix.toarray().tolist() == [[127, 0], [100, 27]]
        assert fits.refill([1, -1]).to_scipy(out=matrix).toarray().tolist() == [[0, 0], [1, -1]]


@given(axes())
def test_selections_too(axis: Axis) -> None:
    selection = Selection((axis,), (axis.in_size,), (axis.out_size,))
    table = axis.columns()
    expected = (table[:, :, None] == np.arange(axis.in_size)).sum(axis=1)
    assume(expected.max() < 2**7)
    with cells(0):
        assert np.array_equal(selection.to_scipy().toarray(), expected)
        assert np.array_equal(selection.T.to_scipy().toarray(), expected.T)

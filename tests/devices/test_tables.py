"""Index tables against the sums that they stand for."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import Drawn, layers

from convalg.devices.tables import Rows, axis_rows, rows_of


def summed(rows: Rows, signal: np.ndarray, weights: np.ndarray | None = None) -> list[int]:
    """The sum of each row, by its tables alone; a gap reads a zero after the signal."""
    padded = np.append(signal, 0)
    parts = []
    for table, entries in zip(rows.tables, rows.entries, strict=True):
        factors = 1 if weights is None else np.append(weights, 0)[entries]
        parts.append((padded[table] * factors).sum(axis=1))
    sums = np.concatenate(parts)
    return (sums if rows.order is None else sums[rows.order]).tolist()


@given(st.lists(st.lists(st.integers(0, 6), max_size=9), min_size=1, max_size=8))
def test_rows_are_the_sums_of_a_sparse_matrix(columns: list[list[int]]) -> None:
    indptr = np.cumsum([0, *map(len, columns)])
    indices = np.array([k for row in columns for k in row], dtype=np.int64)
    signal, weights = np.arange(7) ** 2 + 1, np.arange(len(indices)) - 3
    rows = rows_of(indptr, indices, 7)
    assert summed(rows, signal) == [sum(int(signal[k]) for k in row) for row in columns]
    products = weights * signal[indices]
    assert summed(rows, signal, weights) == [
        int(products[a:b].sum()) for a, b in pairwise(indptr.tolist())
    ]
    assert sum(table.size for table in rows.tables) <= 2 * len(indices) + len(columns)
    assert rows.gaps == any((table == 7).any() for table in rows.tables)
    assert rows.keeps == (columns == [[k] for k in range(7)])


@given(layers(kinds=("correlation",), dims=(1,)))
def test_the_rows_of_an_axis_are_those_of_its_matrix(drawn: Drawn) -> None:
    (axis,) = drawn.operator.geometry.axes
    read = axis.columns()
    x, g = np.arange(int(axis.in_size)) ** 2 + 1, np.arange(int(axis.out_size)) ** 2 + 1
    forward = np.where(read >= 0, x[read], 0)
    assert summed(axis_rows(axis, False, False), x) == forward.sum(axis=1).tolist()
    assert summed(axis_rows(axis, True, False), x) == forward.T.ravel().tolist()
    back = [int((g[:, None] * (read == i)).sum()) for i in range(int(axis.in_size))]
    assert summed(axis_rows(axis, False, True), g) == back

"""Two rows that prove a matrix is no correlation."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from same_matrix import has_matrix, is_genuine

from convalg.recognise.identify import identify


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_dense_matrix_comes_with_two_rows(data: st.DataObject) -> None:
    inputs = data.draw(st.sampled_from([(4,), (3, 3), (2, 3), (2, 2, 3)]))
    outputs = data.draw(st.sampled_from([(4,), (5,), (3, 3), (2, 2, 3)]))
    count = math.prod(outputs) * math.prod(inputs)
    order = data.draw(st.randoms(use_true_random=False)).sample(range(1, 2 * count), count)
    matrix = np.array(order).reshape(math.prod(outputs), -1)
    found = identify(matrix, (inputs, outputs))
    if found.operator is not None:
        # Every output of a layer with channels may read all of the input.
        assert has_matrix(found, matrix)
        assert all(k == n for k, n in zip(found.kernel.shape[::-1], inputs[::-1], strict=False))
        return
    assert found.kind == "not shift-invariant"
    assert is_genuine(found, matrix)
    for place in found.witness["rows"]:
        row = matrix[int(np.ravel_multi_index(place, outputs))]
        assert found.witness[f"row {place}"].startswith(f"{row[0]} x{[0] * len(inputs)}")


def test_irregular_steps() -> None:
    matrix = np.eye(8, dtype=int)[[0, 1, 3, 6]]
    found = identify(matrix, 8)
    assert found.kind == "not shift-invariant"
    assert "no shift along one axis relates all rows" in found.words
    assert len(set(found.witness["rows"])) == 2

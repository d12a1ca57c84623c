"""The interactive boards have the cells of the matrix, the kernel and the samples."""

from __future__ import annotations

import numpy as np
import pytest

import convalg as ca
from convalg.sheet.explorer import explorer

LAYER = ca.correlation((4, 5), ca.kernel(2, 3), stride=2, padding=1)


@pytest.mark.parametrize(
    "layer", [LAYER, LAYER.T, ca.correlation(5, ca.kernel(3), padding=4, boundary="circular")]
)
def test_the_boards_are_the_matrix(layer: ca.Operator) -> None:
    boards = {board.kind: board for board in explorer(layer).boards}
    entries = {(int(cell.row), int(cell.column)) for cell in boards["matrix"].cells}
    matrix = layer.to_sympy()
    places = np.ndindex(*layer.shape)
    assert entries == {place for place in places if matrix[place] != 0}
    assert (len(boards["output"].cells), len(boards["input"].cells)) == layer.shape
    for cell in boards["matrix"].cells:
        for weight in cell.weights.split():
            symbol = np.asarray(ca.kernel(*_kernel_shape(layer))).ravel()[int(weight)]
            assert matrix[int(cell.row), int(cell.column)].has(symbol)


def _kernel_shape(layer: ca.Operator) -> tuple[int, ...]:
    inner = layer if hasattr(layer, "kernel") else layer.T
    return tuple(np.shape(inner.kernel))

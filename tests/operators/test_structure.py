"""The names of matrix structures, against the entries of the matrices."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from strategies import Drawn, layers

import convalg as ca
from convalg.operators.leaves import Convolution

W = np.arange(1, 10).reshape(3, 3)


@pytest.mark.parametrize(
    ("operator", "words"),
    [
        (ca.correlation(5, [1, 2]), "Toeplitz"),
        (ca.correlation(5, [1, 2], stride=2), "strided Toeplitz (stride 2)"),
        (ca.convolution(5, [1, 2], padding="same", boundary="circular"), "circulant"),
        (
            ca.correlation(4, [1, 2], stride=2, padding=((0, 4),), boundary="circular"),
            "strided Toeplitz (stride 2)",
        ),
        (ca.correlation(5, [1, 2, 3], padding=1, boundary="edge"), "Toeplitz but for the border"),
        (
            ca.correlation((4, 4), W),
            "doubly block Toeplitz: 2 x 4 Toeplitz blocks of 2 x 4",
        ),
        (
            ca.correlation((4, 5), W, stride=(2, 1)),
            "doubly block Toeplitz by axis: strided Toeplitz (stride 2), Toeplitz: "
            "1 x 4 Toeplitz blocks of 3 x 5",
        ),
        (
            ca.correlation(4, [[[1, 2]], [[3, 4]]], groups=2),
            "2 x 2 channel blocks, each Toeplitz; blocks across the 2 groups are zero",
        ),
        (ca.correlation(5, [1, 2]).T, "adjoint of (Toeplitz)"),
        (2 * ca.correlation(5, [1, 2]), "Toeplitz"),
        (ca.diagonal([1, 2]), "diagonal"),
        (ca.dense([[1, 2]]), "matrix"),
        (ca.flip_axes(3), "selection: at most one 1 in each row"),
        (ca.identity(2) + ca.diagonal([1, 2]), "sum of 2 operators"),
        (ca.diagonal([1, 2]) @ ca.diagonal([1, 3]), "product of 2 operators"),
        (ca.dense([[1]]).kron(ca.identity(2)), "Kronecker product of (matrix) and"),
    ],
)
def test_structure_in_words(operator: ca.Operator, words: str) -> None:
    assert operator.structure().startswith(words)


def test_a_sum_pool_is_not_said_to_select_one_entry() -> None:
    assert "at most one 1" not in ca.sum_pool(4, 2).structure()


@given(layers())
def test_a_layer_named_toeplitz_or_circulant_has_such_a_matrix(drawn: Drawn) -> None:
    operator = drawn.operator
    if not isinstance(operator, Convolution) or len(operator.geometry.axes) > 1:
        return
    matrix = operator.to_numpy()
    channels = operator.geometry.channels
    outputs, inputs = operator.geometry.out_spatial[0], operator.geometry.in_spatial[0]
    blocks = matrix.reshape(channels[0] * channels[1], outputs, channels[0] * channels[2], inputs)
    name = operator.structure().rpartition("each ")[2].partition(";")[0]
    for block in blocks.swapaxes(1, 2).reshape(-1, outputs, inputs):
        if name in ("Toeplitz", "circulant"):
            assert np.array_equal(block, scipy.linalg.toeplitz(block[:, 0], block[0]))
        if name == "circulant":
            assert np.array_equal(block, scipy.linalg.circulant(block[:, 0]))

"""Adjoints at numbers, against the definition as loops: the gradients are scattered one by one."""

from __future__ import annotations

import brute
import naive
import numbered
import numpy as np
import pytest

import convalg as ca
from convalg.prove.theorems import adjoint_layers
from convalg.prove.theorems.theorem import Equality

CLAIMS = numbered.claims(adjoint_layers.THEOREMS)


@pytest.mark.parametrize("case", CLAIMS, ids=numbered.named)
def test_both_sides_return_the_same_numbers(case: tuple[str, Equality]) -> None:
    numbered.check_applied(case[1])


@pytest.mark.parametrize(
    ("size", "taps", "stride", "dilation", "padding"),
    [(7, 3, 2, 2, 1), (8, 2, 3, 1, 0), (5, 2, 2, 3, 4), (4, 1, 3, 2, 2)],
)
def test_the_adjoint_scatters_the_gradient_by_the_stride(
    size: int, taps: int, stride: int, dilation: int, padding: int
) -> None:
    (claim,) = ca.theorems["adjoint-stride-dilation"].claims()
    sizes = {"n": size, "K": taps, "s": stride, "d": dilation, "p": padding}
    layer = naive.correlation(size, (taps,), stride=stride, dilation=dilation, padding=padding)
    expected = layer.matrix(numbered.kernel(taps)).T
    assert (numbered.matrix(claim.sides()[1], sizes) == expected).all()


def test_a_layer_that_is_padded_on_one_side_has_an_adjoint_padded_on_the_other() -> None:
    """A causal layer of three taps: the gradient reaches back from the outputs after a sample."""
    (claim,) = ca.theorems["adjoint-asymmetric-padding"].claims()
    back = brute.at(claim.sides()[1], {"n": 4, "K": 3, "q": 2, "p": 0})
    w0, w1, w2 = ca.kernel(3)
    assert back([0, 0, 1, 0]).tolist() == [w0, w1, w2, 0]


def test_output_padding_appends_zeros_or_gives_back_what_was_cropped() -> None:
    one = ca.transposed_correlation(2, [1, 2, 3], stride=2)
    assert one([1, 10]).tolist() == [1, 2, 13, 20, 30]
    longer = ca.transposed_correlation(2, [1, 2, 3], stride=2, output_padding=1)
    assert longer([1, 10]).tolist() == [1, 2, 13, 20, 30, 0]
    cropped = ca.transposed_correlation(2, [1, 2, 3], stride=2, padding=1, output_padding=1)
    assert cropped([1, 10]).tolist() == [2, 13, 20, 30]


def test_a_toeplitz_matrix_is_symmetric_about_its_other_diagonal() -> None:
    claim = ca.theorems["adjoint-reversal"].claims()[1]
    matrix = numbered.matrix(claim.sides()[1], {"n": 5, "K": 3, "q": 2})
    assert (matrix == np.rot90(matrix, 2).T).all()
    assert (matrix != matrix.T).any()

"""Layers with groups and channels at numbers, against the definition as loops."""

from __future__ import annotations

import brute
import naive
import numbered
import numpy as np
import pytest

import convalg as ca
from convalg.prove.theorems import channels
from convalg.prove.theorems.theorem import Equality

CLAIMS = numbered.claims(channels.THEOREMS)


@pytest.mark.parametrize("case", CLAIMS, ids=numbered.named)
def test_both_sides_return_the_same_numbers(case: tuple[str, Equality]) -> None:
    numbered.check_applied(case[1])


@pytest.mark.parametrize("group", [0, 1, 2])
def test_a_group_is_a_layer_whose_kernel_is_zero_elsewhere(group: int) -> None:
    """Three groups of two input and two output channels."""
    (claim,) = ca.theorems["groups"].claims()
    letters = {"n": 5, "K": 2, "G": 3, "C": 2, "D": 2, "g": group, "s": 2}
    kernel = numbered.kernel(6, 2, 2)
    layer = naive.correlation((5,), (6, 2, 2), stride=2, groups=3)
    y = layer.apply(kernel, numbered.kernel(6, 5, name="x"))
    for side in claim.sides():
        found = numbered.valued(brute.at(side, letters)(kernel))
        assert found.tolist() == y[2 * group : 2 * group + 2].tolist()


def test_the_matrix_of_groups_is_block_diagonal() -> None:
    layer = naive.correlation((4,), (4, 3, 2), groups=2)
    matrix = layer.matrix(numbered.kernel(4, 3, 2))
    assert not matrix[:6, 12:].any()
    assert not matrix[6:, :12].any()
    assert matrix[:6, :12].any()


def test_depthwise_then_pointwise_is_the_product_of_the_kernels() -> None:
    w, v = numbered.kernel(3, 1, 2), numbered.kernel(2, 3, 1, name="v")
    x = np.arange(15).reshape(3, 5) % 7
    both = np.einsum("ec,ct->ect", v[:, :, 0], w[:, 0, :])
    expected = naive.correlation((5,), (2, 3, 2)).apply(both, x)
    depthwise = ca.correlation(5, w, groups=3)
    assert ca.correlation(4, v)(depthwise(x)).tolist() == expected.tolist()


def test_a_pointwise_layer_is_one_matrix_for_every_pixel() -> None:
    v, x = numbered.kernel(2, 3, 1, name="v"), np.arange(12).reshape(3, 4)
    assert ca.correlation(4, v)(x).tolist() == (v[:, :, 0] @ x).tolist()

"""Levels of Toeplitz structure, by the axes of the shapes or found by a search."""

from __future__ import annotations

import pytest

import convalg as ca
from convalg.recognise.classify import classify


@pytest.mark.parametrize(
    ("layer", "kinds"),
    [
        (ca.correlation((1, 5), ca.kernel(1, 3)), {"doubly block Toeplitz", "block Toeplitz"}),
        (ca.correlation((3, 4), ca.kernel(3, 3)), {"doubly block Toeplitz", "block Toeplitz"}),
        (ca.correlation((1, 4, 5), ca.kernel(1, 2, 3)), {"doubly block Toeplitz"}),
        (ca.identity((2, 2)), {"doubly block circulant", "block circulant"}),
        (
            ca.correlation((4, 5), ca.kernel(1, 1, 2, 2)),
            {"doubly block Toeplitz", "triply block Toeplitz"},
        ),
    ],
)
def test_an_axis_of_one_sample_leaves_no_kind_out(layer: ca.Operator, kinds: set[str]) -> None:
    assert kinds <= set(classify(layer).kinds)

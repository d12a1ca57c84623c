"""Layers found in a matrix: borders that differ by axis, adjoints, and a given kernel."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import scipy.sparse
from same_matrix import has_matrix, matrix_of

import convalg as ca
from convalg.recognise.identify import identify


@pytest.mark.parametrize(
    ("name", "flip"), [("sobel_x", False), ("sobel_y", False), ("laplace", False)]
)
def test_named_filters_are_not_taken_apart(name: str, flip: bool) -> None:
    kernel = getattr(ca.kernels, name)
    found = identify(ca.correlation((6, 7), kernel, padding=1), kernel=kernel)
    assert found.flip is flip
    assert found.kernel.tolist() == np.asarray(kernel).tolist()
    assert (found.dilation, found.padding) == ((1, 1), ((1, 1), (1, 1)))


def test_another_kernel_is_neither() -> None:
    found = identify(ca.correlation(8, [1, 2, 3]), kernel=[1, 2, 4])
    assert found.flip is None
    assert found.kernel.tolist() == [1, 2, 3]


def test_borders_that_differ_by_axis() -> None:
    weights = np.arange(1, 10).reshape(3, 3)

    def f(x: np.ndarray) -> np.ndarray:
        wide = np.pad(np.pad(x, ((0, 0), (1, 1)), mode="wrap"), ((1, 1), (0, 0)))
        return scipy.signal.correlate2d(wide, weights, mode="valid")

    found = identify(f, (5, 6))
    assert (found.kind, found.boundary) == ("correlation", ("zeros", "circular"))
    assert has_matrix(found, matrix_of(f, (5, 6)))


def test_the_adjoint_of_a_layer_with_a_folded_border() -> None:
    back = ca.correlation(9, [1, 2, 4], stride=2, padding=1, boundary="reflect").T
    found = identify(back)
    assert found.kind == "adjoint of a correlation"
    assert (found.kernel.tolist(), found.boundary) == ([1, 2, 4], "reflect")
    assert has_matrix(found, back.to_numpy())

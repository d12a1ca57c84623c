"""Kronecker products: the sizes of their factors, and matrices that are none."""

from __future__ import annotations

import numpy as np

import convalg as ca
from convalg.recognise.separate import separate


def test_separable_layers_are_kronecker_products() -> None:
    found = separate(ca.kernels.sobel_x)
    assert found is not None
    whole = ca.correlation((6, 5), ca.kernels.sobel_x)
    column, row = found
    parts = ca.correlation(6, column).kron(ca.correlation(5, row))
    assert np.array_equal(whole.to_numpy(), parts.to_numpy())

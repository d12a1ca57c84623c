"""Pooling layers: which samples their windows read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca

L = ca.layers


def test_adaptive_windows_of_letters() -> None:
    """Equal parts are windows in letters; others differ by what is left over."""
    (n,) = ca.sizes("n")
    for size, parts, field in ((n, 1, n), (6 * n, 3, 2 * n), (4 * n, n, 4)):
        layer = L.AdaptiveAvgPool(parts)
        assert ca.sequential((1, size), [layer]).receptive_field().size == (field,)
    for size, parts in ((n, 3), (n + 1, n), (5, n)):
        net = ca.sequential((1, size), [L.AdaptiveAvgPool(parts)])
        with pytest.raises(ca.errors.SymbolicError, match="so the windows have different sizes"):
            net.receptive_field()


@given(n=st.integers(1, 12), m=st.integers(1, 12))
def test_adaptive_windows_are_read_exactly(n: int, m: int) -> None:
    net = ca.sequential((1, n), [L.AdaptiveAvgPool(m), L.Conv(1, 2, padding=1)])
    net.set_weights("conv1", kernel=[[[1, 1]]], bias=[0])
    matrix = net.jacobian(np.zeros((1, n))).to_numpy()
    field = net.receptive_field()
    for output, row in enumerate(matrix):
        assert field.positions(output)[0] == np.flatnonzero(row).tolist()
        assert field.mask(output).tolist() == (row != 0).tolist()
        ((low, high),) = field.box(output)
        assert low <= min(field.positions(output)[0]) <= max(field.positions(output)[0]) <= high
    for pixel, column in enumerate(matrix.T):
        assert field.readers(pixel)[0] == np.flatnonzero(column).tolist()

"""Reshapes, permutations and pixel shuffles, compared with NumPy's reshape and transpose."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca


@given(order=st.permutations(range(3)))
def test_a_permutation_is_a_transpose(order: list[int]) -> None:
    x = np.arange(24).reshape(2, 3, 4)
    layer = ca.permute((2, 3, 4), order)
    assert layer(x).tolist() == x.transpose(order).tolist()
    assert layer.T(layer(x)).tolist() == x.tolist()


def test_a_reshape_keeps_the_order_of_entries() -> None:
    x = np.arange(24).reshape(2, 3, 4)
    assert ca.reshape((2, 3, 4), (4, 6))(x).tolist() == x.reshape(4, 6).tolist()
    assert ca.flatten((2, 3, 4))(x).tolist() == x.ravel().tolist()


@pytest.mark.parametrize("order", ["CRD", "DCR"])
@given(
    rows=st.integers(1, 3), columns=st.integers(1, 3), factors=st.tuples(*[st.integers(1, 3)] * 2)
)
def test_a_pixel_shuffle_interleaves_channels(
    order: Literal["CRD", "DCR"],
    rows: int,
    columns: int,
    factors: tuple[int, int],
) -> None:
    high, wide = factors
    channels = 2 * high * wide
    x = np.arange(channels * rows * columns).reshape(channels, rows, columns)
    shuffled = ca.pixel_shuffle((rows, columns), factors, channels=channels, order=order)
    y = shuffled(x)
    for c, i, j in np.ndindex(2, rows * high, columns * wide):
        block = i % high * wide + j % wide
        channel = c * high * wide + block if order == "CRD" else block * 2 + c
        assert y[c, i, j] == x[channel, i // high, j // wide]
    size = (rows * high, columns * wide)
    back = ca.pixel_unshuffle(size, factors, channels=2, order=order)
    assert back(y).tolist() == x.tolist()

"""Downsampling and upsampling with zeros, compared with slices."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca


@given(n=st.integers(1, 9), factor=st.integers(1, 4), data=st.data())
def test_downsampling_is_a_slice(n: int, factor: int, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, n - 1))
    x = np.arange(1, 2 * n + 1).reshape(2, n)
    down = ca.downsample(n, factor, offset=offset, channels=2)
    assert down(x).tolist() == x[:, offset::factor].tolist()


@given(n=st.integers(1, 9), factor=st.integers(1, 4), more=st.integers(0, 3))
def test_upsampling_writes_to_a_slice_of_zeros(n: int, factor: int, more: int) -> None:
    size = factor * (n - 1) + 1 + more
    x, expected = np.arange(1, n + 1), np.zeros(size, int)
    expected[: size - more : factor] = x
    up = ca.upsample(n, factor, size=size)
    assert up(x).tolist() == expected.tolist()
    down = ca.downsample(size, factor)
    if down.out_shape == (n,):
        assert (up.to_numpy() == down.to_numpy().T).all()

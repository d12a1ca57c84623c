"""Unfold and fold, compared with loops over windows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca


@given(
    size=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
)
def test_each_column_is_a_window(size: int, stride: int, padding: int, dilation: int) -> None:
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    x = np.arange(1, 61).reshape(2, 5, 6)
    layer = ca.unfold((5, 6), size, channels=2, **options)
    padded = np.pad(x, [(0, 0), (padding, padding), (padding, padding)])
    span = dilation * (size - 1) + 1
    windows = [
        padded[:, i : i + span : dilation, j : j + span : dilation].ravel()
        for i in range(0, padded.shape[1] - span + 1, stride)
        for j in range(0, padded.shape[2] - span + 1, stride)
    ]
    assert layer(x).tolist() == np.stack(windows, axis=1).tolist()
    folded = ca.fold((5, 6), size, channels=2, **options)
    assert (folded.to_numpy() == layer.to_numpy().T).all()

"""Padding and cropping, compared with numpy.pad and slices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.axis import Boundary

MODES = {
    "zeros": "constant",
    "circular": "wrap",
    "reflect": "reflect",
    "symmetric": "symmetric",
    "edge": "edge",
}
AMOUNTS = st.tuples(st.integers(0, 3), st.integers(0, 3))


@pytest.mark.parametrize("boundary", MODES)
@given(pairs=st.tuples(AMOUNTS, AMOUNTS), channels=st.sampled_from([None, 1, 2]))
def test_padding_is_that_of_numpy(
    boundary: Boundary,
    pairs: tuple[tuple[int, int], tuple[int, int]],
    channels: int | None,
) -> None:
    lead = () if channels is None else (channels,)
    x = np.arange(1, 1 + 20 * (channels or 1)).reshape(*lead, 4, 5)
    padded = ca.pad((4, 5), pairs, boundary=boundary, channels=channels)
    expected = np.pad(x, [(0, 0)] * len(lead) + list(pairs), mode=MODES[boundary])
    assert padded(x).tolist() == expected.tolist()


@given(pairs=st.tuples(AMOUNTS, AMOUNTS))
def test_cropping_undoes_padding_and_is_its_adjoint(
    pairs: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    padding = ca.pad((4, 5), pairs)
    cropping = ca.crop(padding.out_shape, pairs)
    x = np.arange(1, 21).reshape(4, 5)
    assert cropping(padding(x)).tolist() == x.tolist()
    assert (padding.T.to_numpy() == cropping.to_numpy()).all()
    negative = tuple((-before, -after) for before, after in pairs)
    assert (ca.pad(padding.out_shape, negative).to_numpy() == cropping.to_numpy()).all()

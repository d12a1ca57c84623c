"""Dropout and identity: nothing changes at inference."""

from __future__ import annotations

import numpy as np
import pytest
from filled_networks import integers
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca

L = ca.layers


@given(rate=st.floats(0, 1), seed=st.integers(0, 9))
def test_both_layers_are_the_identity_at_inference(rate: float, seed: int) -> None:
    x = integers(seed, 2, 3, 5)
    for layer in (L.Dropout(rate), L.Identity()):
        net = ca.sequential((3, 5), [layer])
        assert (net(x) == x).all()
        assert (net.jacobian(x[0]).to_numpy() == np.eye(15)).all()
        assert net.parameters == 0


@pytest.mark.parametrize("rate", [2, -1, 1.5])
def test_a_rate_is_a_share(rate: float) -> None:
    words = f"the rate of a Dropout must be from 0 to 1, not {rate}"
    with pytest.raises(ca.errors.ArgumentError, match=words):
        L.Dropout(rate)

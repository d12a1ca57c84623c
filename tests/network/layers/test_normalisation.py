"""Normalisation layers by their formulas in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca

L = ca.layers


@given(seed=st.integers(0, 99), epsilon=st.sampled_from([0, 1e-3, 2]))
def test_batch_norm_is_its_formula_per_channel(seed: int, epsilon: float) -> None:
    random = np.random.default_rng(seed)
    net = ca.sequential((3, 4), [L.BatchNorm(epsilon)])
    arrays = {k: random.uniform(0.5, 2, 3) for k in ("scale", "offset", "mean", "variance")}
    net.set_weights("batchnorm1", **arrays)
    x = random.standard_normal((2, 3, 4))
    scale, offset, mean, variance = (value[:, None] for value in arrays.values())
    wanted = scale * (x - mean) / np.sqrt(variance + epsilon) + offset
    np.testing.assert_allclose(net(x), wanted, rtol=1e-12)
    assert net.parameters == 6


@given(size=st.integers(1, 6), seed=st.integers(0, 99))
def test_local_response_norm_reads_the_channels_of_its_window(size: int, seed: int) -> None:
    x = np.random.default_rng(seed).uniform(1, 2, (5, 2))
    layer = L.LRN(size, alpha=0.5, beta=0.75, k=2.0)
    net = ca.sequential((5, 2), [layer])
    before = size // 2
    wanted = np.empty_like(x)
    for c in range(5):
        window = x[max(c - before, 0) : c - before + size] if c - before + size > 0 else x[:0]
        wanted[c] = x[c] / (2 + 0.5 * (window**2).sum(axis=0) / size) ** 0.75
    np.testing.assert_allclose(net(x), wanted, rtol=1e-12)
    reads = net.jacobian(x).to_numpy().reshape(5, 2, 5, 2) != 0
    assert (reads.any(axis=(1, 3)) == layer.channels((5, 2))).all()


def test_wrong_options_are_refused() -> None:
    words = "the epsilon of a BatchNorm must be at least 0, not -1"
    with pytest.raises(ca.errors.ArgumentError, match=words):
        L.BatchNorm(-1)
    with pytest.raises(ca.errors.ArgumentError, match="size must be at least 1, not 0"):
        L.LRN(0)

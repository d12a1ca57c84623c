"""Activation layers against the formulas of NumPy and SciPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

import convalg as ca

L = ca.layers
Array = np.ndarray
FORMULAS: list[tuple[Any, Callable[[Array], Array]]] = [
    (L.ReLU(), lambda x: np.maximum(x, 0)),
    (L.LeakyReLU(0.25), lambda x: np.where(x > 0, x, 0.25 * x)),
    (L.Sigmoid(), lambda x: special.expit(x)),
    (L.Tanh(), lambda x: np.tanh(x)),
    (L.Softmax(), lambda x: special.softmax(x, axis=1)),
]


@pytest.mark.parametrize(
    ("layer", "formula"), FORMULAS, ids=[str(layer)[:12] for layer, _ in FORMULAS]
)
@given(seed=st.integers(0, 99), shape=st.sampled_from([(4,), (3, 5), (2, 3, 4)]))
def test_layers_have_the_values_of_their_formulas(
    layer: Any, formula: Callable[[Array], Array], seed: int, shape: tuple[int, ...]
) -> None:
    x = np.random.default_rng(seed).normal(scale=5, size=(2, *shape))
    net = ca.sequential(shape, [layer])
    assert net.out_shape == shape
    np.testing.assert_allclose(net(x), formula(x), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("layer", [L.ReLU(), L.LeakyReLU(), L.Sigmoid(), L.Tanh(), L.Softmax()])
def test_only_the_softmax_reads_other_channels(layer: Any) -> None:
    x = np.arange(1.0, 7.0).reshape(3, 2)
    reads = ca.sequential((3, 2), [layer]).jacobian(x).to_numpy().reshape(3, 2, 3, 2) != 0
    channels = layer.channels((3, 2))
    wanted = np.eye(3, dtype=bool) if channels is None else channels
    assert (reads.any(axis=(1, 3)) == wanted).all()
    assert wanted.all() == isinstance(layer, L.Softmax)

"""Jacobians of networks: products of operators, against differences of exact outputs."""

from __future__ import annotations

import numpy as np
import pytest
from filled_networks import integer_weights
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import networks

import convalg as ca
from convalg.network import layers


def test_one_node_may_feed_a_layer_twice() -> None:
    net = ca.Network((1, 3))
    net.add(layers.Add(), ["input", "input"])
    assert net.sources("add1") == ["input", "input"]
    assert net([[1, 2, 3]]).tolist() == [[2, 4, 6]]
    assert net.jacobian([[1, 2, 3]]).to_numpy().tolist() == (2 * np.eye(3, dtype=int)).tolist()


def test_a_lone_input_is_the_identity() -> None:
    net = ca.Network((1, 3))
    assert net([[1, 2, 3]]).tolist() == [[1, 2, 3]]
    assert net.jacobian([[1, 2, 3]]).to_numpy().tolist() == np.eye(3).tolist()
    assert net.parameters == 0


def check_jacobian(net: ca.Network, seed: int) -> None:
    """Exact in whole numbers: far from ties a piecewise linear network is linear."""
    integer_weights(net, seed)
    random = np.random.default_rng(seed)
    for _ in range(3):
        # Values far apart: a step of one changes no winner and no sign.
        x = random.permutation(np.prod(net.in_shape)).reshape(net.in_shape) * 10**6 + 1
        step = random.integers(-1, 2, net.in_shape)
        operator = net.jacobian(x)
        forward, backward = net(x + step) - net(x), net(x) - net(x - step)
        if np.array_equal(forward, backward):
            assert np.array_equal(operator(step), forward)
        g = random.integers(-3, 4, net.out_shape)
        assert np.sum(g * operator(step)) == np.sum(operator.T(g) * step)
        matrix = operator.to_scipy(dtype=float)
        assert np.allclose(matrix @ step.ravel(), np.asarray(operator(step), dtype=float).ravel())


@settings(max_examples=12)
@given(networks(smooth=False), st.integers(0, 99))
def test_the_jacobian_is_the_derivative(net: ca.Network, seed: int) -> None:
    check_jacobian(net, seed)


@pytest.mark.thorough
@settings(max_examples=60)
@given(networks(smooth=False), st.integers(0, 99))
def test_the_jacobian_is_the_derivative_at_length(net: ca.Network, seed: int) -> None:
    check_jacobian(net, seed)

"""Chains, branches and biases: values, Jacobians, parameters, and how they are named."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import integers

import convalg as ca

KERNEL = np.array([[[[1, -2], [0, 3]]], [[[2, 1], [-1, 1]]]])


def block() -> ca.Map:
    """A small network of maps: convolution, ReLU, pooling, dense."""
    layer = ca.affine(ca.correlation((5, 5), KERNEL), [1, -1])
    head = ca.affine(ca.dense(np.arange(24).reshape(3, 8) % 5 - 2, (2, 2, 2)), [1, 2, 3])
    return head @ ca.max_pool((4, 4), 2, channels=2) @ ca.relu((2, 4, 4)) @ layer


@given(integers((1, 5, 5)), integers((3,)))
def test_gradients_are_transposed_products(x: np.ndarray, g: np.ndarray) -> None:
    net = block()
    operator = net.at(x)
    assert np.array_equal(net.gradient(x, g), operator.T(g))
    found = net.parameter_gradients(x, g)
    assert sorted(found) == ["0.bias", "0.kernel", "3.bias", "3.weights"]
    for name, value in net.parameters.items():
        jacobian = net.by(name, x)
        assert jacobian.in_shape == value.shape
        assert np.array_equal(found[name], jacobian.T(g))
    batch, upstream = np.stack([x, 2 * x]), np.stack([g, g])
    each = [net.parameter_gradients(one, g) for one in batch]
    both = net.parameter_gradients(batch, upstream)
    assert all(np.array_equal(both[k], each[0][k] + each[1][k]) for k in both)


def test_the_jacobian_is_the_derivative_away_from_ties() -> None:
    net, random, met = block(), np.random.default_rng(0), 0
    for _ in range(40):
        x = random.permutation(25).reshape(1, 5, 5) * 1000
        step = random.integers(-1, 2, x.shape)
        forward, backward = net(x + step) - net(x), net(x) - net(x - step)
        # Equal on both sides: no tie and no kink in between.
        met += np.array_equal(forward, backward)
        if np.array_equal(forward, backward):
            assert np.array_equal(forward, net.at(x)(step))
    assert met > 5


@given(st.integers(0, 2), integers((2, 2, 3)))
def test_concatenation_is_numpys(axis: int, x: np.ndarray) -> None:
    branches = [ca.identity((2, 2, 3)), 2 * ca.identity((2, 2, 3)), ca.relu((2, 2, 3))]
    for parts in (branches[:2], branches):
        joined = ca.concat(parts, axis=axis)
        assert np.array_equal(joined(x), np.concatenate([part(x) for part in parts], axis))
        assert np.array_equal(joined.at(x)(x), joined(x))
        g = np.arange(joined(x).size).reshape(joined.out_shape)
        assert np.array_equal(joined.gradient(x, g), joined.at(x).T(g))
    assert isinstance(ca.concat(branches[:2]), ca.Operator)


def test_a_residual_block() -> None:
    layer = ca.affine(ca.correlation((3, 3), [[1]]), 1)
    block = ca.relu((3, 3)) @ layer + ca.identity((3, 3))
    x = np.arange(9).reshape(3, 3) - 4
    assert np.array_equal(block(x), np.maximum(x + 1, 0) + x)
    assert np.array_equal(block.at(x).to_numpy(), np.diag((x + 1 > 0).ravel() + 1))
    assert list(block.parameters) == ["0.0.kernel", "0.0.bias"]
    assert np.array_equal(
        block.by("0.0.bias", x).to_numpy().ravel(), (x + 1 > 0).ravel().astype(int)
    )


def test_biases_of_every_shape() -> None:
    layer = ca.correlation((3, 3), KERNEL)
    x = np.ones((1, 3, 3), dtype=int)
    plain = layer(x)
    assert np.array_equal(ca.affine(layer, 5)(x), plain + 5)
    assert np.array_equal(ca.affine(layer, [1, 2])(x), plain + np.array([1, 2])[:, None, None])
    whole = np.arange(8).reshape(2, 2, 2)
    assert np.array_equal(ca.affine(layer, whole)(x), plain + whole)
    g = np.arange(8).reshape(2, 2, 2)
    for bias, right in ((5, g.sum()), ([1, 2], g.sum(axis=(1, 2))), (whole, g)):
        found = ca.affine(layer, bias).parameter_gradients(x, g)["bias"]
        assert np.array_equal(found, right)


def test_maps_say_what_they_are_in_one_line() -> None:
    assert repr(ca.relu(5) @ ca.affine(ca.correlation(6, [1, 2]), 3)) == (
        "relu(5) @ affine(correlation(6, [1, 2]), 3)"
    )
    assert repr(ca.relu(3) + ca.identity(3)) == "relu(3) + identity(3)"
    assert repr(ca.concat([ca.relu(3), ca.relu(3)])) == "concat([relu(3), relu(3)])"


def test_order_of_composition_does_not_matter() -> None:
    a, b, c = ca.relu(3), ca.affine(ca.dense(np.eye(3, dtype=int)), 1), ca.leaky_relu(3, 2)
    assert repr((a @ b) @ c) == repr(a @ (b @ c))
    assert ((a @ b) @ c)([1, -2, 3]).tolist() == (a @ (b @ c))([1, -2, 3]).tolist()


def test_empty_batches() -> None:
    net = block()
    assert net(np.zeros((0, 1, 5, 5), dtype=int)).shape == (0, 3)
    assert net.gradient(np.zeros((0, 1, 5, 5)), np.zeros((0, 3))).shape == (0, 1, 5, 5)
    found = net.parameter_gradients(np.zeros((0, 1, 5, 5)), np.zeros((0, 3)))
    assert found["0.kernel"].shape == KERNEL.shape

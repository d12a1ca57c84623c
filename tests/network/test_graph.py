"""Networks: shapes, counts, running, and Jacobians that are products of operators."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from filled_networks import integer_weights
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import networks

import convalg as ca
from convalg.errors import ArgumentError, KindError, ShapeError, SymbolicError
from convalg.network import layers


def test_a_network_step_by_step() -> None:
    net = ca.Network((2, 8, 8), name="small")
    first = net.add(layers.Conv(4, 3, padding=1))
    second = net.add(layers.ReLU())
    third = net.add(layers.Conv(4, 3, padding=1), second, name="third")
    joined = net.add(layers.Add(), [first, third])
    assert list(net) == ["input", "conv1", "relu1", "third", "add1"]
    assert net.sources(joined) == ["conv1", "third"]
    assert net.graph.edges["conv1", "add1"]["ports"] == (0,)
    assert net[third] == layers.Conv(4, 3, padding=1)
    assert net.parameters == (2 * 9 * 4 + 4) + (4 * 9 * 4 + 4)
    assert repr(net) == "<small: 4 layers, (2, 8, 8) to (4, 8, 8)>"


@settings(max_examples=40)
@given(networks(smooth=False), st.integers(0, 9))
def test_data_at_any_node_and_in_batches(net: ca.Network, seed: int) -> None:
    integer_weights(net, seed)
    x = np.random.default_rng(seed).integers(-5, 6, (2, 3, *net.in_shape))
    for node in net:
        found = net(x, node)
        assert found.shape == (2, 3, *net.shapes[node])
        assert np.array_equal(found[1, 2], net(x[1, 2], node))


def test_shapes_in_letters() -> None:
    n, m = ca.sizes("n m")
    net = ca.sequential((3, n, m), [layers.Conv(8, 3, padding=1), layers.MaxPool(2)])
    assert net.out_shape == (8, n // 2, m // 2)
    with pytest.raises(
        SymbolicError, match="counts are computed only for integer sizes, not for the symb"
    ):
        _ = net.counts
    with pytest.raises(
        SymbolicError, match="a table of counts is computed only for integer sizes, not for"
    ):
        net.summary()


BAD = [
    (lambda net: net.add(5), KindError, "layer must be a layer of ca.layers"),
    (lambda net: net.add(layers.ReLU(), "nowhere"), ArgumentError, "has no node"),
    (
        lambda net: net.add(layers.ReLU(), []),
        ArgumentError,
        "inputs must name at least one node, not",
    ),
    (
        lambda net: net.add(layers.ReLU(), ["input"] * 2),
        ArgumentError,
        "one input, not the 2 nodes",
    ),
    (lambda net: net.add(layers.ReLU(), name="input"), ArgumentError, "a non-empty string that no"),
    (lambda net: net.add(layers.Conv(2, 9)), ShapeError, "conv1 cannot be applied to input"),
    (lambda net: net.add(layers.Conv(2, 3, groups=2)), ShapeError, "groups=2 does not divide the"),
    (
        lambda net: net.add(layers.ConvTranspose(3, 3, groups=2)),
        ShapeError,
        "groups=2 does not divide the 3 output",
    ),
    (lambda net: net.add(layers.Reshape((7,))), ShapeError, "needs 7 samples, but the input of"),
    (lambda net: net["input"], ArgumentError, "is the input, which has no layer"),
    (lambda net: net.initialise().set_weights("none"), ArgumentError, "has no node"),
]


@pytest.mark.parametrize(("action", "error", "words"), BAD, ids=[words for _, _, words in BAD])
def test_bad_input(action: object, error: type[Exception], words: str) -> None:
    net = ca.Network((1, 4, 4))
    with pytest.raises(error, match=words):
        action(net)  # type: ignore[operator]


def test_bad_branches() -> None:
    net = ca.Network((1, 4, 4))
    net.add(layers.Conv(2, 3), name="a")
    with pytest.raises(ShapeError, match="the inputs of an Add must have the same shape"):
        net.add(layers.Add(), ["input", "a"])
    with pytest.raises(ShapeError, match="the inputs of a Concat must have the same spatial shape"):
        net.add(layers.Concat(), ["input", "a"])
    with pytest.raises(
        ArgumentError, match="the arrays kernel, bias of node a have not been set: call"
    ):
        net(np.zeros((1, 4, 4)))
    with pytest.raises(ArgumentError, match="has no array 'gain': its arrays are kernel, bias"):
        net.set_weights("a", gain=1)
    with pytest.raises(ShapeError, match="kernel of a must have shape"):
        net.set_weights("a", kernel=np.zeros((2, 1, 2, 2)))
    with pytest.raises(ArgumentError, match="an Add of 2 inputs has no map of one input: run"):
        layers.Add().map(((1,), (1,)), {})
    with pytest.raises(ArgumentError, match="a Concat of 2 inputs has no map of one input: run"):
        layers.Concat().map(((1,), (1,)), {})
    with pytest.raises(ShapeError, match="this layer has one input, not 2 inputs"):
        layers.ReLU().out_shape((1,), (2,))
    with pytest.raises(ShapeError, match=r"input must be \(channels, \*spatial\), not"):
        layers.Dense(3).channels(())


METHODS = [
    ("he", lambda fan, back: 2 / fan, False),
    ("glorot", lambda fan, back: 2 / (fan + back), False),
    ("uniform", lambda fan, back: 1 / (3 * fan), True),
]


@pytest.mark.parametrize(("method", "variance", "with_bias"), METHODS)
def test_initial_weights_have_the_variance_of_their_rule(
    method: Any, variance: Any, with_bias: bool
) -> None:
    layers = [ca.layers.Conv(40, 5), ca.layers.Dense(300)]
    net = ca.sequential((20, 9, 9), layers).initialise(3, method=method)
    again = ca.sequential((20, 9, 9), layers).initialise(3, method=method)
    for node, fan, back in (("conv1", 20 * 25, 40 * 25), ("dense1", 1000, 300)):
        arrays = net.weights[node]
        (name,) = set(arrays) - {"bias"}
        assert np.var(arrays[name]) == pytest.approx(variance(fan, back), rel=0.03)
        assert abs(np.mean(arrays[name])) < 0.01
        assert bool(arrays["bias"].any()) is with_bias
        assert (arrays[name] == again.weights[node][name]).all()
    with pytest.raises(ca.errors.ArgumentError, match="method must be one of he, glorot"):
        net.initialise(0, method="xavier")  # type: ignore[arg-type]


def test_weights_that_are_given_are_copied() -> None:
    net = ca.sequential((2,), [ca.layers.Dense(1, bias=False)])
    given = np.ones((1, 2))
    net.set_weights("dense1", weights=given)
    given[...] = 5
    assert net.weights["dense1"]["weights"].tolist() == [[1, 1]]


def test_a_node_says_what_feeds_it() -> None:
    net = ca.Network((2, 8))
    first = net.add(layers.Conv(2, 3, padding=1))
    joined = net.add(layers.Add(), [first, "input", first])
    assert net.sources("input") == []
    assert net.sources(joined) == [first, "input", first]
    assert net.graph.nodes[joined]["sources"] == (first, "input", first)
    assert net.graph.edges[first, joined]["ports"] == (0, 2)
    assert net.input_shapes(joined) == ((2, 8),) * 3
    # What is handed out is a copy.
    net.sources(joined).clear()
    assert len(net.sources(joined)) == 3

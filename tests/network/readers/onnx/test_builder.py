"""The network that nodes of a model are added to: names, shared arrays, layers taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx_models import floats, model, node, saved

import convalg as ca
from convalg import read_onnx
from convalg.network import layers
from convalg.network.readers.onnx.builder import Builder, Data, Unread
from convalg.network.readers.onnx.tensors import stored


def test_weights_that_two_layers_share_count_once(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "a"), node("Relu", "a", "b"), node("Conv", "b w")]
    net = read_onnx(saved(model(nodes, (1, 2, 6, 5), {"w": floats(2, 2, 1, 1)}), tmp_path))
    assert net.parameters == net.counts.parameters == net.summary().parameters == 4


def test_undo_restores_the_network() -> None:
    net = ca.Network((2, 6))
    b = Builder(net, 1)
    b.begin("first")
    first = b.add(layers.Conv(3, 1, bias=False), Data("input"), kernel=stored(floats(3, 2, 1)))
    before, output = b.begin("second"), net.output
    second = b.add(layers.Conv(3, 1, bias=False), first, kernel=stored(floats(3, 3, 1)))
    assert list(net) == ["input", "first", "second"]
    b.undo(before, output)
    assert (list(net), list(net.weights)) == (["input", "first"], ["first"])
    assert (net.output, net.parameters) == ("first", 6)
    assert b.add(layers.ReLU(), first).node == second.node


def test_names_of_one_node_are_numbered() -> None:
    b = Builder(ca.Network((2, 6)), 1)
    b.begin("input")
    data = [b.add(layers.ReLU(), Data("input")).node for _ in range(3)]
    assert data == ["input#2", "input#3", "input#4"]


def test_an_array_of_another_shape_makes_a_node_opaque() -> None:
    b = Builder(ca.Network((2, 6)), 1)
    with pytest.raises(Unread, match=r"kernel has shape \(3, 1, 1\), not \(3, 2, 1\)"):
        b.add(layers.Conv(3, 1, bias=False), Data("input"), kernel=stored(floats(3, 1, 1)))


def test_layers_are_added_only_where_shapes_differ() -> None:
    b = Builder(ca.Network((2, 6)), 5)
    b.begin("layer")
    x = Data("input")
    assert b.full_shape(x) == (5, 2, 6)
    assert b.reshaped(x, (2, 6)) == b.spread(x, (2, 6)) == b.joined([x]) == x
    assert b.shape(b.reshaped(x, (3, 4))) == (3, 4)
    assert b.shape(b.joined([x, x])) == (24,)

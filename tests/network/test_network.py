"""Methods of networks: arguments of wrong types, seeds, and what a network prints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nonsense import MATRIX

import convalg as ca
from convalg.errors import ConvalgError, KindError
from convalg.network import layers

NET = ca.sequential((2, 9, 9), [layers.Conv(3, 3), layers.AvgPool(2)])


FIELD = NET.receptive_field()


METHODS: dict[str, Any] = {
    "box": FIELD.box,
    "mask": FIELD.mask,
    "positions": FIELD.positions,
    "holes": FIELD.holes,
    "center": FIELD.center,
    "readers": FIELD.readers,
    "channels": FIELD.channels,
    "relation": FIELD.relation,
    "clip": lambda v: FIELD.box(0, clip=v),
    "seed": NET.initialise,
    "method": lambda v: NET.initialise(method=v),
    "dtype": lambda v: NET.initialise(dtype=v),
    "node": NET.receptive_field,
    "cost": NET.cost,
    "sources": NET.sources,
    "item": NET.__getitem__,
    "weights": lambda v: NET.set_weights("conv1", kernel=v),
    "run": NET,
    "jacobian": NET.jacobian,
    "effective": NET.effective_receptive_field,
    "in_shape": ca.Network,
    "read_onnx": ca.read_onnx,
    "from_torch": lambda v: ca.from_torch(v, (1, 3, 3)),
}


BEYOND = [1.5, 10**9, -1, True, "abc", np.array([[1, 2]]), MATRIX, object(), {}]


@pytest.mark.parametrize("name", METHODS)
def test_methods_of_networks_refuse_nonsense(name: str) -> None:
    if name == "from_torch":
        pytest.importorskip("torch")
    taken = {"seed": [10**9], "in_shape": [10**9], "clip": [True]}.get(name, [])
    for value in BEYOND:
        if any(value is one or value == one for one in taken if isinstance(value, (int, bool))):
            continue
        with pytest.raises(ConvalgError):
            METHODS[name](value)


def test_seeds() -> None:
    for seed in (1.5, -1, "abc", MATRIX, [1, 2], True, np.nan):
        with pytest.raises(ConvalgError, match="seed must be"):
            NET.initialise(seed)
    first, second = (
        NET.initialise(seed).weights["conv1"]["kernel"].copy() for seed in (np.int64(3), 3)
    )
    assert np.array_equal(first, second)
    drawn = [NET.initialise(None).weights["conv1"]["kernel"].copy() for _ in range(2)]
    assert not np.array_equal(*drawn)
    with pytest.raises(KindError, match="dtype must be a floating-point type"):
        NET.initialise(dtype=int)


def test_shapes_are_a_mapping() -> None:
    assert list(NET.shapes) == list(NET) == ["input", "conv1", "avgpool1"]
    assert dict(NET.shapes)["conv1"] == (3, 7, 7)
    assert len(NET.shapes) == 3
    assert repr(NET.shapes) == repr(dict(NET.shapes))


def test_two_sizes_are_said_to_be_channels_and_samples() -> None:
    net = ca.sequential((28, 28), [layers.Conv(6, 5)])
    words = "one axis of 28 samples in 28 channels"
    assert words in repr(net)
    assert words in str(net.summary())
    assert "one axis" not in repr(ca.sequential((1, 28), [layers.Conv(6, 5)]))
    assert "one axis" not in repr(ca.sequential((1, 28, 28), [layers.Conv(6, 5)]))
    with pytest.raises(ConvalgError, match=r"has one axis of 28 samples .* an image is \(1, h"):
        ca.sequential((28, 28), [layers.Conv(6, (5, 5))])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ca.sequential((1, 9), None), "layers must be a list of layers, not None"),
        (lambda: ca.Network((1, 9), name=5), "name must be a string, not 5"),
        (lambda: ca.Network((1, 9)).add(layers.ReLU(), 5), "inputs must be the name of a node"),
    ],
)
def test_the_argument_at_fault_is_named(call: Any, words: str) -> None:
    with pytest.raises(ConvalgError, match=words):
        call()


def test_one_layer_is_not_a_list_of_layers() -> None:
    with pytest.raises(
        KindError, match=r"layers must be a list of layers, not one layer: pass \[Conv"
    ):
        ca.sequential((3, 8, 8), layers.Conv(3, 3))  # type: ignore[arg-type]


@given(st.lists(st.sampled_from([layers.ReLU(), layers.Pad(1), layers.AvgPool(2)]), max_size=5))
def test_each_layer_of_a_sequence_reads_the_one_before(stack: list[layers.Layer]) -> None:
    net = ca.sequential((2, 64), stack, name="stack")
    nodes = list(net)
    assert [net.sources(node) for node in nodes[1:]] == [[node] for node in nodes[:-1]]
    assert [layer for _, layer in net.layers()] == stack
    assert (net.output, net.name) == (nodes[-1], "stack")

"""Receptive fields against brute force: which pixels move an output, and published figures."""

from __future__ import annotations

from typing import Any

import islpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import networks

import convalg as ca
from convalg.errors import ArgumentError, KindError, SymbolicError
from convalg.network import layers


def support(net: ca.Network, node: str) -> np.ndarray:
    """Which pixels each output depends on, (*out, *in) without channels: by ones everywhere."""
    net.initialise(0)
    for name, arrays in net.weights.items():
        net.set_weights(name, **{k: np.ones(v.shape, dtype=int) for k, v in arrays.items()})
    matrix = net.jacobian(np.zeros(net.in_shape, dtype=int), node).to_scipy(dtype=float)
    dense = np.abs(matrix.toarray()).reshape(*net.shapes[node], *net.in_shape)
    dims = len(net.in_shape) - 1
    return dense.sum(axis=(0, dims + 1)) > 0


@settings(max_examples=80)
@given(networks(), st.data())
def test_sets_are_what_outputs_depend_on(net: ca.Network, data: st.DataObject) -> None:
    node = data.draw(st.sampled_from(list(net)))
    field = net.receptive_field(node)
    found = support(net, node)
    dims = len(net.in_shape) - 1
    unit = tuple(data.draw(st.integers(0, n - 1)) for n in net.shapes[node][1:])
    mask = field.mask(unit)
    assert np.array_equal(mask, found[unit])
    for axis in range(dims):
        seen = np.flatnonzero(mask.any(axis=tuple(k for k in range(dims) if k != axis)))
        if mask.any():
            assert field.positions(unit)[axis] == seen.tolist()
            low, high = field.box(unit)[axis]
            assert low <= seen[0]
            assert seen[-1] <= high


@settings(max_examples=50)
@given(networks(dims=1), st.data())
def test_relations_are_the_sets_of_all_outputs(net: ca.Network, data: st.DataObject) -> None:
    node = data.draw(st.sampled_from(list(net)))
    relation = net.receptive_field(node).relation()
    found = support(net, node)
    points: list[Any] = []
    relation.wrap().foreach_point(points.append)
    pairs = [
        tuple(point.get_coordinate_val(islpy.dim_type.set, k).to_python() for k in range(2))
        for point in points
    ]
    assert sorted(pairs) == [tuple(map(int, place)) for place in np.argwhere(found)]


@settings(max_examples=50)
@given(networks(dims=1), st.data())
def test_readers_are_the_other_direction(net: ca.Network, data: st.DataObject) -> None:
    node = data.draw(st.sampled_from(list(net)))
    field = net.receptive_field(node)
    pixel = data.draw(st.integers(0, net.in_shape[1] - 1))
    outputs = range(net.shapes[node][1])
    assert field.readers(pixel) == ([u for u in outputs if pixel in field.positions(u)[0]],)


@settings(max_examples=40)
@given(networks(dims=1), st.data())
def test_channels_are_what_outputs_depend_on(net: ca.Network, data: st.DataObject) -> None:
    node = data.draw(st.sampled_from(list(net)))
    net.initialise(0)
    for name, arrays in net.weights.items():
        net.set_weights(name, **{k: np.ones(v.shape, dtype=int) for k, v in arrays.items()})
    matrix = net.jacobian(np.zeros(net.in_shape, dtype=int), node).to_scipy(dtype=float)
    dense = np.abs(matrix.toarray()).reshape(*net.shapes[node], *net.in_shape)
    reads = dense.sum(axis=(1, 3)) > 0
    for channel in range(net.shapes[node][0]):
        listed = net.receptive_field(node).channels(channel)
        assert set(np.flatnonzero(reads[channel]).tolist()) <= set(listed)


def slim_alexnet() -> ca.Network:
    """TF-Slim's alexnet_v2 up to pool5."""
    net = ca.Network((3, 224, 224))
    net.add(layers.Conv(64, 11, stride=4), name="conv1")
    net.add(layers.MaxPool(3, stride=2), name="pool1")
    net.add(layers.Conv(192, 5, padding=2), name="conv2")
    net.add(layers.MaxPool(3, stride=2), name="pool2")
    net.add(layers.Conv(384, 3, padding=1), name="conv3")
    net.add(layers.Conv(384, 3, padding=1), name="conv4")
    net.add(layers.Conv(256, 3, padding=1), name="conv5")
    net.add(layers.MaxPool(3, stride=2), name="pool5")
    return net


# Araujo, Norris & Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill 2019.
@pytest.mark.parametrize(
    ("node", "size", "stride", "padding"),
    [
        ("conv1", 11, 4, 0),
        ("pool1", 19, 8, 0),
        ("conv2", 51, 8, 16),
        ("conv3", 99, 16, 32),
        ("conv4", 131, 16, 48),
        ("conv5", 163, 16, 64),
        ("pool5", 195, 32, 64),
    ],
)
def test_published_fields(node: str, size: int, stride: int, padding: int) -> None:
    field = slim_alexnet().receptive_field(node)
    assert (field.size, field.stride, field.padding) == (
        (size,) * 2,
        (stride,) * 2,
        (padding,) * 2,
    )


def test_the_field_of_alexnet_in_letters() -> None:
    (u,) = ca.sizes("u")
    field = slim_alexnet().receptive_field()
    assert str(field.reach.spans[0]) == "[-64 + 32u, 130 + 32u]"
    assert field.box(u)[0] == (32 * u - 64, 32 * u + 130)
    assert field.center(0) == (33, 33)


def test_dilation_leaves_holes() -> None:
    def field(*dilations: int) -> Any:
        stack = [layers.Conv(1, 3, dilation=d) for d in dilations]
        return ca.sequential((1, 40, 40), stack).receptive_field()

    gridded = field(2, 2, 2)
    assert gridded.size == (13, 13)
    assert [len(places) for places in gridded.positions(10)] == [7, 7]
    assert int(gridded.mask(10).sum()) == 49
    assert field(1, 2, 3).holes(10) == ([], [])
    skipping = ca.sequential((1, 40), [layers.Conv(1, 1, stride=2), layers.Conv(1, 3)])
    assert len(skipping.receptive_field().positions(5)[0]) == 3
    assert skipping.receptive_field().size == (5,)


def test_fields_in_letters() -> None:
    (n,) = ca.sizes("n")
    net = ca.sequential((1, n), [layers.Conv(1, 3, padding=1), layers.Conv(1, 3, stride=2)])
    field = net.receptive_field()
    assert field.size == (5,)
    assert str(field.relation()).startswith("[n] -> ")
    for size in (5, 8, 13):
        small = ca.sequential((1, size), [net["conv1"], net["conv2"]]).receptive_field()
        fixed = field.relation().fix_val(
            islpy.dim_type.param, 0, islpy.Val.int_from_si(islpy.DEFAULT_CONTEXT, size)
        )
        assert fixed.project_out(islpy.dim_type.param, 0, 1).is_equal(small.relation())
    with pytest.raises(
        SymbolicError, match="sets of positions are computed only for integer sizes"
    ):
        field.positions(0)


def test_branches_that_look_elsewhere() -> None:
    net = ca.Network((1, 16))
    left = net.add(layers.Conv(1, 3, padding=1), "input")
    right = net.add(layers.Conv(1, 2, padding=((0, 1),)), "input")
    net.add(layers.Add(), [left, right])
    (found,) = net.misalignments
    assert (found.node, found.of, found.difference) == ("add1", "centres", (0.5,))
    assert found.paths == (("input", "conv1"), ("input", "conv2"))
    assert "whose centres differ by" in str(found)


def test_whole_images() -> None:
    net = ca.sequential(
        (1, 6, 6), [layers.Conv(2, 3), layers.Flatten(), layers.Dense(3), layers.ReLU()]
    )
    assert net.receptive_field("dense1").box(1) == ((0, 5), (0, 5))
    assert net.receptive_field("relu1").mask(2).all()
    # A unit of a flattened image still has its place.
    assert net.receptive_field("flatten1").box(4 + 1) == ((1, 3), (1, 3))
    with pytest.raises(KindError, match="are not indexed by position, so it is"):
        net.receptive_field("dense1").readers(0)
    with pytest.raises(KindError, match="not 0: this node has 0 such axes"):
        net.receptive_field("dense1").relation()


def test_bad_input() -> None:
    field = ca.sequential((1, 6, 6), [layers.Conv(2, 3)]).receptive_field()
    with pytest.raises(ArgumentError, match="u must be from 0 to 3 on axis 0"):
        field.mask(4)
    with pytest.raises(
        ArgumentError, match="u must be one index for all axes, or 2 indices for conv1"
    ):
        field.box((1, 2, 3))
    with pytest.raises(ArgumentError, match="channel must be from 0 to 1 at node conv1, not 2"):
        field.channels(2)

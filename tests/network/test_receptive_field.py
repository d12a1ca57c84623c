"""Receptive fields against brute force: the pixels that change an output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from filled_networks import support
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import networks

import convalg as ca
from convalg.errors import ArgumentError, KindError
from convalg.network import layers


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


@pytest.mark.parametrize("order", [1, -1])
def test_a_field_that_varies_is_refused_with_the_reason(order: int) -> None:
    net = ca.Network((1, 30))
    near = net.add(layers.Slice(1, 0, 15), net.add(layers.Conv(1, 5), "input"))
    far = net.add(layers.Conv(1, 1, stride=2), "input")
    net.add(layers.Add(), [near, far][::order])
    field = net.receptive_field()
    assert field.box(0) == ((0, 4),)
    assert field.box(14) == ((14, 28),)
    for name in ("size", "stride", "padding"):
        with pytest.raises(KindError, match="strides of 1 and 2 meet at or before add1"):
            getattr(field, name)
    with pytest.raises(
        KindError, match="the size, the stride and the padding of the receptive field depend on"
    ):
        field.center(0)
    assert repr(field) == (
        "<receptive field of add1: at most 15, u reads [min(u, 2u), max(4 + u, 2u)]>"
    )
    assert net.summary().rows[-1].field == "at most 15"
    assert net.summary().rows[-1].stride == "1, 2"


@pytest.mark.parametrize(
    ("border", "positions"),
    [
        ("zeros", [0, 1, 2]),
        ("circular", [0, 1, 2, 7, 8]),
        ("reflect", [0, 1, 2]),
        ("symmetric", [0, 1, 2]),
        ("edge", [0, 1, 2]),
    ],
)
def test_boxes_in_the_image_for_each_border(border: Any, positions: list[int]) -> None:
    field = ca.sequential((1, 9), [layers.Conv(1, 5, padding=2, boundary=border)]).receptive_field()
    assert field.positions(0) == (positions,)
    assert field.box(0, clip=True) == ((positions[0], positions[-1]),)
    assert field.box(0) == ((-2, 2),)
    assert ("border" in repr(field)) == (border != "zeros")


def test_holes_do_not_end_a_box_and_nothing_is_an_empty_one() -> None:
    field = ca.sequential((1, 9), [layers.Conv(1, 3, padding=4, dilation=3)]).receptive_field()
    # Reads -4, -1, 2: the first pixel is not 0.
    assert field.box(0, clip=True) == ((2, 2),)
    beyond = ca.sequential((1, 9), [layers.Conv(1, 2, padding=3)]).receptive_field()
    assert beyond.box(0, clip=True) == ((0, -1),)
    assert beyond.positions(0) == ([],)

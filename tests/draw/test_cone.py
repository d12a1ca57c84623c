"""The cone of a receptive field: the sets of every layer, against those of the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

import convalg as ca
from convalg.errors import ArgumentError, KindError, TooLargeError

L = ca.layers


def branches() -> ca.Network:
    net = ca.Network((1, 16))
    first = net.add(L.Conv(1, 3, padding=1))
    active = net.add(L.ReLU(), first)
    holes = net.add(L.Conv(1, 3, padding=2, dilation=2), active)
    net.add(L.Add(), [holes, first])
    return net


NETWORKS = {
    "stack": ca.sequential((1, 24), [L.Conv(1, 3, padding=1), L.Conv(1, 3, dilation=3), L.ReLU()]),
    "stride": ca.sequential((1, 20), [L.Conv(1, 3, stride=2, padding=1), L.MaxPool(2)]),
    "transposed": ca.sequential((1, 8), [L.Conv(1, 3), L.ConvTranspose(1, 3, stride=2)]),
    "plane": ca.sequential((1, 9, 12), [L.Conv(2, (3, 2)), L.AvgPool((1, 2))]),
    "branches": branches(),
    "dense": ca.sequential((1, 8), [L.Conv(1, 3), L.Flatten(), L.Dense(3), L.ReLU()]),
    "padded": ca.sequential((1, 8), [L.Pad(2), L.Conv(1, 3)]),
}


def cells(axes: Axes, kind: str) -> dict[str, int]:
    """How many cells each node has of one kind."""
    return {
        c.get_gid().removeprefix(f"{kind} "): len(c.get_paths())
        for c in axes.collections
        if isinstance(c, PolyCollection) and c.get_gid().startswith(f"{kind} ")
    }


def places(axes: Axes, node: str) -> list[int]:
    """The samples of a node that are filled, from the leftmost cell of its row on."""
    found: dict[str, np.ndarray] = {}
    for c in axes.collections:
        if isinstance(c, PolyCollection) and c.get_gid() in (f"read {node}", f"blank {node}"):
            corners = [path.vertices[:, 0].min() for path in c.get_paths()]
            found[c.get_gid()] = np.array(corners)
    start = min(corners.min() for corners in found.values() if corners.size)
    return sorted((found[f"read {node}"] - start).round().astype(int).tolist())


@pytest.mark.parametrize("name", NETWORKS)
def test_the_image_row_is_the_receptive_field(name: str) -> None:
    net = NETWORKS[name]
    field = net.receptive_field()
    dims = len(net.in_shape) - 1
    places_out = net.out_shape[1:] if len(net.out_shape) == dims + 1 else (1,) * dims
    for axis in range(dims):
        for output in range(places_out[axis]):
            figure = ca.draw.cone(net, output, axis=axis)
            middle = [n // 2 for n in places_out]
            middle[axis] = output
            unit = tuple(middle) if len(net.out_shape) == dims + 1 else 0
            wanted = field.positions(unit)[axis]
            assert places(figure.axes[0], "input") == wanted


@st.composite
def networks(draw: st.DrawFn) -> ca.Network:
    """Up to five layers over a line, some of them beside each other."""
    net = ca.Network((1, draw(st.integers(5, 12))))
    for _ in range(draw(st.integers(1, 5))):
        size, padding = draw(st.integers(1, 3)), draw(st.integers(0, 2))
        stride, dilation = draw(st.integers(1, 2)), draw(st.integers(1, 2))
        layer = draw(
            st.sampled_from(
                [
                    L.Conv(1, size, stride=stride, padding=padding, dilation=dilation),
                    L.ConvTranspose(1, size, stride=stride),
                    L.AvgPool(size, stride=stride),
                    L.Pad(1, boundary="edge"),
                    L.ReLU(),
                    L.Add(),
                ]
            )
        )
        same = [n for n in net if net.shapes[n] == net.out_shape]
        sources = [draw(st.sampled_from(same)), net.output] if layer.many else net.output
        if net.out_shape[1] > dilation * (size - 1):
            net.add(layer, sources)
    return net


@settings(max_examples=60, deadline=None)
@given(networks(), st.data())
def test_the_cone_of_any_network(net: ca.Network, data: st.DataObject) -> None:
    output = data.draw(st.integers(0, net.out_shape[1] - 1))
    axes = ca.draw.cone(net, output).axes[0]
    wanted = net.receptive_field().positions(output)[0]
    assert places(axes, "input") == wanted


def test_holes_are_blank_and_padding_is_dashed() -> None:
    net = NETWORKS["stack"]
    axes = ca.draw.cone(net, 0, node="conv2").axes[0]
    assert places(axes, "conv1") == [0, 3, 6]
    assert cells(axes, "padding") == {"input": 1, "conv1": 0, "conv2": 0}
    assert cells(axes, "read") == {"input": 8, "conv1": 3, "conv2": 1}
    # One line for each sample that a sample reads: 3 and 2 + 3 + 3.
    (lines,) = [c for c in axes.collections if isinstance(c, LineCollection)]
    assert len(lines.get_segments()) == 3 + 8


def test_layers_that_read_each_sample_for_itself_are_left_out() -> None:
    rows = [t.get_text() for t in ca.draw.cone(NETWORKS["branches"]).axes[0].get_yticklabels()]
    assert rows == ["add1: 1 of 16", "conv2: 1 of 16", "conv1: 3 of 16", "input: 7 of 16"]


def test_an_output_that_reads_padding_alone() -> None:
    net = ca.sequential((1, 4), [L.Conv(1, 1, padding=2)])
    title = ca.draw.cone(net, 0).axes[0].get_title(loc="left")
    assert title == "output 0 of conv1 reads nothing but padding"


LETTERS = ca.sequential((1, *ca.sizes("n")), [L.Conv(1, 1)])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ca.draw.cone(L.ReLU()), KindError, "draw.cone takes a ca.Network, not ReLU"),  # type: ignore[arg-type]
        (lambda: ca.draw.cone(LETTERS), KindError, "draw.cone needs integers as sizes, not"),
        (
            lambda: ca.draw.cone(NETWORKS["stack"], axis=1),
            ArgumentError,
            "axis must be an axis of the image, from 0 to 0, not 1",
        ),
        (
            lambda: ca.draw.cone(NETWORKS["stack"], 18),
            ArgumentError,
            "output must be below 18, not 18, since relu1 has 18 samples",
        ),
        (lambda: ca.draw.cone(NETWORKS["stack"], node="no"), ArgumentError, "has no node 'no'"),
        (
            lambda: ca.draw.cone(ca.sequential((1, 97), [L.Conv(1, 3)])),
            TooLargeError,
            "a cone over 97 samples and 2 layers is too large to draw; the limits are 96 and 24",
        ),
        (
            lambda: ca.draw.cone(ca.sequential((1, 90), [L.Conv(1, 3)] * 24)),
            TooLargeError,
            "a cone over 90 samples and 25 layers is too large",
        ),
    ],
)
def test_cones_that_cannot_be_drawn(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_the_largest_cones_are_drawn() -> None:
    assert ca.draw.cone(ca.sequential((1, 96), [L.Conv(1, 3)] * 23)).axes

"""Small random networks: branches, skips, poolings, transposed layers, in one to three axes."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

import convalg as ca
from convalg.errors import ConvalgError
from convalg.network import layers

Draw = st.DrawFn


@st.composite
def networks(draw: Draw, *, dims: int | None = None, smooth: bool = True) -> ca.Network:
    """A network of two to six layers over at most 9 samples an axis."""
    axes = dims or draw(st.integers(1, 2))
    shape = (draw(st.integers(1, 3)), *(draw(st.integers(4, 9)) for _ in range(axes)))
    net = ca.Network(shape)
    for _ in range(draw(st.integers(2, 6))):
        _grow(draw, net, smooth)
    return net


def _grow(draw: Draw, net: ca.Network, smooth: bool) -> None:
    """One more layer, where it fits; else none."""
    channels = draw(st.sampled_from([1, 2, 4]))
    size, stride = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    padding, dilation = draw(st.integers(0, 2)), draw(st.integers(1, 2))
    choices: list[Any] = [
        layers.Conv(channels, size, stride=stride, padding=padding, dilation=dilation),
        layers.ConvTranspose(channels, size, stride=stride),
        layers.AvgPool(size, stride=stride),
        layers.Upsample(2),
        layers.Pad(1, boundary=draw(st.sampled_from(["zeros", "edge"]))),
        layers.Identity(),
    ]
    if not smooth:
        choices += [layers.MaxPool(size, stride=stride), layers.ReLU()]
    kind = draw(st.integers(0, len(choices) + 1))
    try:
        if kind < len(choices):
            if max(net.out_shape[1:], default=0) <= 20:
                net.add(choices[kind])
            return
        same = [n for n in net if net.shapes[n][1:] == net.out_shape[1:]]
        other = draw(st.sampled_from(same))
        if kind == len(choices) and net.shapes[other] == net.out_shape:
            net.add(layers.Add(), [other, net.output])
        else:
            net.add(layers.Concat(), [other, net.output])
    except ConvalgError:
        # A layer that does not fit is not added.
        return


BORDERS = ["zeros", "circular", "reflect", "symmetric", "edge"]


@st.composite
def branching_networks(draw: Draw) -> ca.Network:
    """A network whose branches start anywhere, with any stride and border, and meet again."""
    axes = draw(st.integers(1, 2))
    shape = (draw(st.integers(1, 2)), *(draw(st.integers(4, 9)) for _ in range(axes)))
    net = ca.Network(shape)
    for _ in range(draw(st.integers(2, 7))):
        source = draw(st.sampled_from([node for node in net if len(net.shapes[node]) > 1]))
        try:
            if draw(st.integers(0, 3)):
                layer = _any_layer(draw, net.shapes[source])
                if math.prod(layer.out_shape(net.shapes[source])) <= 400:
                    net.add(layer, source)
            else:
                _meet(draw, net, source)
        except ConvalgError:
            # A layer that does not fit is not added.
            continue
    if draw(st.integers(0, 5)) == 0:
        net.add(layers.Flatten())
        net.add(draw(st.sampled_from([layers.Dense(2), layers.LeakyReLU(), layers.Identity()])))
    return net


def _any_layer(draw: Draw, shape: tuple[int, ...]) -> Any:
    channels, dims = draw(st.sampled_from([1, 2, 4])), len(shape) - 1
    size, stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding, dilation = draw(st.integers(0, 2)), draw(st.integers(1, 2))
    border = draw(st.sampled_from(BORDERS))
    groups = draw(st.sampled_from([g for g in (1, 2) if shape[0] % g == channels % g == 0]))
    pads = tuple((draw(st.integers(-1, 2)), draw(st.integers(-1, 2))) for _ in range(dims))
    grid = tuple(draw(st.integers(1, 9)) for _ in range(dims))
    mode = draw(st.sampled_from(["nearest", "linear"]))
    choices = [
        layers.Conv(channels, size, stride, padding, dilation, groups, boundary=border),
        layers.Conv(channels, size, stride, padding, dilation),
        layers.ConvTranspose(channels, size, stride, dilation=dilation),
        layers.AvgPool(size, stride=stride),
        layers.AdaptiveAvgPool(grid),
        layers.GlobalAvgPool(),
        layers.Upsample(draw(st.integers(2, 3)), mode, align_corners=draw(st.booleans())),
        layers.Resize(grid, mode, draw(st.sampled_from(["half_pixel", "align_corners"]))),
        layers.Resize(grid, mode, "asymmetric", "floor"),
        layers.Pad(pads, border),
        layers.Slice(draw(st.integers(1, dims)), draw(st.integers(0, 2)), 4),
        layers.Slice(0, draw(st.integers(0, 1)), shape[0]),
        layers.Permute(tuple(draw(st.permutations(range(dims + 1))))),
        layers.Reshape((shape[0] * shape[1], 1, *shape[2:])[: dims + 1])
        if dims == 1
        else layers.Reshape((shape[1], shape[0], shape[2])),
        layers.Project(2),
        layers.Subsample(size),
    ]
    return draw(st.sampled_from(choices))


def _meet(draw: Draw, net: ca.Network, first: str) -> None:
    """The sum or the channels of two nodes, both cut to the size that they share."""
    same = [n for n in net if len(net.shapes[n]) == len(net.shapes[first])]
    second = draw(st.sampled_from(same))
    sizes = [min(pair) for pair in zip(net.shapes[first], net.shapes[second], strict=True)]
    ends = []
    joining: Any = draw(st.sampled_from([layers.Add(), layers.Concat()]))
    for node in (first, second):
        for axis, size in enumerate(sizes):
            if net.shapes[node][axis] > size and (axis or isinstance(joining, layers.Add)):
                node = net.add(layers.Slice(axis, 0, size), node)
        ends.append(node)
    net.add(joining, ends)

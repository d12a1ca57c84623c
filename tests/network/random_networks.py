"""Small random networks: branches, skips, poolings, transposed layers, in one to three axes."""

from __future__ import annotations

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

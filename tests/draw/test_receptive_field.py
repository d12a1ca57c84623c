"""The bars of receptive fields: one for each node whose field is larger than all before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.patches import Rectangle

import convalg as ca
from convalg.errors import ArgumentError, KindError

L = ca.layers
NET = ca.sequential(
    (1, 20, 12), [L.Conv(2, (3, 1), padding=(1, 0)), L.ReLU(), L.MaxPool(2), L.Conv(2, 3)]
)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_bar_is_the_field_of_the_middle_output(axis: int) -> None:
    (axes,) = ca.draw.receptive_field(NET, axis).axes
    image, *bars = (patch for patch in axes.patches if isinstance(patch, Rectangle))
    assert (image.get_x(), image.get_width()) == (0, NET.in_shape[1 + axis])
    names = [label.get_text() for label in axes.get_yticklabels()]
    # Along the second axis, the first layer reads one sample, as its output does.
    assert names == ["conv1", "maxpool1", "conv2"]
    for name, bar, text in zip(names, bars, axes.texts, strict=True):
        field = NET.receptive_field(name)
        start = int(field.stride[axis]) * (NET.shapes[name][1 + axis] // 2) - field.padding[axis]
        assert (bar.get_x(), bar.get_width()) == (start, field.size[axis])
        assert text.get_text() == str(field.size[axis])


def test_many_nodes_are_thinned_and_the_last_one_is_kept() -> None:
    net = ca.sequential((1, 400), [L.Conv(1, 2) for _ in range(130)])
    (axes,) = ca.draw.receptive_field(net).axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert (len(names), names[0], names[-1]) == (60, "conv1", "conv130")
    assert (np.diff([int(name.removeprefix("conv")) for name in names]) > 0).all()


(n,) = ca.sizes("n")


@pytest.mark.parametrize(
    ("net", "axis", "error", "words"),
    [
        (NET, 2, ArgumentError, "axis must be 0 to 1, not 2"),
        (ca.sequential((1, n), [L.Conv(1, 3)]), 0, ArgumentError, "needs integers as sizes"),
        (np.eye(3), 0, KindError, "draw.receptive_field takes a ca.Network"),
    ],
)
def test_fields_that_cannot_be_drawn(net: Any, axis: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        ca.draw.receptive_field(net, axis)

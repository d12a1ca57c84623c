"""Layers that change shapes or join branches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from filled_networks import integers
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.errors import ArgumentError, ShapeError, SymbolicError
from convalg.network import layers


def test_a_padding_that_no_input_can_have_is_refused() -> None:
    with pytest.raises(ShapeError, match="removes all 4 samples of the input on axis 0: remove"):
        ca.sequential((1, 4), [layers.Pad(-2)])
    with pytest.raises(ArgumentError, match="is too wide for boundary='reflect'"):
        ca.sequential((1, 4), [layers.Pad(4, "reflect")])


@given(seed=st.integers(0, 99))
def test_joined_inputs_are_added_or_concatenated(seed: int) -> None:
    net = ca.Network((2, 5))
    part = net.add(layers.Slice(0, 0, 1), "input")
    both = net.add(layers.Concat(), ["input", part], name="both")
    net.add(layers.Add(), [both, both], name="sum")
    x = integers(seed, 2, 5)
    joined = np.concatenate([x, x[:1]])
    assert (net(x, "both") == joined).all()
    assert (net(x) == 2 * joined).all()
    assert (net.jacobian(x)(x) == 2 * joined).all()


@pytest.mark.parametrize("boundary", ["zeros", "edge", "reflect", "symmetric", "circular"])
def test_padding_is_that_of_numpy(boundary: Any) -> None:
    mode = {"zeros": "constant", "circular": "wrap"}.get(boundary, boundary)
    x = integers(3, 2, 4, 5)
    net = ca.sequential((2, 4, 5), [layers.Pad(((1, 2), (0, 3)), boundary)])
    assert (net(x) == np.pad(x, ((0, 0), (1, 2), (0, 3)), mode=mode)).all()
    cropped = ca.sequential((2, 4, 5), [layers.Pad(((-1, 0), (-2, -1)))])
    assert (cropped(x) == x[:, 1:, 2:-1]).all()


@pytest.mark.parametrize("factor", [2, 3])
def test_upsampling_by_the_nearest_sample_repeats(factor: int) -> None:
    x = integers(4, 2, 3, 4)
    net = ca.sequential((2, 3, 4), [layers.Upsample(factor)])
    assert (net(x) == x.repeat(factor, axis=1).repeat(factor, axis=2)).all()
    with pytest.raises(ArgumentError, match="mode must be one of nearest, linear, not 'cubic'"):
        layers.Upsample(2, "cubic")  # type: ignore[arg-type]


def test_reshaping_keeps_the_order_of_entries() -> None:
    x = integers(5, 2, 3, 4)
    net = ca.sequential((2, 3, 4), [layers.Reshape((4, 6)), layers.Flatten()])
    assert (net(x) == x.ravel()).all()
    assert (net(x, "reshape1") == x.reshape(4, 6)).all()
    assert net.receptive_field("flatten1").mask(5).sum() == 1


def test_aligned_corners_have_no_symbolic_formula() -> None:
    (n,) = ca.sizes("n")
    net = ca.sequential((1, n), [layers.Upsample(2, "linear", align_corners=True)])
    words = "that an upsampling with align_corners reads have no symbolic formula, and a size is n"
    with pytest.raises(SymbolicError, match=words):
        net.receptive_field()

"""Effective receptive fields: exact profiles, their variance, and gradients of real inputs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.errors import ArgumentError, KindError
from convalg.network import layers

STACKS = st.lists(
    st.builds(
        layers.Conv,
        st.just(1),
        st.integers(1, 4),
        stride=st.integers(1, 2),
        padding=st.integers(0, 1),
        dilation=st.integers(1, 2),
        bias=st.just(False),
    ),
    min_size=1,
    max_size=4,
)


@given(STACKS)
def test_the_profile_is_the_middle_row_of_the_matrix(stack: list[layers.Conv]) -> None:
    """With all kernels 1/k the row of an output away from the border is the profile."""
    net = ca.sequential((1, 140), stack)
    field = net.effective_receptive_field()
    for node, layer in net.layers():
        k = layer.kernel_size  # type: ignore[attr-defined]
        kernel = np.full((1, 1, k), Fraction(1, k), dtype=object)
        net.set_weights(node, kernel=kernel)
    unit = np.zeros(net.out_shape, dtype=int)
    middle = net.out_shape[1] // 2
    unit[0, middle] = 1
    row = net.jacobian(np.zeros((1, 140), dtype=int)).T(unit)[0]
    (profile,), (start,) = field.profile, field.start
    first = start + middle * net.receptive_field().stride[0]
    assert list(row[first : first + len(profile)]) == list(profile)
    assert sum(profile) == 1
    places = range(len(profile))
    mean = sum(k * v for k, v in zip(places, profile, strict=True))
    spread = sum((k - mean) ** 2 * v for k, v in zip(places, profile, strict=True))
    assert field.variance == (spread,)


def test_three_layers_of_three_taps() -> None:
    net = ca.sequential((1, 9, 9), [layers.Conv(1, 3)] * 3)
    field = net.effective_receptive_field()
    assert [27 * v for v in field.profile[0]] == [1, 3, 6, 7, 6, 3, 1]
    assert field.variance == (2, 2)


# Luo et al. 2016: pixels above 4.55 % of the centre, for stacks of 3-tap layers.
@pytest.mark.parametrize(("depth", "pixels"), [(5, 9), (10, 13), (20, 19), (40, 25)])
def test_the_field_grows_as_the_root_of_the_depth(depth: int, pixels: int) -> None:
    net = ca.sequential((1, 100), [layers.Conv(1, 3)] * depth)
    assert net.effective_receptive_field().above(0.0455) == (pixels,)
    assert net.receptive_field().size == (2 * depth + 1,)


def test_the_gradient_of_an_input() -> None:
    net = ca.sequential((1, 11, 11), [layers.Conv(1, 3, padding=1, bias=False)] * 3)
    for node, _ in net.layers():
        net.set_weights(node, kernel=np.full((1, 1, 3, 3), 1 / 9))
    exact = net.effective_receptive_field()
    measured = net.effective_receptive_field(x=np.zeros((1, 11, 11)))
    assert np.allclose(measured.values[2:9, 2:9], exact.values)
    assert np.allclose(measured.variance, [2, 2])
    assert 0.8 < measured.mass(2) <= 1
    assert np.isclose(measured.mass(2), exact.mass(2))
    assert measured.above(0.5) == exact.above(0.5)


def test_bad_input() -> None:
    pooled = ca.sequential((1, 8), [layers.Conv(1, 3), layers.MaxPool(2)])
    with pytest.raises(KindError, match="the exact profile is defined for convolutions"):
        pooled.effective_receptive_field()
    net = ca.Network((1, 8))
    net.add(layers.Add(), ["input", "input"])
    with pytest.raises(KindError, match="branches meet at add1: pass"):
        net.effective_receptive_field()
    dead = ca.sequential((1, 8), [layers.Conv(1, 1), layers.ReLU()]).initialise(0)
    dead.set_weights("conv1", bias=[-100])
    with pytest.raises(ArgumentError, match="the gradient is zero everywhere"):
        dead.effective_receptive_field(x=np.zeros((1, 8))).mass()

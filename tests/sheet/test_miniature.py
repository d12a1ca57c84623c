"""Small forms of layers, and layers at the size of an image."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
from sheets import LAYERS

import convalg as ca
from convalg.operators.leaves import Convolution
from convalg.sheet.miniature import differences, resized, small_form

SMALL = ca.correlation((5, 5), ca.kernel(3, 3), stride=2, padding=1)


@pytest.mark.parametrize("name", LAYERS)
def test_a_small_form_is_small_and_of_the_same_form(name: str) -> None:
    layer = LAYERS[name].simplify() if name == "expression" else LAYERS[name]
    small = small_form(layer)
    assert max(small.shape) <= 100
    assert min(small.shape) >= 1
    if differences(layer, small):
        both = [(a.T if not isinstance(a, Convolution) else a) for a in (layer, small)]
        large, little = (each.geometry for each in both if isinstance(each, Convolution))
        assert little.has_channels == large.has_channels
        assert (little.groups > 1) == (large.groups > 1)
        for before, after in zip(large.axes, little.axes, strict=True):
            assert after.boundary == before.boundary
            assert after.is_backwards == before.is_backwards
            assert (after.stride > 1) == (before.stride > 1)
            assert (abs(after.dilation) > 1) == (abs(before.dilation) > 1)
            assert (after.before > 0) == (before.before > 0)
    else:
        assert (small.in_shape, small.out_shape) == (layer.in_shape, layer.out_shape)


def test_letters_of_the_user_are_kept() -> None:
    a, b = sympy.symbols("a b")
    small = small_form(ca.correlation(5, [a, b, a]))
    assert small.to_sympy() == ca.correlation(5, [a, b, a]).to_sympy()


def test_a_layer_at_the_size_of_an_image() -> None:
    found = resized(SMALL, (8, 9), np.ones((3, 3), dtype=int))
    right = ca.correlation((8, 9), np.ones((3, 3), dtype=int), stride=2, padding=1)
    assert found.to_numpy().tolist() == right.to_numpy().tolist()
    back = resized(SMALL.T, (8, 9), np.ones((3, 3), dtype=int))
    assert back.out_shape == (15, 17)

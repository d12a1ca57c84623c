"""Geometries: equality, and the channels of a kernel."""

from __future__ import annotations

import numpy as np

import convalg as ca


def test_geometries_of_equal_layers_are_equal() -> None:
    one = ca.correlation(5, [1, 2, 3], padding=1).geometry
    assert one == ca.correlation(5, [7, 8, 9], padding="same").geometry
    assert one != ca.correlation(5, [1, 2, 3]).geometry
    assert one != ca.correlation(5, [1, 2, 3], padding=1, boundary="edge").geometry


def test_channels_are_read_from_the_kernel() -> None:
    layer = ca.correlation((5, 6), np.ones((4, 3, 2, 2)), groups=2)
    assert (layer.in_shape, layer.out_shape) == ((6, 5, 6), (4, 4, 5))
    assert layer.geometry.channels == (2, 2, 3)
    turned = ca.transposed_correlation((4, 5), np.ones((4, 3, 2, 2)), groups=2)
    assert (turned.in_shape, turned.out_shape) == ((4, 4, 5), (6, 5, 6))

"""Pooling over regions by its definition, and samples of Gaussians."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca

L = ca.layers
Array = np.ndarray

Array = np.ndarray


regions = st.tuples(*[st.integers(0, 13)] * 4).map(
    lambda r: (min(r[0], r[2]), min(r[1], r[3]), max(r[0], r[2]), max(r[1], r[3]))
)


def pooled(x: Array, region: tuple[int, ...], size: int, scale: Fraction) -> Array:
    """Fast R-CNN's rule, window by window."""
    x1, y1, x2, y2 = (floor(Fraction(k) * scale + Fraction(1, 2)) for k in region)
    height, width = max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)
    y = np.zeros((len(x), size, size), dtype=x.dtype)
    for a in range(size):
        for b in range(size):
            rows = slice(
                y1 + floor(Fraction(a * height, size)), y1 + ceil(Fraction((a + 1) * height, size))
            )
            columns = slice(
                x1 + floor(Fraction(b * width, size)), x1 + ceil(Fraction((b + 1) * width, size))
            )
            window = x[:, rows, columns]
            # Rounding may put a window behind the border.
            y[:, a, b] = window.max(axis=(1, 2)) if window.size else 0
    return y


@given(chosen=st.lists(regions, min_size=1, max_size=3), size=st.integers(1, 4))
def test_regions_are_pooled_window_by_window(chosen: list[Any], size: int) -> None:
    scale = Fraction(1, 2)
    net = ca.sequential((2, 7, 7), [L.RoIPool(size, tuple(chosen), scale)])
    x = np.random.default_rng(0).permutation(98).reshape(2, 7, 7)
    wanted = np.concatenate([pooled(x, region, size, scale) for region in chosen])
    assert (net(x) == wanted).all()
    # At a sample it is a selection: one sample for each unit.
    matrix = net.jacobian(x).to_scipy()
    assert (matrix.sum(axis=1) <= 1).all()
    assert (matrix @ x.ravel() == wanted.ravel()).all()


def test_a_sample_is_the_mean_and_noise() -> None:
    net = ca.sequential((4,), [L.Sample()])
    net.set_weights(net.output, noise=[2.0, -1.0])
    x = np.array([1.0, 2.0, 0.0, np.log(9.0)])
    np.testing.assert_allclose(net(x), [3, -1])
    jacobian = net.jacobian(x).to_numpy()
    np.testing.assert_allclose(jacobian, [[1, 0, 1, 0], [0, 1, 0, -1.5]], atol=1e-12)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ca.errors.ShapeError, match="must have an even number of channels, half of"):
        L.Sample().out_shape((3,))
    with pytest.raises(
        ca.errors.ArgumentError, match="must have 4 numbers, the first positions on"
    ):
        L.RoIPool(2, ((0, 0, 3),)).out_shape((1, 4, 4))

"""Layers that standardise, scale and shift, against NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from filled_networks import filled, integers
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.network.layers.scale import Product, Scale, Shift, Standardise


def test_a_table_of_channels_that_would_not_fit_is_refused() -> None:
    with pytest.raises(ca.errors.TooLargeError, match="a table of 1000000 by 2000000 channels"):
        ca.layers.Product().channels((2 * 10**6, 1))


WRONG: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: Scale((3, 1)).out_shape((4, 3, 2)) and Scale((5,)).out_shape((4, 3)),
        ca.errors.ShapeError,
        "cannot be broadcast to an input",
    ),
    (lambda: Scale((1, 1, 1)).out_shape((4, 3)), ca.errors.ShapeError, "cannot be broadcast to"),
    (
        lambda: Product().out_shape((3, 2)),
        ca.errors.ShapeError,
        "must have an even number of channels, not the shape",
    ),
]


@pytest.mark.parametrize(("make", "error", "message"), WRONG)
def test_arguments_that_do_not_fit_are_refused(
    make: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make()


@given(
    seed=st.integers(0, 99), array=st.sampled_from([(), (3,), (2, 1), (1, 3), (4, 2, 3), (4, 1, 1)])
)
def test_scale_and_shift_broadcast_as_numpy(seed: int, array: tuple[int, ...]) -> None:
    x = integers(seed, 4, 2, 3)
    scale, shift = (filled(layer, (4, 2, 3), seed) for layer in (Scale(array), Shift(array)))
    assert (scale(x) == x * scale.weights["scale1"]["scale"]).all()
    assert (shift(x) == x + shift.weights["shift1"]["bias"]).all()
    assert scale.parameters == shift.parameters == (math.prod(array) if array else 0)


@pytest.mark.parametrize("rows", [1, 2, 4, 8, 12, 24])
def test_rows_have_mean_zero_and_variance_one(rows: int) -> None:
    x = np.random.default_rng(rows).standard_normal(48).reshape(4, 3, 4)
    y = ca.sequential((4, 3, 4), [Standardise(rows, 0)])(x).reshape(rows, -1)
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=1), 1, rtol=1e-12)
    with pytest.raises(ca.errors.ShapeError, match=r"\(2, 3\) cannot be divided into 4 equal rows"):
        Standardise(4).out_shape((2, 3))


@given(seed=st.integers(0, 99))
def test_a_product_multiplies_the_halves(seed: int) -> None:
    x = integers(seed, 6, 2)
    net = ca.sequential((6, 2), [Product()])
    assert (net(x) == x[:3] * x[3:]).all()
    step = integers(seed + 1, 6, 2)
    assert (net.jacobian(x)(step) == x[:3] * step[3:] + step[:3] * x[3:]).all()

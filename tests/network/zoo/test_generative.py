"""Generative networks: shapes as published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from published_networks import check_slope

import convalg as ca

zoo = ca.zoo


@pytest.mark.parametrize(
    ("name", "options", "node", "shape"),
    [
        ("dcgan_generator", {}, None, (3, 64, 64)),
        ("dcgan_discriminator", {}, None, (1, 1, 1)),
        ("vae", {}, None, (1, 64, 64)),
    ],
)
def test_published_shapes(
    name: str, options: dict[str, Any], node: str | None, shape: tuple[int, ...]
) -> None:
    net = getattr(zoo, name)(**options)
    assert (net.out_shape if node is None else net.shapes[node]) == shape


@pytest.mark.parametrize(
    ("make", "count"),
    [
        pytest.param(lambda: zoo.dcgan_discriminator(width=2), 1, id="dcgan_discriminator"),
        pytest.param(
            lambda: zoo.dcgan_generator((5, 1, 1), width=2), 3 * 64 * 64, id="dcgan_generator"
        ),
        pytest.param(lambda: zoo.vae((1, 32, 16), 3, width=2, hidden=4), 32 * 16, id="vae"),
    ],
)
def test_small_ones_have_their_slope_as_jacobian(make: Callable[[], Any], count: int) -> None:
    check_slope(make(), count)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: zoo.vae((1, 40, 64)), "sizes of in_shape must be multiples of 16, not 40"),
    ],
)
def test_bad_choices(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ca.errors.ConvalgError, match=words):
        call()

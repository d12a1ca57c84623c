"""U-Net: parameters and shapes as published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from published_networks import check_slope

import convalg as ca

zoo = ca.zoo


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("unet", {}, 31_030_658),
    ],
)
def test_published_parameters(name: str, options: dict[str, Any], count: int) -> None:
    assert getattr(zoo, name)(**options).parameters == count


@pytest.mark.parametrize(
    ("name", "options", "node", "shape"),
    [
        ("unet", {}, None, (2, 388, 388)),
        ("unet", {}, "bottom.conv2", (1024, 28, 28)),
    ],
)
def test_published_shapes(
    name: str, options: dict[str, Any], node: str | None, shape: tuple[int, ...]
) -> None:
    net = getattr(zoo, name)(**options)
    assert (net.out_shape if node is None else net.shapes[node]) == shape


def test_its_jacobian_is_its_slope() -> None:
    check_slope(zoo.unet((1, 44, 44), 2, width=2, depth=2), 2 * 4 * 4)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: zoo.unet(padding="half"), "padding must be one of"),
        (lambda: zoo.unet((1, 9, 9)), "cannot be applied to"),
    ],
)
def test_bad_choices(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ca.errors.ConvalgError, match=words):
        call()


def test_other_numbers_of_axes() -> None:
    assert zoo.unet((1, 20, 20, 20), depth=1, width=2).out_shape == (2, 4, 4, 4)

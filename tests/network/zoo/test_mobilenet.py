"""MobileNets: shapes as published, and the function of torchvision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from published_networks import check_slope, check_torchvision

import convalg as ca

zoo = ca.zoo


@pytest.mark.parametrize(
    ("name", "options", "node", "shape"),
    [
        ("mobilenet_v1", {}, "block13.pointwise.relu", (1024, 7, 7)),
        ("mobilenet_v2", {}, "conv2.relu", (1280, 7, 7)),
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
        pytest.param(lambda: zoo.mobilenet_v1((3, 32, 32), 4, width=0.25), 4, id="mobilenet_v1"),
        pytest.param(lambda: zoo.mobilenet_v2((3, 32, 32), 4, width=0.25), 4, id="mobilenet_v2"),
    ],
)
def test_small_ones_have_their_slope_as_jacobian(make: Callable[[], Any], count: int) -> None:
    check_slope(make(), count)


@pytest.mark.parametrize(
    ("name", "options", "theirs", "arguments", "in_shape"),
    [
        ("mobilenet_v2", {}, "mobilenet_v2", {}, (3, 64, 64)),
    ],
)
def test_the_same_function_as_torchvision(
    name: str,
    options: dict[str, Any],
    theirs: str,
    arguments: dict[str, Any],
    in_shape: tuple[int, ...],
) -> None:
    check_torchvision(name, options, theirs, arguments, in_shape)

"""GoogLeNet: parameters and shapes as published, and the function of torchvision."""

from __future__ import annotations

from typing import Any

import pytest
from published_networks import check_slope, check_torchvision

import convalg as ca

zoo = ca.zoo


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("googlenet", {}, 6_998_552),
        ("googlenet", {"variant": "torchvision"}, 6_624_904),
    ],
)
def test_published_parameters(name: str, options: dict[str, Any], count: int) -> None:
    assert getattr(zoo, name)(**options).parameters == count


@pytest.mark.parametrize(
    ("name", "options", "node", "shape"),
    [
        ("googlenet", {}, "inception4a", (512, 14, 14)),
        ("googlenet", {}, "inception5b", (1024, 7, 7)),
    ],
)
def test_published_shapes(
    name: str, options: dict[str, Any], node: str | None, shape: tuple[int, ...]
) -> None:
    net = getattr(zoo, name)(**options)
    assert (net.out_shape if node is None else net.shapes[node]) == shape


def test_its_jacobian_is_its_slope() -> None:
    check_slope(zoo.googlenet((3, 64, 64), 5), 5)


@pytest.mark.parametrize(
    ("name", "options", "theirs", "arguments", "in_shape"),
    [
        ("googlenet", {"variant": "torchvision"}, "googlenet", {"aux_logits": False}, (3, 96, 96)),
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

"""Inception v3: shapes as published, and the function of torchvision."""

from __future__ import annotations

from typing import Any

import pytest
from published_networks import check_slope, check_torchvision

import convalg as ca

zoo = ca.zoo


@pytest.mark.parametrize(
    ("name", "options", "node", "shape"),
    [
        ("inception_v3", {}, "Mixed_5b", (256, 35, 35)),
        ("inception_v3", {}, "Mixed_6a", (768, 17, 17)),
        ("inception_v3", {}, "Mixed_7c", (2048, 8, 8)),
    ],
)
def test_published_shapes(
    name: str, options: dict[str, Any], node: str | None, shape: tuple[int, ...]
) -> None:
    net = getattr(zoo, name)(**options)
    assert (net.out_shape if node is None else net.shapes[node]) == shape


def test_its_jacobian_is_its_slope() -> None:
    check_slope(zoo.inception_v3((3, 75, 75), 5), 5)


@pytest.mark.parametrize(
    ("name", "options", "theirs", "arguments", "in_shape"),
    [
        ("inception_v3", {}, "inception_v3", {"aux_logits": True}, (3, 107, 107)),
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

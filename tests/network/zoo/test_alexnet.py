"""AlexNet: parameters and shapes as published, and the function of torchvision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from published_networks import check_slope, check_torchvision

import convalg as ca

zoo = ca.zoo


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("alexnet", {"variant": "torchvision"}, 61_100_840),
        ("alexnet", {}, 60_965_224),
        ("alexnet", {"groups": 1}, 62_378_344),
    ],
)
def test_published_parameters(name: str, options: dict[str, Any], count: int) -> None:
    assert getattr(zoo, name)(**options).parameters == count


@pytest.mark.parametrize(
    ("name", "options", "node", "shape"),
    [
        ("alexnet", {}, "pool5", (256, 6, 6)),
    ],
)
def test_published_shapes(
    name: str, options: dict[str, Any], node: str | None, shape: tuple[int, ...]
) -> None:
    net = getattr(zoo, name)(**options)
    assert (net.out_shape if node is None else net.shapes[node]) == shape


def test_its_jacobian_is_its_slope() -> None:
    check_slope(zoo.alexnet((3, 67, 67), 5, hidden=8), 5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: zoo.alexnet(variant="2013"), "variant must be one of '2012', 'torchvision'"),
    ],
)
def test_bad_choices(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ca.errors.ConvalgError, match=words):
        call()


@pytest.mark.thorough
def test_the_same_function_as_torchvision() -> None:
    check_torchvision("alexnet", {"variant": "torchvision"}, "alexnet", {}, (3, 64, 64))


def test_its_convolutions_are_those_of_torchvision() -> None:
    options = {"variant": "torchvision", "classes": None}
    check_torchvision("alexnet", options, "alexnet", {}, (3, 64, 64), part="features")

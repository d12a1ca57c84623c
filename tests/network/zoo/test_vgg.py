"""VGG: parameters, counts and fields as published, and the function of torchvision."""

from __future__ import annotations

from typing import Any

import pytest
from published_networks import check_slope, check_torchvision

import convalg as ca

zoo = ca.zoo


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("vgg11", {}, 132_863_336),
        ("vgg16", {}, 138_357_544),
        ("vgg19", {}, 143_667_240),
    ],
)
def test_published_parameters(name: str, options: dict[str, Any], count: int) -> None:
    assert getattr(zoo, name)(**options).parameters == count


@pytest.mark.parametrize(
    ("name", "options", "node", "size", "stride", "padding"),
    [
        ("vgg16", {}, "pool5", 212, 32, 90),
    ],
)
def test_published_fields(
    name: str, options: dict[str, Any], node: str, size: int, stride: int, padding: int
) -> None:
    net = getattr(zoo, name)((3, 224, 224), None, **options)
    field = net.receptive_field(node)
    assert (field.size, field.stride, field.padding) == ((size,) * 2, (stride,) * 2, (padding,) * 2)


def test_its_jacobian_is_its_slope() -> None:
    check_slope(zoo.vgg11((3, 32, 32), 4, width=4, hidden=8), 4)


@pytest.mark.thorough
def test_the_same_function_as_torchvision() -> None:
    check_torchvision("vgg11", {}, "vgg11", {}, (3, 224, 224))


def test_convolutions_with_batch_norm_are_those_of_torchvision() -> None:
    # The head, which is most of the work, is compared in the thorough test.
    options = {"batch_norm": True, "classes": None}
    check_torchvision("vgg13", options, "vgg13_bn", {}, (3, 64, 48), part="features")


def test_vgg16_multiplications() -> None:
    net = zoo.vgg16()
    convs = [net.cost(node) for node in net if node.startswith("conv")]
    assert sum(cost.padded for cost in convs) == 15_346_630_656
    assert sum(cost.nonzeros for cost in convs) == 14_846_190_336


def test_other_numbers_of_axes() -> None:
    assert zoo.vgg11((1, 32), 3, width=2, hidden=4).out_shape == (3,)

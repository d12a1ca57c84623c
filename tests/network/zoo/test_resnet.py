"""Residual networks: parameters and fields as published, and the function of torchvision."""

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
        ("resnet18", {}, 11_689_512),
        ("resnet34", {}, 21_797_672),
        ("resnet50", {}, 25_557_032),
        ("resnet50", {"version": "v1.5"}, 25_557_032),
    ],
)
def test_published_parameters(name: str, options: dict[str, Any], count: int) -> None:
    assert getattr(zoo, name)(**options).parameters == count


@pytest.mark.parametrize(
    ("name", "options", "node", "size", "stride", "padding"),
    [
        ("resnet50", {}, "layer4.2.relu", 483, 32, 239),
        ("resnet101", {}, "layer4.2.relu", 1027, 32, 511),
        ("resnet50", {"version": "v1.5"}, "layer4.2.relu", 427, 32, 213),
        ("resnet18", {"version": "v1.5"}, "layer4.1.relu", 435, 32, 217),
    ],
)
def test_published_fields(
    name: str, options: dict[str, Any], node: str, size: int, stride: int, padding: int
) -> None:
    net = getattr(zoo, name)((3, 224, 224), None, **options)
    field = net.receptive_field(node)
    assert (field.size, field.stride, field.padding) == ((size,) * 2, (stride,) * 2, (padding,) * 2)


@pytest.mark.parametrize(
    ("make", "count"),
    [
        pytest.param(lambda: zoo.resnet18((3, 32, 32), 4, width=4), 4, id="resnet18"),
        pytest.param(lambda: zoo.resnet50((3, 32, 32), 4, width=4), 4, id="resnet50"),
    ],
)
def test_small_ones_have_their_slope_as_jacobian(make: Callable[[], Any], count: int) -> None:
    check_slope(make(), count)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: zoo.resnet50(version="v2"), "version must be one of"),
    ],
)
def test_bad_choices(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ca.errors.ConvalgError, match=words):
        call()


@pytest.mark.parametrize(
    ("name", "options", "theirs", "arguments", "in_shape"),
    [
        ("resnet18", {"version": "v1.5"}, "resnet18", {}, (3, 65, 64)),
        ("resnet34", {"version": "v1.5"}, "resnet34", {}, (3, 64, 64)),
        ("resnet50", {"version": "v1.5"}, "resnet50", {}, (3, 64, 64)),
        pytest.param(
            *("resnet152", {"version": "v1.5"}, "resnet152", {}, (3, 64, 64)),
            marks=pytest.mark.thorough,
        ),
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


def test_sizes_may_be_symbols() -> None:
    n, m = ca.sizes("n m")
    net = zoo.resnet18((3, n, m), None)
    assert net.receptive_field("layer4.1.relu").size == (435, 435)
    at = {n: 224, m: 160}
    assert [k.subs(at) for k in net.out_shape[1:]] == [7, 5]


def test_other_numbers_of_axes() -> None:
    assert zoo.resnet18((3, 64), 4).out_shape == (4,)


def test_one_name_for_variants() -> None:
    assert repr(ca.zoo.resnet18(variant="v1.5")["maxpool"]) == "MaxPool(3, stride=2, padding=1)"
    assert ca.zoo.resnet18(version="v1.5")["maxpool"] == ca.zoo.resnet18(variant="v1.5")["maxpool"]

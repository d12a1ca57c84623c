"""Fully convolutional networks: shapes as published."""

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
        ("fcn", {"stride": 8}, None, (21, 500, 500)),
        ("fcn", {"stride": 16}, None, (21, 500, 500)),
        ("fcn", {"stride": 32}, None, (21, 500, 500)),
    ],
)
def test_published_shapes(
    name: str, options: dict[str, Any], node: str | None, shape: tuple[int, ...]
) -> None:
    net = getattr(zoo, name)(**options)
    assert (net.out_shape if node is None else net.shapes[node]) == shape


def test_its_jacobian_is_its_slope() -> None:
    check_slope(zoo.fcn((3, 40, 48), 2, width=2, hidden=4), 2 * 40 * 48)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: zoo.fcn(stride=4), "stride must be one of 32, 16, 8"),
    ],
)
def test_bad_choices(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ca.errors.ConvalgError, match=words):
        call()

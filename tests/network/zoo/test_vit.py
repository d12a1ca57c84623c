"""The patch embedding of the vision transformer."""

from __future__ import annotations

from typing import Any

import pytest
from published_networks import check_slope

import convalg as ca

zoo = ca.zoo


@pytest.mark.parametrize(
    ("name", "options", "node", "shape"),
    [
        ("vit_patches", {}, None, (196, 768)),
    ],
)
def test_published_shapes(
    name: str, options: dict[str, Any], node: str | None, shape: tuple[int, ...]
) -> None:
    net = getattr(zoo, name)(**options)
    assert (net.out_shape if node is None else net.shapes[node]) == shape


def test_its_jacobian_is_its_slope() -> None:
    check_slope(zoo.vit_patches((3, 8, 8), 4, patch=4), 16)

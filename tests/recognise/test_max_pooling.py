"""Max and min poolings recognised by their windows."""

from __future__ import annotations

import pytest

import convalg as ca


def test_max_poolings_say_their_padding() -> None:
    torch = pytest.importorskip("torch")
    pool = torch.nn.MaxPool2d(3, 2, 1)
    found = ca.identify(pool, (2, 7, 7))
    assert repr(found) == (
        "<max pooling on the inputs tried: "
        "windows of (3, 3), stride (2, 2), padding ((1, 1), (1, 1))>"
    )
    adaptive = ca.identify(torch.nn.AdaptiveMaxPool2d(4), (2, 10, 10))
    assert adaptive.words == "adaptive, (10, 10) to (4, 4)"


@pytest.mark.parametrize("pool", ["MaxPool2d", "AvgPool2d"])
def test_a_single_row_of_windows_leaves_the_stride_open(pool: str) -> None:
    torch = pytest.importorskip("torch")
    layer = getattr(torch.nn, pool)(3, 3)
    found = ca.identify(layer, (2, 4, 7))
    assert found.kind == {"MaxPool2d": "max pooling", "AvgPool2d": "average pooling"}[pool]
    assert (found.size, found.padding) == ((3, 3), ((0, 0), (0, 0)))


def test_the_dilation_of_windows_is_said() -> None:
    found = ca.identify(lambda x: (x[:-4] + x[4:]) / 2, 9)
    assert (found.kind, found.size, found.dilation) == ("average pooling", (2,), (4,))
    assert "dilation (4,)" in found.words
    pool = ca.max_pool(9, 2, stride=1, dilation=3)
    assert "dilation (3,)" in ca.identify(lambda x: pool(x), 9).words

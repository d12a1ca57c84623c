"""Layers with windows at one input shape: equal options, refused look-alikes, pickling."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from convalg.errors import KindError
from convalg.network import layers


def facts(layer: Any, shape: Any) -> list[Any]:
    """What a layer says of itself at one shape."""
    spans = [(link.axis, link.transposed, link.reach) for link in layer.links(shape)]
    return [layer.out_shape(shape), layer.weights(shape), layer.cost(shape), spans]


@pytest.mark.parametrize("kind", [layers.Conv, layers.ConvTranspose])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": (3, 3)},
        {"kernel_size": [3, 3]},
        {"kernel_size": np.array([3, 3])},
        {"kernel_size": np.int64(3)},
        {"kernel_size": 3, "padding": ((0, 0), (0, 0))},
        {"kernel_size": 3, "stride": np.int32(1), "dilation": [1, 1]},
    ],
    ids=str,
)
def test_options_that_mean_the_same_say_the_same(kind: Any, options: dict[str, Any]) -> None:
    plain = facts(kind(4, 3), (2, 8, 8))
    assert facts(kind(4, **options), (2, 8, 8)) == plain
    assert facts(kind(4, **options), [2, 8, 8]) == plain


@pytest.mark.parametrize("kind", [layers.Conv, layers.ConvTranspose])
@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"stride": True}, (1, 8)),
        ({"stride": 1.0}, (1, 8)),
        ({"dilation": (1.0,)}, (1, 8)),
        ({"padding": False}, (1, 8)),
        ({}, (1, 8.0)),
    ],
    ids=str,
)
def test_what_was_remembered_does_not_let_through_what_equals_it(
    kind: Any, options: dict[str, Any], shape: Any
) -> None:
    assert kind(1, 3).out_shape((1, 8))
    with pytest.raises(KindError, match="must be an integer, not"):
        kind(1, 3, **options).out_shape(shape)


def test_a_layer_still_travels() -> None:
    layer = layers.Conv(4, 3, padding=1)
    layer.out_shape((2, 8, 8))
    other = pickle.loads(pickle.dumps(layer))
    assert other == layer
    assert hash(other) == hash(layer)
    assert repr(other) == "Conv(4, 3, padding=1)"
    assert facts(other, (2, 8, 8)) == facts(layer, (2, 8, 8))

"""What counts as a single layer."""

from __future__ import annotations

from typing import Any

import pytest

import convalg as ca
from convalg.errors import KindError
from convalg.prove.derivations.one_layer import kind_of, one_layer

n, K, C = ca.sizes("n K C")
LAYERS: list[tuple[Any, str]] = [
    (ca.correlation(4, [1, 2]), "correlation"),
    (ca.convolution(4, [1, 2]), "convolution"),
    (ca.transposed_correlation(4, [1, 2]), "transposed correlation"),
    (ca.convolution(4, [1, 2]).T, "transposed convolution"),
    (ca.sum_pool(n, K), "sum pooling"),
    (ca.average_pool(4, 2), "average pooling"),
    (ca.average_pool(4, 2).T, "transposed average pooling"),
]


@pytest.mark.parametrize(("operator", "kind"), LAYERS)
def test_the_kind_of_a_layer(operator: Any, kind: str) -> None:
    layer = one_layer(operator, "it")
    assert layer.kind == kind
    assert layer.transposed == kind.startswith("transposed")
    assert (layer.kernel_shape is None) == kind.endswith("pooling")
    shapes = layer.geometry.in_shape, layer.geometry.out_shape
    assert (operator.in_shape, operator.out_shape) == shapes[:: -1 if layer.transposed else 1]


def test_an_axis_that_is_not_pooled_is_the_channel_axis() -> None:
    layer = one_layer(ca.average_pool((n, n), 2, channels=C), "it")
    assert (len(layer.geometry.axes), layer.geometry.groups) == (2, C)
    assert kind_of(layer.geometry) == "correlation"


@pytest.mark.parametrize(
    "other", [ca.identity(4), ca.pad(4, 1), ca.diagonal([1, 2]), 2 * ca.shift(4, 1)]
)
def test_other_operators_are_refused(other: Any) -> None:
    with pytest.raises(
        KindError, match="it can be derived for a correlation, a convolution, a sum"
    ):
        one_layer(other, "it")

"""Convolution layers: their counts against their matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from random_networks import networks

import convalg as ca
from convalg.errors import TooLargeError
from convalg.network import layers


@settings(max_examples=60)
@given(networks())
def test_counts_are_those_of_the_matrices(net: ca.Network) -> None:
    for node, layer in net.layers():
        if not isinstance(layer, (layers.Conv, layers.ConvTranspose)):
            continue
        cost = net.cost(node)
        shapes = net.input_shapes(node)
        weights = {k: np.ones(s, dtype=int) for k, s in layer.weights(*shapes).items()}
        operator = layer.map(shapes, weights).at(np.zeros(shapes[0], dtype=int))
        assert cost.nonzeros == operator.counts.multiplications
        assert cost.parameters == sum(value.size for value in weights.values())
        assert cost.connected == operator.counts.dense + operator.shape[0]
        assert cost.padded >= cost.nonzeros


def test_a_kernel_of_too_many_taps_is_not_counted() -> None:
    with pytest.raises(
        TooLargeError, match="non-zeros are counted tap by tap, for up to 1000000 taps"
    ):
        _ = ca.sequential((1, 10**9), [layers.Conv(1, 10**8)]).counts

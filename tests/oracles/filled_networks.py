"""Networks and layers with small integers as weights, for exact comparisons."""

from __future__ import annotations

from typing import Any

import numpy as np

import convalg as ca


def integer_weights(net: ca.Network, seed: int = 0) -> ca.Network:
    """Set small integers as all weights, so that everything is exact."""
    random = np.random.default_rng(seed)
    net.initialise(seed)
    for node, arrays in net.weights.items():
        integers = {name: random.integers(-2, 3, value.shape) for name, value in arrays.items()}
        net.set_weights(node, **integers)
    return net


def integers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-4, 5, size=shape)


def filled(layer: Any, in_shape: tuple[int, ...], seed: int = 0) -> ca.Network:
    """The layer alone in a network, with small whole numbers for weights."""
    net = ca.sequential(in_shape, [layer])
    arrays = {**layer.weights(in_shape), **layer.buffers(in_shape)}
    for k, (name, shape) in enumerate(arrays.items()):
        net.set_weights(net.output, **{name: integers(seed + k, *shape)})
    return net


def support(net: ca.Network, node: str) -> np.ndarray:
    """Which pixels each output depends on, (*out, *in) without channels: by ones everywhere."""
    net.initialise(0)
    for name, arrays in net.weights.items():
        net.set_weights(name, **{k: np.ones(v.shape, dtype=int) for k, v in arrays.items()})
    matrix = net.jacobian(np.zeros(net.in_shape, dtype=int), node).to_scipy(dtype=float)
    dense = np.abs(matrix.toarray()).reshape(*net.shapes[node], *net.in_shape)
    dims = len(net.in_shape) - 1
    return dense.sum(axis=(0, dims + 1)) > 0

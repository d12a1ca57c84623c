"""Rules that convert ONNX nodes to several layers: normalisations, PRelu and others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convalg.axis import Size
from convalg.network import layers as net_layers
from convalg.network.layers.pointwise import Pointwise
from convalg.network.layers.rearrange import SoftmaxAlong
from convalg.network.layers.scale import Scale, Standardise
from convalg.network.readers.onnx.builder import (
    Builder,
    Data,
    Node,
    Unread,
    Value,
    dims_of,
    product,
)
from convalg.network.readers.onnx.layer_rules import shifted, softmax_axis, times
from convalg.network.readers.onnx.tensors import Constant, stored
from convalg.size import is_symbolic


def _negative(b: Builder, x: Data) -> Data:
    return b.add(Scale(), x, scale=stored(np.float32(-1)))


def _neg(b: Builder, n: Node) -> Value:
    return _negative(b, n.data())


def _reciprocal(b: Builder, n: Node) -> Value:
    return b.add(Pointwise("power", (-1,)), n.data())


def _prelu(b: Builder, n: Node) -> Value:
    """Convert a PRelu to the layers of max(x, 0) - slope max(-x, 0)."""
    x, slope = n.data(), n.constant(1)
    if slope.dtype.kind != "f":
        raise Unread(f"its slope has the type {slope.dtype}, not a floating-point type")
    low = b.add(net_layers.ReLU(), _negative(b, x))
    minus = slope.moved(slope.shape, np.negative)
    return b.add(net_layers.Add(), b.add(net_layers.ReLU(), x), times(b, low, minus))


def _log_softmax(b: Builder, n: Node) -> Value:
    x = n.data()
    return b.add(SoftmaxAlong(softmax_axis(n, b.shape(x)) - 1, log=True), x)


def _standardised(b: Builder, n: Node, rows: Size, default: float = 1e-5) -> Data:
    x = n.data()
    if any(is_symbolic(size) for size in b.shape(x)):
        raise Unread(f"its input of shape {b.shape(x)} has symbolic sizes")
    return b.add(Standardise(int(rows), float(n.get("epsilon", default))), x)


def _along_channels(array: Constant, dims: int) -> Constant:
    """Return an array with one entry for each channel in the shape (channels, 1, ..., 1)."""
    shape = (array.size, *(1,) * dims)
    return array.moved(shape, lambda v: v.reshape(shape))


def _instance(b: Builder, n: Node) -> Value:
    shape = b.shape(n.data())
    scale, offset = (_along_channels(n.constant(k), dims_of(shape)) for k in (1, 2))
    return shifted(b, times(b, _standardised(b, n, shape[0]), scale), offset)


def _group(b: Builder, n: Node) -> Value:
    shape, groups = b.shape(n.data()), n.get("num_groups", 0)
    if groups < 1 or shape[0] % groups:
        raise Unread(f"its {groups} groups do not divide {shape[0]} channels")
    scale, offset = (_along_channels(n.constant(k), len(shape) - 1) for k in (1, 2))
    return shifted(b, times(b, _standardised(b, n, groups), scale), offset)


def _layer(b: Builder, n: Node) -> Value:
    if any(n.proto.output[1:]):
        raise Unread("its outputs for the mean or the deviation are used")
    shape = b.shape(n.data())
    axis = int(n.get("axis", -1)) % (len(shape) + 1)
    if not axis:
        raise Unread("it normalises over the batch")
    scaled = times(b, _standardised(b, n, product(shape[: axis - 1])), n.constant(1))
    return scaled if n.given(2) is None else shifted(b, scaled, n.constant(2))


RULES: dict[str, tuple[tuple[int, ...], Callable[[Builder, Node], Any]]] = {
    "Neg": ((6, 13), _neg),
    "Reciprocal": ((6, 13), _reciprocal),
    "PRelu": ((7, 9, 16), _prelu),
    "LogSoftmax": ((1, 11, 13), _log_softmax),
    "InstanceNormalization": ((6, 22), _instance),
    "GroupNormalization": ((21,), _group),
    "LayerNormalization": ((17,), _layer),
}
"""The supported versions of each operator, and the function that converts a node to layers."""

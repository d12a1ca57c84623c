"""The layers of a network, described by their options alone, without an input shape.

Methods of a layer such as `Conv(16, 3, padding=1)` receive the shape of the input. They return the
shape of the output, the shapes of the trainable arrays, the inputs that each output reads along
each axis, and, given the arrays, the layer as a map.
"""

from __future__ import annotations

from convalg.network.layers.activations import LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from convalg.network.layers.base import (
    Layer,
)
from convalg.network.layers.convolution import (
    Conv,
    ConvTranspose,
    Dense,
)
from convalg.network.layers.dropout import Dropout, Identity
from convalg.network.layers.lenet import Radial, Subsample, TableConv
from convalg.network.layers.normalisation import LRN, BatchNorm
from convalg.network.layers.opaque import Opaque
from convalg.network.layers.pointwise import Pointwise
from convalg.network.layers.pooling import (
    AdaptiveAvgPool,
    AvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool,
)
from convalg.network.layers.rearrange import (
    Expand,
    Permute,
    Project,
    Resize,
    Slice,
    SoftmaxAlong,
)
from convalg.network.layers.regions import (
    RoIPool,
    Sample,
)
from convalg.network.layers.scale import Product, Scale, Shift
from convalg.network.layers.shape import (
    Add,
    Concat,
    Flatten,
    Pad,
    Reshape,
    Upsample,
)

__all__ = [
    "LRN",
    "AdaptiveAvgPool",
    "Add",
    "AvgPool",
    "BatchNorm",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Dense",
    "Dropout",
    "Expand",
    "Flatten",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "Identity",
    "Layer",
    "LeakyReLU",
    "MaxPool",
    "Opaque",
    "Pad",
    "Permute",
    "Pointwise",
    "Product",
    "Project",
    "Radial",
    "ReLU",
    "Reshape",
    "Resize",
    "RoIPool",
    "Sample",
    "Scale",
    "Shift",
    "Sigmoid",
    "Slice",
    "Softmax",
    "SoftmaxAlong",
    "Subsample",
    "TableConv",
    "Tanh",
    "Upsample",
]

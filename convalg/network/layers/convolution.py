"""Layers with a kernel or a matrix of weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from convalg.axis import Boundary
from convalg.base import Array, Map
from convalg.errors import ShapeError
from convalg.linear import correlation, dense, transposed_correlation
from convalg.maps.chains import Affine
from convalg.network.layers.base import Cost, Layer, Link, Shape, channels_of, grouped, one
from convalg.pattern import Pattern
from convalg.spec import (
    Geometry,
    as_size,
    correlation_geometry,
    per_axis,
    size_product,
    transposed_geometry,
)


@dataclass(frozen=True, repr=False)
class Conv(Layer):
    """A correlation layer with a bias, as PyTorch's and ONNX's Conv.

    >>> Conv(8, 3, padding=1).out_shape((3, 32, 32))
    (8, 32, 32)
    """

    linear = True

    out_channels: int
    kernel_size: Any
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1
    bias: bool = True
    boundary: Boundary = "zeros"

    def geometry(self, shape: Shape) -> Geometry:
        """The geometry over an input of this shape."""
        inputs, dims = channels_of(shape), len(shape) - 1
        if isinstance(inputs, int) and inputs % self.groups:
            raise ShapeError(f"groups={self.groups} does not divide the {inputs} input channels")
        taps = per_axis(self.kernel_size, "kernel_size", dims)
        return correlation_geometry(
            shape[1:],
            (self.out_channels, inputs // self.groups, *taps),
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            boundary=self.boundary,
        )

    def out_shape(self, *shapes: Shape) -> Shape:
        return self.geometry(one(shapes)).out_shape

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        found = {"kernel": self.geometry(one(shapes)).kernel_shape}
        return {**found, "bias": (self.out_channels,)} if self.bias else found

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        layer = correlation(
            one(shapes)[1:],
            weights["kernel"],
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            boundary=self.boundary,
        )
        return Affine(layer, weights["bias"]) if self.bias else layer

    def links(self, shape: Shape) -> tuple[Link, ...]:
        return tuple(Link(axis) for axis in self.geometry(shape).axes)

    def channels(self, shape: Shape) -> Array:
        return grouped(self.out_channels, channels_of(shape), self.groups)

    def cost(self, *shapes: Shape) -> Cost:
        return _layer_cost(self.geometry(one(shapes)), self.out_channels if self.bias else 0)


@dataclass(frozen=True, repr=False)
class ConvTranspose(Layer):
    """A transposed correlation layer with a bias, as PyTorch's ConvTranspose.

    >>> ConvTranspose(4, 2, stride=2).out_shape((8, 7, 7))
    (4, 14, 14)
    """

    linear = True

    out_channels: int
    kernel_size: Any
    stride: Any = 1
    padding: Any = 0
    output_padding: Any = 0
    dilation: Any = 1
    groups: int = 1
    bias: bool = True

    def geometry(self, shape: Shape) -> Geometry:
        """The geometry of the correlation whose adjoint this is."""
        inputs, dims = channels_of(shape), len(shape) - 1
        if self.out_channels % self.groups:
            raise ShapeError(
                f"groups={self.groups} does not divide the {self.out_channels} output channels"
            )
        taps = per_axis(self.kernel_size, "kernel_size", dims)
        return transposed_geometry(
            shape[1:],
            (inputs, self.out_channels // self.groups, *taps),
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
        )

    def out_shape(self, *shapes: Shape) -> Shape:
        return self.geometry(one(shapes)).in_shape

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        found = {"kernel": self.geometry(one(shapes)).kernel_shape}
        return {**found, "bias": (self.out_channels,)} if self.bias else found

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        layer = transposed_correlation(
            one(shapes)[1:],
            weights["kernel"],
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return Affine(layer, weights["bias"]) if self.bias else layer

    def links(self, shape: Shape) -> tuple[Link, ...]:
        return tuple(Link(axis, turned=True) for axis in self.geometry(shape).axes)

    def channels(self, shape: Shape) -> Array:
        return grouped(self.out_channels, channels_of(shape), self.groups)

    def cost(self, *shapes: Shape) -> Cost:
        return _layer_cost(
            self.geometry(one(shapes)), self.out_channels if self.bias else 0, turned=True
        )


@dataclass(frozen=True, repr=False)
class Dense(Layer):
    """A fully connected layer with a bias; an image is flattened first.

    >>> Dense(10).weights((84,))
    {'weights': (10, 84), 'bias': (10,)}
    """

    linear = True

    out_channels: int
    bias: bool = True

    def out_shape(self, *shapes: Shape) -> Shape:
        return (as_size(self.out_channels, "out_channels"),)

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        found: dict[str, Shape] = {"weights": (self.out_channels, size_product(one(shapes)))}
        return {**found, "bias": (self.out_channels,)} if self.bias else found

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        layer = dense(weights["weights"], one(shapes))
        return Affine(layer, weights["bias"]) if self.bias else layer

    def links(self, shape: Shape) -> tuple[Link, ...] | None:
        return None if len(shape) > 1 else ()

    def channels(self, shape: Shape) -> Array:
        return np.ones((self.out_channels, channels_of(shape)), dtype=bool)

    def cost(self, *shapes: Shape) -> Cost:
        products = self.out_channels * size_product(one(shapes))
        bias = self.out_channels if self.bias else 0
        whole = products + bias
        return Cost(whole, products, products, whole, whole)


def _layer_cost(geometry: Geometry, bias: int, *, turned: bool = False) -> Cost:
    """The counts of a correlation layer or its adjoint, from its axes alone."""
    pattern = Pattern(geometry)
    groups, outputs, inputs = geometry.channels
    places = math.prod(int(n) for n in geometry.out_spatial)
    taps = math.prod(int(n) for n in geometry.taps)
    dense_size = size_product(geometry.in_shape) * size_product(geometry.out_shape)
    after = geometry.in_shape if turned else geometry.out_shape
    biases = size_product(after) if bias else 0
    return Cost(
        parameters=pattern.parameters + bias,
        nonzeros=pattern.products,
        padded=groups * outputs * inputs * places * taps,
        unshared=pattern.products + biases,
        connected=dense_size + biases,
    )

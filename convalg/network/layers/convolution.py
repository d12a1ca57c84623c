"""Layers with a kernel or a matrix of weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.axis import Boundary
from convalg.conventions import correlation_geometry, transposed_geometry
from convalg.errors import ShapeError, TooLargeError
from convalg.geometry import Geometry
from convalg.maps.chains import Affine
from convalg.network.layers.base import (
    Cost,
    Layer,
    Link,
    Shape,
    channels_of,
    grouped,
    grouped_channels,
    only_shape,
)
from convalg.network.layers.fitted import FittedConvolution, WindowedLayer
from convalg.operators.convolution import correlation, transposed_correlation
from convalg.operators.dense import dense
from convalg.operators.tree import Map
from convalg.pattern.pattern import Pattern
from convalg.size import as_size, per_axis, size_product

MOST_TAPS = 10**6
"""The largest number of taps along an axis for which non-zeros are counted tap by tap."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedKernel(FittedConvolution):
    """A layer with a kernel for one input shape, with its counts."""

    @cached_property
    def cost(self) -> Cost:
        """The counts without biases, computed from the axes alone."""
        geometry, pattern = self.geometry, Pattern(self.geometry)
        if max(geometry.taps, default=1) > MOST_TAPS:
            raise TooLargeError(
                f"non-zeros are counted tap by tap, for up to {MOST_TAPS} taps along an axis, not "
                f"for a kernel of {geometry.taps} taps: use a smaller kernel"
            )
        products = pattern.products
        return Cost(
            parameters=pattern.parameters,
            nonzeros=products,
            padded=pattern.parameters * math.prod(int(n) for n in geometry.out_spatial),
            unshared=products,
            connected=size_product(geometry.in_shape) * size_product(geometry.out_shape),
        )

    def cost_with(self, biases: int) -> Cost:
        """Return the counts with a number of biases."""
        if not biases:
            return self.cost
        # Without weight sharing, each output has its own bias.
        cost, outputs = self.cost, size_product(self.out_shape)
        return replace(
            cost,
            parameters=cost.parameters + biases,
            unshared=cost.unshared + outputs,
            connected=cost.connected + outputs,
        )


@dataclass(frozen=True, repr=False)
class Conv(WindowedLayer[FittedKernel]):
    """A correlation layer with a bias, as in PyTorch and ONNX; see `ca.correlation`.

    Args:
        out_channels: the number of output channels.
        kernel_size: the number of taps: one integer for all axes, or one for each axis.
        stride: the step of the window in samples: one integer for all axes, or one for each axis.
        padding: the number of samples added around the input: one integer for all axes, one for
            each axis, a pair (before, after) for each axis, or a rule such as "same".
        dilation: the distance between neighbouring taps in samples: one integer for all axes, or
            one for each axis.
        groups: the number of groups; a channel of the output reads the input channels of its group.
        bias: whether a trained bias is added to each output channel.
        boundary: the rule for the values of the added samples: "zeros", "circular", "reflect",
            "symmetric" or "edge".

    Raises:
        ArgumentError: when a number is less than allowed, or boundary is unknown.
        KindError: when an argument has the wrong type.

    >>> import convalg as ca
    >>> ca.layers.Conv(8, 3, padding=1).out_shape((3, 32, 32))
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

    def fit(self, shape: Shape) -> FittedKernel:
        inputs, dims = channels_of(shape), len(shape) - 1
        if isinstance(inputs, int) and inputs % self.groups:
            raise ShapeError(
                f"groups={self.groups} does not divide the {inputs} input channels: use a divisor "
                f"of {inputs}"
            )
        taps = per_axis(self.kernel_size, "kernel_size", dims)
        geometry = correlation_geometry(
            shape[1:],
            (self.out_channels, inputs // self.groups, *taps),
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            boundary=self.boundary,
        )
        return FittedKernel(geometry.out_shape, geometry.axes, geometry=geometry)

    def geometry(self, shape: Shape) -> Geometry:
        """Return the geometry of the correlation.

        Args:
            shape: the shape of the input.
        """
        return self.fitted(shape).geometry

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        kernel = self.fitted(only_shape(shapes)).geometry.kernel_shape
        return {"kernel": kernel, "bias": (self.out_channels,)} if self.bias else {"kernel": kernel}

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        layer = correlation(
            only_shape(shapes)[1:],
            weights["kernel"],
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            boundary=self.boundary,
        )
        return Affine(layer, weights["bias"]) if self.bias else layer

    def channels(self, shape: Shape) -> Array:
        return grouped(self.out_channels, channels_of(shape), self.groups)

    def read_channels(self, shape: Shape, outputs: Array) -> Array:
        return grouped_channels(self.out_channels, channels_of(shape), self.groups, outputs)

    def cost(self, *shapes: Shape) -> Cost:
        return self.fitted(only_shape(shapes)).cost_with(self.out_channels if self.bias else 0)


@dataclass(frozen=True, repr=False)
class ConvTranspose(WindowedLayer[FittedKernel]):
    """A transposed correlation layer with a bias, as PyTorch's ConvTranspose.

    It is the adjoint of a correlation; see `ca.transposed_correlation`.

    Args:
        out_channels: the number of output channels.
        kernel_size: the number of taps: one integer for all axes, or one for each axis.
        stride: the factor by which the input is upsampled with zeros: one integer for all axes, or
            one for each axis.
        padding: the number of samples removed from both ends of the output: one integer for all
            axes, one for each axis, or a pair (before, after) for each axis.
        output_padding: the number of samples added at the end of the output: one integer for all
            axes, or one for each axis.
        dilation: the distance between neighbouring taps in samples: one integer for all axes, or
            one for each axis.
        groups: the number of groups; a channel of the output reads the input channels of its group.
        bias: whether a trained bias is added to each output channel.

    Raises:
        ArgumentError: when a number is less than allowed.
        KindError: when an argument has the wrong type.

    >>> import convalg as ca
    >>> ca.layers.ConvTranspose(4, 2, stride=2).out_shape((8, 7, 7))
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

    def fit(self, shape: Shape) -> FittedKernel:
        inputs, dims = channels_of(shape), len(shape) - 1
        if self.out_channels % self.groups:
            raise ShapeError(
                f"groups={self.groups} does not divide the {self.out_channels} output channels: "
                f"use a divisor of {self.out_channels}"
            )
        taps = per_axis(self.kernel_size, "kernel_size", dims)
        geometry = transposed_geometry(
            shape[1:],
            (inputs, self.out_channels // self.groups, *taps),
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return FittedKernel(geometry.in_shape, geometry.axes, transposed=True, geometry=geometry)

    def geometry(self, shape: Shape) -> Geometry:
        """Return the geometry of the correlation whose adjoint this layer is.

        Args:
            shape: the shape of the input of this layer.
        """
        return self.fitted(shape).geometry

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        kernel = self.fitted(only_shape(shapes)).geometry.kernel_shape
        return {"kernel": kernel, "bias": (self.out_channels,)} if self.bias else {"kernel": kernel}

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        layer = transposed_correlation(
            only_shape(shapes)[1:],
            weights["kernel"],
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return Affine(layer, weights["bias"]) if self.bias else layer

    def channels(self, shape: Shape) -> Array:
        return grouped(self.out_channels, channels_of(shape), self.groups)

    def read_channels(self, shape: Shape, outputs: Array) -> Array:
        return grouped_channels(self.out_channels, channels_of(shape), self.groups, outputs)

    def cost(self, *shapes: Shape) -> Cost:
        return self.fitted(only_shape(shapes)).cost_with(self.out_channels if self.bias else 0)


@dataclass(frozen=True, repr=False)
class Dense(Layer):
    """A fully connected layer with a bias: a dense matrix applied to the flattened input.

    Args:
        out_channels: the number of outputs.
        bias: whether a trained bias is added to each output.

    Raises:
        ArgumentError: when out_channels is less than 1.
        KindError: when an argument has the wrong type.

    >>> import convalg as ca
    >>> ca.layers.Dense(10).weights((84,))
    {'weights': (10, 84), 'bias': (10,)}
    """

    linear = True

    out_channels: int
    bias: bool = True

    def out_shape(self, *shapes: Shape) -> Shape:
        return (as_size(self.out_channels, "out_channels"),)

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        matrix: dict[str, Shape] = {
            "weights": (self.out_channels, size_product(only_shape(shapes)))
        }
        return {**matrix, "bias": (self.out_channels,)} if self.bias else matrix

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        layer = dense(weights["weights"], only_shape(shapes))
        return Affine(layer, weights["bias"]) if self.bias else layer

    def links(self, shape: Shape) -> tuple[Link, ...] | None:
        return None if len(shape) > 1 else ()

    def channels(self, shape: Shape) -> Array:
        return np.ones((self.out_channels, channels_of(shape)), dtype=bool)

    def reads_all(self, shape: Shape) -> bool:
        return True

    def cost(self, *shapes: Shape) -> Cost:
        products = self.out_channels * size_product(only_shape(shapes))
        parameters = products + (self.out_channels if self.bias else 0)
        return Cost(parameters, products, products, parameters, parameters)

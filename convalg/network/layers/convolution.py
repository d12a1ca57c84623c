"""Layers with a kernel or a matrix of weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

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
    one,
)
from convalg.operators.make import correlation, dense, transposed_correlation
from convalg.operators.tree import Map
from convalg.pattern.pattern import Pattern
from convalg.size import as_size, per_axis, size_product

MOST_TAPS = 10**6
"""Taps along an axis up to which non-zeros are counted."""


@dataclass(frozen=True, eq=False)
class Facts:
    """What a layer with a kernel is at one input shape."""

    geometry: Geometry
    out_shape: Shape
    kernel_shape: Shape
    links: tuple[Link, ...]

    @cached_property
    def cost(self) -> Cost:
        """The counts without a bias, from the axes alone."""
        geometry, pattern = self.geometry, Pattern(self.geometry)
        if max(geometry.taps, default=1) > MOST_TAPS:
            raise TooLargeError(
                f"the non-zeros of a kernel of {geometry.taps} taps are counted tap by tap, over "
                f"the limit of {MOST_TAPS} along an axis: take a smaller kernel"
            )
        products = pattern.products
        return Cost(
            parameters=pattern.parameters,
            nonzeros=products,
            padded=pattern.parameters * math.prod(int(n) for n in geometry.out_spatial),
            unshared=products,
            connected=size_product(geometry.in_shape) * size_product(geometry.out_shape),
        )

    def cost_with(self, bias: int) -> Cost:
        """The counts with so many biases."""
        cost, places = self.cost, size_product(self.out_shape)
        if not bias:
            return cost
        whole, unshared, connected = cost.parameters, cost.unshared, cost.connected
        return Cost(whole + bias, cost.nonzeros, cost.padded, unshared + places, connected + places)


class Options(NamedTuple):
    """The arguments of a layer with a kernel, in the order in which its geometry takes them.

    `plain`: whether they are numbers and words of Python's own. Others may be equal to a number
    and still be none, as True is to 1, or cannot be hashed.
    """

    values: tuple[Any, ...]
    plain: bool

    @classmethod
    def of(cls, *values: Any) -> Options:
        """These arguments."""
        return cls(values, all(map(_is_plain, values)))

    def facts(self, find: Any, shape: Shape) -> Facts:
        """What `find` says, remembered: deep networks repeat their layers."""
        if self.plain and _is_plain(shape):
            return find(shape, *self.values)
        return find.__wrapped__(shape, *self.values)


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is tuple:
        return _INT.issuperset(map(type, value)) or all(map(_is_plain, value))
    return kind is int or kind is str


_INT = {int}


@lru_cache(maxsize=512)
def _correlation_facts(
    shape: Shape,
    outputs: Any,
    size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    boundary: Any,
) -> Facts:
    inputs, dims = channels_of(shape), len(shape) - 1
    if isinstance(inputs, int) and inputs % groups:
        raise ShapeError(f"groups={groups} does not divide the {inputs} input channels")
    taps = per_axis(size, "kernel_size", dims)
    geometry = correlation_geometry(
        shape[1:],
        (outputs, inputs // groups, *taps),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        boundary=boundary,
    )
    links = tuple(Link(axis) for axis in geometry.axes)
    return Facts(geometry, geometry.out_shape, geometry.kernel_shape, links)


@lru_cache(maxsize=512)
def _transposed_facts(
    shape: Shape,
    outputs: Any,
    size: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    dilation: Any,
    groups: Any,
) -> Facts:
    inputs, dims = channels_of(shape), len(shape) - 1
    if outputs % groups:
        raise ShapeError(f"groups={groups} does not divide the {outputs} output channels")
    taps = per_axis(size, "kernel_size", dims)
    geometry = transposed_geometry(
        shape[1:],
        (inputs, outputs // groups, *taps),
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
        groups=groups,
    )
    links = tuple(Link(axis, transposed=True) for axis in geometry.axes)
    return Facts(geometry, geometry.in_shape, geometry.kernel_shape, links)


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

    @cached_property
    def _options(self) -> Options:
        sizes = (self.out_channels, self.kernel_size, self.stride, self.padding, self.dilation)
        return Options.of(*sizes, self.groups, self.boundary)

    def geometry(self, shape: Shape) -> Geometry:
        """The geometry over an input of this shape."""
        return self._options.facts(_correlation_facts, shape).geometry

    def out_shape(self, *shapes: Shape) -> Shape:
        return self._options.facts(_correlation_facts, one(shapes)).out_shape

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        kernel = self._options.facts(_correlation_facts, one(shapes)).kernel_shape
        return {"kernel": kernel, "bias": (self.out_channels,)} if self.bias else {"kernel": kernel}

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
        return self._options.facts(_correlation_facts, shape).links

    def channels(self, shape: Shape) -> Array:
        return grouped(self.out_channels, channels_of(shape), self.groups)

    def read_channels(self, shape: Shape, outputs: Array) -> Array:
        return grouped_channels(self.out_channels, channels_of(shape), self.groups, outputs)

    def cost(self, *shapes: Shape) -> Cost:
        facts = self._options.facts(_correlation_facts, one(shapes))
        return facts.cost_with(self.out_channels if self.bias else 0)


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

    @cached_property
    def _options(self) -> Options:
        sizes = (self.out_channels, self.kernel_size, self.stride, self.padding)
        return Options.of(*sizes, self.output_padding, self.dilation, self.groups)

    def geometry(self, shape: Shape) -> Geometry:
        """The geometry of the correlation whose adjoint this is."""
        return self._options.facts(_transposed_facts, shape).geometry

    def out_shape(self, *shapes: Shape) -> Shape:
        return self._options.facts(_transposed_facts, one(shapes)).out_shape

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        kernel = self._options.facts(_transposed_facts, one(shapes)).kernel_shape
        return {"kernel": kernel, "bias": (self.out_channels,)} if self.bias else {"kernel": kernel}

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
        return self._options.facts(_transposed_facts, shape).links

    def channels(self, shape: Shape) -> Array:
        return grouped(self.out_channels, channels_of(shape), self.groups)

    def read_channels(self, shape: Shape, outputs: Array) -> Array:
        return grouped_channels(self.out_channels, channels_of(shape), self.groups, outputs)

    def cost(self, *shapes: Shape) -> Cost:
        facts = self._options.facts(_transposed_facts, one(shapes))
        return facts.cost_with(self.out_channels if self.bias else 0)


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

    def reads_all(self, shape: Shape) -> bool:
        return True

    def cost(self, *shapes: Shape) -> Cost:
        products = self.out_channels * size_product(one(shapes))
        bias = self.out_channels if self.bias else 0
        whole = products + bias
        return Cost(whole, products, products, whole, whole)

"""Pooling over regions of interest, and the random sampling of a variational autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convalg import engine
from convalg.arrays import Array, as_floats, one_sample
from convalg.errors import ArgumentError, ShapeError
from convalg.maps.chains import concat, embeddings
from convalg.maps.max_pooling import Extremum
from convalg.network.layers.base import (
    Indices,
    Layer,
    Link,
    Shape,
    channels_of,
    index_union,
    only_shape,
)
from convalg.network.layers.checks import positive
from convalg.operators import windows
from convalg.operators.dense import diagonal
from convalg.operators.pooling import concrete_shape
from convalg.operators.tree import Map, Operator, add, compose
from convalg.size import per_axis


@dataclass(frozen=True, repr=False)
class RoIPool(Layer):
    """The maximum of each window of a grid over each region of an image.

    A region is divided into windows like the input of an adaptive pooling, and the windows are
    clipped to the input. The maximum of an empty window is 0. The outputs of all regions are
    concatenated along the channels.

    Args:
        size: the number of windows of a region: one integer for all axes, or one for each axis.
        regions: a tuple of regions `(x1, y1, x2, y2)` in pixels of the image, including both ends.
        scale: the number of samples of the input for each pixel of the image, such as
            `Fraction(1, 16)`.

    Raises:
        ArgumentError: when regions is empty, or scale is not positive.

    Source: Girshick 2015, Fast R-CNN, section 2.1.

    >>> import convalg as ca
    >>> from fractions import Fraction
    >>> ca.layers.RoIPool(7, ((0, 0, 223, 223),), Fraction(1, 16)).out_shape((512, 14, 14))
    (512, 7, 7)
    """

    size: Any
    regions: tuple[tuple[Any, ...], ...]
    scale: Any = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self.scale, "scale")
        if not self.regions:
            raise ArgumentError(f"regions must contain at least one region, not {self.regions!r}")

    def _windows(self, shape: Shape, region: tuple[Any, ...]) -> list[list[range]]:
        """Return the windows of a region along each axis."""
        dims = len(shape) - 1
        sizes = per_axis(self.size, "size", dims)
        # x is the position on the last axis.
        ends = zip(region[dims - 1 :: -1], region[: dims - 1 : -1], strict=True)
        return [
            list(windows.region(first, last, self.scale, n, m))
            for (first, last), n, m in zip(ends, shape[1:], sizes, strict=True)
        ]

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = only_shape(shapes)
        dims = len(shape) - 1
        for region in self.regions:
            if len(region) != 2 * dims:
                raise ArgumentError(
                    f"a region must have {2 * dims} numbers, the first positions on {dims} axes "
                    f"followed by the last positions, not {region}"
                )
        return (len(self.regions) * shape[0], *per_axis(self.size, "size", dims))

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape = concrete_shape(only_shape(shapes))
        sizes, parts = self.out_shape(shape)[1:], []
        for region in self.regions:
            indices, is_full = np.zeros((1, 1), dtype=np.int64), np.ones((), dtype=bool)
            for n, line in zip(shape[1:], self._windows(shape, region), strict=True):
                longest = max(1, *map(len, line))
                rows = [[*w, *[-1] * (longest - len(w))] if w else [0] * longest for w in line]
                indices = engine.joined(indices, np.array(rows).T, n)
                is_full = np.logical_and.outer(is_full, [bool(w) for w in line])
            label = f"roi_pool({shape}, {region})"
            after = (shape[0], *sizes)
            maximum = Extremum("max", indices, shape, after, shape[1:], label)
            nonempty = diagonal(np.broadcast_to(is_full.astype(int), after))
            parts.append(maximum if is_full.all() else nonempty @ maximum)
        return concat(parts)

    def links(self, shape: Shape) -> tuple[Link, ...] | None:
        return None

    def channels(self, shape: Shape) -> Array:
        return np.tile(np.eye(channels_of(shape), dtype=bool), (len(self.regions), 1))

    def reads(self, units: Indices, shapes: tuple[Shape, ...], port: int = 0) -> list[Indices]:
        shape, products = only_shape(shapes), []
        count = int(shape[0])
        for number, region in enumerate(self.regions):
            own = units[0][units[0] // count == number] % count
            if not len(own):
                continue
            windows = self._windows(shape, region)
            spatial = (
                index_union([w[int(k)] for k in outputs])
                for w, outputs in zip(windows, units[1:], strict=True)
            )
            products.append((own, *spatial))
        return products


@dataclass(frozen=True, eq=False)
class Sampled(Map):
    """The map mean + exp(log variance / 2) * noise, with the means as the first channels."""

    in_shape: tuple[Any, ...]
    out_shape: tuple[Any, ...]
    noise: Array

    def _deviation(self, x: Array) -> Array:
        values: Array = np.exp(as_floats(x)[:, self.out_shape[0] :] / 2)
        return values

    def _apply(self, x: Array) -> Array:
        values: Array = x[:, : self.out_shape[0]] + self._deviation(x) * self.noise
        return values

    def at(self, x: object, /) -> Operator:
        slope = self._deviation(one_sample(x, self.in_shape)[None])[0] * self.noise / 2
        mean, spread = (cut.T for cut in embeddings([self.out_shape, self.out_shape]))
        return add(mean, compose(diagonal(slope), spread))


@dataclass(frozen=True, repr=False)
class Sample(Layer):
    """A sample of independent Gaussians, as in a variational autoencoder.

    The first half of the input channels has the means, the second half the logarithms of the
    variances. The output is mean + exp(log variance / 2) * noise. The array "noise" is a buffer; if
    it is zero, the output is the mean.

    Source: Kingma & Welling 2014, section 2.4, the reparameterisation.

    >>> import convalg as ca
    >>> ca.layers.Sample().out_shape((20,)), ca.layers.Sample().buffers((20,))
    ((10,), {'noise': (10,)})
    """

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = only_shape(shapes)
        if channels_of(shape) % 2:
            raise ShapeError(
                f"the input of a Sample must have an even number of channels, half of them for "
                f"means and half for log variances, not the shape {shape}"
            )
        return (shape[0] // 2, *shape[1:])

    def buffers(self, *shapes: Shape) -> dict[str, Shape]:
        return {"noise": self.out_shape(*shapes)}

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return Sampled(only_shape(shapes), self.out_shape(*shapes), weights["noise"])

    def channels(self, shape: Shape) -> Array:
        return np.tile(np.eye(channels_of(shape) // 2, dtype=bool), (1, 2))

"""Pooling layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convalg.arrays import Array
from convalg.axis import Axis, holds
from convalg.conventions import pooling_axes
from convalg.errors import SymbolicError
from convalg.maps import max_pooling
from convalg.maps.lp_pooling import lp_pool
from convalg.network.layers.base import Layer, Link, Shape, one
from convalg.network.layers.grids import AdaptiveParts
from convalg.operators import pooling
from convalg.operators.tree import Map
from convalg.size import is_symbolic, per_axis


@dataclass(frozen=True, repr=False)
class PoolLayer(Layer):
    """A pooling with a window that slides over every spatial axis."""

    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    dilation: Any = 1
    ceil_mode: bool = False

    def axes(self, shape: Shape) -> tuple[Axis, ...]:
        """The windows along each axis."""
        return pooling_axes(
            shape[1:],
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            ceil_mode=self.ceil_mode,
        )[0]

    def _options(self) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "ceil_mode": self.ceil_mode,
        }

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = one(shapes)
        return (shape[0], *(axis.out_size for axis in self.axes(shape)))

    def links(self, shape: Shape) -> tuple[Link, ...]:
        return tuple(Link(axis) for axis in self.axes(shape))


@dataclass(frozen=True, repr=False)
class MaxPool(PoolLayer):
    """The largest sample of each window.

    >>> MaxPool(3, stride=2).out_shape((64, 55, 55))
    (64, 27, 27)
    """

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape = one(shapes)
        return max_pooling.max_pool(
            shape[1:], self.kernel_size, **self._options(), channels=shape[0]
        )


@dataclass(frozen=True, repr=False)
class AvgPool(PoolLayer):
    """The mean of each window.

    >>> AvgPool(2).out_shape((6, 28, 28))
    (6, 14, 14)
    """

    linear = True

    count_include_pad: bool = True

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape = one(shapes)
        return pooling.average_pool(
            shape[1:],
            self.kernel_size,
            **self._options(),
            count_include_pad=self.count_include_pad,
            channels=shape[0],
        )


@dataclass(frozen=True, repr=False)
class LpPool(PoolLayer):
    """The Lp norm of each window.

    >>> LpPool(2, p=3).out_shape((6, 28, 28))
    (6, 14, 14)
    """

    p: int = 2

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape = one(shapes)
        options = self._options()
        return lp_pool(shape[1:], self.kernel_size, self.p, **options, channels=shape[0])


@dataclass(frozen=True, repr=False)
class GlobalPoolLayer(Layer):
    """A pooling of all samples of each channel."""

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = one(shapes)
        return (shape[0], *(1 for _ in shape[1:]))

    def links(self, shape: Shape) -> tuple[Link, ...]:
        return tuple(Link(Axis(n, 1, taps=n)) for n in shape[1:])


@dataclass(frozen=True, repr=False)
class GlobalAvgPool(GlobalPoolLayer):
    """The mean of each channel, as one sample.

    >>> GlobalAvgPool().out_shape((512, 7, 7))
    (512, 1, 1)
    """

    linear = True

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape = one(shapes)
        return pooling.global_pool(shape[1:], channels=shape[0])


@dataclass(frozen=True, repr=False)
class GlobalMaxPool(GlobalPoolLayer):
    """The largest sample of each channel.

    >>> GlobalMaxPool().out_shape((512, 7, 7))
    (512, 1, 1)
    """

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape = one(shapes)
        return max_pooling.global_max_pool(shape[1:], channels=shape[0])


@dataclass(frozen=True, repr=False)
class AdaptiveAvgPool(Layer):
    """The mean over windows that cut the input into `out_size` parts.

    >>> AdaptiveAvgPool(6).out_shape((256, 13, 13))
    (256, 6, 6)
    """

    linear = True

    out_size: Any

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = one(shapes)
        return (shape[0], *per_axis(self.out_size, "out_size", len(shape) - 1))

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape = one(shapes)
        return pooling.adaptive_pool(shape[1:], self.out_size, channels=shape[0])

    def links(self, shape: Shape) -> tuple[Link, ...]:
        """Raises: SymbolicError for sizes in letters that are not cut into equal parts."""
        sizes = per_axis(self.out_size, "out_size", len(shape) - 1)
        return tuple(_parts(n, m) for n, m in zip(shape[1:], sizes, strict=True))


def _parts(n: Any, m: Any) -> Link:
    """What the windows read that cut n samples into m parts."""
    if holds(n % m == 0):
        return Link(Axis(n, m, taps=n // m, stride=n // m))
    if is_symbolic(n) or is_symbolic(m):
        raise SymbolicError(
            f"the windows of {m} parts of {n} samples differ by what is left over: put in "
            f"numbers, or a multiple of {m}"
        )
    parts = AdaptiveParts(int(n), int(m))
    return Link(parts.hull, table=parts)

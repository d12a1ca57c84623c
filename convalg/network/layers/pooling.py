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
from convalg.network.layers.base import Layer, Link, Shape, only_shape
from convalg.network.layers.fitted import Fitted, WindowedLayer
from convalg.network.layers.grids import AdaptiveParts
from convalg.operators import pooling
from convalg.operators.tree import Map
from convalg.size import is_symbolic, per_axis


@dataclass(frozen=True, repr=False)
class PoolLayer(WindowedLayer[Fitted]):
    """The base class of poolings whose window slides along every spatial axis.

    Args:
        kernel_size: the number of samples of a window: one integer for all axes, or one for each
            axis.
        stride: the step of the window in samples: one integer for all axes, or one for each axis;
            by default `kernel_size`.
        padding: the number of samples added around the input: one integer for all axes, one
            for each axis, or a pair (before, after) for each axis.
        dilation: the distance between neighbouring samples of a window: one integer for all axes,
            or one for each axis.
        ceil_mode: whether to keep a last window that begins inside the input or the padding
            before it but ends after the padded input, as in PyTorch.
    """

    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    dilation: Any = 1
    ceil_mode: bool = False

    def _options(self) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "ceil_mode": self.ceil_mode,
        }

    def fit(self, shape: Shape) -> Fitted:
        axes = pooling_axes(shape[1:], self.kernel_size, **self._options())[0]
        return Fitted((shape[0], *(axis.out_size for axis in axes)), axes)

    def axes(self, shape: Shape) -> tuple[Axis, ...]:
        """Return the windows along each spatial axis.

        Args:
            shape: the shape of the input.
        """
        return self.fitted(shape).axes


@dataclass(frozen=True, repr=False)
class MaxPool(PoolLayer):
    """The maximum of each window, for each channel; see `ca.max_pool`.

    Args:
        kernel_size: the number of samples of a window: one integer for all axes, or one for each
            axis.
        stride: the step of the window in samples: one integer for all axes, or one for each axis;
            by default `kernel_size`.
        padding: the number of samples added around the input, which are never the maximum: one
            integer for all axes, one for each axis, or a pair (before, after) for each axis.
        dilation: the distance between neighbouring samples of a window: one integer for all axes,
            or one for each axis.
        ceil_mode: whether to keep a last window that begins inside the input or the padding
            before it but ends after the padded input, as in PyTorch.

    >>> import convalg as ca
    >>> ca.layers.MaxPool(3, stride=2).out_shape((64, 55, 55))
    (64, 27, 27)
    """

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape = only_shape(shapes)
        return max_pooling.max_pool(
            shape[1:], self.kernel_size, **self._options(), channels=shape[0]
        )


@dataclass(frozen=True, repr=False)
class AvgPool(PoolLayer):
    """The mean of each window, for each channel; see `ca.average_pool`.

    Args:
        kernel_size: the number of samples of a window: one integer for all axes, or one for each
            axis.
        stride: the step of the window in samples: one integer for all axes, or one for each axis;
            by default `kernel_size`.
        padding: the number of zeros added around the input: one integer for all axes, one
            for each axis, or a pair (before, after) for each axis.
        dilation: the distance between neighbouring samples of a window: one integer for all axes,
            or one for each axis.
        ceil_mode: whether to keep a last window that begins inside the input or the padding
            before it but ends after the padded input, as in PyTorch.
        count_include_pad: whether the divisor of a mean includes the padding zeros of its window.

    >>> import convalg as ca
    >>> ca.layers.AvgPool(2).out_shape((6, 28, 28))
    (6, 14, 14)
    """

    linear = True

    count_include_pad: bool = True

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape = only_shape(shapes)
        return pooling.average_pool(
            shape[1:],
            self.kernel_size,
            **self._options(),
            count_include_pad=self.count_include_pad,
            channels=shape[0],
        )


@dataclass(frozen=True, repr=False)
class LpPool(PoolLayer):
    """The Lp norm of each window, for each channel.

    >>> from convalg.network.layers.pooling import LpPool
    >>> LpPool(2, p=3).out_shape((6, 28, 28))
    (6, 14, 14)
    """

    p: int = 2

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape = only_shape(shapes)
        options = self._options()
        return lp_pool(shape[1:], self.kernel_size, self.p, **options, channels=shape[0])


@dataclass(frozen=True, repr=False)
class GlobalPoolLayer(Layer):
    """The base class of poolings of all samples of each channel."""

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = only_shape(shapes)
        return (shape[0], *(1 for _ in shape[1:]))

    def links(self, shape: Shape) -> tuple[Link, ...]:
        return tuple(Link(Axis(n, 1, taps=n)) for n in shape[1:])


@dataclass(frozen=True, repr=False)
class GlobalAvgPool(GlobalPoolLayer):
    """The mean of all samples of each channel; every spatial axis of the output has size 1.

    >>> import convalg as ca
    >>> ca.layers.GlobalAvgPool().out_shape((512, 7, 7))
    (512, 1, 1)
    """

    linear = True

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape = only_shape(shapes)
        return pooling.global_pool(shape[1:], channels=shape[0])


@dataclass(frozen=True, repr=False)
class GlobalMaxPool(GlobalPoolLayer):
    """The maximum of all samples of each channel; every spatial axis of the output has size 1.

    >>> import convalg as ca
    >>> ca.layers.GlobalMaxPool().out_shape((512, 7, 7))
    (512, 1, 1)
    """

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape = only_shape(shapes)
        return max_pooling.global_max_pool(shape[1:], channels=shape[0])


@dataclass(frozen=True, repr=False)
class AdaptiveAvgPool(Layer):
    """The means of windows that divide each axis of the input into a given number of parts.

    Window o of m covers samples floor(o n / m) to ceil((o + 1) n / m) - 1 of n, as in PyTorch.

    Args:
        out_size: the number of samples of the output: one integer for all axes, or one for each
            axis.

    >>> import convalg as ca
    >>> ca.layers.AdaptiveAvgPool(6).out_shape((256, 13, 13))
    (256, 6, 6)
    """

    linear = True

    out_size: Any

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = only_shape(shapes)
        return (shape[0], *per_axis(self.out_size, "out_size", len(shape) - 1))

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape = only_shape(shapes)
        return pooling.adaptive_pool(shape[1:], self.out_size, channels=shape[0])

    def links(self, shape: Shape) -> tuple[Link, ...]:
        """Return the link of each axis. Raises: SymbolicError if symbolic parts are unequal."""
        sizes = per_axis(self.out_size, "out_size", len(shape) - 1)
        return tuple(_parts(n, m) for n, m in zip(shape[1:], sizes, strict=True))


def _parts(n: Any, m: Any) -> Link:
    """Return the link of windows that divide n samples into m parts."""
    if holds(n % m == 0):
        return Link(Axis(n, m, taps=n // m, stride=n // m))
    if is_symbolic(n) or is_symbolic(m):
        raise SymbolicError(
            f"an axis of {n} samples cannot be divided into {m} equal parts for every size, so the "
            f"windows have different sizes: use integers for the sizes, or a size that is a "
            f"multiple of {m}"
        )
    parts = AdaptiveParts(int(n), int(m))
    return Link(parts.hull, table=parts)

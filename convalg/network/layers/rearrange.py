"""Layers that imported models need: slices, permuted axes, resizing, matrices along an axis."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from convalg.arrays import Array
from convalg.axis import Axis
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.maps import activations
from convalg.network.layers.base import (
    Cost,
    Indices,
    Layer,
    Link,
    Shape,
    all_indices,
    channels_of,
    only_shape,
)
from convalg.network.layers.checks import count
from convalg.network.layers.grids import Grid
from convalg.operators import rearrange, resize
from convalg.operators.dense import dense, identity
from convalg.operators.leaves import Selection
from convalg.operators.rearrange import reshape
from convalg.operators.tree import Map, compose
from convalg.operators.windows import Coordinates, Rounding
from convalg.size import as_shape, is_symbolic, size_product


@dataclass(frozen=True, repr=False)
class Expand(Layer):
    """The input broadcast to a larger shape as in NumPy: axes of size 1 are repeated.

    Args:
        shape: the shape of the output; new axes come first.

    >>> import convalg as ca
    >>> ca.layers.Expand((8, 4, 4)).out_shape((8, 1, 1))
    (8, 4, 4)
    """

    linear = True

    shape: Shape

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = only_shape(shapes)
        wanted = tuple(as_shape(self.shape))
        tail = wanted[len(wanted) - len(shape) :]
        if len(shape) > len(wanted) or any(
            n not in (1, m) for n, m in zip(shape, tail, strict=True)
        ):
            raise ShapeError(
                f"an input of shape {shape} cannot be expanded to {wanted}: only axes of size 1 "
                f"are repeated"
            )
        return wanted

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape, wanted = only_shape(shapes), self.out_shape(*shapes)
        # Repeating a sample m times is the adjoint of the sum over m samples.
        before = (1,) * (len(wanted) - len(shape)) + tuple(shape)
        axes = [k for k, (n, m) in enumerate(zip(before, wanted, strict=True)) if n != m]
        return compose(activations.sum_over(wanted, tuple(axes)).T, reshape(shape, before))

    def links(self, shape: Shape) -> tuple[Link, ...] | None:
        wanted = self.out_shape(shape)
        if len(shape) != len(wanted):
            return None
        return tuple(
            Link(Axis(n, n)) if n == m else Link(Axis(m, 1, taps=m), transposed=True)
            for n, m in zip(shape[1:], wanted[1:], strict=True)
        )

    def channels(self, shape: Shape) -> Array | None:
        before, after = channels_of(shape), channels_of(self.shape)
        return None if before == after else np.ones((after, before), dtype=bool)

    def reads(self, units: Indices, shapes: tuple[Shape, ...], port: int = 0) -> list[Indices]:
        shape = only_shape(shapes)
        old = units[len(units) - len(shape) :]
        first = np.arange(1)
        return [tuple(first if n == 1 else u for n, u in zip(shape, old, strict=True))]


@dataclass(frozen=True, repr=False)
class Slice(Layer):
    """The samples with indices start, start + step, ... that are less than stop, along one axis.

    Args:
        axis: the index of the axis; axis 0 is the channel axis.
        start: the index of the first sample, at least 0.
        stop: the index after the last sample, at most the size of the axis.
        step: the difference of successive indices, at least 1.

    >>> import convalg as ca
    >>> ca.layers.Slice(0, 4, 8).out_shape((8, 5, 5))
    (4, 5, 5)
    >>> ca.layers.Slice(2, 1, 5, 2).out_shape((8, 5, 5))
    (8, 5, 2)
    """

    linear = True

    axis: int
    start: int
    stop: Any
    step: int = 1

    def _count(self, shape: Shape) -> Any:
        if self.axis >= len(shape):
            raise ShapeError(
                f"axis must be from 0 to {len(shape) - 1} for an input of shape {shape}, not "
                f"{self.axis}"
            )
        size = shape[self.axis]
        symbolic = is_symbolic(size) or is_symbolic(self.stop)
        wrong = self.step < 1 or self.stop is None
        if wrong or (not symbolic and not 0 <= self.start < self.stop <= size):
            raise ArgumentError(
                f"start, stop and step of a Slice must satisfy 0 <= start < stop <= {size} and "
                f"step >= 1, not start {self.start}, stop {self.stop}, step {self.step}"
            )
        return (self.stop - self.start + self.step - 1) // self.step

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = only_shape(shapes)
        return (*shape[: self.axis], self._count(shape), *shape[self.axis + 1 :])

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape = only_shape(shapes)
        return Selection(self._axes(shape), shape, self.out_shape(shape))

    def _axes(self, shape: Shape) -> tuple[Axis, ...]:
        axes = [Axis(n, n) for n in shape]
        axes[self.axis] = Axis(
            shape[self.axis], self._count(shape), stride=self.step, padding=-self.start
        )
        return tuple(axes)

    def links(self, shape: Shape) -> tuple[Link, ...]:
        return tuple(map(Link, self._axes(shape)[1:]))

    def channels(self, shape: Shape) -> Array | None:
        if self.axis:
            return None
        return np.eye(channels_of(shape), dtype=bool)[self.start : self.stop : self.step]

    def read_channels(self, shape: Shape, outputs: Array) -> Array:
        return outputs if self.axis else self.start + self.step * outputs


@dataclass(frozen=True, repr=False)
class Permute(Layer):
    """A permutation of the axes of the input, including the channel axis.

    Args:
        axes: for each axis of the output, the axis of the input that it comes from; axis 0 is the
            channel axis.

    >>> import convalg as ca
    >>> ca.layers.Permute((1, 2, 0)).out_shape((3, 8, 9))
    (8, 9, 3)
    """

    linear = True

    axes: tuple[int, ...]

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = only_shape(shapes)
        if sorted(self.axes) != list(range(len(shape))):
            raise ArgumentError(
                f"axes must contain each axis of an input of shape {shape} once, not {self.axes}"
            )
        return tuple(shape[axis] for axis in self.axes)

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        return rearrange.permute(only_shape(shapes), self.axes)

    def links(self, shape: Shape) -> tuple[Link, ...] | None:
        return None

    def channels(self, shape: Shape) -> Array:
        return np.ones((self.out_shape(shape)[0], channels_of(shape)), dtype=bool)

    def reads(self, units: Indices, shapes: tuple[Shape, ...], port: int = 0) -> list[Indices]:
        return [tuple(units[self.axes.index(k)] for k in range(len(self.axes)))]


@dataclass(frozen=True, repr=False)
class Project(Layer):
    """One matrix applied to every vector along the last axis, as PyTorch's Linear to a sequence.

    Args:
        out_size: the number of rows of the matrix, the size of the last axis of the output.

    >>> import convalg as ca
    >>> ca.layers.Project(10).out_shape((25, 64)), ca.layers.Project(10).weights((25, 64))
    ((25, 10), {'weights': (10, 64)})
    """

    linear = True

    out_size: int

    def __post_init__(self) -> None:
        super().__post_init__()
        count(self.out_size, "out_size")

    def out_shape(self, *shapes: Shape) -> Shape:
        return (*only_shape(shapes)[:-1], self.out_size)

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        return {"weights": (self.out_size, only_shape(shapes)[-1])}

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        rows = only_shape(shapes)[:-1]
        layer = dense(weights["weights"])
        return identity(rows).kron(layer) if rows else layer

    def links(self, shape: Shape) -> tuple[Link, ...] | None:
        return None if len(shape) > 1 else ()

    def channels(self, shape: Shape) -> Array | None:
        if len(shape) > 1:
            return None
        return np.ones((self.out_size, channels_of(shape)), dtype=bool)

    def reads(self, units: Indices, shapes: tuple[Shape, ...], port: int = 0) -> list[Indices]:
        return [(*units[:-1], all_indices(int(only_shape(shapes)[-1])))]

    def cost(self, *shapes: Shape) -> Cost:
        shape = only_shape(shapes)
        own = self.out_size * shape[-1]
        rows = size_product(shape[:-1])
        return Cost(own, own * rows, own * rows, own * rows, own * rows**2)


@dataclass(frozen=True, repr=False)
class Resize(Layer):
    """The input interpolated on a grid of any size; see `ca.resize`.

    Args:
        size: a tuple with the number of output samples along each spatial axis.
        mode: "nearest" for the nearest sample, or "linear" for interpolation along each axis.
        coordinates: the ONNX rule for the position of an output sample on the input, such as
            "half_pixel".
        rounding: the ONNX rule that selects the nearest sample, such as "round_prefer_floor".
        scale: the factor between the grids that the rule uses: one number for all axes, or one for
            each axis; by default the quotient of the sizes.

    >>> import convalg as ca
    >>> ca.layers.Resize((6, 6)).out_shape((8, 4, 4))
    (8, 6, 6)
    """

    linear = True

    size: tuple[int, ...]
    mode: Literal["nearest", "linear"] = "nearest"
    coordinates: Coordinates = "half_pixel"
    rounding: Rounding = "round_prefer_floor"
    scale: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.size, tuple):
            raise KindError(
                f"size of a Resize must be a tuple with one integer for each axis, not "
                f"{self.size!r}"
            )
        if isinstance(self.scale, tuple) and len(self.scale) != len(self.size):
            raise ShapeError(
                f"scale must be one number for all axes, or one for each of the "
                f"{len(self.size)} axes of size, not {self.scale}"
            )

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = only_shape(shapes)
        if len(self.size) != len(shape) - 1:
            raise ShapeError(
                f"size must have one integer for each of the {len(shape) - 1} spatial axes, not "
                f"{self.size}, for an input of shape {shape}"
            )
        return (shape[0], *self.size)

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        shape = only_shape(shapes)
        return resize.resize(
            shape[1:],
            self.size,
            scale=self.scale,
            mode=self.mode,
            coordinates=self.coordinates,
            rounding=self.rounding,
            channels=shape[0],
        )

    def links(self, shape: Shape) -> tuple[Link, ...] | None:
        if any(is_symbolic(n) for n in shape[1:]):
            return None
        dims = len(shape) - 1
        given = self.scale if isinstance(self.scale, (tuple, list)) else (self.scale,) * dims
        grids = [
            Grid(
                n, m, self.mode, self.coordinates, self.rounding, None if s is None else Fraction(s)
            )
            for n, m, s in zip(shape[1:], self.size, given, strict=True)
        ]
        return tuple(Link(grid.hull, table=grid) for grid in grids)


@dataclass(frozen=True, repr=False)
class SoftmaxAlong(Layer):
    """The softmax along any axis, exp(x) / sum(exp(x)), or its logarithm.

    Args:
        axis: the index of the axis of the sum; axis 0 is the channel axis.
        log: whether the output is the logarithm of the softmax.

    >>> import convalg as ca
    >>> ca.layers.SoftmaxAlong(1).out_shape((25, 64))
    (25, 64)
    """

    axis: int
    log: bool = False

    def out_shape(self, *shapes: Shape) -> Shape:
        return only_shape(shapes)

    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        make = activations.log_softmax if self.log else activations.softmax
        return make(only_shape(shapes), self.axis)

    def links(self, shape: Shape) -> tuple[Link, ...]:
        return tuple(
            Link(Axis(n, n, taps=2 * n - 1, padding=n - 1) if k == self.axis else Axis(n, n))
            for k, n in enumerate(shape)
        )[1:]

    def channels(self, shape: Shape) -> Array | None:
        count = channels_of(shape)
        return None if self.axis else np.ones((count, count), dtype=bool)

"""Symbolic kernels, flips of kernels, and named filters.

The filters are read-only arrays, written for `correlation`: identity, sobel_x, sobel_y, prewitt_x,
prewitt_y, laplace, laplace_9, box, gaussian, laplacian_of_gaussian, and channel_average, of shape
(1, 3, 1, 1), which averages three channels. `named` returns some of them in other sizes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from convalg.arguments import shown
from convalg.arrays import Array, as_kernel
from convalg.axis import Size
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.limits import check_memory
from convalg.size import as_shape, as_size, is_symbolic, size_text, substituted

__all__ = [
    "box",
    "channel_average",
    "flip",
    "gaussian",
    "identity",
    "kernel",
    "laplace",
    "laplace_9",
    "laplacian_of_gaussian",
    "named",
    "prewitt_x",
    "prewitt_y",
    "sobel_x",
    "sobel_y",
]


BYTES_PER_SYMBOL = 500
"""Approximate memory of one SymPy symbol."""


@dataclass(frozen=True)
class SymbolicKernel:
    """The kernel of a family: weights `name[...]` on axes whose sizes may be symbolic.

    Attributes:
        name: Name of the weights.
        named_shape: Shape in which the weights are indexed.
        axes: Axis k of this kernel is axis `axes[k]` of the indexed weights.
        flipped: Whether axis k of this kernel is reversed.
    """

    name: str
    named_shape: tuple[Size, ...]
    axes: tuple[int, ...]
    flipped: tuple[bool, ...]

    @property
    def shape(self) -> tuple[Size, ...]:
        """The shape of the kernel, of ints and symbols."""
        return tuple(self.named_shape[axis] for axis in self.axes)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.axes)

    def __repr__(self) -> str:
        order = list(self.axes)
        moved = f", axes {order}" if order != sorted(order) else ""
        flips = f", flipped on {[k for k, f in enumerate(self.flipped) if f]}"
        named = f", name={self.name!r}" if self.name != "w" else ""
        call = f"kernel({', '.join(map(size_text, self.named_shape))}{named}{moved})"
        if not any(self.flipped):
            return call
        return f"flip({call})" if all(self.flipped) else call[:-1] + flips + ")"

    def flip(self, axes: tuple[int, ...]) -> SymbolicKernel:
        """Return the kernel reversed along some of its axes, given by their numbers."""
        flipped = tuple(was != (k in axes) for k, was in enumerate(self.flipped))
        return SymbolicKernel(self.name, self.named_shape, self.axes, flipped)

    def swapaxes(self, first: int, second: int) -> SymbolicKernel:
        """Return the kernel with two axes exchanged, as `numpy.ndarray.swapaxes` does."""
        order = list(range(self.ndim))
        order[first], order[second] = order[second], order[first]
        return SymbolicKernel(
            self.name,
            self.named_shape,
            tuple(self.axes[k] for k in order),
            tuple(self.flipped[k] for k in order),
        )

    def index(self, local: Sequence[Size]) -> list[Any]:
        """Return the index of the named weight that is at an index of this kernel.

        Args:
            local: One int or symbol per axis of this kernel.
        """
        index: list[Any] = [None] * self.ndim
        for k, (axis, flipped) in enumerate(zip(self.axes, self.flipped, strict=True)):
            index[axis] = self.named_shape[axis] - 1 - local[k] if flipped else local[k]
        return index

    def at(self, numbers: Mapping[str, int]) -> Array | SymbolicKernel:
        """Return the kernel with symbols replaced by numbers: an array if no symbol is left."""
        shape = tuple(substituted(size, numbers) for size in self.named_shape)
        if any(is_symbolic(size) for size in shape):
            return SymbolicKernel(self.name, shape, self.axes, self.flipped)
        symbols = _symbols(shape, self.name)
        flipped = tuple(k for k, f in enumerate(self.flipped) if f)
        return as_kernel(np.flip(symbols.transpose(self.axes), axis=flipped))


@overload
def kernel(*sizes: int, name: str = "w") -> Array: ...


@overload
def kernel(*sizes: Size, name: str = "w") -> Array | SymbolicKernel: ...


def kernel(*sizes: Size, name: str = "w") -> Array | SymbolicKernel:
    """Return a symbolic kernel: an array of SymPy symbols, one per weight.

    The symbol at index (1, 2) is named `w12`; if an axis has more than 10 weights, the numbers are
    joined by underscores.

    Args:
        sizes: Shape of the kernel, one argument per axis: the taps alone, or C_out,
            C_in // groups and the taps. Sizes may be symbols of `ca.sizes`.
        name: Prefix of the names of the symbols.

    Returns:
        An array of symbols with the given shape; if a size is symbolic, a `SymbolicKernel`.

    Raises:
        ArgumentError: when a size is below 1.
        ShapeError: when no size is given.
        KindError: when a size is not an integer, or `name` is not an identifier.
        TooLargeError: when the symbols would not fit in memory.

    >>> import convalg as ca
    >>> ca.kernel(2, 2)
    array([[w00, w01],
           [w10, w11]], dtype=object)
    """
    shape = as_shape(sizes, "kernel size")
    if not (isinstance(name, str) and name.isidentifier()):
        raise KindError(f"name must be an identifier such as 'w', not {name!r}")
    if any(is_symbolic(size) for size in shape):
        axes = tuple(range(len(shape)))
        return SymbolicKernel(name, shape, axes, (False,) * len(shape))
    return _symbols(shape, name)


def _symbols(shape: tuple[int, ...], name: str) -> Array:
    """Return an array of SymPy symbols, named by their indices; see `kernel`."""
    import sympy

    count = math.prod(shape)
    check_memory(
        count * BYTES_PER_SYMBOL,
        None,
        what=f"a kernel of {count} symbols",
        instead="use fewer taps, or symbolic sizes (ca.sizes)",
        fixed=True,
    )
    joint = "_" if max(shape) > 10 else ""
    symbols = np.empty(shape, dtype=object)
    for index in np.ndindex(*symbols.shape):
        symbols[index] = sympy.Symbol(name + joint.join(map(str, index)))
    return symbols


@overload
def flip(kernel: SymbolicKernel, *, dims: int | None = None) -> SymbolicKernel: ...


@overload
def flip(kernel: npt.ArrayLike, *, dims: int | None = None) -> Array: ...


def flip(
    kernel: npt.ArrayLike | SymbolicKernel, *, dims: int | None = None
) -> Array | SymbolicKernel:
    """Return the kernel reversed along its tap axes; the channels keep their order.

    Args:
        kernel: The weights, of shape `(*taps)` or `(C_out, C_in // groups, *taps)`.
        dims: Number of tap axes, which are the last ones. By default, a kernel with one or two
            axes is assumed to have only tap axes, and a kernel with four or more axes to have two
            leading channel axes. Required for a kernel with three axes, which may or may not have
            channel axes.

    Returns:
        The flipped weights, with the same shape as the kernel.

    Raises:
        ShapeError: when `dims` is required but not given, or is larger than the number of axes.
        ArgumentError: when `dims` is below 1, or a weight is not finite.
        KindError: when `dims` is not an integer, or the weights are not real numbers.

    >>> import convalg as ca
    >>> ca.flip([1, 2, 3]).tolist()
    [3, 2, 1]
    """
    weights = kernel if isinstance(kernel, SymbolicKernel) else as_kernel(kernel)
    if dims is None:
        if weights.ndim == 3:
            raise ShapeError(
                f"dims is required for a kernel of three axes, {weights.shape}: pass dims=3 for "
                f"three tap axes, or dims=1 for two channel axes and one tap axis"
            )
        dims = weights.ndim if weights.ndim < 3 else weights.ndim - 2
    if not 1 <= as_size(dims, "dims") <= weights.ndim:
        raise ShapeError(
            f"dims must be between 1 and {weights.ndim} for a kernel of shape {weights.shape}, "
            f"not {dims}"
        )
    axes = tuple(range(weights.ndim - dims, weights.ndim))
    return np.flip(weights, axis=axes) if isinstance(weights, np.ndarray) else weights.flip(axes)


def named(name: str, size: int | None = None) -> Array:
    """Return the filter with a name, as a read-only array written for `correlation`.

    Args:
        name: Name of the filter: one of `ca.kernels.NAMES`, such as "sobel_x".
        size: Taps along each axis; for "channel_average" the number of channels. By default the
            size of the filter of that name in this module. "box", "gaussian" and
            "channel_average" exist in every size, "identity" in every odd size, and the others
            only in their own.

    Raises:
        ArgumentError: when no filter has this name, or the filter does not exist in this size.
        KindError: when `size` is not an integer.
        TooLargeError: when the filter would not fit in memory.

    >>> import convalg as ca
    >>> ca.kernels.named("gaussian", 5)[2].tolist()
    [0.0234375, 0.09375, 0.140625, 0.09375, 0.0234375]
    """
    if not isinstance(name, str) or name not in NAMES:
        raise ArgumentError(f"name must be one of {', '.join(NAMES)}, not {shown(name)}")
    own: Array = globals()[name]
    if size is None:
        return own
    taps = as_size(size, "size")
    if not isinstance(taps, int):
        raise KindError(f"size must be an integer for a named filter, not the symbolic {taps}")
    check_memory(
        8 * taps**2,
        None,
        what=f"a kernel of {shown(taps)} taps an axis",
        instead="use fewer taps",
        fixed=True,
    )
    match name:
        case "identity" if taps % 2:
            centre = np.zeros((taps, taps), dtype=np.int64)
            centre[taps // 2, taps // 2] = 1
            return _frozen(centre)
        case "box":
            return _frozen(np.full((taps, taps), 1 / taps**2))
        case "gaussian":
            row = [math.comb(taps - 1, j) / 2 ** (taps - 1) for j in range(taps)]
            return _frozen(np.outer(row, row))
        case "channel_average":
            return _frozen(np.full((1, taps, 1, 1), 1 / taps))
    if own.shape[-1] == taps:
        return own
    allowed = "an odd number" if name == "identity" else own.shape[-1]
    raise ArgumentError(
        f"size must be {allowed} for the filter {name!r}, not {size}: filters of any size are box, "
        f"gaussian and channel_average"
    )


def _frozen(values: npt.ArrayLike) -> Array:
    array = np.array(values)
    array.setflags(write=False)
    return array


identity = _frozen([[0, 0, 0], [0, 1, 0], [0, 0, 0]])


sobel_x = _frozen([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])


sobel_y = _frozen([[-1, -2, -1], [0, 0, 0], [1, 2, 1]])


prewitt_x = _frozen([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]])


prewitt_y = _frozen([[-1, -1, -1], [0, 0, 0], [1, 1, 1]])


laplace = _frozen([[0, 1, 0], [1, -4, 1], [0, 1, 0]])


laplace_9 = _frozen([[1, 4, 1], [4, -20, 4], [1, 4, 1]])


box = _frozen(np.full((3, 3), 1 / 9))


gaussian = _frozen(np.outer([1, 2, 1], [1, 2, 1]) / 16)


laplacian_of_gaussian = _frozen(
    [[0, 0, 1, 0, 0], [0, 1, 2, 1, 0], [1, 2, -16, 2, 1], [0, 1, 2, 1, 0], [0, 0, 1, 0, 0]]
)


channel_average = _frozen(np.full((1, 3, 1, 1), 1 / 3))


NAMES = (
    "identity",
    "sobel_x",
    "sobel_y",
    "prewitt_x",
    "prewitt_y",
    "laplace",
    "laplace_9",
    "box",
    "gaussian",
    "laplacian_of_gaussian",
    "channel_average",
)

"""The functions of array libraries that operators need, by their names in the array API standard.

CuPy arrays do not have `__array_namespace__`, and older versions of CuPy lack some of the standard
names; JAX traces functions. No library is imported here, since an array provides its namespace.

Source: Consortium for Python Data API Standards, Python array API standard, v2022.12.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from convalg.arrays import is_cupy

if TYPE_CHECKING:
    from convalg.operators.leaves import Convolution

KINDS = {"b": "bool", "i": "integral", "f": "real floating", "c": "complex floating"}
"""The standard's names for kinds of numbers, by the letter of NumPy's `dtype.kind`."""

DeviceArray: TypeAlias = Any
"""An array from another library; its class is known only at run time."""

DeviceDType: TypeAlias = Any
"""A number type from another library, or None for the type of the values."""


class Library:
    """A library with the functions of the array API standard; its arrays stay on their device.

    >>> Library(np).take(np.array([[5, 6, 7]]), np.array([2, 0])).tolist()
    [[7, 5]]
    """

    word: ClassVar[str] = "array"
    """The word for an array in error messages."""

    caches: ClassVar[bool] = True
    """Whether tables and kernels on a device may be cached for the next array."""

    takes_integers: ClassVar[bool] = True
    """Whether integers are supported, in addition to floating-point numbers."""

    def __init__(self, namespace: ModuleType | None) -> None:
        self.xp: Any = namespace

    def kind(self, x: DeviceArray) -> str:
        """Return the letter in `KINDS` of the kind of numbers in x, or a question mark."""
        letters = (letter for letter, kind in KINDS.items() if self.xp.isdtype(x.dtype, kind))
        return next(letters, "?")

    def on(self, x: DeviceArray) -> AbstractContextManager[Any]:
        """Return a context in which new arrays are created on the device of x."""
        return nullcontext()

    def put(self, values: np.ndarray, like: DeviceArray, dtype: DeviceDType = None) -> DeviceArray:
        """Return a host array as an array of the library on the device of `like`."""
        return self.xp.asarray(values, dtype=dtype, device=like.device)

    def widest(self, x: DeviceArray) -> DeviceArray:
        """Return an integer array converted to the widest signed integer type of the library."""
        namespace = self.xp.__array_namespace_info__()
        return self.cast(x, self.xp.int64 if "int64" in namespace.dtypes() else self.xp.int32)

    def range(self, x: DeviceArray) -> int:
        """Return the largest absolute value that the integer type of x can represent."""
        limits = self.xp.iinfo(x.dtype)
        return max(abs(int(limits.min)), int(limits.max))

    def largest(self, x: DeviceArray) -> int:
        """Return the largest absolute value in an integer array; copies two numbers to the host."""
        return max(abs(int(self.xp.max(x))), abs(int(self.xp.min(x))))

    def cast(self, x: DeviceArray, dtype: DeviceDType) -> DeviceArray:
        """Return the array in another type."""
        return self.xp.astype(x, dtype)

    def take(self, x: DeviceArray, indices: DeviceArray) -> DeviceArray:
        """Return the entries of x at some indices along the second axis."""
        return self.xp.take(x, indices, axis=1)

    def join(self, parts: list[DeviceArray], axis: int) -> DeviceArray:
        """Return arrays concatenated along an axis."""
        return parts[0] if len(parts) == 1 else self.xp.concat(parts, axis=axis)

    def zeros(self, x: DeviceArray) -> DeviceArray:
        """Return zeros with the shape, type and device of x."""
        return self.xp.zeros_like(x)

    def reshape(self, x: DeviceArray, shape: tuple[int, ...]) -> DeviceArray:
        """Return the array in another shape, in row-major order."""
        return self.xp.reshape(x, shape)

    def permute(self, x: DeviceArray, axes: tuple[int, ...]) -> DeviceArray:
        """Return the array with its axes permuted."""
        return self.xp.permute_dims(x, axes)

    def sum(self, x: DeviceArray, axis: int) -> DeviceArray:
        """Return sums over an axis, in the type of x."""
        return self.xp.sum(x, axis=axis, dtype=x.dtype)

    def matmul(self, left: DeviceArray, right: DeviceArray) -> DeviceArray:
        """Return the matrix products of two stacks of matrices."""
        return self.xp.matmul(left, right)

    def convolve(self, layer: Convolution, x: DeviceArray) -> DeviceArray | None:
        """Return A(x), computed by a convolution of the library, or None if it has none."""
        return None

    def convolve_adjoint(self, layer: Convolution, g: DeviceArray) -> DeviceArray | None:
        """Return A.T(g), computed by a convolution of the library, or None if it has none."""
        return None


class Cupy(Library):
    """CuPy, which creates arrays on the current device."""

    def kind(self, x: DeviceArray) -> str:
        """Return the letter in `KINDS` of the kind of numbers in x."""
        kind: str = x.dtype.kind
        return "i" if kind == "u" else kind

    def on(self, x: DeviceArray) -> AbstractContextManager[Any]:
        """Return a context in which the device of x is the current one."""
        device: AbstractContextManager[Any] = x.device
        return device

    def put(self, values: np.ndarray, like: DeviceArray, dtype: DeviceDType = None) -> DeviceArray:
        """Return a host array as a CuPy array on the current device."""
        return self.xp.asarray(values, dtype=dtype)

    def widest(self, x: DeviceArray) -> DeviceArray:
        """Return an integer array as int64."""
        return self.cast(x, self.xp.int64)

    def cast(self, x: DeviceArray, dtype: DeviceDType) -> DeviceArray:
        """Return the array in another type."""
        return x.astype(dtype)

    def join(self, parts: list[DeviceArray], axis: int) -> DeviceArray:
        """Return arrays concatenated along an axis."""
        return parts[0] if len(parts) == 1 else self.xp.concatenate(parts, axis=axis)

    def permute(self, x: DeviceArray, axes: tuple[int, ...]) -> DeviceArray:
        """Return the array with its axes permuted."""
        return self.xp.transpose(x, axes)


class Jax(Library):
    """JAX, whose functions accept host arrays and copy them to the device of the other operand."""

    # Arrays created under a trace belong to that trace.
    caches = False

    def put(self, values: np.ndarray, like: DeviceArray, dtype: DeviceDType = None) -> DeviceArray:
        """Return the host array, which JAX copies when it is used."""
        return np.asarray(values, dtype=dtype)

    def largest(self, x: DeviceArray) -> int:
        """Return the largest absolute value in x, or for a traced x that of its integer type."""
        is_traced = isinstance(x, sys.modules["jax"].core.Tracer)
        return self.range(x) if is_traced else super().largest(x)


@cache
def _library(namespace: ModuleType) -> Library:
    kinds = {"cupy": Cupy, "jax": Jax}
    return kinds.get(namespace.__name__.partition(".")[0], Library)(namespace)


def library_of(x: DeviceArray) -> Library:
    """Return the library of an array: CuPy, or the library of the array's namespace.

    >>> library_of(np.ones(3)).word
    'array'
    """
    # CuPy arrays do not have `__array_namespace__`; if x is one, CuPy is imported already.
    return _library(sys.modules["cupy"] if is_cupy(x) else x.__array_namespace__())

"""The few functions of an array library that operators need, by the array API standard.

CuPy's arrays do not name their namespace, and its older versions lack some of the standard's
names; JAX traces functions. No library is imported here: an array names its own.

Source: Consortium for Python Data API Standards, Python array API standard, v2022.12.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from convalg.arrays import is_cupy

if TYPE_CHECKING:
    from convalg.operators.leaves import Convolution

KINDS = {"b": "bool", "i": "integral", "f": "real floating", "c": "complex floating"}
"""Letters for the standard's kinds of numbers."""


class Library:
    """A library with the standard's functions; its arrays stay on their device.

    >>> Library(np).take(np.array([[5, 6, 7]]), np.array([2, 0])).tolist()
    [[7, 5]]
    """

    word: ClassVar[str] = "array"
    """The word for an array in error messages."""

    caches: ClassVar[bool] = True
    """Whether tables and kernels on a device may be cached for the next array."""

    takes_integers: ClassVar[bool] = True
    """Whether integers are supported, in addition to floating-point numbers."""

    def __init__(self, namespace: Any) -> None:
        self.xp = namespace

    def kind(self, x: Any) -> str:
        """Return the letter of `KINDS` for the numbers of x, or a question mark."""
        letters = (letter for letter, kind in KINDS.items() if self.xp.isdtype(x.dtype, kind))
        return next(letters, "?")

    def on(self, x: Any) -> AbstractContextManager[Any]:
        """Return a context in which new arrays are created on the device of x."""
        return nullcontext()

    def put(self, values: np.ndarray, like: Any, dtype: Any = None) -> Any:
        """Copy an array of the host to the device of `like`, in a type of the library."""
        return self.xp.asarray(values, dtype=dtype, device=like.device)

    def widest(self, x: Any) -> Any:
        """Return integers in the widest signed integer type of the library."""
        namespace = self.xp.__array_namespace_info__()
        return self.cast(x, self.xp.int64 if "int64" in namespace.dtypes() else self.xp.int32)

    def range(self, x: Any) -> int:
        """Return the largest absolute value of the integer type of x."""
        limits = self.xp.iinfo(x.dtype)
        return max(abs(int(limits.min)), int(limits.max))

    def largest(self, x: Any) -> int:
        """Return the largest absolute value of integers; two numbers are copied to the host."""
        return max(abs(int(self.xp.max(x))), abs(int(self.xp.min(x))))

    def cast(self, x: Any, dtype: Any) -> Any:
        """Return the array in another type."""
        return self.xp.astype(x, dtype)

    def take(self, x: Any, indices: Any) -> Any:
        """Return entries along the second axis."""
        return self.xp.take(x, indices, axis=1)

    def join(self, parts: list[Any], axis: int) -> Any:
        """Concatenate arrays along an axis."""
        return parts[0] if len(parts) == 1 else self.xp.concat(parts, axis=axis)

    def zeros(self, x: Any) -> Any:
        """Return zeros of the same shape."""
        return self.xp.zeros_like(x)

    def reshape(self, x: Any, shape: tuple[int, ...]) -> Any:
        """Return the array in another shape, in row-major order."""
        return self.xp.reshape(x, shape)

    def permute(self, x: Any, axes: tuple[int, ...]) -> Any:
        """Permute the axes."""
        return self.xp.permute_dims(x, axes)

    def sum(self, x: Any, axis: int) -> Any:
        """Return sums over an axis, in the type of x."""
        return self.xp.sum(x, axis=axis, dtype=x.dtype)

    def matmul(self, left: Any, right: Any) -> Any:
        """Return products of stacks of matrices."""
        return self.xp.matmul(left, right)

    def convolve(self, layer: Convolution, x: Any) -> Any:
        """Return A(x) by a convolution of the library, or None where it has none."""
        return None

    def convolve_adjoint(self, layer: Convolution, g: Any) -> Any:
        """Return A.T(g) by a convolution of the library, or None where it has none."""
        return None


class Cupy(Library):
    """CuPy, whose arrays are created on the current device and do not name a namespace."""

    def kind(self, x: Any) -> str:
        """Return the letter of `KINDS` for the numbers of x."""
        return {"u": "i"}.get(x.dtype.kind, x.dtype.kind)

    def on(self, x: Any) -> AbstractContextManager[Any]:
        """Return a context in which the device of x is the current one."""
        return x.device

    def put(self, values: np.ndarray, like: Any, dtype: Any = None) -> Any:
        """Copy an array of the host to the device of `like`."""
        return self.xp.asarray(values, dtype=dtype)

    def widest(self, x: Any) -> Any:
        """Return integers as int64."""
        return self.cast(x, self.xp.int64)

    def cast(self, x: Any, dtype: Any) -> Any:
        """Return the array in another type."""
        return x.astype(dtype)

    def join(self, parts: list[Any], axis: int) -> Any:
        """Concatenate arrays along an axis."""
        return parts[0] if len(parts) == 1 else self.xp.concatenate(parts, axis=axis)

    def permute(self, x: Any, axes: tuple[int, ...]) -> Any:
        """Permute the axes."""
        return self.xp.transpose(x, axes)


class Jax(Library):
    """JAX, whose functions take host arrays and copy them to the device of the other operand."""

    # Arrays created under a trace belong to that trace.
    caches = False

    def put(self, values: np.ndarray, like: Any, dtype: Any = None) -> Any:
        """Copy an array of the host to the device of `like`."""
        return np.asarray(values, dtype=dtype)

    def largest(self, x: Any) -> int:
        """Return the largest absolute value, or that of the type if x is traced."""
        is_traced = isinstance(x, sys.modules["jax"].core.Tracer)
        return self.range(x) if is_traced else super().largest(x)


@cache
def _library(namespace: ModuleType) -> Library:
    kinds = {"cupy": Cupy, "jax": Jax}
    return kinds.get(namespace.__name__.partition(".")[0], Library)(namespace)


def library_of(x: Any) -> Library:
    """Return the library of an array: that of its namespace, or CuPy.

    >>> library_of(np.ones(3)).word
    'array'
    """
    # CuPy's arrays do not name a namespace; if x is one, CuPy has been imported.
    return _library(sys.modules["cupy"] if is_cupy(x) else x.__array_namespace__())

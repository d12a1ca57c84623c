"""The few functions that operators need of a library of arrays, by the array API standard.

CuPy's arrays do not name their namespace, and its older versions lack some of the standard's
names; JAX traces what a function does. None is imported here: an array brings its library.

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
    """A library with the standard's functions; an array of it stays on its device.

    >>> Library(np).take(np.array([[5, 6, 7]]), np.array([2, 0])).tolist()
    [[7, 5]]
    """

    word: ClassVar[str] = "array"
    """What messages call an array."""

    kept: ClassVar[bool] = True
    """Whether tables and kernels placed beside one array may serve for the next."""

    takes_whole: ClassVar[bool] = True
    """Whether whole numbers are computed with, besides floating-point ones."""

    def __init__(self, namespace: Any) -> None:
        self.xp = namespace

    def kind(self, x: Any) -> str:
        """A letter of `KINDS` for the numbers of x, or a question mark."""
        held = (letter for letter, words in KINDS.items() if self.xp.isdtype(x.dtype, words))
        return next(held, "?")

    def on(self, x: Any) -> AbstractContextManager[Any]:
        """Where new arrays are made on the device of x."""
        return nullcontext()

    def place(self, values: np.ndarray, like: Any, dtype: Any = None) -> Any:
        """An array of the host beside `like`, in a type of the library."""
        return self.xp.asarray(values, dtype=dtype, device=like.device)

    def whole(self, x: Any) -> Any:
        """Whole numbers in the widest signed type of the library."""
        namespace = self.xp.__array_namespace_info__()
        return self.cast(x, self.xp.int64 if "int64" in namespace.dtypes() else self.xp.int32)

    def range(self, x: Any) -> int:
        """The largest absolute value that the type of whole numbers x holds."""
        limits = self.xp.iinfo(x.dtype)
        return max(abs(int(limits.min)), int(limits.max))

    def largest(self, x: Any) -> int:
        """The largest absolute value of whole numbers; two numbers come to the host."""
        return max(abs(int(self.xp.max(x))), abs(int(self.xp.min(x))))

    def cast(self, x: Any, dtype: Any) -> Any:
        """The array in another type."""
        return self.xp.astype(x, dtype)

    def take(self, x: Any, places: Any) -> Any:
        """Entries along the second axis."""
        return self.xp.take(x, places, axis=1)

    def join(self, parts: list[Any], axis: int) -> Any:
        """Arrays behind each other along an axis."""
        return parts[0] if len(parts) == 1 else self.xp.concat(parts, axis=axis)

    def zeros(self, x: Any) -> Any:
        """Zeros of the same shape."""
        return self.xp.zeros_like(x)

    def reshape(self, x: Any, shape: tuple[int, ...]) -> Any:
        """The array in another shape, row-major."""
        return self.xp.reshape(x, shape)

    def permute(self, x: Any, axes: tuple[int, ...]) -> Any:
        """The axes in another order."""
        return self.xp.permute_dims(x, axes)

    def sum(self, x: Any, axis: int) -> Any:
        """Sums over an axis, in the type of x."""
        return self.xp.sum(x, axis=axis, dtype=x.dtype)

    def matmul(self, left: Any, right: Any) -> Any:
        """Products of stacks of matrices."""
        return self.xp.matmul(left, right)

    def convolve(self, layer: Convolution, x: Any) -> Any:
        """A(x) by a convolution of the library, None where it has none."""
        return None

    def convolve_adjoint(self, layer: Convolution, g: Any) -> Any:
        """A.T(g) by a convolution of the library, None where it has none."""
        return None


class Cupy(Library):
    """CuPy, whose arrays are made on the current device and know no namespace."""

    def kind(self, x: Any) -> str:
        """The letter of its numbers."""
        return {"u": "i"}.get(x.dtype.kind, x.dtype.kind)

    def on(self, x: Any) -> AbstractContextManager[Any]:
        """The device of x, made the current one."""
        return x.device

    def place(self, values: np.ndarray, like: Any, dtype: Any = None) -> Any:
        """An array of the host beside `like`."""
        return self.xp.asarray(values, dtype=dtype)

    def whole(self, x: Any) -> Any:
        """Whole numbers as int64."""
        return self.cast(x, self.xp.int64)

    def cast(self, x: Any, dtype: Any) -> Any:
        """The array in another type."""
        return x.astype(dtype)

    def join(self, parts: list[Any], axis: int) -> Any:
        """Arrays behind each other along an axis."""
        return parts[0] if len(parts) == 1 else self.xp.concatenate(parts, axis=axis)

    def permute(self, x: Any, axes: tuple[int, ...]) -> Any:
        """The axes in another order."""
        return self.xp.transpose(x, axes)


class Jax(Library):
    """JAX, whose functions take constants of the host and place them with the other operand."""

    # Under a trace, what is placed belongs to the trace.
    kept = False

    def place(self, values: np.ndarray, like: Any, dtype: Any = None) -> Any:
        """An array of the host beside `like`."""
        return np.asarray(values, dtype=dtype)

    def largest(self, x: Any) -> int:
        """The largest absolute value, of the type where there are no numbers yet."""
        is_traced = isinstance(x, sys.modules["jax"].core.Tracer)
        return self.range(x) if is_traced else super().largest(x)


@cache
def _library(namespace: ModuleType) -> Library:
    kinds = {"cupy": Cupy, "jax": Jax}
    return kinds.get(namespace.__name__.partition(".")[0], Library)(namespace)


def library_of(x: Any) -> Library:
    """The library of an array, by the namespace that it names, or CuPy.

    >>> library_of(np.ones(3)).word
    'array'
    """
    # Its arrays name none; where there is one, CuPy is imported.
    return _library(sys.modules["cupy"] if is_cupy(x) else x.__array_namespace__())

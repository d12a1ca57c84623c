"""Arguments as NumPy arrays: conversion from other types, batches, and checks of entries."""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from convalg.arguments import shown
from convalg.axis import Size
from convalg.errors import ArgumentError, ExactnessError, KindError, ShapeError
from convalg.size import is_expression

Array = npt.NDArray[Any]


def as_kernel(kernel: object, name: str = "kernel") -> Array:
    """Return weights as a read-only array of real numbers or of exact objects.

    Raises: KindError when an entry is not a real number or a SymPy expression, ArgumentError for
    NaN or infinity, ShapeError for a single number.
    """
    weights = as_numbers(kernel, name)
    if weights.ndim == 0:
        raise ShapeError(f"{name} must be an array with at least one axis, not the number {kernel}")
    if weights.dtype.kind == "c":
        raise KindError(
            f"{name} must be real, not {weights.dtype}: apply the real and the imaginary part "
            f"separately"
        )
    check_finite(weights, name)
    if weights.base is not None or weights.flags.writeable:
        weights = weights.copy()
        weights.setflags(write=False)
    return weights


def as_numbers(values: object, name: str) -> Array:
    """Return any array-like of numbers or SymPy expressions as an array, without casting.

    Integers stay integers. Nested lists of integers that exceed 64 bits, or for which NumPy does
    not have a common integer type, become an array of objects.

    Raises: KindError for ragged lists, masked entries, and entries that are not numbers.
    """
    if isinstance(values, np.ndarray):
        if isinstance(values, np.ma.MaskedArray):
            _refuse_mask(values, name)
        array = np.asarray(values)
    else:
        array = _array_of(values, name)
    if array.dtype.kind in "iufc":
        return array
    if array.dtype.kind == "b":
        return array.astype(np.int64)
    if array.dtype.kind != "O":
        raise KindError(f"{name} must hold numbers, not {array.dtype}")
    return _objects(array, name)


def _array_of(values: object, name: str) -> Array:
    """Return nested lists, a number, or an array from another library as a NumPy array."""
    if type(values).__module__.startswith("sympy.") and hasattr(values, "tolist"):
        values = np.array(values.tolist(), dtype=object)
    if isinstance(values, (list, tuple)):
        _refuse_masked_rows(values, name)
    array = as_array(values, name)
    if isinstance(values, (list, tuple)) and array.dtype.kind == "f" and array.size:
        if np.isnan(array).any() and any(value is np.ma.masked for value in _leaves(values)):
            raise KindError(
                f"{name} must hold only numbers, not the masked entry np.ma.masked: replace it"
            )
        if all(issubclass(kind, (int, np.integer, np.bool_)) for kind in _kinds(values)):
            # NumPy rounds integers without a common type, such as 2**63 and -1.
            array = as_array(values, name, object)
        elif np.max(np.abs(array), where=np.isfinite(array), initial=0) >= 2**53:
            _refuse_rounding(values, name)
    return array


def _refuse_rounding(values: Iterable[object], name: str) -> None:
    """Raise KindError for an integer next to floats that a float cannot represent exactly."""
    for value in _leaves(values):
        if isinstance(value, (int, np.integer)) and int(float(value)) != value:
            raise KindError(
                f"{name} must hold only integers and fractions, or only floats: next to floats, "
                f"the integer {value} would be rounded"
            )


def as_array(values: object, name: str, dtype: npt.DTypeLike | None = None) -> Array:
    """Return any array-like as an array, without checking its entries.

    Raises: KindError for ragged lists, masked entries, and arrays on a device that NumPy cannot
    read.
    """
    if isinstance(values, np.ma.MaskedArray):
        _refuse_mask(values, name)
    try:
        return np.asarray(values, dtype=dtype)
    except (ValueError, OverflowError) as error:
        raise KindError(f"{name} is not a rectangular array: {error}") from None
    except (TypeError, RuntimeError, UserWarning) as error:
        # Libraries do not copy an array on a GPU, in a graph or in a trace to the host implicitly.
        # A warning of NumPy about masked entries may be configured to be an error.
        raise KindError(f"{name} cannot be converted to a NumPy array: {error}") from None


def _leaves(values: Iterable[object]) -> Iterator[Any]:
    """Yield the numbers and the arrays in nested lists."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _leaves(value)
        else:
            yield value


def _kinds(values: Iterable[object]) -> Iterator[type]:
    """Yield the types of the numbers in nested lists and in their arrays."""
    for leaf in _leaves(values):
        yield leaf.dtype.type if isinstance(leaf, np.ndarray) else type(leaf)


def _refuse_masked_rows(values: Sequence[object], name: str) -> None:
    """Raise KindError when nested lists contain a masked array with masked entries."""
    # A list that starts with a number is not searched, because searching long lists is slow.
    if values and isinstance(values[0], (list, tuple, np.ndarray)):
        for value in values:
            if isinstance(value, np.ma.MaskedArray):
                _refuse_mask(value, name)
            elif isinstance(value, (list, tuple)):
                _refuse_masked_rows(value, name)


def _refuse_mask(values: object, name: str) -> None:
    """Raise KindError when an entry is masked, because its value is not data."""
    if np.ma.is_masked(values):
        raise KindError(
            f"{name} has masked entries, {values}: fill them with numbers first, such as by "
            f"{name}.filled(0)"
        )


def _objects(array: Array, name: str) -> Array:
    """Return an array of objects with machine integers converted to Python integers.

    Raises: KindError when an object is not a number or an expression, ExactnessError when an
    integer next to floats is too large for a float.
    """
    machine = mixed = False
    largest_bits = 0
    for value in array.flat:
        if isinstance(value, (bool, np.integer, np.bool_)):
            # Machine integers would overflow where Python integers do not.
            machine = True
        elif isinstance(value, (int, Fraction)):
            largest_bits = max(largest_bits, math.floor(value).bit_length())
        elif isinstance(value, (float, np.inexact)):
            mixed = True
        elif isinstance(value, Decimal):
            raise KindError(f"{name} must not hold the Decimal {value}: use a Fraction or an int")
        elif not (isinstance(value, numbers.Number) or is_expression(value)):
            raise KindError(
                f"{name} must hold numbers or SymPy expressions, not {shown(value)} "
                f"({type(value).__name__})"
            )
    if mixed and largest_bits > sys.float_info.max_exp:
        raise ExactnessError(
            f"{name} must hold only exact numbers where an integer is too large for a float: "
            f"convert its floats to fractions"
        )
    if not machine:
        return array
    integers = [int(v) if isinstance(v, (bool, np.integer, np.bool_)) else v for v in array.flat]
    result = np.empty(len(integers), dtype=object)
    result[:] = integers
    return result.reshape(array.shape)


def batch_of(x: object, shape: tuple[Size, ...], name: str) -> tuple[Array, tuple[int, ...]]:
    """Return x as an array of shape (samples, *shape), and the shape of its batch axes.

    Raises: ShapeError when the shape of x does not end in `shape`, KindError when x does not hold
    numbers.
    """
    values = as_numbers(x, name)
    split = values.ndim - len(shape)
    if split < 0 or values.shape[split:] != shape:
        raise ShapeError(
            f"{name} must have shape (*batch, {', '.join(map(str, shape))}), not {values.shape}"
        )
    batch = values.shape[:split]
    return values.reshape(math.prod(batch), *shape), batch


def restored(owner: object, state: dict[str, object]) -> None:
    """Set the state of an unpickled or copied object, and make its arrays read-only again."""
    for value in state.values():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    owner.__dict__.update(state)


def swap_channels(kernel: Array, groups: int) -> Array:
    """Return the kernel with input and output channels exchanged, group by group.

    Shapes: kernel (C_out, C_in // groups, *taps), result (C_in, C_out // groups, *taps).
    """
    first, second, *taps = kernel.shape
    each = kernel.reshape(groups, first // groups, second, *taps).swapaxes(1, 2)
    return each.reshape(groups * second, first // groups, *taps)


def is_tensor(x: object) -> bool:
    """Return whether x is a PyTorch tensor, without importing PyTorch.

    >>> is_tensor([1.0])
    False
    """
    return _is_of(x, "torch", "Tensor")


def is_cupy(x: object) -> bool:
    """Return whether x is a CuPy array, without importing CuPy.

    >>> is_cupy(np.ones(2))
    False
    """
    return _is_of(x, "cupy", "ndarray")


def is_foreign(x: object) -> bool:
    """Return whether x is an array of a library other than NumPy, such as PyTorch, CuPy or JAX.

    >>> is_foreign(np.ones(2)), is_foreign([1.0])
    (False, False)
    """
    if isinstance(x, (np.ndarray, np.generic)):
        return False
    return is_tensor(x) or is_cupy(x) or hasattr(x, "__array_namespace__")


def _is_of(x: object, library: str, name: str) -> bool:
    return any(
        kind.__module__.partition(".")[0] == library and kind.__name__ == name
        for kind in type(x).__mro__
    )


def check_finite(values: Array, name: str) -> None:
    """Raise ArgumentError for the first entry that is not finite and real."""
    if values.dtype.kind == "O":
        wrong = np.array([_is_wild(v) for v in values.ravel()], dtype=bool).reshape(values.shape)
    elif values.dtype.kind == "f":
        wrong = ~np.isfinite(values)
    else:
        return
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        where = f", but entry {index} is" if index else ", not"
        raise ArgumentError(f"{name} must be finite and real{where} {values[index]}")


def _is_wild(value: object) -> bool:
    """Return whether an object is NaN, infinite or a complex number."""
    if isinstance(value, (float, np.floating)):
        return not math.isfinite(value)
    if is_expression(value):
        import sympy

        wild = (sympy.nan, sympy.oo, -sympy.oo, sympy.zoo)
        return value.is_real is False or value.has(*wild)
    return isinstance(value, numbers.Complex) and not isinstance(value, numbers.Real)


def largest(array: Array) -> int:
    """Return the largest absolute value in an array of integers, as a Python int."""
    return max(abs(int(array.max())), abs(int(array.min()))) if array.size else 0


def one_sample(x: object, shape: tuple[Size, ...]) -> Array:
    """Return one sample x as an array of the given shape.

    Raises: ShapeError when x has another shape or batch axes.
    """
    values, batch = batch_of(x, shape, "x")
    if batch:
        raise ShapeError(
            f"x must be one sample of shape {shape} for a Jacobian, but it has batch axes {batch}: "
            f"pass one sample at a time"
        )
    sample: Array = values[0]
    return sample


def check_real(x: Array) -> None:
    """Raise KindError for complex entries, which only linear layers accept."""
    kind = next(map(repr, filter(_is_complex, x.flat)), "") if x.dtype.kind == "O" else x.dtype
    if kind and x.dtype.kind in "cO":
        raise KindError(f"x must be real, not {kind}, in a layer that is not linear")


def _is_complex(value: object) -> bool:
    if is_expression(value):
        return value.is_extended_real is False
    return isinstance(value, numbers.Complex) and not isinstance(value, numbers.Real)


def entrywise(function: Callable[..., object], *arrays: Array) -> Array:
    """Return the array of objects `function(a, b, ...)` of the entries of some arrays.

    >>> entrywise(max, np.array([1, 5]), np.array([3, 2]))
    array([3, 5], dtype=object)
    """
    result: Array = np.frompyfunc(function, len(arrays), 1)(*arrays)
    return result


def as_floats(x: Array) -> Array:
    """Return integers as float64 and other types unchanged.

    Raises: KindError for complex numbers.
    """
    check_real(x)
    return x.astype(float) if x.dtype.kind in "biu" else x

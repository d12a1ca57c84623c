"""Number types in which integers stay exact, and sums, multiples and CSR products in them."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convalg.arguments import shown
from convalg.arrays import largest
from convalg.errors import ExactnessError
from convalg.limits import check_bound, check_room

Array = npt.NDArray[Any]
DType: TypeAlias = "np.dtype[Any]"
CHUNK = 2**19
"""Elements that one step may unfold at a time; larger batches are processed in slices."""

EXACT = {2: 2**11, 4: 2**24, 8: 2**53, 16: 2**63}
"""The bound up to which all integers are exact in a float type, by its number of bytes."""


def result_type(*kinds: DType) -> DType:
    """Return the type of sums of products of numbers of some types, the same for all engines.

    Integers of any machine type, signed or not, are summed in int64; if a sum could exceed it,
    `prepared` raises an error (for exact sums of any size, use Python integers in arrays of
    objects). Exact objects stay exact objects. One float type makes the result a float, by NumPy's
    rule; integers with more digits than the float are then rounded, as in every product of an
    integer and a float.

    >>> result_type(np.dtype(np.uint64), np.dtype(np.int8)), result_type(np.dtype(np.uint8))
    (dtype('int64'), dtype('int64'))
    """
    if {kind.kind for kind in kinds} <= {"b", "i", "u"}:
        # NumPy's common type of uint64 and a signed integer is float64.
        return np.dtype(np.int64)
    return np.result_type(*kinds)


def common_type(*arrays: Array) -> DType:
    """Return the type of sums of products of the numbers in some arrays; see `result_type`.

    Raises: ExactnessError when floats occur with exact numbers that are too large for a float.
    """
    kind = result_type(*(array.dtype for array in arrays))
    if kind.kind == "O" and any(array.dtype.kind in "fc" for array in arrays):
        for array in arrays:
            for value in array.flat if array.dtype.kind == "O" else ():
                if isinstance(value, (int, Fraction)):
                    as_float(value)
    return kind


def prepared(terms: int, *arrays: Array) -> tuple[Array, ...]:
    """Return the arrays in their common type, after checking that int64 cannot overflow.

    Raises: ExactnessError when a sum of `terms` products could exceed 64 bits.
    """
    kind = common_type(*arrays)
    if kind.kind == "i":
        check_bound(math.prod(largest(a) for a in arrays) * max(terms, 1))
    return tuple(a.astype(kind, copy=False) for a in arrays)


def exact_float(terms: int, *arrays: Array) -> DType | None:
    """Return the smallest float type in which sums of `terms` products are exact, or None.

    The arrays hold integers. Every partial sum, in any order, is an integer that the type
    represents exactly.
    """
    bound = math.prod(largest(a) for a in arrays) * max(terms, 1)
    for kind in (np.float32, np.float64):
        if bound <= EXACT[np.dtype(kind).itemsize]:
            return np.dtype(kind)
    return None


def total(terms: list[Array]) -> Array:
    """Return the sum of arrays of the same shape, exact for integers.

    Raises: ExactnessError when a sum of integers could exceed 64 bits.
    """
    kind = common_type(*terms)
    if kind.kind == "i":
        check_bound(sum(largest(term) for term in terms))
    result, *rest = (term.astype(kind, copy=False) for term in terms)
    for term in rest:
        result = result + term
    return result


def scaled(factor: object, x: Array) -> Array:
    """Return factor * x, exact for integers.

    Raises: ExactnessError when a product of integers could exceed 64 bits, or an exact factor is
    too large for a float.
    """
    if isinstance(factor, Fraction) and x.dtype.kind in "fc":
        factor = as_float(factor)
    if isinstance(factor, Fraction) and x.size and np.can_cast(x.dtype, np.int64):
        low, high = int(x.min()), int(x.max())
        if high - low < x.size:
            # Sums of images have few different values: compute each fraction once.
            each = np.array([factor * value for value in range(low, high + 1)], dtype=object)
            return np.asarray(each[x.astype(np.int64) - low])
    if isinstance(factor, (int, np.integer)):
        factor = int(factor)
        if x.dtype.kind in "iu":
            most = largest(x)
            check_bound(max(abs(factor), 1) * most)
            # If x is zero, the factor may be too large for int64.
            return (factor if most else 0) * x.astype(np.int64, copy=False)
        if x.dtype.kind in "fc":
            factor = as_float(factor)
    return np.asarray(factor * x)


def as_float(value: int | Fraction) -> float:
    """Return an exact number as a float. Raises: ExactnessError when it is too large."""
    try:
        return float(value)
    except OverflowError:
        raise ExactnessError(
            f"{shown(value)} is too large for a float: pass exact numbers on both sides, such as "
            f"x.astype(object)"
        ) from None


def multiply(indptr: Array, indices: Array, values: Array, x: Array) -> Array:
    """Return y = M x for a CSR matrix M.

    Shapes: x (batch, columns), y (batch, rows).
    Raises: ExactnessError when a sum of integers could exceed 64 bits, TooLargeError when the
    result does not fit in memory.
    """
    lengths = np.diff(indptr)
    check_room(len(x) * lengths.size, max(x.itemsize, 8), "the result")
    if x.dtype.kind == "f" and values.dtype.kind in "iu" and largest(values) <= EXACT[x.itemsize]:
        # Integer weights that are exact in the input's type do not widen the result.
        values = values.astype(x.dtype)
    values, x = prepared(int(lengths.max(initial=1)), values, x)
    filled = np.flatnonzero(lengths)
    starts = indptr[:-1][filled]
    ones = values.dtype.kind != "O" and bool((values == 1).all())

    def step(signal: Array, weights: Array) -> Array:
        read = np.take(signal, indices, axis=1)
        if not ones:
            read = read * weights
        if filled.size == lengths.size == indices.size:
            return read
        y = np.zeros((len(signal), lengths.size), dtype=read.dtype)
        if filled.size:
            y[:, filled] = np.add.reduceat(read, starts, axis=1)
        return y

    return in_slices(step, max(indices.size, lengths.size), x, values[None])


def in_slices(
    step: Callable[[Array, Array], Array], load: int, first: Array, second: Array
) -> Array:
    """Return `step(first, second)`, computed on slices of the batch and concatenated.

    `load` is the number of elements that a step unfolds for one sample. An array with a batch of
    length one is passed to every step unsliced.
    """
    batch = max(first.shape[0], second.shape[0])
    if 0 in (first.shape[0], second.shape[0]):
        batch = 0
    size = max(CHUNK // max(load, 1), 1)
    if batch <= size:
        return step(first, second)
    parts = []
    for begin in range(0, batch, size):
        piece = slice(begin, begin + size)
        parts.append(
            step(
                first if first.shape[0] == 1 else first[piece],
                second if second.shape[0] == 1 else second[piece],
            )
        )
    return np.concatenate(parts)

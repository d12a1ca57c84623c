"""Number types: what to compute in, so that whole numbers stay exact; sums, factors, rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from convalg.errors import check_bound
from convalg.kernels import largest

Array = npt.NDArray[Any]
CHUNK = 2**19
"""Elements that one step may unfold at a time; larger batches go through in slices."""

EXACT = {2: 2**11, 4: 2**24, 8: 2**53, 16: 2**63}
"""Up to here every whole number is a float of so many bytes."""


def common_type(*arrays: Array) -> np.dtype[Any]:
    """The type to compute in: NumPy's rule, with all integers as int64."""
    kind = np.result_type(*arrays)
    return np.dtype(np.int64) if kind.kind in "biu" else kind


def prepared(terms: int, *arrays: Array) -> tuple[Array, ...]:
    """The arrays in their common type, once it is certain that int64 cannot overflow.

    Raises: ExactnessError when a sum of `terms` products could leave 64 bits.
    """
    kind = common_type(*arrays)
    if kind == np.int64 or all(a.dtype.kind in "iu" for a in arrays):
        check_bound(math.prod(largest(a) for a in arrays) * max(terms, 1))
        kind = np.dtype(np.int64)
    return tuple(a.astype(kind, copy=False) for a in arrays)


def exact_float(terms: int, *arrays: Array) -> np.dtype[Any] | None:
    """The float type in which sums of `terms` products of whole numbers are exact, if there is one.

    Then every partial sum is a whole number that the type holds, in whatever order it is made.
    """
    bound = math.prod(largest(a) for a in arrays) * max(terms, 1)
    for kind in (np.float32, np.float64):
        if bound <= EXACT[np.dtype(kind).itemsize]:
            return np.dtype(kind)
    return None


def total(terms: list[Array]) -> Array:
    """The sum of arrays of one shape, exact for integers."""
    if all(term.dtype.kind in "iu" for term in terms):
        check_bound(sum(largest(term) for term in terms))
        terms = [term.astype(np.int64, copy=False) for term in terms]
    result = terms[0]
    for term in terms[1:]:
        result = result + term
    return result


def scaled(factor: Any, x: Array) -> Array:
    """factor * x, exact for integers."""
    if isinstance(factor, Fraction) and x.dtype.kind in "fc":
        factor = float(factor)
    if isinstance(factor, Fraction) and x.size and np.can_cast(x.dtype, np.int64):
        low, high = int(x.min()), int(x.max())
        if high - low < x.size:
            # Images have few different sums: a fraction for each, made once.
            each: Any = np.arange(low, high + 1)
            return np.asarray((factor * each)[x.astype(np.int64) - low])
    if isinstance(factor, (int, np.integer)) and x.dtype.kind in "iu":
        check_bound(abs(int(factor)) * largest(x))
        return int(factor) * x.astype(np.int64, copy=False)
    return factor * x


def multiply(indptr: Array, indices: Array, values: Array, x: Array) -> Array:
    """y = M x for a matrix in compressed rows. Shapes: x (batch, columns), y (batch, rows)."""
    lengths = np.diff(indptr)
    if x.dtype.kind == "f" and values.dtype.kind in "iu" and largest(values) <= EXACT[x.itemsize]:
        # Whole weights that the input's type holds exactly do not widen it.
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
    """`step(first, second)` over slices of the batch small enough for the cache and memory."""
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

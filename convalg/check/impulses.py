"""The matrix behind a black box, from unit impulses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from convalg.base import Array, Map
from convalg.errors import KindError, ShapeError, check_memory
from convalg.kernels import as_numbers
from convalg.spec import as_shape, size_product

TRIALS = 12
"""Random inputs on which an affine function must be what its impulses say."""

Call = Callable[[Array], Array]


def shapes(f: Any, in_shape: Any) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """The input's shape, and the output's where it is known."""
    wanted = None
    if isinstance(f, Map) and in_shape is None:
        return f.in_shape, f.out_shape
    if is_matrix(f):
        rows, columns = f.shape
        if in_shape is None:
            return (columns,), (rows,)
        if (
            isinstance(in_shape, (tuple, list))
            and in_shape
            and isinstance(in_shape[0], (tuple, list))
        ):
            in_shape, wanted = in_shape
            wanted = tuple(as_shape(wanted, "out_shape"))
        before = tuple(as_shape(in_shape, "in_shape"))
        if size_product(before) != columns:
            raise ShapeError(
                f"in_shape {before} has {size_product(before)} entries, and the matrix has "
                f"{columns} columns"
            )
        if wanted is not None and size_product(wanted) != rows:
            raise ShapeError(
                f"out_shape {wanted} has {size_product(wanted)} entries, and the matrix has "
                f"{rows} rows"
            )
        return before, wanted  # type: ignore[return-value]
    if in_shape is None:
        raise KindError(f"identify needs the shape of the input of {f!r}: give in_shape")
    return tuple(as_shape(in_shape, "in_shape")), None  # type: ignore[return-value]


def is_matrix(f: Any) -> bool:
    """Whether it is a matrix, of NumPy, SciPy or SymPy, and not a layer."""
    return hasattr(f, "shape") and len(getattr(f, "shape", ())) == 2 and not isinstance(f, Map)


def symbols_of(f: Any) -> bool:
    """Whether a matrix has letters in it."""
    return bool(getattr(f, "free_symbols", None)) or (
        getattr(getattr(f, "dtype", None), "kind", "") == "O"
        and any(getattr(value, "free_symbols", None) for value in np.ravel(f))
    )


def recovered(
    f: Any, before: tuple[int, ...], wanted: tuple[int, ...] | None, max_bytes: int | None
) -> tuple[Array | None, tuple[int, ...], Array | None, Call | None]:
    """The dense matrix and the bias, or the function where it is not affine."""
    if is_matrix(f):
        dense = f.toarray() if hasattr(f, "toarray") else f
        matrix = as_numbers(dense.tolist() if hasattr(dense, "tolist") else dense, "matrix")
        matrix = matrix.astype(float)
        after = wanted or guessed(before, len(matrix))
        return matrix, after, None, None
    if not callable(f):
        raise KindError(f"identify takes a function or a matrix, not {f!r}")
    call = _caller(f, before)
    at_zero = call(np.zeros((1, *before)))
    after = at_zero.shape[1:]
    count, rows = size_product(before), size_product(after)
    check_memory(
        count * (count + rows) * 8,
        max_bytes,
        what=f"the {rows} x {count} matrix from {count} impulses",
        instead="identify a smaller layer of the same form",
    )
    units = np.eye(count).reshape(count, *before)
    images = call(units).reshape(count, rows)
    matrix = (images - at_zero.reshape(1, rows)).T
    if not _is_affine(call, matrix, at_zero.reshape(rows), before):
        return None, after, None, call
    return matrix, after, at_zero.reshape(rows), call


def _caller(f: Any, before: tuple[int, ...]) -> Call:
    """f on a batch: at once where it takes batches, else sample by sample."""

    def one(x: Array) -> Array:
        found = np.asarray(f(x), dtype=float)
        return found if found.ndim else found[None]

    def each(x: Array) -> Array:
        return np.stack([one(sample) for sample in x])

    sample = np.arange(1.0, size_product(before) + 1).reshape(before)
    batch = np.stack([sample, -2 * sample, 0 * sample])
    single = batched = None
    try:
        single = one(sample)
    except (TypeError, ValueError, IndexError, RuntimeError):
        # A function of batches only.
        batched = one(batch)
        return one
    try:
        batched = one(batch)
    except (TypeError, ValueError, IndexError, RuntimeError):
        return each
    alike = batched.shape == (3, *single.shape) and np.allclose(batched[0], single)
    return one if alike else each


def _is_affine(call: Call, matrix: Array, bias: Array, before: tuple[int, ...]) -> bool:
    random = np.random.default_rng(0)
    x = random.integers(-9, 10, (TRIALS, *before)).astype(float)
    found = call(x).reshape(TRIALS, -1)
    right = x.reshape(TRIALS, -1) @ matrix.T + bias
    scale = max(1.0, float(np.abs(right).max(initial=0)))
    return found.shape == right.shape and bool(np.all(np.abs(found - right) <= 1e-6 * scale))


def guessed(before: tuple[int, ...], rows: int) -> tuple[int, ...]:
    """Output sizes for so many rows: as many axes as the input, as alike as can be."""
    if len(before) == 1:
        return (rows,)
    options = [
        shape
        for shape in _factorings(rows, len(before))
        if all(size <= 3 * n + 8 for size, n in zip(shape[1:], before[1:], strict=True))
    ]

    def unlike(shape: tuple[int, ...]) -> tuple[float, ...]:
        ratios = [math.log(m / n) for m, n in zip(shape, before, strict=True)]
        spatial = ratios[1:] if len(ratios) > 2 else ratios
        return (max(spatial) - min(spatial), abs(ratios[0]))

    return min(options or [(rows, *(1,) * (len(before) - 1))], key=unlike)


def _factorings(count: int, axes: int) -> Iterator[tuple[int, ...]]:
    if axes == 1:
        yield (count,)
        return
    for first in range(1, count + 1):
        if count % first == 0:
            for rest in _factorings(count // first, axes - 1):
                yield (first, *rest)

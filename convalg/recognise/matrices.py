"""Matrices given as such: their entries, and the shapes that their rows and columns stand for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from convalg.arrays import Array, as_array, as_numbers, check_finite
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.faces.limits import check_axes
from convalg.faces.zero import first_equal
from convalg.limits import check_memory
from convalg.operators.tree import Map, Operator
from convalg.size import as_shape, is_expression, size_product

GUESSES = 24
"""Shapes of the output that are tried where none is given."""


def is_matrix(f: Any) -> bool:
    """Whether it is a matrix of NumPy, SciPy or SymPy, an operator, or a list of rows."""
    if isinstance(f, Map):
        return isinstance(f, Operator)
    return isinstance(f, (list, tuple)) or len(getattr(f, "shape", ())) == 2


def shapes(f: Any, in_shape: Any) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """The input's shape, and the output's where it is known.

    Raises: ShapeError or KindError where they are missing or do not fit.
    """
    if isinstance(f, Map):
        return _shapes_of_map(f, in_shape)
    if not is_matrix(f):
        if not callable(f):
            raise KindError(f"identify takes a function or a matrix of two axes, not {f!r}")
        if in_shape is None:
            raise KindError(f"identify needs the shape of one input of {f!r}: give in_shape")
        return _numbers(in_shape, "in_shape"), None
    rows, columns = _rows_and_columns(f)
    if in_shape is None:
        return (columns,), (rows,)
    pair = isinstance(in_shape, (tuple, list)) and any(
        isinstance(part, (tuple, list)) for part in in_shape
    )
    if pair and len(in_shape) != 2:
        raise ShapeError(
            f"in_shape must be a shape, or the pair (in_shape, out_shape), not {in_shape!r}"
        )
    before = _numbers(in_shape[0] if pair else in_shape, "in_shape")
    after = _numbers(in_shape[1], "out_shape") if pair else None
    for shape, name, count, side in (
        (before, "in_shape", columns, "columns"),
        (after, "out_shape", rows, "rows"),
    ):
        if shape is not None and size_product(shape) != count:
            raise ShapeError(
                f"{name} {shape} has {size_product(shape)} entries, and the matrix has {count} "
                f"{side}"
            )
    return before, after


def _rows_and_columns(f: Any) -> tuple[int, int]:
    """The numbers of rows and columns. Raises: KindError for ragged rows, ShapeError."""
    shape = as_array(f, "matrix").shape if isinstance(f, (list, tuple)) else f.shape
    if len(shape) != 2 or not all(shape):
        raise ShapeError(f"a matrix has rows and columns, at least one, not shape {shape}")
    rows, columns = shape
    return rows, columns


def _shapes_of_map(f: Map, in_shape: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    before, after = _numbers(f.in_shape, "in_shape"), _numbers(f.out_shape, "out_shape")
    if in_shape is not None and _numbers(in_shape, "in_shape") != before:
        raise ShapeError(f"{f!r} takes an input of {before}, not of in_shape {in_shape}")
    return before, after


def _numbers(shape: Any, name: str) -> tuple[int, ...]:
    sizes = as_shape(shape, name)
    for k, size in enumerate(sizes):
        if not isinstance(size, int):
            raise KindError(f"{name}[{k}] must be a number, and {size} is a letter: take A.at(...)")
    return tuple(map(int, sizes))


def dense(f: Any, max_bytes: int | None) -> Array:
    """The entries of a matrix or an operator, exact where it is.

    Raises: KindError or ArgumentError for entries that are no real numbers, TooLargeError.
    """
    if isinstance(f, Operator):
        check_axes(f, "identify")
        return f.to_numpy(max_bytes=max_bytes)
    rows, columns = np.shape(f)
    check_memory(
        rows * columns * 8,
        max_bytes,
        what=f"the {rows} x {columns} matrix",
        instead="identify a smaller layer of the same form",
    )
    if hasattr(f, "toarray"):
        f = f.toarray()
    elif hasattr(f, "matmat"):
        f = f.matmat(np.eye(columns))
    matrix = np.asarray(as_numbers(f, "matrix"))
    if matrix.dtype.kind == "c":
        raise KindError(
            f"the matrix holds {matrix.dtype}, and layers are real: identify its real and its "
            f"imaginary part"
        )
    if matrix.dtype.kind == "O":
        matrix = _plain_objects(matrix)
    else:
        check_finite(matrix, "matrix")
    if matrix.ndim != 2 or not matrix.size:
        raise ShapeError(f"a matrix has rows and columns, at least one, not shape {matrix.shape}")
    return matrix


def _plain_objects(matrix: Array) -> Array:
    """The entries with equal ones in one form, and integers of SymPy as those of Python.

    Raises: ArgumentError for an entry that is not finite and real.
    """
    objects = {id(value): value for value in matrix.ravel()}
    distinct = np.empty(len(objects), dtype=object)
    distinct[:] = list(objects.values())
    try:
        check_finite(distinct, "matrix")
    except ArgumentError:
        # This one says where it stands.
        check_finite(matrix, "matrix")
    forms = dict(zip(objects, first_equal(list(objects.values())), strict=True))
    plain = {k: int(v) if is_expression(v) and v.is_Integer else v for k, v in forms.items()}
    found: Array = np.frompyfunc(lambda value: plain[id(value)], 1, 1)(matrix)
    return found


def guesses(before: tuple[int, ...], rows: int) -> list[tuple[int, ...]]:
    """Output shapes for so many rows: as many axes as the input, the likeliest first.

    Likely are sizes on all spatial axes in the same proportion to the input.
    """
    if len(before) == 1:
        return [(rows,)]
    options = [
        shape
        for shape in _factorings(rows, len(before))
        if all(size <= 3 * n + 8 for size, n in zip(shape[1:], before[1:], strict=True))
    ]

    def unlike(shape: tuple[int, ...]) -> tuple[float, ...]:
        ratios = [math.log(m / n) for m, n in zip(shape, before, strict=True)]
        losses = [abs(n - m - before[-1] + shape[-1]) for m, n in zip(shape, before, strict=True)]
        channels, *spatial = ratios if len(ratios) > 2 else (0.0, *ratios)
        same = min(max(spatial) - min(spatial), max(losses[1:]) / 10)
        return (round(same, 6), abs(channels), sum(map(abs, spatial)))

    return sorted(options, key=unlike)[:GUESSES] or [(rows, *(1,) * (len(before) - 1))]


def _factorings(count: int, axes: int) -> Iterator[tuple[int, ...]]:
    if axes == 1:
        yield (count,)
        return
    for first in range(1, count + 1):
        if count % first == 0:
            for rest in _factorings(count // first, axes - 1):
                yield (first, *rest)

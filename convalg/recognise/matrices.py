"""Read matrices: their entries, and the shapes that their rows and columns represent."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from convalg.arguments import shown
from convalg.arrays import Array, as_array, as_numbers, check_finite
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.faces.limits import check_axes
from convalg.faces.zero import first_equal
from convalg.limits import check_memory
from convalg.operators.tree import Map, Operator
from convalg.size import as_shape, is_expression, size_product

GUESSES = 24
"""Most output shapes that are tried for a matrix without a given output shape."""


def is_matrix(f: object) -> bool:
    """Whether f is a matrix of NumPy, SciPy or SymPy, an operator, or a list of rows."""
    if isinstance(f, Map):
        return isinstance(f, Operator)
    return isinstance(f, (list, tuple)) or len(getattr(f, "shape", ())) == 2


def shapes(f: object, in_shape: object) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """Return the input shape, and the output shape or None if it is not determined.

    Raises: KindError if `f` is neither a function nor a matrix, or a function has no `in_shape`;
    ShapeError if the shapes do not match a matrix.
    """
    if isinstance(f, Map):
        return _shapes_of_map(f, in_shape)
    if not is_matrix(f):
        if not callable(f):
            raise KindError(f"f must be a function or a matrix of two axes, not {shown(f)}")
        if in_shape is None:
            raise KindError(f"in_shape must be the shape of one input of {shown(f)}, not None")
        return _numbers(in_shape, "in_shape"), None
    rows, columns = _rows_and_columns(f)
    if in_shape is None:
        return (columns,), (rows,)
    outputs = None
    if isinstance(in_shape, (tuple, list)) and any(isinstance(n, (tuple, list)) for n in in_shape):
        if len(in_shape) != 2:
            raise ShapeError(
                f"in_shape must be a shape, or the pair (in_shape, out_shape), not {in_shape!r}"
            )
        inputs, outputs = _numbers(in_shape[0], "in_shape"), _numbers(in_shape[1], "out_shape")
    else:
        inputs = _numbers(in_shape, "in_shape")
    for shape, name, count, side in (
        (inputs, "in_shape", columns, "columns"),
        (outputs, "out_shape", rows, "rows"),
    ):
        if shape is not None and size_product(shape) != count:
            raise ShapeError(
                f"{name} {shape} has {size_product(shape)} entries, but the matrix has {count} "
                f"{side}"
            )
    return inputs, outputs


def _rows_and_columns(f: object) -> tuple[int, int]:
    """Return the numbers of rows and columns of a matrix.

    Raises: KindError for rows of different lengths, ShapeError unless there are two axes and an
    entry.
    """
    shape = as_array(f, "matrix").shape if isinstance(f, (list, tuple)) else getattr(f, "shape", ())
    if len(shape) != 2 or not all(shape):
        raise ShapeError(f"matrix must have two axes and at least one entry, not shape {shape}")
    rows, columns = shape
    return rows, columns


def _shapes_of_map(f: Map, in_shape: object) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of a map or an operator. Raises: ShapeError for another `in_shape`."""
    inputs, outputs = _numbers(f.in_shape, "in_shape"), _numbers(f.out_shape, "out_shape")
    if in_shape is not None and _numbers(in_shape, "in_shape") != inputs:
        raise ShapeError(f"in_shape must be the input shape {inputs} of {f!r}, not {in_shape}")
    return inputs, outputs


def _numbers(shape: object, name: str) -> tuple[int, ...]:
    """Return a shape as integers. Raises: KindError for a symbolic size."""
    sizes = as_shape(shape, name)
    for k, size in enumerate(sizes):
        if not isinstance(size, int):
            raise KindError(
                f"{name}[{k}] must be a number, not the symbolic size {size}: pass A.at(...)"
            )
    return tuple(map(int, sizes))


def dense(f: object, max_bytes: int | None) -> Array:
    """Return the entries of a matrix or an operator (rows, columns); exact entries stay exact.

    Raises: KindError for entries that are not real numbers, ArgumentError for entries that are not
    finite, ShapeError unless there are two axes and an entry, TooLargeError.
    """
    if isinstance(f, Operator):
        check_axes(f, "identify")
        return f.to_numpy(max_bytes=max_bytes)
    rows, columns = _rows_and_columns(f)
    check_memory(
        rows * columns * 8,
        max_bytes,
        what=f"the {rows} x {columns} matrix",
        instead="identify a smaller layer of the same form",
    )
    values = f
    if hasattr(f, "toarray"):
        values = f.toarray()
    elif hasattr(f, "matmat"):
        values = f.matmat(np.eye(columns))
    matrix = np.asarray(as_numbers(values, "matrix"))
    if matrix.dtype.kind == "c":
        raise KindError(
            f"matrix must be real, not {matrix.dtype}: identify its real and its imaginary part "
            f"separately"
        )
    if matrix.dtype.kind == "O":
        matrix = _unified_objects(matrix)
    else:
        check_finite(matrix, "matrix")
    if matrix.ndim != 2 or not matrix.size:
        raise ShapeError(
            f"matrix must have two axes and at least one entry, not shape {matrix.shape}"
        )
    return matrix


def _unified_objects(matrix: Array) -> Array:
    """Return entries with one object for equal values, and Python integers for SymPy integers.

    Raises: ArgumentError for an entry that is not finite and real.
    """
    objects = {id(value): value for value in matrix.ravel()}
    distinct = np.empty(len(objects), dtype=object)
    distinct[:] = list(objects.values())
    try:
        check_finite(distinct, "matrix")
    except ArgumentError:
        # The check of the matrix itself reports the index of the entry.
        check_finite(matrix, "matrix")
    forms = dict(zip(objects, first_equal(list(objects.values())), strict=True))
    python = {k: int(v) if is_expression(v) and v.is_Integer else v for k, v in forms.items()}
    result: Array = np.frompyfunc(lambda value: python[id(value)], 1, 1)(matrix)
    return result


def guesses(in_shape: tuple[int, ...], rows: int) -> list[tuple[int, ...]]:
    """Return output shapes for a number of rows, with as many axes as the input, likeliest first.

    A shape is likely if all its spatial sizes have the same ratio to the sizes of the input.
    """
    if len(in_shape) == 1:
        return [(rows,)]
    options = [
        shape
        for shape in _factorings(rows, len(in_shape))
        if all(size <= 3 * n + 8 for size, n in zip(shape[1:], in_shape[1:], strict=True))
    ]

    def unlike(shape: tuple[int, ...]) -> tuple[float, ...]:
        ratios = [math.log(m / n) for m, n in zip(shape, in_shape, strict=True)]
        losses = [
            abs(n - m - in_shape[-1] + shape[-1]) for m, n in zip(shape, in_shape, strict=True)
        ]
        channels, *spatial = ratios if len(ratios) > 2 else (0.0, *ratios)
        same = min(max(spatial) - min(spatial), max(losses[1:]) / 10)
        return (round(same, 6), abs(channels), sum(map(abs, spatial)))

    return sorted(options, key=unlike)[:GUESSES] or [(rows, *(1,) * (len(in_shape) - 1))]


def _factorings(count: int, axes: int) -> Iterator[tuple[int, ...]]:
    """Yield all shapes of a number of axes with a number of entries."""
    if axes == 1:
        yield (count,)
        return
    for first in range(1, count + 1):
        if count % first == 0:
            for rest in _factorings(count // first, axes - 1):
                yield (first, *rest)

"""The exact face: matrix rows as {column: entry}, for integers, fractions and symbols."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from convalg.base import Operator, Order, fold
from convalg.errors import ArgumentError, check_memory
from convalg.faces.support import nonzero_bound
from convalg.operators import (
    Adjoint,
    Compose,
    Convolution,
    Diagonal,
    Kron,
    Matrix,
    Patches,
    Scaled,
    Selection,
    SparseMatrix,
    Sum,
)
from convalg.pattern import Pattern
from convalg.spec import size_product

if TYPE_CHECKING:
    import sympy

Rows = list[dict[int, Any]]

# What a SymPy matrix takes: a pointer an entry, and about this much for each object in it.
BYTES_PER_ENTRY, BYTES_PER_OBJECT = 8, 300


def exact_rows(operator: Operator, lift: Callable[[Any], Any] | None = None) -> Rows:
    """The matrix as one dictionary a row, with exact entries; zero entries may be absent.

    `lift` turns every weight and factor into the ring to compute in; by default they stay
    as they are, machine numbers as Python's own.
    """
    rules = _RULES
    if lift is not None:
        rules = {
            **_RULES,
            Scaled: lambda node, image: _scaled(Scaled(lift(node.factor), node.operator), image),
        }
    return fold(operator, rules, lambda leaf: _leaf(leaf, lift))


def to_sympy(
    operator: Operator, order: Order = "C", *, max_bytes: int | None = None
) -> sympy.Matrix:
    """The matrix with SymPy entries; see `Operator.to_sympy`."""
    import sympy

    check_order(order)
    rows, columns = operator.shape
    check_memory(
        rows * columns * BYTES_PER_ENTRY + nonzero_bound(operator) * BYTES_PER_OBJECT,
        max_bytes,
        what=f"the exact {rows} x {columns} matrix",
        instead="use a smaller layer of the same form, A(x) on exact entries, or to_scipy()",
    )
    row_place, column_place = vec_places(operator, order)
    entries = [sympy.S.Zero] * (rows * columns)
    for row, found in enumerate(exact_rows(operator)):
        for column, value in found.items():
            entries[row_place[row] * columns + column_place[column]] = sympy.sympify(value)
    return sympy.Matrix(rows, columns, entries)


def check_order(order: str) -> None:
    """Raises: ArgumentError unless it is "C" or "F"."""
    if order not in ("C", "F"):
        raise ArgumentError(f"order must be 'C' (row-major) or 'F' (column-major), not {order!r}")


def vec_places(operator: Operator, order: Order) -> tuple[np.ndarray, np.ndarray]:
    """Where each row and column of the row-major matrix goes in another order of vec()."""
    return _place(operator.out_shape, order), _place(operator.in_shape, order)


def _place(shape: tuple[int, ...], order: Order) -> np.ndarray:
    count = int(size_product(shape))
    return np.arange(count).reshape(shape, order=order).ravel(order="C")


def lifted(values: np.ndarray, lift: Callable[[Any], Any] | None) -> np.ndarray:
    """Machine numbers as Python's own, which do not overflow, or in another ring."""
    objects = values.astype(object)
    return objects if lift is None else np.frompyfunc(lift, 1, 1)(objects)


def _leaf(leaf: Any, lift: Callable[[Any], Any] | None) -> Rows:
    match leaf:
        case Convolution():
            return _pattern_rows(leaf.pattern, lifted(leaf.weights, lift))
        case Selection():
            ones = np.ones(leaf.geometry.kernel_shape, dtype=object)
            return _pattern_rows(leaf.pattern, ones)
        case Patches():
            return _patch_rows(leaf, lifted(leaf.values, lift).ravel())
        case Diagonal():
            return [{k: value} for k, value in enumerate(lifted(leaf.values, lift).ravel())]
        case Matrix():
            return [dict(enumerate(row)) for row in lifted(leaf.values, lift)]
        case SparseMatrix():
            values = lifted(leaf.values, lift)
            return [
                dict(zip(leaf.indices[a:b].tolist(), values[a:b], strict=True))
                for a, b in pairwise(leaf.indptr.tolist())
            ]
    raise AssertionError(leaf)


def _pattern_rows(pattern: Pattern, weights: np.ndarray) -> Rows:
    indptr, indices = pattern.csr_structure()
    values = pattern.csr_values(weights)
    return [dict(zip(indices[a:b].tolist(), values[a:b], strict=True)) for a, b in pairwise(indptr)]


def _patch_rows(leaf: Patches, values: np.ndarray) -> Rows:
    rows: Rows = [{} for _ in range(leaf.shape[0])]
    for row, column, label in Pattern(leaf.geometry).triples().tolist():
        if leaf.transposed:
            rows[column][label] = rows[column].get(label, 0) + values[row]
        else:
            rows[row][label] = values[column]
    return rows


def _product(left: Rows, right: Rows) -> Rows:
    rows: Rows = []
    for line in left:
        found: dict[int, Any] = {}
        for middle, factor in line.items():
            for column, value in right[middle].items():
                product = factor * value
                found[column] = found[column] + product if column in found else product
        rows.append(found)
    return rows


def _compose(node: Compose, *images: Rows) -> Rows:
    result = images[-1]
    for image in reversed(images[:-1]):
        result = _product(image, result)
    return result


def _sum(node: Sum, *images: Rows) -> Rows:
    rows: Rows = [dict(line) for line in images[0]]
    for image in images[1:]:
        for found, line in zip(rows, image, strict=True):
            for column, value in line.items():
                found[column] = found[column] + value if column in found else value
    return rows


def _scaled(node: Scaled, image: Rows) -> Rows:
    return [{column: node.factor * value for column, value in line.items()} for line in image]


def _adjoint(node: Adjoint, image: Rows) -> Rows:
    rows: Rows = [{} for _ in range(node.shape[0])]
    for row, line in enumerate(image):
        for column, value in line.items():
            rows[column][row] = value
    return rows


def _kron(node: Kron, left: Rows, right: Rows) -> Rows:
    width = node.right.shape[1]
    return [
        {a * width + b: u * v for a, u in outer.items() for b, v in inner.items()}
        for outer in left
        for inner in right
    ]


_RULES: dict[type, Callable[..., Any]] = {
    Compose: _compose,
    Sum: _sum,
    Scaled: _scaled,
    Adjoint: _adjoint,
    Kron: _kron,
}

"""The leaves of operator trees: layers, B(x), selections, diagonals and matrices.

The adjoint of a leaf is one of these leaves if possible, and otherwise an `Adjoint`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from convalg import engine
from convalg.arrays import Array, as_kernel
from convalg.axis import Axis, Size
from convalg.errors import ShapeError
from convalg.geometry import Geometry
from convalg.limits import check_memory
from convalg.operators.tree import Operator
from convalg.pattern.pattern import Pattern
from convalg.size import Condition, size_product


@dataclass(frozen=True, eq=False, repr=False)
class Convolution(Operator):
    """A correlation or convolution layer: a geometry and a kernel."""

    geometry: Geometry
    weights: Any  # an array, or a SymbolicKernel in a family

    @property
    def in_shape(self) -> tuple[Any, ...]:
        return self.geometry.in_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.geometry.out_shape

    @property
    def T(self) -> Operator:  # noqa: N802
        return Adjoint(self)

    @cached_property
    def is_concrete(self) -> bool:
        return self.geometry.is_concrete and isinstance(self.weights, np.ndarray)

    @cached_property
    def pattern(self) -> Pattern:
        self._need_numbers("pattern")
        return Pattern(self.geometry)

    def _apply(self, x: Array) -> Array:
        return engine.correlate(self.geometry, self.weights, x)

    def _apply_adjoint(self, g: Array) -> Array:
        return engine.correlate_adjoint(self.geometry, self.weights, g)


@dataclass(frozen=True, eq=False, repr=False)
class Patches(Operator):
    """B(x): the operator from a kernel to the output for one input x, `values` ("im2col").

    If `transposed` is True, it is B(x) of the adjoint layer, and `values` is an input of this
    adjoint layer.
    """

    geometry: Geometry
    values: Any  # an array, or a SymbolicKernel in a family
    transposed: bool = False

    @property
    def is_concrete(self) -> bool:
        return self.geometry.is_concrete and isinstance(self.values, np.ndarray)

    @property
    def in_shape(self) -> tuple[Any, ...]:
        return self.geometry.kernel_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.geometry.in_shape if self.transposed else self.geometry.out_shape

    @property
    def T(self) -> Operator:  # noqa: N802
        return Adjoint(self)

    def _apply(self, x: Array) -> Array:
        step = engine.correlate_adjoint if self.transposed else engine.correlate
        return step(self.geometry, x, self.values[None])

    def _apply_adjoint(self, g: Array) -> Array:
        pair = (g, self.values[None]) if self.transposed else (self.values[None], g)
        return engine.kernel_gradients(self.geometry, *pair)


@dataclass(frozen=True, eq=False, repr=False)
class Selection(Operator):
    """Entries moved, repeated, dropped or summed: a pattern whose weights are all 1.

    Padding, cropping, flips, shifts, sampling and the identity have one tap on each axis, and sum
    pooling has several taps. A reshape has one axis over the flat array. `axes` includes the
    channel axis.
    """

    axes: tuple[Axis, ...]
    in_shape: tuple[Size, ...]
    out_shape: tuple[Size, ...]
    conditions: tuple[Condition, ...] = ()

    @cached_property
    def geometry(self) -> Geometry:
        """The selection as a single-channel layer."""
        return Geometry(self.axes, conditions=self.conditions)

    @property
    def T(self) -> Operator:  # noqa: N802
        transposed = [transposed_axis(axis) for axis in self.axes]
        if any(axis is None for axis in transposed):
            return Adjoint(self)
        axes = tuple(axis for axis in transposed if axis)
        return Selection(axes, self.out_shape, self.in_shape, self.conditions)

    @property
    def is_concrete(self) -> bool:
        return self.geometry.is_concrete

    @property
    def is_identity(self) -> bool:
        return self.in_shape == self.out_shape and all(
            axis == Axis(axis.in_size, axis.in_size) for axis in self.axes
        )

    @property
    def pattern(self) -> Pattern:
        self._need_numbers("pattern")
        return Pattern(self.geometry)

    def _apply(self, x: Array) -> Array:
        read = engine.unfold(self.axes, x.reshape(len(x), *self.geometry.in_spatial))
        (read,) = engine.prepared(read.shape[1], read) if read.shape[1] > 1 else (read,)
        total = read.sum(axis=1, dtype=_wide(read.dtype)) if read.shape[1] > 1 else read
        total = total.astype(read.dtype, copy=False)
        return total.reshape(len(x), *self.out_shape)

    def _apply_adjoint(self, g: Array) -> Array:
        (g,) = engine.prepared(engine.most_readers(self.axes), g)
        taps = size_product(self.geometry.taps)
        outputs = size_product(self.out_shape)
        spread = np.broadcast_to(g.reshape(len(g), 1, outputs), (len(g), taps, outputs))
        x = engine.fold(self.axes, spread)
        return x.reshape(len(g), *self.in_shape)


@dataclass(frozen=True, eq=False, repr=False)
class Diagonal(Operator):
    """A diagonal matrix: each entry is multiplied by its own factor."""

    values: Array

    @property
    def in_shape(self) -> tuple[Any, ...]:
        return self.values.shape

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.values.shape

    @property
    def T(self) -> Operator:  # noqa: N802
        return self

    def _apply(self, x: Array) -> Array:
        factors, x = engine.prepared(1, self.values, x)
        return factors * x


@dataclass(frozen=True, eq=False, repr=False)
class Matrix(Operator):
    """A dense matrix of shape (outputs, inputs)."""

    values: Array
    in_shape: tuple[Size, ...]
    out_shape: tuple[Any, ...]

    @cached_property
    def T(self) -> Operator:  # noqa: N802
        transposed = Matrix(self.values.T, self.out_shape, self.in_shape)
        # A.T.T is the same object as A, so that the weights of a shared layer are counted once.
        transposed.__dict__["T"] = self
        return transposed

    def _apply(self, x: Array) -> Array:
        weights, x = engine.prepared(self.values.shape[1], self.values, x)
        return x.reshape(len(x), weights.shape[1]) @ weights.T


@dataclass(frozen=True, eq=False, repr=False)
class SparseMatrix(Operator):
    """A CSR matrix, which represents selected maxima, permutations and interpolations.

    `indptr`, `indices` and `values` are the CSR arrays, with sorted rows and without duplicate
    entries. `text` is the call that creates the operator, for display.
    """

    indptr: Array
    indices: Array
    values: Array
    in_shape: tuple[Size, ...]
    out_shape: tuple[Size, ...]
    text: str = ""

    @cached_property
    def T(self) -> Operator:  # noqa: N802
        _check_rows(self.shape[1], self.shape[0])
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))
        # The entries are sorted by row, and a stable sort by column keeps this order.
        order = np.argsort(self.indices, kind="stable")
        counts = np.bincount(self.indices, minlength=self.shape[1])
        indptr = np.concatenate([[0], np.cumsum(counts)])
        arrays = (indptr, rows[order], self.values[order])
        for array in arrays:
            array.setflags(write=False)
        text = self.text.removesuffix(".T") if self.text.endswith(".T") else f"{self.text}.T"
        transposed = SparseMatrix(*arrays, self.out_shape, self.in_shape, text if self.text else "")
        transposed.__dict__["T"] = self
        return transposed

    def _apply(self, x: Array) -> Array:
        flat = x.reshape(len(x), self.shape[1])
        return engine.multiply(self.indptr, self.indices, self.values, flat)


@dataclass(frozen=True, eq=False, repr=False)
class Adjoint(Operator):
    """The adjoint of a leaf; an inner node has the adjoints of its children instead."""

    operator: Convolution | Patches | Selection

    @property
    def in_shape(self) -> tuple[Any, ...]:
        return self.operator.out_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.operator.in_shape

    @property
    def T(self) -> Operator:  # noqa: N802
        return self.operator

    @property
    def children(self) -> tuple[Operator, ...]:
        return (self.operator,)

    def rebuild(self, children: tuple[Operator, ...]) -> Operator:
        return children[0].T

    def _apply(self, x: Array) -> Array:
        return self.operator._apply_adjoint(x)


def _wide(kind: np.dtype) -> np.dtype | None:
    """Return float32 to sum float16 in, which represents integers only up to 2048; else None."""
    return np.dtype(np.float32) if kind == np.float16 else None


def _check_rows(rows: int, columns: int) -> None:
    """Raise TooLargeError for a matrix with too many rows for its `indptr`."""
    what = f"the sparse {rows} x {columns} matrix"
    check_memory(24 * rows, None, what=what, instead="use smaller sizes", fixed=True)


def sparse_matrix(
    rows: Array,
    columns: Array,
    values: object,
    in_shape: tuple[Size, ...],
    out_shape: tuple[Size, ...],
    text: str = "",
) -> SparseMatrix:
    """Return the sparse matrix with the given entries.

    Args:
        rows: Flat index of the output of each entry, of shape (entries,), in any order and without
            duplicate pairs of row and column.
        columns: Flat index of the input of each entry, of shape (entries,).
        values: Value of each entry, of shape (entries,), or one number for all entries.
        in_shape: Shape of the input.
        out_shape: Shape of the output.
        text: The call that creates the operator, for display.

    Raises:
        TooLargeError: when the row pointers would exceed the memory limit.
    """
    height = size_product(out_shape)
    _check_rows(height, size_product(in_shape))
    order = np.lexsort((columns, rows))
    counts = np.bincount(rows, minlength=height)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    entries = np.broadcast_to(np.asarray(values), rows.shape)[order]
    for array in (arrays := (indptr, columns[order], entries)):
        array.setflags(write=False)
    return SparseMatrix(*arrays, in_shape, out_shape, text)


def gathering(
    table: Array, in_shape: tuple[Size, ...], out_shape: tuple[Size, ...], text: str = ""
) -> SparseMatrix:
    """Return the matrix whose row r selects the flat input `table[r]`, or is zero if that is -1."""
    flat = np.asarray(table).ravel()
    rows = np.flatnonzero(flat >= 0)
    return sparse_matrix(rows, flat[rows], 1, in_shape, out_shape, text)


def transposed_axis(axis: Axis) -> Axis | None:
    """Return the axis of the transposed matrix, or None when this matrix is not that of one axis.

    Rule: for s = 1 and s = -1, i = s o + d t - p is equivalent to o = s i - s d t + s p.
    """
    kept = axis.boundary == "zeros" or (
        axis.boundary == "circular" and axis.in_size == axis.out_size
    )
    s = axis.stride
    if not isinstance(s, int) or abs(s) != 1 or not kept:
        return None
    return Axis(
        in_size=axis.out_size,
        out_size=axis.in_size,
        taps=axis.taps,
        stride=s,
        # An axis with one tap does not depend on its dilation.
        dilation=1 if axis.taps == 1 else -s * axis.dilation,
        padding=-s * axis.padding,
        boundary=axis.boundary,
    )


def single_layer(operator: Operator) -> tuple[Convolution, bool] | None:
    """Return the layer that an operator is or is the adjoint of, and whether it is the adjoint.

    The result is None for any other operator.

    >>> import convalg as ca
    >>> single_layer(ca.correlation(4, [1, 2]).T)
    (correlation(4, [1, 2]), True)
    """
    match operator:
        case Convolution():
            return operator, False
        case Adjoint(operator=Convolution() as layer):
            return layer, True
    return None


def checked_kernel(kernel: object, shape: tuple[Size, ...]) -> Array:
    """Return a kernel as an array, or raise ShapeError when it does not have the given shape."""
    weights = as_kernel(kernel)
    if weights.shape != shape:
        raise ShapeError(f"kernel must have shape {shape}, not {weights.shape}")
    return weights

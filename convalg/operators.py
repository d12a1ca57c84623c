"""Operators: a small immutable tree of leaves (patterns) and nodes (algebra).

Leaves: Convolution, Patches (B(x)), Selection, Diagonal, Matrix, SparseMatrix. Nodes: Compose,
Sum, Scaled, Adjoint, Kron. Each can be applied to arrays; every other question about one (its
matrix, its counts, its drawing) is a face: a table of rules, one per node, walked by `fold`.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from convalg import engine
from convalg.axis import Axis
from convalg.base import Array, Operator
from convalg.errors import KindError, ShapeError, check_memory
from convalg.kernels import as_kernel, check_finite
from convalg.pattern import Pattern
from convalg.presburger import same_shape
from convalg.spec import (
    Condition,
    Geometry,
    is_expression,
    is_symbolic,
    size_product,
)


@dataclass(frozen=True, eq=False, repr=False)
class Convolution(Operator):
    """A correlation or convolution layer: a geometry and a kernel."""

    geometry: Geometry
    weights: Any  # an array, or a LetterKernel in a family

    @property
    def in_shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return self.geometry.in_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return self.geometry.out_shape

    @property
    def T(self) -> Operator:  # noqa: N802
        return Adjoint(self)

    @property
    def is_concrete(self) -> bool:
        return self.geometry.is_concrete and isinstance(self.weights, np.ndarray)

    @property
    def pattern(self) -> Pattern:
        self._need_numbers("pattern")
        return Pattern(self.geometry)

    def _apply(self, x: Array) -> Array:
        return engine.correlate(self.geometry, self.weights, x)

    def _apply_adjoint(self, g: Array) -> Array:
        return engine.correlate_adjoint(self.geometry, self.weights, g)


@dataclass(frozen=True, eq=False, repr=False)
class Patches(Operator):
    """B(x): the operator from a kernel to the output, for one input ("im2col").

    With `transposed`, for the adjoint layer: `values` is then its input, of `out_shape`.
    """

    geometry: Geometry
    values: Any  # an array, or a LetterKernel in a family
    transposed: bool = False

    @property
    def is_concrete(self) -> bool:
        return self.geometry.is_concrete and isinstance(self.values, np.ndarray)

    @property
    def in_shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return self.geometry.kernel_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:  # type: ignore[override]
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
    """Entries moved, repeated, dropped or summed: a pattern whose weights are all one.

    Pads, crops, flips, shifts, sampling and identities have one tap on each axis; sum pooling
    has more; a reshape has one axis over the flat array. `axes` cover the channel axis too.
    """

    axes: tuple[Axis, ...]
    in_shape: tuple[Any, ...]
    out_shape: tuple[Any, ...]
    conditions: tuple[Condition, ...] = ()

    @cached_property
    def geometry(self) -> Geometry:
        """The selection as a single-channel layer."""
        return Geometry(self.axes, conditions=self.conditions)

    @property
    def T(self) -> Operator:  # noqa: N802
        turned = [transposed_axis(axis) for axis in self.axes]
        if any(axis is None for axis in turned):
            return Adjoint(self)
        axes = tuple(axis for axis in turned if axis)
        return Selection(axes, self.out_shape, self.in_shape, self.conditions)

    @property
    def is_concrete(self) -> bool:
        return self.geometry.is_concrete

    @property
    def pattern(self) -> Pattern:
        self._need_numbers("pattern")
        return Pattern(self.geometry)

    def _apply(self, x: Array) -> Array:
        read = engine.unfold(self.axes, x.reshape(len(x), *(a.in_size for a in self.axes)))
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
    """Each entry times its own factor."""

    values: Array

    @property
    def in_shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return self.values.shape

    @property
    def out_shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return self.values.shape

    @property
    def T(self) -> Operator:  # noqa: N802
        return self

    def _apply(self, x: Array) -> Array:
        factors, x = engine.prepared(1, self.values, x)
        return factors * x


@dataclass(frozen=True, eq=False, repr=False)
class Matrix(Operator):
    """A dense matrix, of (outputs, inputs)."""

    values: Array
    in_shape: tuple[Any, ...]
    out_shape: tuple[Any, ...]

    @cached_property
    def T(self) -> Operator:  # type: ignore[override]  # noqa: N802
        found = Matrix(self.values.T, self.out_shape, self.in_shape)
        # One object both ways: its weights are counted once, however often it is used.
        found.__dict__["T"] = self
        return found

    def _apply(self, x: Array) -> Array:
        weights, x = engine.prepared(self.values.shape[1], self.values, x)
        return x.reshape(len(x), weights.shape[1]) @ weights.T


@dataclass(frozen=True, eq=False, repr=False)
class SparseMatrix(Operator):
    """A matrix given entry by entry, in compressed rows: winners, permutations, interpolation.

    `indptr`, `indices`, `values` as in CSR, with sorted rows and no entry twice. `words` is the
    call that makes it, for display.
    """

    indptr: Array
    indices: Array
    values: Array
    in_shape: tuple[Any, ...]
    out_shape: tuple[Any, ...]
    words: str = ""

    @cached_property
    def T(self) -> Operator:  # type: ignore[override]  # noqa: N802
        _check_rows(self.shape[1], self.shape[0])
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))
        # Rows come in order, so a stable sort by column leaves them so.
        order = np.argsort(self.indices, kind="stable")
        counts = np.bincount(self.indices, minlength=self.shape[1])
        indptr = np.concatenate([[0], np.cumsum(counts)])
        arrays = (indptr, rows[order], self.values[order])
        for array in arrays:
            array.setflags(write=False)
        words = self.words.removesuffix(".T") if self.words.endswith(".T") else f"{self.words}.T"
        found = SparseMatrix(*arrays, self.out_shape, self.in_shape, words if self.words else "")
        found.__dict__["T"] = self
        return found

    def _apply(self, x: Array) -> Array:
        flat = x.reshape(len(x), self.shape[1])
        return engine.multiply(self.indptr, self.indices, self.values, flat)


@dataclass(frozen=True, eq=False, repr=False)
class Compose(Operator):
    """A product of operators; the last one is applied first."""

    factors: tuple[Operator, ...]

    @property
    def in_shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return self.factors[-1].in_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return self.factors[0].out_shape

    @property
    def T(self) -> Operator:  # noqa: N802
        return compose(*(factor.T for factor in reversed(self.factors)))

    @property
    def children(self) -> tuple[Operator, ...]:
        return self.factors

    def rebuild(self, children: tuple[Operator, ...]) -> Operator:
        return compose(*children)

    def _apply(self, x: Array) -> Array:
        for factor in reversed(self.factors):
            x = factor._apply(x).reshape(len(x), *factor.out_shape)
        return x


@dataclass(frozen=True, eq=False, repr=False)
class Sum(Operator):
    """A sum of operators of the same shapes."""

    terms: tuple[Operator, ...]

    @property
    def in_shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return self.terms[0].in_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return self.terms[0].out_shape

    @property
    def T(self) -> Operator:  # noqa: N802
        return add(*(term.T for term in self.terms))

    @property
    def children(self) -> tuple[Operator, ...]:
        return self.terms

    def rebuild(self, children: tuple[Operator, ...]) -> Operator:
        return add(*children)

    def _apply(self, x: Array) -> Array:
        return engine.total(
            [term._apply(x).reshape(len(x), *self.out_shape) for term in self.terms]
        )


@dataclass(frozen=True, eq=False, repr=False)
class Scaled(Operator):
    """A number times an operator."""

    factor: Any
    operator: Operator

    @property
    def in_shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return self.operator.in_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return self.operator.out_shape

    @property
    def T(self) -> Operator:  # noqa: N802
        return scale(self.factor, self.operator.T)

    @property
    def children(self) -> tuple[Operator, ...]:
        return (self.operator,)

    def rebuild(self, children: tuple[Operator, ...]) -> Operator:
        return scale(self.factor, children[0])

    def _apply(self, x: Array) -> Array:
        if x.dtype == np.float16:
            # A mean fits in a half float where the sum before it does not.
            wide = engine.scaled(self.factor, self.operator._apply(x.astype(np.float32)))
            return wide.astype(self.operator._apply(x[:0]).dtype)
        return engine.scaled(self.factor, self.operator._apply(x))


@dataclass(frozen=True, eq=False, repr=False)
class Adjoint(Operator):
    """The adjoint of a leaf; the adjoint of a node is built from its children instead."""

    operator: Convolution | Patches | Selection

    @property
    def in_shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return self.operator.out_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:  # type: ignore[override]
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


@dataclass(frozen=True, eq=False, repr=False)
class Kron(Operator):
    """The Kronecker product: `left` on the first axes, `right` on the last."""

    left: Operator
    right: Operator

    @property
    def in_shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return (*self.left.in_shape, *self.right.in_shape)

    @property
    def out_shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return (*self.left.out_shape, *self.right.out_shape)

    @property
    def T(self) -> Operator:  # noqa: N802
        return kron(self.left.T, self.right.T)

    @property
    def children(self) -> tuple[Operator, ...]:
        return (self.left, self.right)

    def rebuild(self, children: tuple[Operator, ...]) -> Operator:
        return kron(*children)

    def _apply(self, x: Array) -> Array:
        (rows_left, columns_left), (rows_right, _) = self.left.shape, self.right.shape
        y = self.right._apply(x.reshape(len(x) * columns_left, *self.right.in_shape))
        y = y.reshape(len(x), columns_left, rows_right).swapaxes(1, 2)
        y = self.left._apply(y.reshape(len(x) * rows_right, *self.left.in_shape))
        return y.reshape(len(x), rows_right, rows_left).swapaxes(1, 2)


def compose(*operators: Operator) -> Operator:
    """The product, flattened, identities dropped.

    Raises: ShapeError when one factor's output is not the next one's input.
    """
    factors: list[Operator] = []
    for operator in operators:
        factors.extend(operator.factors if isinstance(operator, Compose) else [operator])
    for left, right in pairwise(factors):
        if not same_shape(left.in_shape, right.out_shape):
            raise ShapeError(
                f"these do not compose: the right operator gives {right.out_shape}, "
                f"the left one takes {left.in_shape}"
            )
    kept = [factor for factor in factors if not is_identity(factor)] or factors[:1]
    return kept[0] if len(kept) == 1 else Compose(tuple(kept))


def add(*operators: Any) -> Operator:
    """The sum, flattened.

    Raises: KindError unless all are operators, ShapeError unless all have the same shapes.
    """
    terms: list[Operator] = []
    for operator in operators:
        if not isinstance(operator, Operator):
            raise KindError(f"+ adds two operators, not an operator and {operator!r}")
        terms.extend(operator.terms if isinstance(operator, Sum) else [operator])
    first = terms[0]
    for term in terms[1:]:
        if not (
            same_shape(term.in_shape, first.in_shape)
            and same_shape(term.out_shape, first.out_shape)
        ):
            raise ShapeError(
                f"these do not add: one maps {first.in_shape} to {first.out_shape}, "
                f"the other {term.in_shape} to {term.out_shape}"
            )
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


def scale(factor: Any, operator: Operator) -> Operator:
    """A number times an operator; nested factors are multiplied.

    Raises: KindError unless the factor is one real number or expression.
    """
    is_number = isinstance(factor, numbers.Real) or is_expression(factor)
    if not is_number or isinstance(factor, bool):
        raise KindError(
            f"an operator is scaled by one real number or symbol, not {factor!r}: "
            f"use @ to compose operators and A(x) to apply one"
        )
    if isinstance(factor, np.integer):
        factor = int(factor)
    check_finite(np.array(factor), "factor")
    if isinstance(operator, Scaled) and not _has_pole(factor) and not _has_pole(operator.factor):
        factor, operator = factor * operator.factor, operator.operator
    return operator if factor == 1 else Scaled(factor, operator)


def _has_pole(factor: Any) -> bool:
    """Whether a factor may have no value, as 1 / (K - 1); a product could hide where."""
    if not is_symbolic(factor):
        return False
    import sympy

    powers = factor.atoms(sympy.Pow)
    return any(power.base.free_symbols and not power.exp.is_positive for power in powers)


def kron(left: Operator, right: Operator) -> Operator:
    """The Kronecker product. Raises: KindError unless both are operators."""
    if not isinstance(right, Operator):
        raise KindError(f"kron takes an operator, not {type(right).__name__}")
    return Kron(left, right)


def is_identity(operator: Operator) -> bool:
    """Whether an operator is the identity by its geometry, with the same shape on both sides."""
    return (
        isinstance(operator, Selection)
        and operator.in_shape == operator.out_shape
        and all(axis == Axis(axis.in_size, axis.in_size) for axis in operator.axes)
    )


def letters_of(operator: Operator) -> tuple[Any, ...]:
    """The letters of a family, in the order of `Operator.letters`."""
    if operator.is_concrete:
        return ()
    layers: list[Any] = [
        leaf for leaf in leaves(operator) if not isinstance(leaf, (Diagonal, Matrix, SparseMatrix))
    ]
    values: list[Any] = list(operator.in_shape)
    for layer in layers:
        values.extend(layer.geometry.in_shape)
    for layer in layers:
        values.extend(layer.geometry.kernel_shape)
    for layer in layers:
        for axis in layer.geometry.axes:
            values.extend((axis.padding, axis.out_size, axis.stride, axis.dilation))
        values.append(layer.geometry.groups)
    expressions = [value for value in values if is_symbolic(value)]
    # A letter that stands alone somewhere comes before those met in expressions only.
    found = dict.fromkeys(value for value in expressions if value.is_Symbol)
    for value in expressions:
        found.update(dict.fromkeys(sorted(value.free_symbols, key=lambda s: s.name)))
    return tuple(found)


def leaves(operator: Operator) -> list[Operator]:
    """The leaves of a tree, from left to right."""
    if not operator.children:
        return [operator]
    return [leaf for child in operator.children for leaf in leaves(child)]


def _wide(kind: np.dtype) -> np.dtype | None:
    """The type to sum in: half floats count to 2048 only."""
    return np.dtype(np.float32) if kind == np.float16 else None


def _check_rows(rows: int, columns: int) -> None:
    """Raises: TooLargeError for a matrix of so many rows that their ends do not fit."""
    what = f"the sparse {rows} x {columns} matrix"
    check_memory(24 * rows, None, what=what, instead="take smaller sizes", fixed=True)


def sparse_matrix(
    rows: Array,
    columns: Array,
    values: Any,
    in_shape: tuple[Any, ...],
    out_shape: tuple[Any, ...],
    words: str = "",
) -> SparseMatrix:
    """The matrix of some entries, in any order; no place twice.

    Shapes: rows, columns, values (entries,), flat indices; `values` may be one number for all.
    Raises: TooLargeError where the ends of the rows do not fit.
    """
    height = size_product(out_shape)
    _check_rows(height, size_product(in_shape))
    order = np.lexsort((columns, rows))
    counts = np.bincount(rows, minlength=height)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    entries = np.broadcast_to(np.asarray(values), rows.shape)[order]
    for array in (found := (indptr, columns[order], entries)):
        array.setflags(write=False)
    return SparseMatrix(*found, in_shape, out_shape, words)


def gathering(
    table: Array, in_shape: tuple[Any, ...], out_shape: tuple[Any, ...], words: str = ""
) -> SparseMatrix:
    """The matrix whose row r reads the flat input `table[r]`, or nothing where that is -1."""
    flat = np.asarray(table).ravel()
    rows = np.flatnonzero(flat >= 0)
    return sparse_matrix(rows, flat[rows], 1, in_shape, out_shape, words)


def transposed_axis(axis: Axis) -> Axis | None:
    """The axis that reads what this one writes, or None where no single axis does.

    Rule: for s = 1 and s = -1, o = s i - s d t + s p.
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
        # One tap is one place, whichever way it is walked.
        dilation=1 if axis.taps == 1 else -s * axis.dilation,
        padding=-s * axis.padding,
        boundary=axis.boundary,
    )


def checked_kernel(kernel: Any, shape: tuple[Any, ...]) -> Array:
    """A kernel of a given shape. Raises: ShapeError when it has another."""
    weights = as_kernel(kernel)
    if weights.shape != shape:
        raise ShapeError(f"kernel must have shape {shape}, not {weights.shape}")
    return weights

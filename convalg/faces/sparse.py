"""The sparse face: SciPy sparse arrays, dense NumPy arrays and SciPy's LinearOperator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial, reduce
from typing import Any, SupportsFloat

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.sparse.linalg

from convalg.arguments import one_of
from convalg.arrays import largest
from convalg.engine import most_readers, prepared, result_type, scaled
from convalg.engine.arithmetic import as_float
from convalg.errors import ArgumentError, ExactnessError, KindError, ShapeError, SymbolicError
from convalg.faces.exact import check_order, exact_rows, vec_order
from convalg.faces.support import nonzero_bound
from convalg.limits import MEMORY_LIMIT, check_bound, check_memory
from convalg.operators.leaves import (
    Adjoint,
    Convolution,
    Diagonal,
    Matrix,
    Patches,
    Selection,
    SparseMatrix,
)
from convalg.operators.tree import Compose, Kron, Operator, Order, Scaled, Sum, fold, leaves
from convalg.pattern.pattern import Pattern, index_type
from convalg.size import is_symbolic, size_product

FORMATS = ("csr", "csc", "coo", "bsr", "dia", "dok", "lil")


def to_scipy(
    operator: Operator,
    dtype: npt.DTypeLike | None = None,
    format: str = "csr",
    order: Order = "C",
    *,
    out: object = None,
    max_bytes: int | None = None,
) -> Any:
    """Return the matrix as a SciPy sparse array; see `Operator.to_scipy`."""
    one_of(format, FORMATS, "format")
    check_order(order)
    target = _as_dtype(dtype)
    if out is not None:
        if target is not None:
            raise ArgumentError(
                f"dtype={dtype!r} cannot be combined with out=, whose dtype is used: pass one of "
                f"the two"
            )
        return _rewrite(operator, out, order)
    _refuse_objects(operator, target)
    rows, columns = operator.shape
    what = f"the sparse {rows} x {columns} matrix"
    instead = "apply A(x) and A.T(g), which store no matrix, or use to_linear_operator()"
    check_memory(_bytes_needed(operator), max_bytes, what=what, instead=instead)
    # A small matrix may have a large axis, whose index table is computed as well.
    tables = _table_bytes(operator) + _order_bytes(operator, order)
    check_memory(tables, max(max_bytes or 0, MEMORY_LIMIT), what=what, instead=instead)
    return unguarded(operator, target, order).asformat(format)


def unguarded(operator: Operator, target: np.dtype | None = None, order: Order = "C") -> Any:
    """Return the CSR matrix of an operator of numbers, where its size and entries were checked."""
    matrix = _matrix(operator, _early(operator, target))
    if target is not None:
        matrix.data = cast(matrix.data, target)
    if order == "F":
        row_order, column_order = vec_order(operator, order)
        matrix = matrix[np.argsort(row_order)][:, np.argsort(column_order)]
        matrix.sort_indices()
    return matrix


def to_numpy(operator: Operator, order: Order = "C", *, max_bytes: int | None = None) -> Any:
    """Return the dense matrix of shape (rows, columns); see `Operator.to_numpy`."""
    check_order(order)
    rows, columns = operator.shape
    check_memory(
        rows * columns * 8,
        max_bytes,
        what=f"the dense {rows} x {columns} matrix",
        instead="use to_scipy(), or A(x) without a matrix",
    )
    if exact_kind(operator) is None and not has_fraction(operator):
        # The limit was checked for the dense matrix, so that the sparse one needs no check.
        return unguarded(operator, order=order).toarray()
    row_order, column_order = vec_order(operator, order)
    dense = np.zeros((rows, columns), dtype=object)
    for row, line in enumerate(exact_rows(operator)):
        for column, value in line.items():
            dense[row_order[row], column_order[column]] = value
    return dense


def to_linear_operator(operator: Operator) -> scipy.sparse.linalg.LinearOperator:
    """Return the operator as a SciPy LinearOperator; see `Operator.to_linear_operator`."""
    _refuse_objects(operator, None)
    kind = _result_type(operator)
    forward, back = partial(_columns, operator, kind), partial(_columns, operator.T, kind)
    return scipy.sparse.linalg.LinearOperator(
        shape=operator.shape,
        matvec=forward,
        rmatvec=back,
        matmat=forward,
        rmatmat=back,
        dtype=kind,
    )


def _columns(operator: Operator, kind: np.dtype, columns: np.ndarray) -> np.ndarray:
    """Return the operator applied to each column; an array of one axis is a single column."""
    samples = columns.reshape(columns.shape[0], -1).T.reshape(-1, *operator.in_shape)
    images = operator(samples).reshape(len(samples), operator.shape[0])
    if images.dtype.kind == "O":
        # Multiples by a fraction are exact objects, but SciPy's solvers need machine numbers.
        images = images.astype(kind)
    return images.T.reshape(operator.shape[0], *columns.shape[1:])


def support_matrix(operator: Operator) -> scipy.sparse.csr_array:
    """Return a CSR matrix that is non-zero exactly on the support (for sums, an upper bound)."""
    ones = fold(operator, _SUPPORT_RULES, _support_leaf)
    ones.sum_duplicates()
    return ones


def exact_kind(operator: Operator) -> str | None:
    """Return the kind of exact entries ("symbols", "Fraction", ...); None for machine numbers."""
    match operator:
        case Convolution(weights=values):
            kind = _object_kind(values)
        case (
            Diagonal(values=values)
            | Matrix(values=values)
            | Patches(values=values)
            | SparseMatrix(values=values)
        ):
            kind = _object_kind(values)
        case Scaled(factor=factor) if not isinstance(factor, Fraction):
            kind = _object_kind(np.asarray(factor))
        case _:
            kind = None
    return kind or next(filter(None, map(exact_kind, operator.children)), None)


def has_fraction(operator: Operator) -> bool:
    """Return whether some scalar factor is a fraction; only SciPy's matrices round it."""
    own = isinstance(operator, Scaled) and isinstance(operator.factor, Fraction)
    return own or any(map(has_fraction, operator.children))


def _object_kind(values: np.ndarray) -> str | None:
    if values.dtype.kind != "O":
        return None
    symbols = any(is_symbolic(v) and v.free_symbols for v in values.ravel())
    return "symbols" if symbols else type(values.ravel()[0]).__name__


def _refuse_objects(operator: Operator, dtype: np.dtype | None) -> None:
    """Raise SymbolicError for symbols, or for exact objects when no dtype was requested."""
    kind = exact_kind(operator)
    if kind == "symbols":
        raise SymbolicError(
            f"the {operator.shape[0]} x {operator.shape[1]} matrix has symbols: use to_sympy() "
            f"for the exact matrix, or insert numbers with A.refill(kernel).to_scipy()"
        )
    if kind is not None and dtype is None:
        raise SymbolicError(
            f"the entries are exact objects ({kind}): use to_sympy() or to_numpy() to keep them "
            f"exact, or to_scipy(dtype=float) to round them"
        )


def _result_type(operator: Operator) -> np.dtype:
    def leaf(node: object) -> np.dtype:
        return np.dtype(np.int8) if isinstance(node, Selection) else _values(node).dtype

    def node(parent: Operator, *images: np.dtype) -> np.dtype:
        factor = [np.asarray(_number(parent.factor)).dtype] if isinstance(parent, Scaled) else []
        return result_type(*images, *factor)

    return _held(fold(operator, dict.fromkeys(_RULES, node), leaf))


def _early(operator: Operator, target: np.dtype | None) -> np.dtype | None:
    """Return the type to convert weights to before they are summed; None to convert the sums.

    Integers are summed as integers and converted to floats afterwards, so that only the sum is
    rounded.
    """
    if isinstance(operator, Selection) or (
        isinstance(operator, Convolution) and operator.pattern.products == operator.pattern.nonzeros
    ):
        return target  # Each entry is a single weight.
    integral = exact_kind(operator) is None and result_type(
        *(_values(leaf).dtype for leaf in leaves(operator) if not isinstance(leaf, Selection))
    ) == np.dtype(np.int64)
    return None if integral else target


def _values(leaf: Any) -> np.ndarray:
    values: np.ndarray = leaf.weights if isinstance(leaf, Convolution) else leaf.values
    return values


def _bytes_needed(operator: Operator) -> int:
    match operator:
        case Convolution(pattern=pattern, weights=weights):
            return pattern.csr_bytes(weights.dtype.itemsize)
        case Scaled(operator=inner) | Adjoint(operator=inner):
            return _bytes_needed(inner)
    return nonzero_bound(operator) * 16 + (operator.shape[0] + 1) * 8


def _table_bytes(operator: Operator) -> int:
    """Return the number of bytes of the index tables of all axes, used while a matrix is built."""
    layers = [leaf for leaf in leaves(operator) if isinstance(leaf, (Convolution, Selection))]
    axes = [axis for layer in layers for axis in layer.geometry.axes]
    return sum(16 * axis.numbers.out_size * axis.numbers.taps for axis in axes)


def _order_bytes(operator: Operator, order: Order) -> int:
    """Return the bytes of the permutations that order a matrix column by column."""
    return 0 if order == "C" else 32 * sum(operator.shape)


def _rewrite(operator: Operator, out: object, order: Order) -> scipy.sparse.csr_array:
    """Write the values into a matrix that was created for the same pattern, and return it."""
    if not isinstance(operator, Convolution) or order != "C":
        raise ArgumentError(
            f"out= accepts only the row-major matrix of a single convolution, not the matrix of "
            f"{operator!r} in order {order!r}: try A.simplify() and order='C', or omit out="
        )
    pattern = operator.pattern
    if not _made_for(pattern, operator.shape, out):
        raise ShapeError(
            f"out must be the CSR matrix of shape {operator.shape} with {pattern.nonzeros} stored "
            f"entries that to_scipy() returned for this pattern, not {out!r}"
        )
    matrix: scipy.sparse.csr_array = out
    _refuse_objects(operator, matrix.dtype)
    if not np.can_cast(operator.weights.dtype, matrix.dtype, "same_kind"):
        raise KindError(
            f"out has dtype {matrix.dtype}, which cannot hold a kernel of "
            f"{operator.weights.dtype}: create a new matrix with to_scipy()"
        )
    weights = operator.weights
    if weights.dtype.kind in "iu" and pattern.products > pattern.nonzeros:
        # An entry may be the sum of several integer weights, which a small type may not hold.
        matrix.data[:] = cast(pattern.csr_values(_wide(weights)), matrix.dtype)
    else:
        pattern.csr_values(cast(weights, matrix.dtype), matrix.data)
    return matrix


def _as_dtype(dtype: npt.DTypeLike | None) -> np.dtype | None:
    """Return the NumPy dtype, or None. Raises: KindError when it is not a real number type."""
    if dtype is None:
        return None
    try:
        target = np.dtype(dtype)
    except (TypeError, ValueError, UnicodeEncodeError):
        target = np.dtype(object)
    if target.kind not in "iuf":
        raise KindError(
            f"dtype must be a type of real numbers, not {dtype!r}: pass one such as float or int"
        )
    if target == np.float16:
        raise KindError(f"dtype={dtype!r} is not supported by SciPy's matrices: use float32")
    return target


def cast(values: np.ndarray, target: np.dtype) -> np.ndarray:
    """Return the values converted to another type: to integers exactly, to floats by rounding.

    Raises: ExactnessError when a value is too large for the type, KindError when a fraction would
    become an integer.
    """
    if values.dtype == target:
        return values
    try:
        with np.errstate(invalid="ignore", over="ignore"):
            result = values.astype(target)
    except OverflowError:
        raise ExactnessError(
            f"{max(values.ravel(), key=abs)} does not fit into {target}: choose another dtype"
        ) from None
    if target.kind == "f" and not np.isfinite(result).all():
        value = values[~np.isfinite(result)].ravel()[0]
        raise ExactnessError(f"{value} does not fit into {target}: choose a wider dtype")
    if target.kind in "iu":
        wrong = np.asarray(result.astype(object) != values.astype(object), dtype=bool)
        if wrong.any():
            value = values[wrong].ravel()[0]
            integral = value == np.floor(float(value))
            kind = ExactnessError if integral else KindError
            raise kind(f"{value} does not fit into {target}: choose another dtype")
    return result


def _made_for(pattern: Pattern, shape: tuple[int, int], out: object) -> bool:
    """Return whether an object is a CSR matrix whose stored entries are those of the pattern."""
    kinds = (scipy.sparse.csr_array, scipy.sparse.csr_matrix)
    if not isinstance(out, kinds) or out.shape != shape:
        return False
    stored = out.data.size == out.indices.size and out.data.flags.c_contiguous
    return bool(stored and pattern.fits(out.indptr, out.indices))


def _matrix(operator: Operator, dtype: np.dtype | None) -> scipy.sparse.csr_array:
    """Return the CSR matrix of a tree; the adjoint of a layer is written row by row if possible."""
    if isinstance(operator, Adjoint) and isinstance(operator.operator, Convolution):
        layer = operator.operator
        arrays = layer.pattern.adjoint_csr(_weights(layer, dtype))
        if arrays is not None:
            return _csr(*arrays, operator.shape)
    rule = _RULES.get(type(operator))
    if rule is None:
        return _leaf(operator, dtype)
    return rule(operator, *(_matrix(child, dtype) for child in operator.children))


def _leaf(leaf: Operator, dtype: np.dtype | None) -> scipy.sparse.csr_array:
    match leaf:
        case Convolution():
            return _from_pattern(leaf.pattern, _weights(leaf, dtype))
        case Selection():
            ones = np.ones(leaf.geometry.kernel_shape, dtype=np.int8 if dtype is None else dtype)
            matrix = _from_pattern(leaf.pattern, ones)
            matrix.resize(leaf.shape)
            return matrix
        case Patches():
            return _from_patches(leaf, dtype)
        case Diagonal():
            values = _entries(leaf.values.ravel(), dtype)
            indices = np.arange(values.size + 1, dtype=index_type(values.size))
            return scipy.sparse.csr_array((values.copy(), indices[:-1], indices), shape=leaf.shape)
        case Matrix():
            return scipy.sparse.csr_array(_entries(leaf.values, dtype))
        case SparseMatrix():
            entries = _entries(leaf.values, dtype).copy()
            kind = index_type(entries.size, *leaf.shape)
            rows = (leaf.indices.astype(kind), leaf.indptr.astype(kind))
            return scipy.sparse.csr_array((entries, *rows), shape=leaf.shape)
    raise AssertionError(leaf)


def _weights(layer: Convolution, dtype: np.dtype | None) -> np.ndarray:
    weights: np.ndarray = _wide(_entries(layer.weights, dtype))
    return weights


def _entries(values: np.ndarray, dtype: np.dtype | None) -> np.ndarray:
    """Return the values of a leaf in `dtype`, or in their own type with float16 widened."""
    if dtype is not None:
        return cast(values, dtype)
    return values.astype(_held(values.dtype), copy=False)


def _held(kind: np.dtype) -> np.dtype:
    return np.dtype(np.float32) if kind == np.float16 else kind


def _from_pattern(pattern: Pattern, weights: np.ndarray) -> scipy.sparse.csr_array:
    indptr, indices = pattern.csr_structure()
    shape = (indptr.size - 1, int(size_product(pattern.geometry.in_shape)))
    return _csr(pattern.csr_values(weights), indices, indptr, shape)


def _csr(
    data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, shape: tuple[int, int]
) -> scipy.sparse.csr_array:
    """Return SciPy's CSR matrix of arrays that are sorted and have no duplicate entries."""
    matrix = scipy.sparse.csr_array((data, indices, indptr), shape=shape, copy=False)
    matrix.has_sorted_indices = True
    matrix.has_canonical_format = True
    return matrix


def _from_patches(leaf: Patches, dtype: np.dtype | None) -> scipy.sparse.csr_array:
    values = _wide(_entries(leaf.values.ravel(), dtype))
    rows, columns, labels = Pattern(leaf.geometry).triples().T
    if leaf.transposed:
        # Where a boundary rule reads one sample twice, an entry is the sum of two values.
        (values,) = prepared(most_readers(leaf.geometry.axes), values)
        rows, columns = columns, rows
    kind = index_type(labels.size, *leaf.shape)
    indices = (rows.astype(kind), labels.astype(kind))
    return scipy.sparse.csr_array((values[columns], indices), shape=leaf.shape)


def _wide(matrix: np.ndarray | scipy.sparse.csr_array) -> Any:
    """Return integers as int64, so that sums and products of small types do not overflow."""
    if matrix.dtype.kind not in "biu" or matrix.dtype == np.int64:
        return matrix
    if matrix.dtype == np.uint64:
        check_bound(largest(matrix if isinstance(matrix, np.ndarray) else matrix.data))
    return matrix.astype(np.int64)


def _compose(node: Compose, *images: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    result = images[-1]
    for image in reversed(images[:-1]):
        # The longest row bounds the number of products per entry.
        prepared(int(np.diff(image.indptr).max(initial=1)), image.data, result.data)
        result = _wide(image) @ _wide(result)
    result.sort_indices()
    return result


def _sum(node: Sum, *images: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    images = tuple(map(_wide, images))
    if all(image.dtype.kind == "i" for image in images):
        check_bound(sum(largest(image.data) for image in images))
    result = images[0]
    for image in images[1:]:
        result = result + image
    return result.tocsr()


def _scaled(node: Scaled, image: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    matrix = _wide(image)
    matrix.data = scaled(_number(node.factor), matrix.data)
    return matrix


def _number(factor: SupportsFloat) -> float | np.number:
    if isinstance(factor, Fraction):
        return as_float(factor)
    return factor if isinstance(factor, (int, float, np.number)) else float(factor)


def _adjoint(node: Adjoint, image: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    return image.T.tocsr()


def _kron(
    node: Kron, left: scipy.sparse.csr_array, right: scipy.sparse.csr_array
) -> scipy.sparse.csr_array:
    prepared(1, left.data, right.data)
    left, right = _wide(left), _wide(right)
    # If the product has no entries, SciPy does not keep its type.
    product = scipy.sparse.kron(left, right, format="csr")
    return product.astype(result_type(left.dtype, right.dtype), copy=False)


_RULES: dict[type, Callable[..., Any]] = {
    Compose: _compose,
    Sum: _sum,
    Scaled: _scaled,
    Adjoint: _adjoint,
    Kron: _kron,
}


def _positive(matrix: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    matrix.data[:] = 1
    return matrix


def _support_leaf(leaf: Any) -> scipy.sparse.csr_array:
    """Return the pattern of a leaf with ones, also where the value of a weight is zero."""
    match leaf:
        case Convolution() | Selection():
            ones = np.ones(leaf.geometry.kernel_shape, dtype=np.int64)
            return _positive(_from_pattern(leaf.pattern, ones))
        case Patches():
            ones = np.ones(leaf.values.shape, dtype=np.int64)
            return _positive(_from_patches(Patches(leaf.geometry, ones, leaf.transposed), None))
    ones = np.ones(leaf.values.shape, dtype=np.int64)
    if isinstance(leaf, (Diagonal, SparseMatrix)):
        return _leaf(replace(leaf, values=ones), None)
    return _leaf(Matrix(ones, leaf.in_shape, leaf.out_shape), None)


def _support_scaled(node: Scaled, image: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    return image


_SUPPORT_RULES: dict[type, Callable[..., Any]] = {
    # Reset to ones after every factor, since numbers of paths could overflow.
    Compose: lambda node, *images: reduce(
        lambda right, left: _positive(_compose(node, left, right)), reversed(images)
    ),
    Sum: lambda node, *images: _positive(_sum(node, *images)),
    Scaled: _support_scaled,
    Adjoint: _adjoint,
    Kron: _kron,
}

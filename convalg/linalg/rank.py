"""Rank and null space: exact for exact entries, by singular values for floats."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from convalg.arrays import Array, as_numbers, check_finite
from convalg.errors import ArgumentError, KindError, ShapeError, SymbolicError, UndecidableError
from convalg.faces.limits import check_axes
from convalg.faces.zero import MOST_OPERATIONS, is_rational_function, is_zero
from convalg.limits import check_memory
from convalg.linalg.numeric import as_float, mapped
from convalg.linalg.spectrum import spectrum
from convalg.operators.tree import Operator
from convalg.size import is_expression

if TYPE_CHECKING:
    import sympy
    from sympy.polys.matrices import DomainMatrix
    from sympy.polys.rings import PolyElement

PRIME = 2**31 - 1
"""The prime modulo which ranks are computed first; a product of two residues fits in 64 bits."""

LARGEST_DEGREE = 32
"""The largest degree of an algebraic extension over which elimination is fast."""

LARGEST_ELIMINATION = 16
"""The largest smaller side of a matrix whose pivots are compared with zero one by one."""


def rank(A: object, *, max_bytes: int | None = None) -> int:  # noqa: N803
    """Return the rank of an operator or of any matrix (NumPy, SciPy, SymPy, nested lists).

    The rank is exact for integers, fractions and SymPy expressions. With symbols it is the generic
    rank: the rank for almost all values of the symbols; for some values the rank may be smaller.
    Full rank modulo a prime proves full rank. Otherwise the rank is computed by elimination over
    the field of rational functions of the symbols with algebraic coefficients; entries outside this
    field (sin(1), log(2), the root of a symbol) are compared with zero one by one. For floats, the
    rank is the number of singular values above max(rows, columns) * eps * (the largest singular
    value), where eps is that of the float type.

    Args:
        A: An operator, or a matrix of shape (rows, columns).
        max_bytes: The largest allowed size of the dense matrix in bytes; by default the memory
            limit of the package.

    Raises:
        ShapeError: when A is neither an operator nor a matrix of two non-empty axes.
        KindError: when an entry is complex or not a number.
        SymbolicError: when a size is symbolic, or a matrix mixes floats and symbols.
        ArgumentError: when an entry is not finite, or when entries outside the field above occur in
            a matrix with more than 16 rows and more than 16 columns.
        UndecidableError: when an entry cannot be distinguished from zero.
        TooLargeError: when the dense matrix needs more than `max_bytes`.

    >>> import convalg as ca
    >>> ca.rank(ca.correlation(5, [1, -1], padding=((0, 1),), boundary="circular"))
    4
    """
    if isinstance(A, Operator) and (kind := _float_kind(A)):
        values = np.asarray(spectrum(as_float(A, "rank"), max_bytes=max_bytes))
        return int(np.sum(values > _threshold(values, A.shape, kind)))
    entries = _entries(A, "rank", max_bytes)
    if entries.dtype.kind == "f":
        values = np.linalg.svd(entries.astype(float), compute_uv=False)
        return int(np.sum(values > _threshold(values, entries.shape, entries.dtype)))
    matrix = _exact(entries)
    if not hasattr(matrix, "to_field"):
        return int(matrix.rank(iszerofunc=is_zero, simplify=True))
    residues = _residues(matrix)
    if residues is not None and _rank_modulo(residues) == min(entries.shape):
        return int(min(entries.shape))
    return int(matrix.to_field().to_sparse().rank())


def null_space(A: object, *, max_bytes: int | None = None) -> Array:  # noqa: N803
    """Return a basis of the null space of an operator or of any matrix.

    Args:
        A: An operator, or a matrix of shape (rows, columns).
        max_bytes: The largest allowed size of the dense matrix in bytes; by default the memory
            limit of the package.

    Returns:
        An array of shape `(nullity, *in_shape)`, or `(nullity, columns)` for a matrix; `result[k]`
        is the k-th basis vector v, with A(v) = 0. For exact entries the array holds objects: the
        entries of each vector are integers, or polynomials in the symbols, without a common
        factor. For floats the basis is orthonormal; it consists of the right singular vectors whose
        singular values are at most the threshold of `rank`.

    Raises:
        ShapeError: when A is neither an operator nor a matrix of two non-empty axes.
        KindError: when an entry is complex or not a number.
        SymbolicError: when a size is symbolic, or a matrix mixes floats and symbols.
        ArgumentError: when an entry is not finite, or when entries such as sin(1) or the root of a
            symbol occur in a matrix with more than 16 rows and more than 16 columns.
        UndecidableError: when an entry cannot be distinguished from zero.
        TooLargeError: when the dense matrix needs more than `max_bytes`.

    >>> import convalg as ca
    >>> ca.null_space(ca.correlation(4, [1, -1, 0])).tolist()
    [[1, 1, 1, 0], [0, 0, 0, 1]]
    """
    entries = _entries(A, "null_space", max_bytes)
    shape = A.in_shape if isinstance(A, Operator) else entries.shape[1:]
    if entries.dtype.kind == "f":
        _, values, vectors = np.linalg.svd(entries.astype(float))
        kind = _float_kind(A) if isinstance(A, Operator) else None
        independent = int(np.sum(values > _threshold(values, entries.shape, kind or entries.dtype)))
        return vectors[independent:].reshape(-1, *shape)
    matrix = _exact(entries)
    if not hasattr(matrix, "to_field"):
        columns = matrix.nullspace(simplify=True, iszerofunc=is_zero)
        rows = np.array([list(column) for column in columns], dtype=object)
        return rows.reshape(len(columns), *shape)
    basis = matrix.to_field().nullspace()
    vectors = np.zeros(basis.shape, dtype=object)
    for k in range(basis.shape[0]):
        vectors[k] = _primitive(basis[k : k + 1, :])
    return vectors.reshape(-1, *shape)


def _threshold(values: Array, shape: tuple[int, ...], kind: np.dtype) -> float:
    # The computation is in double precision, so a finer type of the entries does not count.
    eps = max(float(np.finfo(kind).eps), float(np.finfo(float).eps))
    return max(shape) * eps * float(values.max())


def _float_kind(operator: Operator) -> np.dtype | None:
    """Return the float type of the lowest precision among the weights, or None if all are exact."""
    dtypes = [_float_kind(child) for child in operator.children]
    for name in ("weights", "values", "factor"):
        values = np.asarray(getattr(operator, name, 0))
        if values.dtype.kind == "f":
            dtypes.append(values.dtype)
        elif values.dtype.kind == "O" and _has_float(values):
            dtypes.append(np.dtype(float))
    kinds = [kind for kind in dtypes if kind is not None]
    return max(kinds, key=lambda kind: np.finfo(kind).eps, default=None)


def _has_float(values: Array) -> bool:
    for value in values.ravel():
        if isinstance(value, (float, np.floating)):
            return True
        if is_expression(value) and value.atoms(_sympy_float()):
            return True
    return False


def _sympy_float() -> type:
    import sympy

    kind: type = sympy.Float
    return kind


def _entries(A: object, call: str, max_bytes: int | None) -> Array:  # noqa: N803
    """Return the dense matrix, either of floats or of exact objects.

    `call` is the name of the public function, for the error messages.
    """
    if isinstance(A, Operator):
        A._need_numbers(call)
        check_axes(A, call)
        if _float_kind(A):
            return as_float(A, call).to_numpy(max_bytes=max_bytes)
        # Products of Python integers do not overflow.
        exact = mapped(A, lambda values: values.astype(object)).to_numpy(max_bytes=max_bytes)
        return exact.astype(object)
    matrix = A
    if hasattr(A, "toarray") and hasattr(A, "shape"):
        needed = math.prod(A.shape) * 8
        check_memory(
            needed, max_bytes, what=f"the dense {A.shape} matrix", instead="pass a part of it"
        )
        matrix = A.toarray()
    entries = as_numbers(matrix, "the matrix")
    check_finite(entries, "the matrix")
    if entries.dtype.kind == "c":
        raise KindError(
            f"{call} takes a real matrix, not one of dtype {entries.dtype}: pass real numbers"
        )
    if entries.ndim != 2 or not entries.size:
        raise ShapeError(
            f"{call} takes an operator or a non-empty matrix of shape (rows, columns), not an "
            f"array of shape {entries.shape}"
        )
    if entries.dtype.kind == "O" and _has_float(entries):
        try:
            return entries.astype(float)
        except TypeError:
            raise SymbolicError(
                f"{call} takes a matrix of floats or of symbols, but the matrix that starts with "
                f"{entries.ravel()[0]} has both: write its floats as fractions"
            ) from None
    return entries if entries.dtype.kind == "f" else entries.astype(object)


def _exact(entries: Array) -> DomainMatrix | sympy.Matrix:
    """Return the matrix over the field of its entries, or a SymPy matrix if SymPy lacks the field.

    Raises: ArgumentError for a SymPy matrix that is too large to eliminate.
    """
    import sympy
    from sympy.polys.matrices import DomainMatrix

    rows = [[_in_field(sympy.sympify(value)) for value in row] for row in entries.tolist()]
    generators = {kernel for row in rows for value in row for kernel in _transcendental(value)}
    roots = {root for row in rows for value in row for root in value.atoms(sympy.Pow)}
    degree = math.prod(root.exp.q for root in roots if root.exp.is_Rational)
    if (not generators or generators == {sympy.pi}) and degree <= LARGEST_DEGREE:
        # Pi is transcendental, so over the algebraic numbers it behaves like a symbol.
        return DomainMatrix.from_list_sympy(*entries.shape, rows, extension=True)
    if min(entries.shape) > LARGEST_ELIMINATION:
        raise ArgumentError(
            f"entries such as {(generators or roots).pop()} are compared with zero one by one, "
            f"which is limited to matrices of at most {LARGEST_ELIMINATION} rows or columns, but "
            f"the matrix is {entries.shape[0]} x {entries.shape[1]}: write the entries as rational "
            f"functions of symbols, or as floats"
        )
    return sympy.Matrix(rows)


def _check_generic(value: sympy.Expr) -> None:
    """Raise UndecidableError for an entry that may be zero on an open set of symbol values."""
    import sympy

    kinds = (sympy.Max, sympy.Min, sympy.Abs, sympy.sign, sympy.Heaviside, sympy.Piecewise)
    parts = value.atoms(*kinds, sympy.floor, sympy.ceiling)
    parts |= {p for p in value.atoms(sympy.Pow) if not p.exp.is_Integer and not p.base.is_Symbol}
    for part in parts:
        if part.free_symbols:
            raise UndecidableError(
                f"{part} may be zero for a range of values of its symbols, so the rank may differ "
                f"between ranges: substitute numbers for the symbols"
            )


def _in_field(value: sympy.Expr) -> sympy.Expr:
    """Return an entry simplified by identities, such as sin(1)**2 + cos(1)**2 = 1."""
    import sympy

    _check_generic(value)
    if not _transcendental(value):
        return value
    if is_zero(value):
        return sympy.Integer(0)
    return sympy.simplify(value) if value.count_ops() <= MOST_OPERATIONS else value


def _transcendental(value: sympy.Expr) -> set[sympy.Expr]:
    """Return the parts of an entry that are not rational in symbols and algebraic numbers."""
    if is_rational_function(value):
        return set()
    if value.is_Add or value.is_Mul or (value.is_Pow and value.exp.is_Integer):
        return {part for arg in value.args for part in _transcendental(arg)}
    return {value}


def _residues(matrix: DomainMatrix) -> Array | None:
    """Return the matrix modulo `PRIME`, with numbers for symbols, or None for other domains.

    The domain is that of the integers, the fractions, or polynomials with integer coefficients.
    """
    domain = matrix.domain
    if domain.is_QQ:
        matrix = matrix.clear_denoms(convert=True)[1]
    if matrix.domain.is_ZZ:
        rows = [[int(value) % PRIME for value in row] for row in matrix.to_dense().to_list()]
        return np.array(rows, dtype=np.int64)
    if not (domain.is_PolynomialRing and domain.domain.is_ZZ):
        return None
    rng = np.random.default_rng(0)
    points = [int(p) for p in rng.integers(1, PRIME, size=domain.ngens)]

    def at_points(value: PolyElement) -> int:
        total = 0
        for powers, factor in value.terms():
            for point, power in zip(points, powers, strict=True):
                factor = int(factor) * pow(point, power, PRIME) % PRIME
            total += factor
        return total % PRIME

    return np.array([[at_points(v) for v in row] for row in matrix.to_dense().to_list()])


def _rank_modulo(residues: Array) -> int:
    """Return the rank modulo `PRIME`, a lower bound on the rank."""
    left, row = residues.copy(), 0
    for column in range(left.shape[1]):
        candidates = np.flatnonzero(left[row:, column])
        if not candidates.size:
            continue
        left[[row, row + candidates[0]]] = left[[row + candidates[0], row]]
        inverse = pow(int(left[row, column]), -1, PRIME)
        pivot = left[row, column:] * inverse % PRIME
        below = left[row + 1 :, column:]
        below -= below[:, :1] * pivot % PRIME
        below %= PRIME
        row += 1
        if row == len(left):
            break
    return row


def _primitive(row: DomainMatrix) -> Array:
    """Return a row over a field scaled to elements of its ring without a common factor."""
    cleared = row.clear_denoms(convert=True)[1] if row.domain.has_assoc_Ring else row
    domain = cleared.domain
    if domain.is_ZZ or domain.is_PolynomialRing:
        cleared = cleared.primitive()[1]
    elements = cleared.to_dense().to_list()[0]
    if domain.is_negative(next(value for value in elements if value)):
        elements = [-value for value in elements]
    return np.array([_as_python(domain.to_sympy(value)) for value in elements], dtype=object)


def _as_python(value: sympy.Expr) -> sympy.Expr | Fraction | int:
    """Return a rational SymPy number as an int or Fraction; anything else unchanged."""
    if not value.is_Rational:
        return value
    return int(value) if value.is_Integer else Fraction(int(value.p), int(value.q))

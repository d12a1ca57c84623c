"""Rank and null space: exact for exact entries, from singular values for floats."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

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

PRIME = 2**31 - 1
"""Ranks are first computed modulo this prime: products of two residues fit in 64 bits."""

LARGEST_DEGREE = 32
"""The largest degree of an algebraic field over which an elimination is fast."""

LARGEST_ELIMINATION = 16
"""The most rows or columns of a matrix whose entries are compared with zero one by one."""


def rank(A: object, *, max_bytes: int | None = None) -> int:  # noqa: N803
    """Return the rank of an operator or of any matrix (NumPy, SciPy, SymPy, nested lists).

    Exact for integers, fractions and SymPy expressions. With symbols it is the generic rank: the
    rank for almost all of their values, while some values may give a smaller one. Full rank modulo
    a prime proves full rank; otherwise the rank is computed by elimination, over the rational
    functions of the symbols and the algebraic numbers, or with each pivot compared with zero on its
    own (sin(1), log(2), the root of a symbol). For floats it is the number of singular values above
    max(rows, columns) * eps * (the largest one), with eps of the float type.

    Args:
        A: an operator or a matrix.
        max_bytes: the most memory for a dense matrix; by default the limit of the package.

    Raises:
        ShapeError: unless a matrix has two axes.
        UndecidableError: when an entry of the elimination cannot be distinguished from zero.
        ArgumentError: for more than 16 rows and columns of such entries.
        TooLargeError: when the matrix needs more than `max_bytes`.

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
        return min(entries.shape)
    return int(matrix.to_field().to_sparse().rank())


def null_space(A: object, *, max_bytes: int | None = None) -> Array:  # noqa: N803
    """Return a basis of the null space of an operator or matrix.

    Args:
        A: an operator or a matrix.
        max_bytes: the most memory for a dense matrix; by default the limit of the package.

    Returns:
        An array `(nullity, *in_shape)` of vectors v with A(v) = 0. For exact entries an array of
        objects, each v of integers (or polynomials) without a common factor; for floats
        orthonormal, the singular vectors below the threshold of `rank`.

    Raises: as `rank`.

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
    # The coarser precision: that of the entries, or that of the computation.
    eps = max(float(np.finfo(kind).eps), float(np.finfo(float).eps))
    return max(shape) * eps * float(values.max())


def _float_kind(operator: Operator) -> np.dtype | None:
    """The coarsest float type among the weights; None where all are exact."""
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

    return sympy.Float


def _entries(A: object, call: str, max_bytes: int | None) -> Array:  # noqa: N803
    """Return the dense matrix: floats, or objects that are all exact."""
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
        check_memory(needed, max_bytes, what=f"the dense {A.shape} matrix", instead="take a part")
        matrix = A.toarray()
    entries = as_numbers(matrix, "the matrix")
    check_finite(entries, "the matrix")
    if entries.dtype.kind == "c":
        raise KindError(f"{call} takes a real matrix, not {entries.dtype}: pass real numbers")
    if entries.ndim != 2 or not entries.size:
        raise ShapeError(
            f"{call} takes an operator or a matrix (rows, columns), not shape {entries.shape}"
        )
    if entries.dtype.kind == "O" and _has_float(entries):
        try:
            return entries.astype(float)
        except TypeError:
            raise SymbolicError(
                f"{call} takes floats or symbols, not both in one matrix: write the floats of "
                f"{entries.ravel()[0]}, ... as fractions"
            ) from None
    return entries if entries.dtype.kind == "f" else entries.astype(object)


def _exact(entries: Array) -> DomainMatrix | sympy.Matrix:
    """The matrix over the field of its entries; a SymPy matrix where SymPy has no such field.

    Raises: ArgumentError for a SymPy matrix too large to eliminate.
    """
    import sympy
    from sympy.polys.matrices import DomainMatrix

    rows = [[_in_field(sympy.sympify(value)) for value in row] for row in entries.tolist()]
    generators = {kernel for row in rows for value in row for kernel in _transcendental(value)}
    roots = {root for row in rows for value in row for root in value.atoms(sympy.Pow)}
    degree = math.prod(root.exp.q for root in roots if root.exp.is_Rational)
    if (not generators or generators == {sympy.pi}) and degree <= LARGEST_DEGREE:
        # pi is transcendental over the algebraic numbers, so it behaves like a symbol.
        return DomainMatrix.from_list_sympy(*entries.shape, rows, extension=True)
    if min(entries.shape) > LARGEST_ELIMINATION:
        raise ArgumentError(
            f"entries such as {(generators or roots).pop()} are compared with zero one by one, in "
            f"at most {LARGEST_ELIMINATION} rows or columns, but the matrix is "
            f"{entries.shape[0]} x {entries.shape[1]}: write them as rational functions of "
            f"symbols, or as floats"
        )
    return sympy.Matrix(rows)


def _check_generic(value: Any) -> None:
    """Raises: UndecidableError for an entry that may be zero on an open set of its symbols."""
    import sympy

    kinds = (sympy.Max, sympy.Min, sympy.Abs, sympy.sign, sympy.Heaviside, sympy.Piecewise)
    parts = value.atoms(*kinds, sympy.floor, sympy.ceiling)
    parts |= {p for p in value.atoms(sympy.Pow) if not p.exp.is_Integer and not p.base.is_Symbol}
    for part in parts:
        if part.free_symbols:
            raise UndecidableError(
                f"{part} may be zero for a range of values of its symbols, so that no rank holds "
                f"for almost all of their values: substitute numbers"
            )


def _in_field(value: Any) -> Any:
    """Return an entry simplified by identities, such as sin(1)**2 + cos(1)**2 = 1."""
    import sympy

    _check_generic(value)
    if not _transcendental(value):
        return value
    if is_zero(value):
        return sympy.Integer(0)
    return sympy.simplify(value) if value.count_ops() <= MOST_OPERATIONS else value


def _transcendental(value: Any) -> set[Any]:
    """The parts of an entry that are not rational functions of symbols and algebraic numbers."""
    if is_rational_function(value):
        return set()
    if value.is_Add or value.is_Mul or (value.is_Pow and value.exp.is_Integer):
        return {part for arg in value.args for part in _transcendental(arg)}
    return {value}


def _residues(matrix: DomainMatrix) -> Array | None:
    """The matrix modulo the prime, symbols at fixed points; None over other rings."""
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

    def at_points(value: Any) -> int:
        total = 0
        for powers, factor in value.terms():
            for point, power in zip(points, powers, strict=True):
                factor = int(factor) * pow(point, power, PRIME) % PRIME
            total += factor
        return total % PRIME

    return np.array([[at_points(v) for v in row] for row in matrix.to_dense().to_list()])


def _rank_modulo(residues: Array) -> int:
    """The rank modulo the prime, which is at most the rank itself."""
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
    """A vector over a field, scaled to elements of its ring without a common factor."""
    cleared = row.clear_denoms(convert=True)[1] if row.domain.has_assoc_Ring else row
    domain = cleared.domain
    if domain.is_ZZ or domain.is_PolynomialRing:
        cleared = cleared.primitive()[1]
    elements = cleared.to_dense().to_list()[0]
    if domain.is_negative(next(value for value in elements if value)):
        elements = [-value for value in elements]
    return np.array([_as_python(domain.to_sympy(value)) for value in elements], dtype=object)


def _as_python(value: Any) -> Any:
    """Return a rational SymPy number as an int or Fraction; anything else unchanged."""
    if not value.is_Rational:
        return value
    return int(value) if value.is_Integer else Fraction(int(value.p), int(value.q))

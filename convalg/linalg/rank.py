"""Rank and null space: exact where the entries are, by singular values where they are floats."""

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
"""Ranks are first found modulo this prime: products of two residues fit 64 bits."""

LARGEST_DEGREE = 32
"""Degree of a field of roots in which an elimination is quick."""

LARGEST_ELIMINATION = 16
"""Rows or columns of a matrix whose entries are told from zero one by one."""


def rank(A: Any, *, max_bytes: int | None = None) -> int:  # noqa: N803
    """The rank of an operator or of any matrix (NumPy, SciPy, SymPy, nested lists).

    Rule: exact for integers, fractions and SymPy expressions. With symbols it is the generic
    rank: that for almost all of their values, a smaller one being possible for others. Full rank
    modulo a prime proves full rank; otherwise by elimination, over the rational functions of the
    symbols and the algebraic numbers, or with every pivot decided on its own (sin(1), log(2),
    the root of a symbol). For floats the number of singular values above
    max(rows, columns) * eps * the largest, eps that of the type.

    Raises: ShapeError unless it has two axes, UndecidableError where an entry of the elimination
    cannot be told from zero, ArgumentError for more than 16 rows and columns of such entries.

    >>> import convalg as ca
    >>> rank(ca.correlation(5, [1, -1], padding=((0, 1),), boundary="circular"))
    4
    """
    if isinstance(A, Operator) and (kind := _float_kind(A)):
        found = np.asarray(spectrum(as_float(A, "rank"), max_bytes=max_bytes))
        return int(np.sum(found > _threshold(found, A.shape, kind)))
    entries = _entries(A, "rank", max_bytes)
    if entries.dtype.kind == "f":
        found = np.linalg.svd(entries.astype(float), compute_uv=False)
        return int(np.sum(found > _threshold(found, entries.shape, entries.dtype)))
    matrix = _exact(entries)
    if not hasattr(matrix, "to_field"):
        return int(matrix.rank(iszerofunc=is_zero, simplify=True))
    residues = _residues(matrix)
    if residues is not None and _rank_modulo(residues) == min(entries.shape):
        return min(entries.shape)
    return int(matrix.to_field().to_sparse().rank())


def null_space(A: Any, *, max_bytes: int | None = None) -> Array:  # noqa: N803
    """A basis of what an operator (or matrix) sends to zero.

    Shapes: `(nullity, *in_shape)`, so that A(v) is zero for each v.
    Rule: for exact entries an array of objects, each v of whole numbers (or polynomials)
    without a common factor; for floats orthonormal, from the singular vectors below the
    threshold of `rank`.

    Raises: as `rank`.

    >>> import convalg as ca
    >>> null_space(ca.correlation(4, [1, -1, 0])).tolist()
    [[1, 1, 1, 0], [0, 0, 0, 1]]
    """
    entries = _entries(A, "null_space", max_bytes)
    shape = A.in_shape if isinstance(A, Operator) else entries.shape[1:]
    if entries.dtype.kind == "f":
        _, found, vectors = np.linalg.svd(entries.astype(float))
        kind = _float_kind(A) if isinstance(A, Operator) else None
        known = int(np.sum(found > _threshold(found, entries.shape, kind or entries.dtype)))
        return vectors[known:].reshape(-1, *shape)
    matrix = _exact(entries)
    if not hasattr(matrix, "to_field"):
        columns = matrix.nullspace(simplify=True, iszerofunc=is_zero)
        found = np.array([list(column) for column in columns], dtype=object)
        return found.reshape(len(columns), *shape)
    basis = matrix.to_field().nullspace()
    vectors = np.zeros(basis.shape, dtype=object)
    for k in range(basis.shape[0]):
        vectors[k] = _primitive(basis[k : k + 1, :])
    return vectors.reshape(-1, *shape)


def _threshold(values: Array, shape: tuple[int, ...], kind: np.dtype) -> float:
    # What is coarser: the type of the entries, or that of the computation.
    eps = max(float(np.finfo(kind).eps), float(np.finfo(float).eps))
    return max(shape) * eps * float(values.max())


def _float_kind(operator: Operator) -> np.dtype | None:
    """The coarsest float type among the weights; None where all are exact."""
    found = [_float_kind(child) for child in operator.children]
    for name in ("weights", "values", "factor"):
        values = np.asarray(getattr(operator, name, 0))
        if values.dtype.kind == "f":
            found.append(values.dtype)
        elif values.dtype.kind == "O" and _has_float(values):
            found.append(np.dtype(float))
    kinds = [kind for kind in found if kind is not None]
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


def _entries(A: Any, call: str, max_bytes: int | None) -> Array:  # noqa: N803
    """The dense matrix: floats, or objects that are all exact."""
    if isinstance(A, Operator):
        A._need_numbers(call)
        check_axes(A, call)
        if _float_kind(A):
            return as_float(A, call).to_numpy(max_bytes=max_bytes)
        # Python's own integers: their products do not overflow.
        found = mapped(A, lambda values: values.astype(object)).to_numpy(max_bytes=max_bytes)
        return found.astype(object)
    matrix = A
    if hasattr(A, "toarray") and hasattr(A, "shape"):
        needed = math.prod(A.shape) * 8
        check_memory(needed, max_bytes, what=f"the dense {A.shape} matrix", instead="take a part")
        matrix = A.toarray()
    found = as_numbers(matrix, "the matrix")
    check_finite(found, "the matrix")
    if found.dtype.kind == "c":
        raise KindError(f"{call} takes a real matrix, not {found.dtype}: pass real numbers")
    if found.ndim != 2 or not found.size:
        raise ShapeError(
            f"{call} takes an operator or a matrix (rows, columns), not shape {found.shape}"
        )
    if found.dtype.kind == "O" and _has_float(found):
        try:
            return found.astype(float)
        except TypeError:
            raise SymbolicError(
                f"{call} takes floats or symbols, not both in one matrix: write the floats of "
                f"{found.ravel()[0]}, ... as fractions"
            ) from None
    return found if found.dtype.kind == "f" else found.astype(object)


def _exact(entries: Array) -> DomainMatrix | sympy.Matrix:
    """The matrix over the field of its entries; a SymPy matrix where they are in no such field.

    Raises: ArgumentError for a SymPy matrix too large to eliminate.
    """
    import sympy
    from sympy.polys.matrices import DomainMatrix

    rows = [[_in_field(sympy.sympify(value)) for value in row] for row in entries.tolist()]
    generators = {kernel for row in rows for value in row for kernel in _transcendental(value)}
    roots = {root for row in rows for value in row for root in value.atoms(sympy.Pow)}
    degree = math.prod(root.exp.q for root in roots if root.exp.is_Rational)
    if (not generators or generators == {sympy.pi}) and degree <= LARGEST_DEGREE:
        # pi is transcendental over the algebraic numbers: it is like a symbol.
        return DomainMatrix.from_list_sympy(*entries.shape, rows, extension=True)
    if min(entries.shape) > LARGEST_ELIMINATION:
        raise ArgumentError(
            f"entries such as {(generators or roots).pop()} are decided one by one, in up to "
            f"{LARGEST_ELIMINATION} rows or columns, and the matrix is {entries.shape[0]} x "
            f"{entries.shape[1]}: write them as rational functions of symbols, or as floats"
        )
    return sympy.Matrix(rows)


def _check_generic(value: Any) -> None:
    """Raises: UndecidableError for an entry that may vanish on a whole range of its symbols."""
    import sympy

    kinds = (sympy.Max, sympy.Min, sympy.Abs, sympy.sign, sympy.Heaviside, sympy.Piecewise)
    parts = value.atoms(*kinds, sympy.floor, sympy.ceiling)
    parts |= {p for p in value.atoms(sympy.Pow) if not p.exp.is_Integer and not p.base.is_Symbol}
    for part in parts:
        if part.free_symbols:
            raise UndecidableError(
                f"{part} may be zero on a whole range of its symbols, so that no rank holds for "
                f"almost all of their values: put in numbers"
            )


def _in_field(value: Any) -> Any:
    """An entry without what an identity removes, such as sin(1)**2 + cos(1)**2."""
    import sympy

    _check_generic(value)
    if not _transcendental(value):
        return value
    if is_zero(value):
        return sympy.Integer(0)
    return sympy.simplify(value) if value.count_ops() <= MOST_OPERATIONS else value


def _transcendental(value: Any) -> set[Any]:
    """The parts of an entry that are no rational functions of symbols and algebraic numbers."""
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
        found = [[int(value) % PRIME for value in row] for row in matrix.to_dense().to_list()]
        return np.array(found, dtype=np.int64)
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
    """The rank modulo the prime: never above the rank itself."""
    left, found = residues.copy(), 0
    for column in range(left.shape[1]):
        places = np.flatnonzero(left[found:, column])
        if not places.size:
            continue
        left[[found, found + places[0]]] = left[[found + places[0], found]]
        inverse = pow(int(left[found, column]), -1, PRIME)
        pivot = left[found, column:] * inverse % PRIME
        below = left[found + 1 :, column:]
        below -= below[:, :1] * pivot % PRIME
        below %= PRIME
        found += 1
        if found == len(left):
            break
    return found


def _primitive(row: DomainMatrix) -> Array:
    """One vector over a field as whole elements of its ring, without a common factor."""
    whole = row.clear_denoms(convert=True)[1] if row.domain.has_assoc_Ring else row
    domain = whole.domain
    if domain.is_ZZ or domain.is_PolynomialRing:
        whole = whole.primitive()[1]
    elements = whole.to_dense().to_list()[0]
    if domain.is_negative(next(value for value in elements if value)):
        elements = [-value for value in elements]
    return np.array([_plain(domain.to_sympy(value)) for value in elements], dtype=object)


def _plain(value: Any) -> Any:
    """Python's own number where it is rational."""
    if not value.is_Rational:
        return value
    return int(value) if value.is_Integer else Fraction(int(value.p), int(value.q))

"""Rank and null space: exact where the entries are, by singular values where they are floats."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from convalg.base import Array, Operator
from convalg.errors import KindError, ShapeError, SymbolicError, check_memory
from convalg.kernels import as_numbers, check_finite
from convalg.spec import is_expression
from convalg.spectra.numeric import as_float, mapped
from convalg.spectra.values import spectrum

if TYPE_CHECKING:
    from sympy.polys.matrices import DomainMatrix

PRIME = 2**31 - 1
"""Ranks are first found modulo this prime: products of two residues fit 64 bits."""


def rank(A: Any, *, max_bytes: int | None = None) -> int:  # noqa: N803
    """The rank of an operator or of any matrix (NumPy, SciPy, SymPy, nested lists).

    Rule: exact for integers, fractions and SymPy expressions, as one over the rationals or,
    with symbols, over rational functions of them: the rank for almost all values. Full rank
    modulo a prime proves full rank; otherwise by elimination. For floats the number of
    singular values above max(rows, columns) * eps * the largest, eps that of the type.

    Raises: ShapeError unless it has two axes, KindError for entries that cannot be exact.

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
    basis = _exact(entries).to_field().nullspace()
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


def _exact(entries: Array) -> DomainMatrix:
    """The matrix over the ring of its entries. Raises: KindError where there is none."""
    import sympy
    from sympy.polys.matrices import DomainMatrix

    rows = [[sympy.sympify(value) for value in row] for row in entries.tolist()]
    matrix = DomainMatrix.from_list_sympy(*entries.shape, rows, extension=True)
    if matrix.domain.is_EX or matrix.domain.is_EXRAW:
        raise KindError(
            f"entries must be numbers or rational functions of symbols, not such as "
            f"{next(value for value in entries.ravel() if is_expression(value))}: zero cannot "
            f"be told from non-zero there"
        )
    return matrix


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

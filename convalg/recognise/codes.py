"""Represent the entries of a matrix of any kind by integer codes, equal for equal values."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from convalg.arguments import shown
from convalg.arrays import Array, as_numbers, check_finite
from convalg.axis import Size
from convalg.errors import ArgumentError, ExactnessError, KindError, ShapeError, SymbolicError
from convalg.faces.exact import exact_rows
from convalg.faces.limits import check_axes
from convalg.faces.zero import first_equal
from convalg.operators.tree import Operator
from convalg.size import is_expression

SAMPLE = 96
"""Number of entries on which a structure is tested before all entries are compared."""


@dataclass(frozen=True, eq=False)
class EntryCodes:
    """The non-zero entries of a matrix in row-major order, with equal codes for equal values.

    `rows`, `columns`, `codes`: the position and the code of each entry, three arrays of shape
    (entries,). `values`: the value for each code; 0 has code 0. `tolerance`: the difference up to
    which values count as equal, relative to the largest value.
    """

    shape: tuple[int, int]
    rows: Array
    columns: Array
    codes: Array
    values: list[Any]
    tolerance: float

    @cached_property
    def keys(self) -> Array:
        """The flat index of each entry, in ascending order."""
        return self.rows * self.shape[1] + self.columns

    @cached_property
    def sample(self) -> Array:
        """The indices of some entries spread over the matrix, with the outermost columns."""
        count = len(self.codes)
        spread = np.linspace(0, count - 1, min(SAMPLE, count)).astype(np.int64)
        if not count:
            return spread
        ends = [self.columns.argmin(), self.columns.argmax()]
        return np.unique(np.concatenate([spread, ends]))

    def at(self, rows: Array, columns: Array) -> Array:
        """Return the codes at the given positions, 0 where an entry is zero."""
        if not len(self.keys):
            return np.zeros(len(rows), dtype=np.int64)
        wanted = rows * self.shape[1] + columns
        positions = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[positions] == wanted, self.codes[positions], 0)

    def value(self, row: int, column: int) -> Any:
        """Return the value of the entry at a position."""
        return self.values[int(self.at(np.array([row]), np.array([column]))[0])]

    @cached_property
    def ones(self) -> Array:
        """Mark the entries that are 1."""
        slack = self.tolerance * self.largest
        is_one = np.array([abs(v - 1) <= slack if slack else v == 1 for v in self.values])
        return is_one[self.codes]

    @cached_property
    def largest(self) -> Any:
        """The largest absolute value, which scales the tolerance; 0 if the tolerance is 0."""
        return max(map(abs, self.values)) if self.tolerance else 0


def entries_of(matrix: object, tolerance: float) -> EntryCodes:
    """Return the entries of an operator, a sparse array, or a matrix of any other type.

    Raises: ShapeError unless the matrix has two axes and an entry, KindError and ArgumentError for
    entries that are not finite real numbers.
    """
    if isinstance(matrix, Operator):
        return _of_operator(matrix, tolerance)
    if type(matrix).__module__.startswith("scipy.sparse"):
        return _of_sparse(matrix, tolerance)
    values = as_numbers(matrix, "matrix")
    if values.ndim != 2 or not values.size:
        raise ShapeError(
            f"matrix must have two axes and at least one entry, not shape {values.shape}"
        )
    rows, columns = np.nonzero(values)
    check_finite(values, "matrix")
    return _coded(values.shape, rows, columns, values[rows, columns], tolerance)


def _of_operator(operator: Operator, tolerance: float) -> EntryCodes:
    """Return the entries of an operator: floats, or exact numbers and symbols."""
    operator._need_numbers("classify")
    check_axes(operator, "classify")
    try:
        stored = operator.to_scipy()
    except (SymbolicError, ExactnessError):
        triples = [
            (row, column, value)
            for row, line in enumerate(exact_rows(operator))
            for column, value in line.items()
        ]
        return _coded(operator.shape, *_columns(triples), tolerance)
    return _of_sparse(stored, tolerance)


def _of_sparse(matrix: Any, tolerance: float) -> EntryCodes:
    """Return the entries of a SciPy sparse array, with duplicates summed."""
    if len(matrix.shape) != 2 or not all(matrix.shape):
        raise ShapeError(
            f"matrix must have two axes and at least one entry, not shape {matrix.shape}"
        )
    stored = matrix.tocsr(copy=True)
    stored.sum_duplicates()
    coordinates = stored.tocoo()
    rows, columns = coordinates.row.astype(np.int64), coordinates.col.astype(np.int64)
    return _coded(matrix.shape, rows, columns, as_numbers(coordinates.data, "matrix"), tolerance)


def _columns(triples: list[tuple[int, int, object]]) -> tuple[Array, Array, Array]:
    """Return the rows, columns and values of entries, in row-major order: arrays of one axis."""
    triples.sort(key=lambda triple: triple[:2])
    indices = np.array([triple[:2] for triple in triples], dtype=np.int64).reshape(-1, 2)
    values = np.empty(len(triples), dtype=object)
    values[:] = [triple[2] for triple in triples]
    return indices[:, 0], indices[:, 1], values


def _coded(
    shape: tuple[Size, ...], rows: Array, columns: Array, data: Array, tolerance: float
) -> EntryCodes:
    """Return the entries with one code per distinct value.

    Shapes: rows, columns and data (entries,), in row-major order.
    """
    check_finite(data, "the stored entries of matrix")
    if data.dtype.kind == "c":
        raise KindError(
            f"matrix must be real, not {data.dtype}: classify its real and its imaginary part "
            f"separately"
        )
    values: list[Any]
    if data.dtype.kind == "O":
        numbers: dict[Any, int] = {0: 0}
        tidy = first_equal([0, *(_canonical(value) for value in data)])[1:]
        codes = np.array([numbers.setdefault(v, len(numbers)) for v in tidy], dtype=np.int64)
        values = list(numbers)
    else:
        distinct, codes = np.unique(data, return_inverse=True)
        values, codes = [0, *distinct.tolist()], codes.reshape(-1) + 1
        codes = np.where(data == 0, 0, codes)
    if tolerance:
        values, codes = _clustered(values, codes, tolerance)
    kept = codes != 0
    sizes = int(shape[0]), int(shape[1])
    return EntryCodes(sizes, rows[kept], columns[kept], codes[kept], values, tolerance)


def _clustered(values: list[Any], codes: Array, tolerance: float) -> tuple[list[Any], Array]:
    """Return values and codes with one code for values that differ by at most the tolerance.

    Values that are connected by a chain of such values have one code too.
    """
    if any(is_expression(value) for value in values):
        raise KindError(f"tolerance must be 0, not {tolerance}, for a matrix with symbols")
    order = sorted(range(len(values)), key=values.__getitem__)
    slack = tolerance * max(map(abs, values))
    group, groups = 0, [0] * len(values)
    for before, after in pairwise(order):
        group += bool(values[after] - values[before] > slack)
        groups[after] = group
    # The group that contains 0 gets code 0.
    numbers = {groups[0]: 0}
    renamed = [numbers.setdefault(g, len(numbers)) for g in groups]
    representatives: dict[int, Any] = {}
    for code, value in zip(renamed, values, strict=True):
        representatives.setdefault(code, value)
    return list(representatives.values()), np.array(renamed)[codes]


def _canonical(value: object) -> Any:
    """Return the form that equal values share: a fraction, a float or an expanded expression."""
    if is_expression(value):
        import sympy

        expanded = sympy.expand(value)
        if expanded.is_Float and sympy.Float(float(expanded), precision=expanded._prec) == expanded:
            return float(expanded)
        if expanded.is_Rational or expanded.is_Float:
            exact = sympy.Rational(expanded)
            return Fraction(int(exact.p), int(exact.q))
        return expanded
    return value.item() if isinstance(value, np.generic) else value


def exactly(value: object) -> Any:
    """Return a number as a fraction (a float by its exact binary value), or an expression."""
    form = _canonical(value)
    return form if is_expression(form) else Fraction(form)


def divisors(number: int) -> list[int]:
    """Return the divisors of a number in ascending order."""
    import sympy

    return list(map(int, sympy.divisors(number)))


def as_tolerance(tolerance: object) -> float:
    """Return a tolerance as a float.

    Raises: KindError when it is not a number, ArgumentError when it is not in [0, 1).
    """
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float, Fraction)):
        raise KindError(f"tolerance must be a number, not {shown(tolerance)}")
    if not 0 <= tolerance < 1:
        raise ArgumentError(
            f"tolerance must be a fraction of the largest entry, at least 0 and below 1, not "
            f"{shown(tolerance)}"
        )
    return float(tolerance)

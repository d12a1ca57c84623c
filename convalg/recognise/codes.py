"""The entries of a matrix of any kind, as integer codes: equal values have equal codes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from convalg.arrays import Array, as_numbers, check_finite
from convalg.errors import ArgumentError, ExactnessError, KindError, ShapeError, SymbolicError
from convalg.faces.exact import exact_rows
from convalg.faces.limits import check_axes
from convalg.faces.zero import first_equal
from convalg.operators.tree import Operator
from convalg.size import is_expression

SAMPLE = 96
"""The number of entries on which a structure is tested before all entries are compared."""


@dataclass(frozen=True, eq=False)
class EntryCodes:
    """The non-zero entries in row order; equal values have equal codes, and 0 has code 0."""

    shape: tuple[int, int]
    rows: Array
    columns: Array
    codes: Array
    values: list[Any]
    tolerance: float

    @cached_property
    def keys(self) -> Array:
        """The flat index of each entry, ascending."""
        return self.rows * self.shape[1] + self.columns

    @cached_property
    def sample(self) -> Array:
        """The indices of some entries spread over the matrix, including the outermost columns."""
        count = len(self.codes)
        spread = np.linspace(0, count - 1, min(SAMPLE, count)).astype(np.int64)
        if not count:
            return spread
        ends = [self.columns.argmin(), self.columns.argmax()]
        return np.unique(np.concatenate([spread, ends]))

    def at(self, rows: Array, columns: Array) -> Array:
        """The codes at given positions."""
        if not len(self.keys):
            return np.zeros(len(rows), dtype=np.int64)
        wanted = rows * self.shape[1] + columns
        positions = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[positions] == wanted, self.codes[positions], 0)

    def value(self, row: int, column: int) -> Any:
        """The value at a position."""
        return self.values[int(self.at(np.array([row]), np.array([column]))[0])]

    @cached_property
    def ones(self) -> Array:
        """Mark the entries that are 1."""
        slack = self.tolerance * self.largest
        is_one = np.array([abs(v - 1) <= slack if slack else v == 1 for v in self.values])
        return is_one[self.codes]

    @cached_property
    def largest(self) -> Any:
        """The largest absolute value; 0 without a tolerance, which it scales."""
        return max(map(abs, self.values)) if self.tolerance else 0


def entries_of(matrix: Any, tolerance: float) -> EntryCodes:
    """Return the entries of a matrix of any type."""
    if isinstance(matrix, Operator):
        matrix._need_numbers("classify")
        check_axes(matrix, "classify")
        try:
            matrix = matrix.to_scipy()
        except (SymbolicError, ExactnessError):
            triples = [
                (row, column, value)
                for row, line in enumerate(exact_rows(matrix))
                for column, value in line.items()
            ]
            return _coded(matrix.shape, *_columns(triples), tolerance)
    if type(matrix).__module__.startswith("scipy.sparse"):
        if len(matrix.shape) != 2 or not all(matrix.shape):
            raise ShapeError(
                f"matrix must have two axes and at least one entry, not shape {matrix.shape}"
            )
        stored = matrix.tocsr(copy=True)
        stored.sum_duplicates()
        coordinates = stored.tocoo()
        rows, columns = coordinates.row.astype(np.int64), coordinates.col.astype(np.int64)
        return _coded(
            matrix.shape, rows, columns, as_numbers(coordinates.data, "matrix"), tolerance
        )
    values = as_numbers(matrix, "matrix")
    if values.ndim != 2 or not values.size:
        raise ShapeError(
            f"matrix must have two axes and at least one entry, not shape {values.shape}"
        )
    rows, columns = np.nonzero(values)
    check_finite(values, "matrix")
    return _coded(values.shape, rows, columns, values[rows, columns], tolerance)


def _columns(triples: list[tuple[int, int, Any]]) -> tuple[Array, Array, Array]:
    triples.sort(key=lambda triple: triple[:2])
    indices = np.array([triple[:2] for triple in triples], dtype=np.int64).reshape(-1, 2)
    values = np.empty(len(triples), dtype=object)
    values[:] = [triple[2] for triple in triples]
    return indices[:, 0], indices[:, 1], values


def _coded(shape: Any, rows: Array, columns: Array, data: Array, tolerance: float) -> EntryCodes:
    """The entries with one code per distinct value."""
    check_finite(data, "the stored entries of matrix")
    if data.dtype.kind == "c":
        raise KindError(
            f"matrix must be real, not {data.dtype}: classify its real and imaginary parts"
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
    """Merge the codes of values that differ by less than the tolerance, also transitively."""
    if any(is_expression(value) for value in values):
        raise KindError(
            f"tolerance={tolerance} needs numbers, but the matrix has symbols: leave it at 0"
        )
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


def _canonical(value: Any) -> Any:
    """A common form for equal values: fractions for rational numbers, expanded expressions."""
    if is_expression(value):
        import sympy

        value = sympy.expand(value)
        if value.is_Float and sympy.Float(float(value), precision=value._prec) == value:
            return float(value)
        if value.is_Rational or value.is_Float:
            exact = sympy.Rational(value)
            return Fraction(int(exact.p), int(exact.q))
        return value
    return value.item() if isinstance(value, np.generic) else value


def exactly(value: Any) -> Any:
    """Return the number as a fraction, floats by their exact binary value; symbols unchanged."""
    value = _canonical(value)
    return value if is_expression(value) else Fraction(value)


def divisors(number: int) -> list[int]:
    """The divisors of a number, smallest first."""
    return [k for k in range(1, number + 1) if number % k == 0]


def as_tolerance(tolerance: object) -> float:
    """The tolerance as a float. Raises: KindError and ArgumentError."""
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float, Fraction)):
        raise KindError(f"tolerance must be a number, not {tolerance!r}")
    if not 0 <= tolerance < 1:
        raise ArgumentError(
            f"tolerance is relative to the largest entry and must be in [0, 1), not {tolerance}"
        )
    return float(tolerance)

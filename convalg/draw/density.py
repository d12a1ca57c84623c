"""The density of each block of a matrix: counted exactly, without expanding the matrix."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from convalg.axis import Axis
from convalg.errors import TooLargeError
from convalg.faces.sparse import support_matrix
from convalg.faces.support import nonzero_bound
from convalg.geometry import Geometry
from convalg.operators.leaves import Adjoint, Convolution, Selection
from convalg.operators.tree import Operator, Scaled

Counts = npt.NDArray[np.int64]

MOST_ENTRIES = 5_000_000
"""Most entries that are counted one by one: of a matrix, or of one axis of a layer."""


def density(operator: Operator, step: int) -> Counts:
    """Count the entries of each square of `step` rows and columns.

    Shapes: (ceil(rows / step), ceil(columns / step)). The entries are those of the pattern, which
    `counts` counts too.

    Raises:
        TooLargeError: for a layer with more than 5 million entries on one axis, or another
            operator with more than 5 million entries.

    >>> import convalg as ca
    >>> density(ca.correlation(6, [1, 1]), 3).tolist()
    [[5, 1], [0, 4]]
    """
    match operator:
        case Convolution() | Selection():
            return _layer_density(operator.geometry, step)
        case Adjoint(operator=inner):
            return density(inner, step).T
        case Scaled(operator=inner):
            return density(inner, step)
    bound = nonzero_bound(operator)
    rows, columns = operator.shape
    if bound > MOST_ENTRIES:
        raise TooLargeError(
            f"a {rows} x {columns} matrix with {bound} entries is too large to draw; the limit is "
            f"{MOST_ENTRIES}: draw a smaller layer of the same form"
        )
    high, wide = -(-rows // step), -(-columns // step)
    support = support_matrix(operator).tocoo()
    index = support.coords[0] // step * wide + support.coords[1] // step
    return np.bincount(index, minlength=high * wide).reshape(high, wide)


def _layer_density(geometry: Geometry, step: int) -> Counts:
    groups, outputs, inputs = geometry.channels
    out_sizes = [groups * outputs, *(axis.numbers.out_size for axis in geometry.axes)]
    in_sizes = [groups * inputs, *(axis.numbers.in_size for axis in geometry.axes)]
    pairs = [_channel_pairs(groups, outputs, inputs), *map(_axis_pairs, geometry.axes)]
    corners = _corners(pairs, out_sizes, in_sizes, _cuts(out_sizes, step), _cuts(in_sizes, step))
    return np.diff(np.diff(corners, axis=0), axis=1)


def _cuts(sizes: list[int], step: int) -> Counts:
    """Return the indices at which squares begin and end."""
    total = math.prod(sizes)
    return np.append(np.arange(0, total, step), total)


def _channel_pairs(groups: int, outputs: int, inputs: int) -> Counts:
    """Return (output, input) for each pair of channels of one group."""
    _check_count(groups * outputs * inputs)
    group, o, c = np.indices((groups, outputs, inputs)).reshape(3, -1)
    return np.stack([group * outputs + o, group * inputs + c])


def _axis_pairs(axis: Axis) -> Counts:
    """Return (output, input) for each pair on one axis, without duplicates."""
    _check_count(axis.numbers.out_size * axis.numbers.taps)
    columns = axis.columns()
    outputs = np.broadcast_to(np.arange(len(columns))[:, None], columns.shape)
    kept = columns >= 0
    if axis.boundary == "zeros":
        return np.stack([outputs[kept], columns[kept]])
    joined = np.unique(outputs[kept] * axis.numbers.in_size + columns[kept])
    return np.stack(np.divmod(joined, axis.numbers.in_size))


def _check_count(count: int) -> None:
    if count > MOST_ENTRIES:
        raise TooLargeError(
            f"{count} entries on one axis are too many to count for a figure; the limit is "
            f"{MOST_ENTRIES}: draw a smaller layer of the same form"
        )


def _corners(
    pairs: list[Counts], out_sizes: list[int], in_sizes: list[int], rows: Counts, columns: Counts
) -> Counts:
    """Count the entries above each row and to the left of each column, for all pairs of them.

    An index is below another if it is below on one axis and equal on all earlier axes. The counts
    are therefore updated axis by axis, for indices of rows and columns that are still equal (`e`)
    or already less (`l`).
    """
    size = (len(rows), len(columns))
    ee, el, le, ll = (np.full(size, int(k == 0), dtype=np.int64) for k in range(4))
    digits = zip(pairs, _digits(rows, out_sizes), _digits(columns, in_sizes), strict=True)
    for pair, row, column in digits:
        below = _Below(pair, row, column)
        lt, eq, every = below.row_less, below.row_equal, below.row_any
        ll = (
            ll * below(every, "any")
            + le * below(every, "less")
            + el * below(lt, "any")
            + ee * below(lt, "less")
        )
        le = le * below(every, "equal") + ee * below(lt, "equal")
        el = el * below(eq, "any") + ee * below(eq, "less")
        ee = ee * below(eq, "equal")
    return ll


def _digits(indices: Counts, sizes: list[int]) -> list[Counts]:
    """Return flat indices axis by axis; the total size gives an index beyond the first axis."""
    digits = []
    for size in sizes[:0:-1]:
        indices, digit = np.divmod(indices, size)
        digits.append(digit)
    return [indices, *digits[::-1]]


class _Below:
    """Counts of the pairs of one axis whose output and input are below, at, or anywhere."""

    def __init__(self, pairs: Counts, row: Counts, column: Counts) -> None:
        self._rows, self._columns = _marks(row), _marks(column)
        self._row, self._column = row, column
        # Cumulative counts of pairs below two thresholds; the last one is beyond all pairs.
        table = np.zeros((len(self._rows) + 1, len(self._columns) + 1), dtype=np.int64)
        at = (
            np.searchsorted(self._rows, pairs[0], side="right"),
            np.searchsorted(self._columns, pairs[1], side="right"),
        )
        flat = np.ravel_multi_index(at, table.shape)
        table += np.bincount(flat, minlength=table.size).reshape(table.shape)
        self._table = table.cumsum(axis=0).cumsum(axis=1)
        self.row_less = self._sums(row)
        self.row_equal = self._sums(row + 1) - self.row_less
        self.row_any = np.broadcast_to(self._table[-1], self.row_less.shape)

    def _sums(self, row: Counts) -> Counts:
        return self._table[np.searchsorted(self._rows, row)]

    def __call__(self, lines: Counts, what: str) -> Counts:
        """Return the counts for inputs that are less, equal, or any."""
        if what == "any":
            return lines[:, -1:]
        less = lines[:, np.searchsorted(self._columns, self._column)]
        if what == "less":
            return less
        return lines[:, np.searchsorted(self._columns, self._column + 1)] - less


def _marks(digits: Counts) -> Counts:
    return np.unique(np.concatenate([digits, digits + 1]))

"""Index tables for sums of entries along an axis, for libraries that can only gather."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from convalg.axis import Axis


@dataclass(frozen=True)
class Rows:
    """The columns of a signal that each row sums, in one table for rows of similar lengths.

    The lengths in a table differ by at most a factor of 2. `tables` have the shape (rows, width)
    and contain column indices; the number of columns marks a gap without an entry.
    `entries` contain the index of each entry in the matrix, in the same layout. `order` is the
    permutation of the concatenated rows that restores their order, or None.
    """

    columns: int
    tables: tuple[np.ndarray, ...]
    entries: tuple[np.ndarray, ...]
    order: np.ndarray | None

    @cached_property
    def keeps(self) -> bool:
        """Whether row k reads only column k, so that the signal is unchanged."""
        (first, *more) = self.tables
        return not more and np.array_equal(first, np.arange(self.columns)[:, None])

    @cached_property
    def gaps(self) -> bool:
        """Whether some table has a gap."""
        return any(bool((table == self.columns).any()) for table in self.tables)


def rows_of(indptr: np.ndarray, indices: np.ndarray, columns: int) -> Rows:
    """Return the tables of a CSR matrix.

    They have at most twice as many entries as the matrix, plus one for each row.
    """
    lengths = np.maximum(np.diff(indptr), 1)
    steps = np.ceil(np.log2(lengths)).astype(np.int64)
    padded = np.append(indices, columns)
    tables, entries, order = [], [], []
    for step in np.unique(steps):
        rows = np.flatnonzero(steps == step)
        inner = np.arange(lengths[rows].max())
        entry = indptr[rows, None] + inner
        entry = np.where(entry < indptr[rows + 1, None], entry, len(indices))
        entries.append(entry)
        tables.append(padded[entry])
        order.append(rows)
    inverse = np.argsort(np.concatenate(order)) if len(order) > 1 else None
    return Rows(columns, tuple(tables), tuple(entries), inverse)


@lru_cache(maxsize=512)
def axis_rows(axis: Axis, taps: bool, adjoint: bool) -> Rows:
    """Return the inputs that each output of an axis reads, or with `adjoint` the transposed table.

    With `taps`, each pair (tap, output) is a row of its own, ordered by tap.
    """
    read = axis.columns()
    if taps:
        read = read.T.reshape(-1, 1)
    rows, sizes = np.repeat(np.arange(len(read)), read.shape[1]), (len(read), axis.numbers.in_size)
    columns = read.reshape(-1)
    rows, columns = rows[columns >= 0], columns[columns >= 0]
    if adjoint:
        rows, columns, sizes = columns, rows, sizes[::-1]
    order = np.argsort(rows, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=sizes[0]))])
    return rows_of(indptr, columns[order], sizes[1])

"""Sums of entries along an axis by gathering from tables, for libraries without scatter-add."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from convalg.axis import Axis


@dataclass(frozen=True)
class Rows:
    """The entries of a signal that each row sums: one table per length of rows, up to a factor 2.

    `tables` (rows, width) hold column indices, and the number of columns where there is no entry;
    `entries` hold the index of each entry in the same way, for its weight. `order` is the
    permutation that sorts the rows of all tables.
    """

    columns: int
    tables: tuple[np.ndarray, ...]
    entries: tuple[np.ndarray, ...]
    order: np.ndarray | None

    @cached_property
    def keeps(self) -> bool:
        """Whether the rows are the unchanged signal."""
        (first, *more) = self.tables
        return not more and np.array_equal(first, np.arange(self.columns)[:, None])

    @cached_property
    def gaps(self) -> bool:
        """Whether some position of a table has no entry."""
        return any(bool((table == self.columns).any()) for table in self.tables)


def rows_of(indptr: np.ndarray, indices: np.ndarray, columns: int) -> Rows:
    """Return the tables of a CSR matrix, with at most twice as many entries plus its rows."""
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
    """Return what each output of an axis reads, or with `adjoint` which outputs read each input.

    With `taps`, each (tap, output) is a row of its own, in the order of the taps.
    """
    read = axis.columns()
    if taps:
        read = read.T.reshape(-1, 1)
    rows, sizes = np.repeat(np.arange(len(read)), read.shape[1]), (len(read), int(axis.in_size))
    columns = read.reshape(-1)
    rows, columns = rows[columns >= 0], columns[columns >= 0]
    if adjoint:
        rows, columns, sizes = columns, rows, sizes[::-1]
    order = np.argsort(rows, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=sizes[0]))])
    return rows_of(indptr, columns[order], sizes[1])

"""Sums of entries along an axis, as tables to gather by: for libraries that cannot scatter."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from convalg.axis import Axis


@dataclass(frozen=True)
class Rows:
    """Which entries of a signal each row sums: one table for each length of rows, within two.

    `tables` (rows, width) hold the columns, `columns` itself where there is none; `entries`, alike,
    the number of the entry, for its weight. `order` puts the rows of the tables in their order.
    """

    columns: int
    tables: tuple[np.ndarray, ...]
    entries: tuple[np.ndarray, ...]
    order: np.ndarray | None

    @cached_property
    def keeps(self) -> bool:
        """Whether the rows are the signal."""
        (first, *more) = self.tables
        return not more and np.array_equal(first, np.arange(self.columns)[:, None])

    @cached_property
    def gaps(self) -> bool:
        """Whether there is a place without an entry."""
        return any(bool((table == self.columns).any()) for table in self.tables)


def rows_of(indptr: np.ndarray, indices: np.ndarray, columns: int) -> Rows:
    """The tables of a matrix in compressed rows: at most twice its entries and its rows."""
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
    turned = np.argsort(np.concatenate(order)) if len(order) > 1 else None
    return Rows(columns, tuple(tables), tuple(entries), turned)


@lru_cache(maxsize=512)
def axis_rows(axis: Axis, taps: bool, adjoint: bool) -> Rows:
    """What each output of an axis reads, or with `adjoint` what each input is read by.

    With `taps`, each (tap, output) stands alone, tap by tap.
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

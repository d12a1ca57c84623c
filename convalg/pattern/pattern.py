"""Labelled patterns: all triples (row, column, label) of a layer.

The row is the index of an output, the column the index of an input, and the label the index of a
weight; all indices are flat and row-major. The pattern of a layer is the product of one pattern
per axis and a dense block of channels, so that it is stored per axis and expanded on demand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np

from convalg.arrays import Array, largest
from convalg.axis import Axis
from convalg.geometry import Geometry
from convalg.limits import check_bound
from convalg.pattern.rows import Index, RowBoxes, adjoint_runs, borders, runs
from convalg.size import size_product

CELL = 2**12
"""Rows are written as boxes if there are at least this many matrix entries per kind of row."""


@dataclass(frozen=True, eq=False)
class Block:
    """The rows of one output channel against the input channels of its group, entry by entry.

    `indptr` has rows + 1 entries, `columns` are sorted within each row, and `labels` has one entry
    per product. If a boundary rule lets an output read one sample several times, these products are
    merged into one entry, and `starts` is the index of the first label of each entry. Otherwise
    `starts` is None, and there is one label for each column.
    """

    indptr: Index
    columns: Index
    labels: Index
    starts: Index | None = None

    @property
    def size(self) -> int:
        """The number of entries."""
        return self.columns.size

    def row_starts(self) -> Index:
        """Return the index of the first entry of each row."""
        return self.indptr[:-1]

    def landmarks(self) -> tuple[slice, Index]:
        """Return all entries and their columns."""
        return slice(self.size), self.columns

    def write_columns(self, out: Index) -> None:
        """Write the column of each entry to `out`."""
        np.copyto(out, self.columns, casting="same_kind")

    def write_values(self, weights: Array, out: Array) -> None:
        """Write the weight of each entry to `out`.

        Args:
            weights: Weights of shape (channels, ...).
            out: Array of shape (channels * size,).
        """
        lines = out.reshape(len(weights), -1)
        for line, weight in zip(lines, weights.reshape(len(weights), -1), strict=True):
            if self.starts is None:
                np.take(weight, self.labels, out=line, mode="clip")
            elif self.size:
                _check_sums(weight, self)
                np.add.reduceat(weight[self.labels], self.starts, out=line)


class Pattern:
    """The triples (row, column, label) of a geometry, expanded on demand.

    The row is the flat index of an output, the column that of an input, and the label that of a
    weight.

    Args:
        geometry: Geometry of a layer with integer sizes.

    >>> from convalg.conventions import correlation_geometry
    >>> pattern = Pattern(correlation_geometry(3, (2,)))
    >>> pattern.triples().tolist()
    [[0, 0, 0], [0, 1, 1], [1, 1, 0], [1, 2, 1]]
    """

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry

    def __repr__(self) -> str:
        rows, columns = size_product(self.geometry.out_shape), size_product(self.geometry.in_shape)
        return f"<pattern {rows} x {columns}, {len(self)} triples, {self.parameters} labels>"

    def __len__(self) -> int:
        return self.products

    @cached_property
    def products(self) -> int:
        """The number of triples, one for each product of a weight and an input sample.

        Products with padding are not counted.
        """
        return math.prod(self.geometry.channels) * math.prod([sum(axis.uses) for axis in self.axes])

    @cached_property
    def nonzeros(self) -> int:
        """The number of stored matrix entries, each of which may belong to several triples."""
        return _nonzeros(self.geometry)

    @property
    def parameters(self) -> int:
        """The number of labels, which is the number of weights."""
        return int(size_product(self.geometry.kernel_shape))

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of the geometry."""
        return self.geometry.axes

    @cached_property
    def _index(self) -> np.dtype[np.integer]:
        return np.dtype(index_type(self.nonzeros, int(size_product(self.geometry.in_shape))))

    @property
    def _height(self) -> int:
        return int(size_product(self.geometry.out_shape))

    @cached_property
    def _rows(self) -> RowBoxes | Block:
        return channel_rows(self.geometry, self._index)

    def csr_bytes(self, value_size: int) -> int:
        """Return the size of the CSR matrix in bytes, without building it.

        Args:
            value_size: Bytes of one value.
        """
        index = self._index.itemsize
        return self.nonzeros * (value_size + index) + (self._height + 1) * index

    def sharing(self) -> Index:
        """Return the number of triples with each label, in the shape of the kernel."""
        uses = np.ones((), dtype=np.int64)
        for axis in self.axes:
            uses = np.multiply.outer(uses, np.array(axis.uses))
        return np.broadcast_to(uses, self.geometry.kernel_shape)

    def triples(self) -> Index:
        """Return all triples in an array of shape (products, 3), sorted by row, then by label."""
        geometry = self.geometry
        groups, outputs, inputs = geometry.channels
        rows_each = int(size_product(geometry.out_spatial))
        block = label_block(geometry)
        rows = np.repeat(np.arange(rows_each), np.diff(block.indptr))
        channel = np.arange(groups * outputs)[:, None]
        in_step = inputs * int(size_product(geometry.in_spatial))
        label_step = inputs * int(size_product(geometry.taps))
        return np.stack(
            [
                (rows + channel * rows_each).ravel(),
                (block.columns + channel // outputs * in_step).ravel(),
                (block.labels + channel * label_step).ravel(),
            ],
            axis=1,
        )

    def csr_structure(self) -> tuple[Index, Index]:
        """Return `indptr` and `indices` of the CSR matrix, sorted and without duplicates.

        Both arrays are of 32-bit integers unless an index needs 64 bits.
        """
        groups, outputs, inputs = self.geometry.channels
        step = inputs * int(size_product(self.geometry.in_spatial))
        indptr = _row_ends(self._rows, groups * outputs, self._index)
        return indptr, _all_columns(self._rows, groups, outputs, step, self._index)

    def adjoint_csr(self, kernel: Array) -> tuple[Array, Index, Index] | None:
        """Return the values, `indices` and `indptr` of the transposed matrix as sorted CSR arrays.

        The result is None for a layer whose transposed matrix has too many different kinds of rows
        to be written block by block; the caller then transposes the CSR matrix itself.

        Args:
            kernel: The weights, of shape `kernel_shape`.
        """
        geometry = self.geometry
        groups, outputs, inputs = geometry.channels
        kind: np.dtype[np.integer] = np.dtype(index_type(self.nonzeros, self._height))
        rows = adjoint_channel_rows(geometry, kind)
        if rows is None:
            return None
        weights = kernel.reshape(groups, outputs, inputs, *geometry.taps).swapaxes(1, 2)
        data = np.empty(self.nonzeros, dtype=kernel.dtype)
        rows.write_values(weights.reshape(groups * inputs, outputs, *geometry.taps), data)
        step = outputs * int(size_product(geometry.out_spatial))
        indptr = _row_ends(rows, groups * inputs, kind)
        return data, _all_columns(rows, groups, inputs, step, kind), indptr

    def fits(self, indptr: Index, indices: Index) -> bool:
        """Return whether two arrays equal `csr_structure` at a sample of their indices.

        The sample contains the end of each channel, and in the first channel about a thousand row
        ends and the landmarks of its rows.

        Args:
            indptr: Row pointers of a CSR matrix.
            indices: Column indices of a CSR matrix.
        """
        if indptr.size != self._height + 1 or indices.size != self.nonzeros:
            return False
        rows, ends, entries, columns = _landmarks(self.geometry, self._index)
        return np.array_equal(indptr[rows], ends) and np.array_equal(indices[entries], columns)

    def csr_values(self, kernel: Array, out: Array | None = None) -> Array:
        """Return the values of the CSR matrix with the structure `csr_structure`.

        Args:
            kernel: The weights, of shape `geometry.kernel_shape`.
            out: Array of shape (nonzeros,) to which the values are written; None for a new array.

        Returns:
            The values, of shape (nonzeros,).
        """
        geometry = self.geometry
        groups, outputs, inputs = geometry.channels
        rows, lines = self._rows, groups * outputs
        if out is None:
            out = np.empty(lines * rows.size, dtype=kernel.dtype)
        weights = kernel.reshape(lines, inputs, *geometry.taps)
        rows.write_values(weights, out)
        return out


def _all_columns(
    channel: RowBoxes | Block, groups: int, channels: int, step: int, kind: np.dtype[np.integer]
) -> Index:
    """Return the columns of all rows, given the rows of one channel.

    The columns of each group are `step` larger than those of the previous group.
    """
    indices = np.empty((groups, channels, channel.size), dtype=kind)
    channel.write_columns(indices[0, 0])
    for group in range(1, groups):
        np.add(indices[0, 0], kind.type(group * step), out=indices[group, 0])
    indices[:, 1:] = indices[:, :1]
    return indices.reshape(-1)


def _row_ends(channel: RowBoxes | Block, lines: int, kind: np.dtype[np.integer]) -> Index:
    """Return `indptr` of all rows, given the rows of one channel."""
    starts = channel.row_starts()
    indptr = np.empty(lines * starts.size + 1, dtype=kind)
    indptr[-1] = lines * channel.size
    steps = np.arange(lines, dtype=kind)[:, None] * kind.type(channel.size)
    np.add(starts, steps, out=indptr[:-1].reshape(lines, -1), casting="same_kind")
    return indptr


def _check_sums(weight: Array, block: Block) -> None:
    """Raise ExactnessError when the sum of weights merged on one entry could exceed 64 bits."""
    if weight.dtype.kind in "iu" and block.starts is not None:
        most = int(np.diff(block.starts, append=block.labels.size).max(initial=1))
        check_bound(most * largest(weight))


def index_type(*bounds: int) -> type[np.int32] | type[np.int64]:
    """Return the smaller index type of SciPy, int32 or int64, that can represent these counts."""
    return np.int32 if max(bounds) < 2**31 else np.int64


@lru_cache(maxsize=256)
def channel_rows(geometry: Geometry, kind: np.dtype[np.integer]) -> RowBoxes | Block:
    """Return the rows of one output channel, in the form that is written faster."""
    count = math.prod([borders(axis).size for axis in geometry.axes])
    if count > 1 and _nonzeros(geometry) < CELL * count:
        return column_block(geometry)
    axes = tuple(runs(axis) for axis in geometry.axes)
    return RowBoxes(axes, tuple(map(int, geometry.in_spatial)), geometry.channels[2], kind)


@lru_cache(maxsize=256)
def adjoint_channel_rows(geometry: Geometry, kind: np.dtype[np.integer]) -> RowBoxes | None:
    """Return the rows of one input channel of the transposed matrix, or None for many boxes."""
    if _nonzeros(geometry) < CELL:
        return None
    axes = [adjoint_runs(axis) for axis in geometry.axes]
    simple = tuple(axis for axis in axes if axis is not None)
    if len(simple) < len(axes) or _nonzeros(geometry) < CELL * math.prod(map(len, simple)):
        return None
    return RowBoxes(simple, tuple(map(int, geometry.out_spatial)), geometry.channels[1], kind)


@lru_cache(maxsize=64)
def _landmarks(geometry: Geometry, kind: np.dtype[np.integer]) -> tuple[Index, Index, Any, Index]:
    """Return some rows and their ends, and some entries and their columns; see `Pattern.fits`."""
    channel = channel_rows(geometry, kind)
    starts, lines = channel.row_starts(), math.prod(geometry.channels[:2])
    seen = np.arange(0, starts.size, -(-starts.size // 1024))
    first = np.arange(1, lines + 1)
    rows = np.concatenate([seen, first * starts.size])
    ends = np.concatenate([starts[seen], first * channel.size]).astype(kind)
    return rows, ends, *channel.landmarks()


@lru_cache(maxsize=256)
def _nonzeros(geometry: Geometry) -> int:
    return math.prod(geometry.channels) * math.prod(map(_distinct, geometry.axes))


@lru_cache(maxsize=64)
def column_block(geometry: Geometry) -> Block:
    """Return the block with sorted columns and merged entries, as a sparse matrix stores it."""
    block = _expand(geometry, "column")
    if all(_distinct(axis) == sum(axis.uses) for axis in geometry.axes):
        return block
    width = geometry.channels[2] * int(size_product(geometry.in_spatial))
    rows = np.repeat(np.arange(block.indptr.size - 1), np.diff(block.indptr))
    position = rows * width + block.columns
    order = np.argsort(position, kind="stable")
    position = position[order]
    starts = np.flatnonzero(np.diff(position, prepend=-1))
    merged = position[starts]
    indptr = np.searchsorted(merged // width, np.arange(block.indptr.size))
    return Block(indptr, merged % width, block.labels[order], starts)


@lru_cache(maxsize=64)
def label_block(geometry: Geometry) -> Block:
    """Return the block with each row sorted by label, as B(x) stores it."""
    return _expand(geometry, "label")


def _expand(geometry: Geometry, order: Literal["column", "label"]) -> Block:
    """Return the product of the axes and the input channels, in row order, without dropped taps."""
    axes, inputs = geometry.axes, geometry.channels[2]
    dims = len(axes)
    # Index space: (o_1 .. o_D, c, t_1 .. t_D).
    channel = np.arange(inputs).reshape((1,) * dims + (inputs,) + (1,) * dims)
    columns, labels, valid = channel, channel, np.ones((), dtype=bool)
    for k, axis in enumerate(axes):
        columns_read = axis.columns()
        taps = np.broadcast_to(np.arange(columns_read.shape[1]), columns_read.shape)
        if order == "column":
            by_column = np.argsort(columns_read, axis=1, kind="stable")
            columns_read, taps = (
                np.take_along_axis(a, by_column, axis=1) for a in (columns_read, taps)
            )
        layout = [1] * (2 * dims + 1)
        layout[k], layout[dims + 1 + k] = columns_read.shape
        columns = columns * axis.in_size + columns_read.reshape(layout)
        labels = labels * axis.taps + taps.reshape(layout)
        valid = valid & (columns_read >= 0).reshape(layout)
    shape = columns.shape
    kept = np.broadcast_to(valid, shape)
    counts = np.sum(valid, axis=tuple(range(dims, 2 * dims + 1))).ravel() * inputs
    indptr = np.concatenate([[0], np.cumsum(counts)])
    if kept.all():
        return Block(indptr, columns.reshape(-1), np.broadcast_to(labels, shape).reshape(-1))
    return Block(indptr, columns[kept], np.broadcast_to(labels, shape)[kept])


def _distinct(axis: Axis) -> int:
    """Return the number of distinct pairs (output, input) of an axis."""
    if axis.boundary == "zeros":
        return sum(axis.uses)
    return sum(run.entries for run in runs(axis))

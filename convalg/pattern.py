"""The labelled pattern: every (row, column, label) of a layer.

Row = output index, column = input index, label = which weight, all flat and row-major.
The pattern of a layer is a product of one pattern per axis and a dense block of channels,
so it is held per axis and expanded here when a face asks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from convalg.axis import Axis
from convalg.errors import check_bound
from convalg.kernels import largest
from convalg.spec import Geometry, size_product

Index = npt.NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Block:
    """The rows of one output channel against the input channels of its group.

    `indptr` (rows + 1), `columns` sorted in each row, `labels` one per product. Where a
    boundary reads one sample twice in a row, `starts` tells where each merged entry begins
    among the labels; otherwise it is None and there is one label for each column.
    """

    indptr: Index
    columns: Index
    labels: Index
    starts: Index | None


class Pattern:
    """The triples of a geometry, expanded on demand.

    >>> from convalg.spec import correlation_geometry
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

    @property
    def products(self) -> int:
        """The number of triples: products of a weight and an input that exist (not padding)."""
        return self._links * math.prod(sum(axis.uses()) for axis in self.axes)

    @property
    def nonzeros(self) -> int:
        """The number of matrix entries: triples, those on one entry counted once."""
        return self._links * math.prod(_distinct(axis) for axis in self.axes)

    @property
    def parameters(self) -> int:
        """The number of labels: weights, each counted once however often it is used."""
        return int(size_product(self.geometry.kernel_shape))

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of the geometry."""
        return self.geometry.axes

    @property
    def _links(self) -> int:
        groups, outputs, inputs = self.geometry.channels
        return groups * outputs * inputs

    def sharing(self) -> Index:
        """How many triples carry each label, in the shape of the kernel."""
        uses = np.ones((), dtype=np.int64)
        for axis in self.axes:
            uses = np.multiply.outer(uses, np.array(axis.uses()))
        return np.broadcast_to(uses, self.geometry.kernel_shape)

    def triples(self) -> Index:
        """All (row, column, label), one triple a line, sorted by row and then by label."""
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
        """`indptr` and `indices` of the whole matrix: sorted, without duplicates.

        32-bit integers until an index needs 64.
        """
        geometry = self.geometry
        groups, outputs, inputs = geometry.channels
        block = column_block(geometry)
        indptr, each = self.row_ends(), block.columns.size
        kind = indptr.dtype
        indices = np.empty((groups, outputs, each), dtype=kind)
        for group in range(groups):
            first = group * inputs * int(size_product(geometry.in_spatial))
            np.add(block.columns, first, out=indices[group, 0], casting="unsafe")
            indices[group, 1:] = indices[group, 0]
        return indptr, indices.reshape(-1)

    def row_ends(self) -> Index:
        """`indptr` of the whole matrix."""
        geometry = self.geometry
        lines = geometry.channels[0] * geometry.channels[1]
        block = column_block(geometry)
        kind = index_type(self.nonzeros, int(size_product(geometry.in_shape)))
        steps = np.arange(lines, dtype=kind)[:, None] * block.columns.size
        indptr = np.empty(lines * (block.indptr.size - 1) + 1, dtype=kind)
        indptr[0] = 0
        np.add(block.indptr[1:], steps, out=indptr[1:].reshape(lines, -1))
        return indptr

    def csr_values(self, kernel: npt.NDArray, out: npt.NDArray | None = None) -> npt.NDArray:
        """The values that belong to `csr_structure`: the kernel, spread by label.

        Shapes: kernel as `geometry.kernel_shape`; result (nonzeros,), written to `out` if given.
        """
        groups, outputs, _ = self.geometry.channels
        block = column_block(self.geometry)
        weights = kernel.reshape(groups * outputs, -1)
        each = block.columns.size
        if out is None:
            out = np.empty(groups * outputs * each, dtype=kernel.dtype)
        lines = out.reshape(groups * outputs, each)
        for line, weight in zip(lines, weights, strict=True):
            if block.starts is None:
                np.take(weight, block.labels, out=line, mode="clip")
            elif each:
                _check_sums(weight, block)
                np.add.reduceat(weight[block.labels], block.starts, out=line)
        return out


def _check_sums(weight: npt.NDArray, block: Block) -> None:
    """Raises: ExactnessError when weights merged on one entry could leave 64 bits."""
    if weight.dtype.kind in "iu" and block.starts is not None:
        most = int(np.diff(block.starts, append=block.labels.size).max(initial=1))
        check_bound(most * largest(weight))


def index_type(*bounds: int) -> type[np.int32] | type[np.int64]:
    """The smallest index type that SciPy takes and that holds these counts."""
    return np.int32 if max(bounds) <= np.iinfo(np.int32).max else np.int64


def expanded_bytes(geometry: Geometry, value_size: int) -> int:
    """What the CSR matrix of a geometry takes, from counts alone."""
    pattern = Pattern(geometry)
    rows = int(size_product(geometry.out_shape))
    index = index_type(pattern.nonzeros, int(size_product(geometry.in_shape)))().itemsize
    return pattern.nonzeros * (value_size + index) + (rows + 1) * index


@lru_cache(maxsize=64)
def column_block(geometry: Geometry) -> Block:
    """The block with each row sorted by column and merged: what a sparse matrix stores."""
    block = _expand(geometry, "column")
    if all(_distinct(axis) == sum(axis.uses()) for axis in geometry.axes):
        return block
    width = geometry.channels[2] * int(size_product(geometry.in_spatial))
    rows = np.repeat(np.arange(block.indptr.size - 1), np.diff(block.indptr))
    place = rows * width + block.columns
    order = np.argsort(place, kind="stable")
    place = place[order]
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    merged = place[starts]
    indptr = np.searchsorted(merged // width, np.arange(block.indptr.size))
    return Block(indptr, merged % width, block.labels[order], starts)


@lru_cache(maxsize=64)
def label_block(geometry: Geometry) -> Block:
    """The block with each row sorted by label: what B(x) stores."""
    return _expand(geometry, "label")


def _expand(geometry: Geometry, order: Literal["column", "label"]) -> Block:
    """The product of the axes and of the input channels, rows in order, dropped taps left out."""
    axes, inputs = geometry.axes, geometry.channels[2]
    dims = len(axes)
    # Index space: (o_1 .. o_D, c, t_1 .. t_D).
    channel = np.arange(inputs).reshape((1,) * dims + (inputs,) + (1,) * dims)
    columns, labels, valid = channel, channel, np.ones((), dtype=bool)
    for k, axis in enumerate(axes):
        found = axis.columns()
        taps = np.broadcast_to(np.arange(found.shape[1]), found.shape)
        if order == "column":
            by_column = np.argsort(found, axis=1, kind="stable")
            found, taps = (np.take_along_axis(a, by_column, axis=1) for a in (found, taps))
        place = [1] * (2 * dims + 1)
        place[k], place[dims + 1 + k] = found.shape
        columns = columns * axis.in_size + found.reshape(place)
        labels = labels * axis.taps + taps.reshape(place)
        valid = valid & (found >= 0).reshape(place)
    shape = columns.shape
    kept = np.broadcast_to(valid, shape)
    counts = np.sum(valid, axis=tuple(range(dims, 2 * dims + 1))).ravel() * inputs
    indptr = np.concatenate([[0], np.cumsum(counts)])
    if kept.all():
        return Block(indptr, columns.reshape(-1), np.broadcast_to(labels, shape).reshape(-1), None)
    return Block(indptr, columns[kept], np.broadcast_to(labels, shape)[kept], None)


def _distinct(axis: Axis) -> int:
    """The number of different (output, input) pairs of an axis."""
    if axis.boundary == "zeros":
        return sum(axis.uses())
    found = np.sort(axis.columns(), axis=1)
    return int(np.sum((found >= 0) & (np.diff(found, axis=1, prepend=-1) != 0)))

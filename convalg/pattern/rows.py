"""Runs of rows with the same taps, with which the matrix of a layer is written in large blocks.

Between two borders, all outputs of an axis read with the same taps, each output `stride` samples
further than the previous one. The runs of all axes divide a matrix into a few boxes of similar
rows, of which there are nine for a padded 3 x 3 kernel. One broadcast sum writes the columns of a
box, and one broadcast copy its weights, so that there is no index array with one index per entry.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from convalg.arrays import largest
from convalg.axis import Axis
from convalg.limits import check_bound

Index = npt.NDArray[np.integer]
Array = npt.NDArray[Any]

MOST_ROWS = 1024
"""Approximate limit on the number of different rows along an axis of a transposed matrix."""

LINE = 4096
"""Consecutive short rows are joined into lines of at most this many entries."""


@dataclass(frozen=True, eq=False)
class Row:
    """The reads of one output of an axis.

    Attributes:
        columns: Indices of the inputs, sorted and without duplicates.
        taps: The taps that read them, ordered by column; None for all taps in order.
        starts: Index of the first tap of each column, if a boundary rule lets several taps read one
            sample; None if there is one tap for each column.
    """

    columns: Index
    taps: Index | slice | None
    starts: Index | None = None

    def of(self, weights: Array, axis: int) -> Array:
        """Return the weight of each column, given the weights of all taps along an axis."""
        if self.taps is None:
            return weights
        taken = weights[(slice(None),) * axis + (self.taps,)]
        if self.starts is None:
            return taken
        if weights.dtype.kind in "iu":
            most = int(np.diff(self.starts, append=taken.shape[axis]).max())
            check_bound(most * largest(weights))
        return np.add.reduceat(taken, self.starts, axis=axis, dtype=weights.dtype)


@dataclass(frozen=True, eq=False)
class RowRun:
    """Rows `first`, `first + every`, ... of an axis that have the same taps.

    Attributes:
        first: Index of the first row.
        every: Difference of the indices of consecutive rows.
        count: Number of rows.
        step: Difference of the columns of consecutive rows.
        before: Number of entries of the axis before the first row.
        pitch: Number of entries from the start of a row to the start of the next row of the run.
        row: The reads of the first row.
    """

    first: int
    every: int
    count: int
    step: int
    before: int
    pitch: int
    row: Row

    @property
    def width(self) -> int:
        """The number of entries of each row."""
        return self.row.columns.size

    @property
    def entries(self) -> int:
        """The number of entries of all rows of the run."""
        return self.count * self.width

    @property
    def rows(self) -> slice:
        """The indices of the rows of the run."""
        return slice(self.first, self.first + (self.count - 1) * self.every + 1, self.every)


@lru_cache(maxsize=512)
def runs(axis: Axis) -> tuple[RowRun, ...]:
    """Return the runs of the outputs of an axis with integer sizes, in order."""
    starts = borders(axis)
    columns, signs = axis.read_by(starts)
    if np.any(mixed := _is_mixed(columns, signs)):
        # From one output to the next, reflected samples move in the opposite direction to the
        # others, so that every output is a run of its own.
        ends = np.append(starts[1:], axis.out_size)
        spread = [np.arange(a, b) for a, b in zip(starts[mixed], ends[mixed], strict=True)]
        starts = np.unique(np.concatenate([starts, *spread]))
        columns, signs = axis.read_by(starts)
    counts = np.diff(starts, append=axis.out_size)
    pieces: list[RowRun] = []
    before = 0
    for first, count, line, sign in zip(
        starts.tolist(), counts.tolist(), columns, signs, strict=True
    ):
        kept = np.flatnonzero(line >= 0)
        step = int(sign[kept[0]]) * axis.numbers.stride if kept.size else 0
        row = _row(line[kept], kept, line.size)
        pieces.append(RowRun(first, 1, count, step, before, row.columns.size, row))
        before += pieces[-1].entries
    return tuple(pieces)


@lru_cache(maxsize=512)
def adjoint_runs(axis: Axis) -> tuple[RowRun, ...] | None:
    """Return the runs of the inputs of an axis, which contain the outputs that read each input.

    Rule: tap t reads along lines i = s o + c. Between the ends of the lines, the inputs at a
    distance of |s| are on the same lines, and the outputs that read them differ by 1.

    The result is None for a boundary rule that reflects or repeats samples, or for too many taps.
    """
    stride, size, taps = (int(n) for n in (axis.stride, axis.in_size, axis.taps))
    period, direction = abs(stride), 1 if stride > 0 else -1
    if axis.boundary not in ("zeros", "circular") or taps * period > MOST_ROWS:
        return None
    lines = np.array(_tap_lines(axis), dtype=np.int64).reshape(-1, 4)
    tap, shift, first, count = lines.T
    one, other = stride * first + shift, stride * (first + count - 1) + shift
    low, high = np.minimum(one, other), np.maximum(one, other)
    ends = np.unique(np.concatenate([[0, size], low, high + period]).clip(0, size))
    pieces: list[RowRun] = []
    before = 0
    for start, stop in pairwise(ends.tolist()):
        rows = []
        for i in range(start, min(start + period, stop)):
            on = (low <= i) & (i <= high) & ((i - shift) % period == 0)
            rows.append(_row((i - shift[on]) // stride, tap[on], taps))
        pitch = sum(row.columns.size for row in rows)
        for k, row in enumerate(rows):
            count_here = -(-(stop - start - k) // period)
            pieces.append(RowRun(start + k, period, count_here, direction, before, pitch, row))
            before += row.columns.size
        before += sum(run.entries - run.width for run in pieces[len(pieces) - len(rows) :])
    return tuple(pieces)


def _tap_lines(axis: Axis) -> list[tuple[int, int, int, int]]:
    """Return (tap, c, first output, number of outputs) of the lines i = stride * o + c."""
    lines: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for run in runs(axis):
        taps = np.arange(axis.taps) if run.row.taps is None else np.arange(axis.taps)[run.row.taps]
        sizes = np.ones(run.width, int)
        if run.row.starts is not None:
            sizes = np.diff(run.row.starts, append=taps.size)
        columns = np.repeat(run.row.columns, sizes)
        for tap, column in zip(taps.tolist(), columns.tolist(), strict=True):
            parts = lines.setdefault((tap, column - axis.numbers.stride * run.first), [])
            if parts and sum(parts[-1]) == run.first:
                parts[-1] = parts[-1][0], parts[-1][1] + run.count
            else:
                parts.append((run.first, run.count))
    return [(*line, *part) for line, parts in lines.items() for part in parts]


@lru_cache(maxsize=512)
def borders(axis: Axis) -> Index:
    """Return output 0 and the outputs at which a tap enters another piece of the boundary rule."""
    edges = {piece.low for piece in axis.pieces()} - {None}
    edges |= {piece.high + 1 for piece in axis.pieces() if piece.high is not None}
    edge = np.array(sorted(edges), dtype=np.int64)[:, None]  # type: ignore[type-var]  # sorted integers
    read, stride = axis.raw(0, np.arange(axis.taps)), axis.numbers.stride
    # The first output that reads at or after the edge, or before it with a negative stride.
    passed = -((read - edge) // stride) if stride > 0 else -((edge - 1 - read) // -stride)
    inside = passed[(passed > 0) & (passed < axis.out_size)]
    outputs = np.unique(np.append(inside, 0))
    outputs.setflags(write=False)
    return outputs


def _is_mixed(columns: Index, signs: Index) -> npt.NDArray[np.bool_]:
    """Return a mask of the rows whose taps do not all move equally from one output to the next."""
    kept = columns >= 0
    least, most = np.where(kept, signs, 2).min(axis=1), np.where(kept, signs, -2).max(axis=1)
    mixed: npt.NDArray[np.bool_] = least < most
    return mixed


def _row(columns: Index, taps: Index, count: int) -> Row:
    order = np.argsort(columns, kind="stable")
    columns, taps = columns[order], taps[order]
    new = np.diff(columns, prepend=-1) > 0
    if not new.all():
        starts = np.flatnonzero(new)
        return Row(columns[starts], taps, starts)
    if np.array_equal(taps, np.arange(count)):
        return Row(columns, None)
    # A slice of neighbouring taps selects the weights without a copy.
    steps = np.diff(taps)
    if taps.size < 2 or abs(int(steps[0])) != 1 or np.any(steps != steps[0]):
        return Row(columns, taps)
    first, last, step = int(taps[0]), int(taps[-1]), int(steps[0])
    return Row(columns, slice(first, last + step if last + step >= 0 else None, step))


@dataclass(frozen=True, eq=False)
class RowPart:
    """Lines of a box that are written at once; a line is one row, or several consecutive rows.

    Attributes:
        offset: Index of the first entry of the first line, in one output channel.
        strides: Distances between the first entries of the lines along each axis of `moved`.
        line: Columns of the entries of a line, to which the entry of `moved` is added.
        moved: Offset of the columns of each line.
        pieces: For each run of the last axis in a line: its row, the index of its first entry in
            the line, the distance between its rows, and the number of its rows.
    """

    offset: int
    strides: tuple[int, ...]
    line: Index
    moved: Index
    pieces: tuple[tuple[Row, int, int, int], ...]

    def view(self, out: Array, channels: int) -> Array:
        """Return a view of the entries of this part in `out`, of shape (channels, *lines, line)."""
        shape = (channels, *self.moved.shape, self.line.size)
        return _view(out, shape, self.offset, (out.size // channels, *self.strides, 1))

    def values(self, weights: Array) -> Array:
        """Return a line of values for each channel, given the weights that other axes selected."""
        channels, line = len(weights), np.empty((len(weights), self.line.size), weights.dtype)
        for row, offset, pitch, count in self.pieces:
            taken = row.of(weights, weights.ndim - 1).reshape(channels, 1, -1)
            shape = (channels, count, taken.shape[-1])
            _view(line, shape, offset, (self.line.size, pitch, 1))[...] = taken
        return line.reshape(channels, *(1,) * self.moved.ndim, -1)


def _view(array: Array, shape: tuple[int, ...], offset: int, strides: tuple[int, ...]) -> Array:
    """Return a strided view of a contiguous array; NumPy checks the bounds."""
    width = array.itemsize
    bytes_apart = tuple(width * stride for stride in strides)
    return np.ndarray(shape, array.dtype, array, offset * width, bytes_apart)


@dataclass(frozen=True, eq=False)
class RowBox:
    """Rows with the same taps along all axes but the last, given by one run of each such axis."""

    runs: tuple[RowRun, ...]
    parts: tuple[RowPart, ...]

    def spread(self, weights: Array, out: Array) -> None:
        """Write the weights to the entries of all rows of the box, for each channel."""
        for k, run in enumerate(self.runs):
            weights = run.row.of(weights, k + 2)
        for part in self.parts:
            np.copyto(part.view(out, len(weights)), part.values(weights))


@dataclass(frozen=True, eq=False)
class RowBoxes:
    """The rows of one output channel against the input channels of its group, as boxes.

    Attributes:
        axes: The runs of each axis.
        sizes: The number of input samples of each axis.
        inputs: The number of input channels of a group.
        kind: The type of an index.
    """

    axes: tuple[tuple[RowRun, ...], ...]
    sizes: tuple[int, ...]
    inputs: int
    kind: np.dtype[np.integer]

    @cached_property
    def totals(self) -> tuple[int, ...]:
        """The number of entries of each axis."""
        return tuple(sum(run.entries for run in axis) for axis in self.axes)

    @cached_property
    def size(self) -> int:
        """The number of entries."""
        return self.inputs * math.prod(self.totals)

    @cached_property
    def boxes(self) -> tuple[RowBox, ...]:
        """The boxes that contain entries."""
        return tuple(
            RowBox(path, tuple(self._parts(path, offset, strides)))
            for path, offset, strides in self._paths((), 0, ())
            if self.totals[-1]
        )

    def row_starts(self) -> Index:
        """Return the index of the first entry of each row."""
        rows = _row_starts(self.axes[-1], self.inputs, self.kind)
        scale = self.inputs * self.totals[-1]
        for axis, total in zip(self.axes[-2::-1], self.totals[-2::-1], strict=True):
            outer = _row_starts(axis, scale, self.kind)
            widths: Index = np.empty(outer.size, dtype=self.kind)
            for run in axis:
                widths[run.rows] = run.width
            rows = (outer[:, None] + widths[:, None] * rows).reshape(-1)
            scale *= total
        return rows

    def write_columns(self, out: Index) -> None:
        """Write the column of each entry to `out`."""
        for box in self.boxes:
            for part in box.parts:
                np.add(part.moved[..., None], part.line, out=part.view(out, 1)[0])

    def write_values(self, weights: Array, out: Array) -> None:
        """Write the weight of each entry to `out`.

        Args:
            weights: Weights of shape (channels, inputs, *taps).
            out: Array of shape (channels * size,).
        """
        for box in self.boxes:
            box.spread(weights, out)

    def landmarks(self) -> tuple[Index, Index]:
        """Return the indices and the columns of some entries.

        These are the entries of the first, middle and last lines of each part along each axis.
        """
        entries, columns = [], []
        for part in (part for box in self.boxes for part in box.parts):
            seen = np.ix_(*(sorted({0, n // 2, n - 1}) for n in part.moved.shape))
            first = np.asarray(sum(n * apart for n, apart in zip(seen, part.strides, strict=True)))
            entries.append((part.offset + first[..., None] + np.arange(part.line.size)).ravel())
            columns.append((np.asarray(part.moved[seen])[..., None] + part.line).ravel())
        if not entries:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=self.kind)
        return np.concatenate(entries), np.concatenate(columns)

    def _paths(
        self, path: tuple[RowRun, ...], offset: int, strides: tuple[int, ...]
    ) -> Iterator[tuple[tuple[RowRun, ...], int, tuple[int, ...]]]:
        """Yield a run of each axis but the last, with the first entry and the strides."""
        k = len(path)
        if k == len(self.axes) - 1:
            yield path, offset, strides
            return
        scale = self.inputs * math.prod(self.totals[k + 1 :])
        scale *= math.prod(run.width for run in path)
        for run in self.axes[k]:
            if run.width:
                start = offset + run.before * scale
                yield from self._paths((*path, run), start, (*strides, run.pitch * scale))

    def _parts(
        self, path: tuple[RowRun, ...], offset: int, strides: tuple[int, ...]
    ) -> Iterator[RowPart]:
        """Yield the rows of a box as lines of equal length, and then the remaining rows."""
        first, moved = np.arange(self.inputs), np.zeros((), dtype=np.int64)
        for run, size in zip(path, self.sizes[:-1], strict=True):
            first = first[..., None] * size + run.row.columns
            moved = moved[..., None] * size + np.arange(run.count) * run.step
        last, size = [run for run in self.axes[-1] if run.width], self.sizes[-1]
        if self.totals[-1] * first.size <= LINE:
            yield self._part(last, offset, strides, first, moved * size)
            return
        for run in last:
            start, pitch = offset + run.before * first.size, run.pitch * first.size
            joined = max(1, min(run.count, LINE // pitch)) if run.every == 1 else 1
            full = run.count // joined * joined
            for row, stop, count in ((0, full, joined), (full, run.count, run.count - full)):
                if stop > row:
                    lines = moved[..., None] * size + np.arange(row, stop, count) * run.step
                    begin, apart = start + row * pitch, (*strides, count * pitch)
                    yield self._part([replace(run, count=count)], begin, apart, first, lines)

    def _part(
        self,
        last: list[RowRun],
        offset: int,
        strides: tuple[int, ...],
        first: Index,
        moved: Index,
    ) -> RowPart:
        """Return the part whose line contains these runs of the last axis, repeated by `moved`."""
        scale, before = first.size, min(run.before for run in last)
        length = sum(run.entries for run in last) * scale
        line: Index = np.empty(length, dtype=self.kind)
        pieces = []
        for run in last:
            start, pitch = (run.before - before) * scale, run.pitch * scale
            row = (first[..., None] * self.sizes[-1] + run.row.columns).reshape(-1)
            steps = np.arange(run.count)[:, None] * run.step
            _view(line, (run.count, row.size), start, (pitch, 1))[...] = steps + row
            pieces.append((run.row, start, pitch, run.count))
        return RowPart(offset, strides, line, moved.astype(self.kind), tuple(pieces))


def _row_starts(axis: tuple[RowRun, ...], scale: int, kind: np.dtype[np.integer]) -> Index:
    """Return the number of entries of an axis before each of its rows, multiplied by a scale."""
    starts: Index = np.empty(sum(run.count for run in axis), dtype=kind)
    for run in axis:
        numbers = np.arange(run.count, dtype=kind)
        np.add(numbers * (run.pitch * scale), run.before * scale, out=starts[run.rows])
    return starts

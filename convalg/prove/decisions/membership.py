"""The entries of families as integer formulas without quantifiers.

A leaf is a set of triples with i = s o + d t - p. In it, (o, t) determines i, (i, t) determines o
and (o, i) determines t, the last two as exact quotients. So each middle index of a product is
computed from the row, the column and the labels, and membership of a point (row, column, labels)
in a term is a formula of polynomials, quotients and comparisons. Strides and dilations may be
symbols here, unlike in `families`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol, TypeAlias

import numpy as np

from convalg.axis import Axis, Piece, Size
from convalg.errors import UndecidableError
from convalg.geometry import Geometry
from convalg.kernels import SymbolicKernel
from convalg.operators.leaves import (
    Adjoint,
    Convolution,
    Diagonal,
    Matrix,
    Patches,
    Selection,
    SparseMatrix,
)
from convalg.operators.tree import Compose, Kron, Operator, Scaled, Sum
from convalg.prove.decisions.families import MOST_WEIGHTS
from convalg.prove.decisions.polynomials import Polynomial
from convalg.prove.decisions.smtlib import Script
from convalg.size import size_product

MOST_TERMS = 200
"""The number of terms that one claim may be split into."""

Index: TypeAlias = "list[Size]"
"""One size or symbol per axis."""
Conditions: TypeAlias = "list[str]"
Labels: TypeAlias = "dict[int, Index]"
"""The index of the weight of each factor that has a symbolic kernel, by `id` of the factor."""


class Factor(Protocol):
    """A part of a term: a relation between rows and columns, for given labels.

    `forward` returns the column of a row and `backward` the row of a column, each with the
    conditions under which there is one; they raise UndecidableError where it is not unique.
    `member` returns the conditions under which a row and a column are related.
    """

    def forward(self, script: Script, row: Index, labels: Labels) -> tuple[Conditions, Index]:
        """Return the column that a row is related to."""

    def backward(self, script: Script, column: Index, labels: Labels) -> tuple[Conditions, Index]:
        """Return the row that a column is related to."""

    def member(self, script: Script, row: Index, column: Index, labels: Labels) -> Conditions:
        """Return the conditions for an entry at a row and a column."""


class _NotUniqueError(UndecidableError):
    """A row has several columns, or a column several rows."""


def _joined(script: Script, one: Index, other: Index) -> Conditions:
    return [script.equal(a, b) for a, b in zip(one, other, strict=True)]


class _Member:
    """A factor whose columns follow from its rows."""

    def member(
        self: Factor, script: Script, row: Index, column: Index, labels: Labels
    ) -> Conditions:
        """Return the conditions for an entry at a row and a column."""
        conditions, read = self.forward(script, row, labels)
        return conditions + _joined(script, read, column)


@dataclass(frozen=True, eq=False)
class _AxisPiece:
    """The triples of one axis that one piece of the boundary rule reads."""

    axis: Axis
    piece: Piece

    def _conditions(self, script: Script, output: Size, tap: Size, raw: Size) -> Conditions:
        piece = self.piece
        conditions = script.within(output, self.axis.out_size)
        conditions += script.within(tap, self.axis.taps)
        if piece.low is not None:
            conditions.append(script.at_least(raw, piece.low))
        if piece.high is not None:
            conditions.append(script.at_least(piece.high, raw))
        return conditions

    def input_of(self, script: Script, output: Size, tap: Size) -> tuple[Conditions, Size]:
        """Return the input that a tap of an output reads."""
        raw = self.axis.raw(output, tap)
        column = self.piece.sign * raw + self.piece.constant
        return self._conditions(script, output, tap, raw), column

    def _raw(self, column: Size) -> Any:
        """Return the raw index that reads an input."""
        if self.piece.sign == 0:
            raise _NotUniqueError(
                "the samples beyond an edge all read the same input, so that an input does not "
                "determine an index: use numbers for the sizes"
            )
        return self.piece.sign * (column - self.piece.constant)

    def output_of(self, script: Script, column: Size, tap: Size) -> tuple[Conditions, Size]:
        """Return the output whose given tap reads an input."""
        raw = self._raw(column)
        rest, step = raw - self.axis.raw(0, tap), self.axis.raw(1, 0) - self.axis.raw(0, 0)
        output = script.quotient(rest, step)
        exact = script.equal(self.axis.raw(output, tap), raw)
        return [exact, *self._conditions(script, output, tap, raw)], output

    def tap_of(self, script: Script, output: Size, column: Size) -> tuple[Conditions, Size]:
        """Return the tap by which an output reads an input."""
        raw = self._raw(column)
        rest, step = raw - self.axis.raw(output, 0), self.axis.raw(0, 1) - self.axis.raw(0, 0)
        tap = 0 if self.axis.taps == 1 else script.quotient(rest, step)
        exact = script.equal(self.axis.raw(output, tap), raw)
        return [exact, *self._conditions(script, output, tap, raw)], tap


def _pieces(axes: Sequence[Axis]) -> Iterator[tuple[_AxisPiece, ...]]:
    """Yield all combinations of one piece of the boundary rule per axis."""
    return product(*([_AxisPiece(axis, piece) for piece in axis.pieces()] for axis in axes))


def _local(kernel: SymbolicKernel, label: Index) -> Index:
    """Return the index of a kernel that is at an index of the named weights."""
    return [
        kernel.named_shape[axis] - 1 - label[axis] if is_flipped else label[axis]
        for axis, is_flipped in zip(kernel.axes, kernel.flipped, strict=True)
    ]


def _source(
    script: Script, geometry: Geometry, output: Size, channel: Size
) -> tuple[Conditions, Size]:
    """Return the input channel that channel `channel` of the kernel reads for an output channel."""
    groups, outputs, inputs = geometry.channels
    conditions = [*script.within(output, geometry.out_channels), *script.within(channel, inputs)]
    if groups == 1:
        return conditions, channel
    return conditions, script.quotient(output, outputs) * inputs + channel


@dataclass(frozen=True, eq=False)
class _Layer(_Member):
    """A layer without channels in the kernel's index, or with: rows are outputs, columns inputs.

    `taps`: the index of the kernel, where it is fixed; otherwise the label is the index.
    """

    geometry: Geometry
    axes: tuple[_AxisPiece, ...]
    kernel: SymbolicKernel | None = None
    taps: tuple[int, ...] = ()

    def _index(self, labels: Labels) -> Index:
        return list(self.taps) if self.kernel is None else _local(self.kernel, labels[id(self)])

    def forward(self, script: Script, row: Index, labels: Labels) -> tuple[Conditions, Index]:
        """Return the input that an output reads with the weight of the label."""
        index = self._index(labels)
        conditions: Conditions = []
        column: Index = []
        lead = int(self.geometry.has_channels)
        if lead:
            conditions, channel = _source(script, self.geometry, index[0], index[1])
            conditions.append(script.equal(row[0], index[0]))
            column.append(channel)
        for axis, output, tap in zip(self.axes, row[lead:], index[2 * lead :], strict=True):
            more, position = axis.input_of(script, output, tap)
            conditions += more
            column.append(position)
        return conditions, column

    def backward(self, script: Script, column: Index, labels: Labels) -> tuple[Conditions, Index]:
        """Return the output that reads an input with the weight of the label."""
        index = self._index(labels)
        conditions: Conditions = []
        row: Index = []
        lead = int(self.geometry.has_channels)
        if lead:
            conditions, channel = _source(script, self.geometry, index[0], index[1])
            conditions.append(script.equal(column[0], channel))
            row.append(index[0])
        for axis, source, tap in zip(self.axes, column[lead:], index[2 * lead :], strict=True):
            more, position = axis.output_of(script, source, tap)
            conditions += more
            row.append(position)
        return conditions, row


@dataclass(frozen=True, eq=False)
class _Window:
    """A window sum of symbolic size: an entry is 1 where some tap of the output reads the input."""

    axes: tuple[_AxisPiece, ...]

    def forward(self, script: Script, row: Index, labels: Labels) -> tuple[Conditions, Index]:
        """Raise, since an output reads several inputs."""
        raise _NotUniqueError(
            "an output of a window sum of symbolic size reads several inputs, so that the number "
            "of times that a product is added to one entry depends on the sizes: use numbers for "
            "some of the sizes"
        )

    backward = forward

    def member(self, script: Script, row: Index, column: Index, labels: Labels) -> Conditions:
        """Return the conditions for an output to read an input."""
        return [
            condition
            for axis, output, source in zip(self.axes, row, column, strict=True)
            for condition in axis.tap_of(script, output, source)[0]
        ]


@dataclass(frozen=True, eq=False)
class _Reads(_Member):
    """B(x): rows are outputs, columns weights, and the label is an input.

    With `is_transposed`, rows are inputs of the layer and the label is an output.
    """

    geometry: Geometry
    axes: tuple[_AxisPiece, ...]
    kernel: SymbolicKernel
    is_transposed: bool

    def _channels(
        self, script: Script, output: Size, channel: Size, source: Size
    ) -> tuple[Conditions, Size]:
        """Return the channel of the kernel; `channel` is None where it follows from the source."""
        if channel is None:
            start = _source(script, self.geometry, output, 0)[1]
            channel = source - start
        conditions, read = _source(script, self.geometry, output, channel)
        return [*conditions, script.equal(read, source)], channel

    def forward(self, script: Script, row: Index, labels: Labels) -> tuple[Conditions, Index]:
        """Return the weight with which a row uses the sample of the label."""
        other = _local(self.kernel, labels[id(self)])
        outputs, inputs = (other, row) if self.is_transposed else (row, other)
        conditions: Conditions = []
        column: Index = []
        lead = int(self.geometry.has_channels)
        if lead:
            conditions, channel = self._channels(script, outputs[0], None, inputs[0])
            column += [outputs[0], channel]
        for axis, output, source in zip(self.axes, outputs[lead:], inputs[lead:], strict=True):
            more, tap = axis.tap_of(script, output, source)
            conditions += more
            column.append(tap)
        return conditions, column

    def backward(self, script: Script, column: Index, labels: Labels) -> tuple[Conditions, Index]:
        """Return the row that uses the sample of the label with a weight."""
        other = _local(self.kernel, labels[id(self)])
        lead = int(self.geometry.has_channels)
        conditions: Conditions = []
        row: Index = []
        if lead and self.is_transposed:
            conditions, source = _source(script, self.geometry, column[0], column[1])
            conditions.append(script.equal(other[0], column[0]))
            row.append(source)
        elif lead:
            conditions, _ = self._channels(script, column[0], column[1], other[0])
            row.append(column[0])
        for axis, sample, tap in zip(self.axes, other[lead:], column[2 * lead :], strict=True):
            step = axis.input_of if self.is_transposed else axis.output_of
            more, position = step(script, sample, tap)
            conditions += more
            row.append(position)
        return conditions, row


@dataclass(frozen=True, eq=False)
class _Entry(_Member):
    """A single entry of a matrix."""

    row: tuple[int, ...]
    column: tuple[int, ...]

    def forward(self, script: Script, row: Index, labels: Labels) -> tuple[Conditions, Index]:
        """Return the column of the entry, if this is its row."""
        return _joined(script, row, list(self.row)), list(self.column)

    def backward(self, script: Script, column: Index, labels: Labels) -> tuple[Conditions, Index]:
        """Return the row of the entry, if this is its column."""
        return _joined(script, column, list(self.column)), list(self.row)


@dataclass(frozen=True, eq=False)
class _Transposed:
    """A factor with rows and columns exchanged."""

    factor: Factor

    def forward(self, script: Script, row: Index, labels: Labels) -> tuple[Conditions, Index]:
        """Return the column that a row is related to."""
        return self.factor.backward(script, row, labels)

    def backward(self, script: Script, column: Index, labels: Labels) -> tuple[Conditions, Index]:
        """Return the row that a column is related to."""
        return self.factor.forward(script, column, labels)

    def member(self, script: Script, row: Index, column: Index, labels: Labels) -> Conditions:
        """Return the conditions for an entry at a row and a column."""
        return self.factor.member(script, column, row, labels)


@dataclass(frozen=True, eq=False)
class _Reshaped:
    """A factor between other shapes than its own, each in row-major order."""

    factor: Factor
    inner: tuple[tuple[Size, ...], tuple[Size, ...]]
    """The shapes of the output and of the input of the factor."""
    outer: tuple[tuple[Size, ...], tuple[Size, ...]]

    def forward(self, script: Script, row: Index, labels: Labels) -> tuple[Conditions, Index]:
        """Return the column that a row is related to."""
        conditions, inside = _reindexed(script, row, self.outer[0], self.inner[0])
        more, column = self.factor.forward(script, inside, labels)
        last, outside = _reindexed(script, column, self.inner[1], self.outer[1])
        return [*conditions, *more, *last], outside

    def backward(self, script: Script, column: Index, labels: Labels) -> tuple[Conditions, Index]:
        """Return the row that a column is related to."""
        conditions, inside = _reindexed(script, column, self.outer[1], self.inner[1])
        more, row = self.factor.backward(script, inside, labels)
        last, outside = _reindexed(script, row, self.inner[0], self.outer[0])
        return [*conditions, *more, *last], outside

    def member(self, script: Script, row: Index, column: Index, labels: Labels) -> Conditions:
        """Return the conditions for an entry at a row and a column."""
        first, inside = _reindexed(script, row, self.outer[0], self.inner[0])
        second, within = _reindexed(script, column, self.outer[1], self.inner[1])
        return [*first, *second, *self.factor.member(script, inside, within, labels)]


def _reindexed(
    script: Script, index: Index, before: tuple[Size, ...], after: tuple[Size, ...]
) -> tuple[Conditions, Index]:
    """Return the index with the same row-major position in another shape."""
    if before == after:
        return [], index
    bounds = [
        condition
        for value, size in zip(index, before, strict=True)
        for condition in script.within(value, size)
    ]
    kept = [[k for k, size in enumerate(shape) if size != 1] for shape in (before, after)]
    if [before[k] for k in kept[0]] == [after[k] for k in kept[1]]:
        indices: Index = [0] * len(after)
        for source, target in zip(*kept, strict=True):
            indices[target] = index[source]
        return bounds, indices
    position: Size = 0
    for value, size in zip(index, before, strict=True):
        position = position * size + value
    indices = []
    for k in range(len(after)):
        block = size_product(after[k + 1 :])
        value = script.quotient(position, block)
        indices.append(value)
        position = position - value * block
    return bounds, indices


@dataclass(frozen=True, eq=False)
class _Product:
    """A product of factors, from left to right."""

    factors: tuple[Factor, ...]

    def forward(self, script: Script, row: Index, labels: Labels) -> tuple[Conditions, Index]:
        """Return the column that a row is related to."""
        conditions: Conditions = []
        for factor in self.factors:
            more, row = factor.forward(script, row, labels)
            conditions += more
        return conditions, row

    def backward(self, script: Script, column: Index, labels: Labels) -> tuple[Conditions, Index]:
        """Return the row that a column is related to."""
        conditions: Conditions = []
        for factor in reversed(self.factors):
            more, column = factor.backward(script, column, labels)
            conditions += more
        return conditions, column

    def member(self, script: Script, row: Index, column: Index, labels: Labels) -> Conditions:
        """Return the conditions for an entry: from both ends to one factor in the middle."""
        rest = list(self.factors)
        conditions: Conditions = []
        while len(rest) > 1:
            try:
                more, row = rest[0].forward(script, row, labels)
                rest.pop(0)
            except _NotUniqueError:
                more, column = rest[-1].backward(script, column, labels)
                rest.pop()
            conditions += more
        return conditions + rest[0].member(script, row, column, labels)


@dataclass(frozen=True, eq=False)
class _Outer:
    """A Kronecker product; the left factor acts on the first axes."""

    left: Factor
    right: Factor
    rows: int
    columns: int

    def forward(self, script: Script, row: Index, labels: Labels) -> tuple[Conditions, Index]:
        """Return the column that a row is related to."""
        one, first = self.left.forward(script, row[: self.rows], labels)
        other, second = self.right.forward(script, row[self.rows :], labels)
        return one + other, first + second

    def backward(self, script: Script, column: Index, labels: Labels) -> tuple[Conditions, Index]:
        """Return the row that a column is related to."""
        one, first = self.left.backward(script, column[: self.columns], labels)
        other, second = self.right.backward(script, column[self.columns :], labels)
        return one + other, first + second

    def member(self, script: Script, row: Index, column: Index, labels: Labels) -> Conditions:
        """Return the conditions for an entry at a row and a column."""
        rows, columns = self.rows, self.columns
        return [
            *self.left.member(script, row[:rows], column[:columns], labels),
            *self.right.member(script, row[rows:], column[columns:], labels),
        ]


@dataclass(frozen=True, eq=False)
class FormulaTerm:
    """A coefficient times the product of the weights of some factors, at the points of a factor.

    `named`: the parts of `factor` with a symbolic kernel, each with its kernel, in order.
    """

    coefficient: Polynomial
    named: tuple[tuple[Factor, SymbolicKernel], ...]
    factor: Factor


def terms(operator: Operator) -> list[FormulaTerm]:
    """Return a family as a sum of terms.

    Raises: UndecidableError for an operator with too many terms, or with a leaf of another kind.
    """
    if (count := _count(operator)) > MOST_TERMS:
        raise UndecidableError(
            f"budget exceeded: {operator!r} splits into {count} terms, more than {MOST_TERMS}: use "
            f"numbers for some sizes"
        )
    return list(_terms(operator))


def _count(operator: Operator) -> int:
    match operator:
        case Compose(factors=parts):
            return math.prod(_count(part) for part in parts)
        case Kron(left=left, right=right):
            return _count(left) * _count(right)
        case Sum(terms=parts):
            return sum(map(_count, parts))
        case Scaled(operator=inner) | Adjoint(operator=inner):
            return _count(inner)
        case Convolution(geometry=geometry, weights=values):
            pieces = math.prod(len(axis.pieces()) for axis in geometry.axes)
            return pieces * (1 if isinstance(values, SymbolicKernel) else int(values.size))
        case Selection(geometry=geometry):
            pieces = math.prod(len(axis.pieces()) for axis in geometry.axes)
            return pieces * (int(size_product(geometry.taps)) if _is_split(operator) else 1)
        case Diagonal(values=values) | Matrix(values=values) | SparseMatrix(values=values):
            return int(values.size)
    return 1


def _terms(operator: Operator) -> Iterator[FormulaTerm]:
    match operator:
        case Compose(factors=parts):
            for chosen in product(*(list(_terms(part)) for part in parts)):
                yield _combined(chosen, _Product(tuple(term.factor for term in chosen)))
        case Kron(left=left, right=right):
            rows, columns = len(left.out_shape), len(left.in_shape)
            for one, other in product(list(_terms(left)), list(_terms(right))):
                outer = _Outer(one.factor, other.factor, rows, columns)
                yield _combined((one, other), outer)
        case Sum(terms=parts):
            for part in parts:
                yield from _terms(part)
        case Scaled(factor=factor, operator=inner):
            for term in _terms(inner):
                yield FormulaTerm(term.coefficient * Polynomial.of(factor), term.named, term.factor)
        case Adjoint(operator=inner):
            for term in _terms(inner):
                yield FormulaTerm(term.coefficient, term.named, _Transposed(term.factor))
        case _:
            yield from _leaf_terms(operator)


def _combined(parts: Sequence[FormulaTerm], factor: Factor) -> FormulaTerm:
    coefficient = Polynomial.of(1)
    for part in parts:
        coefficient = coefficient * part.coefficient
    return FormulaTerm(coefficient, tuple(pair for part in parts for pair in part.named), factor)


def _plain(factor: Factor, value: object = 1) -> FormulaTerm:
    return FormulaTerm(Polynomial.of(value), (), factor)


def _is_split(leaf: Selection) -> bool:
    """Whether a window sum is written tap by tap."""
    taps = leaf.geometry.taps
    return all(isinstance(size, int) for size in taps) and size_product(taps) <= MOST_WEIGHTS


def _leaf_terms(leaf: Operator) -> Iterator[FormulaTerm]:
    match leaf:
        case Convolution(geometry=geometry, weights=SymbolicKernel() as kernel):
            for axes in _pieces(geometry.axes):
                layer = _Layer(geometry, axes, kernel)
                yield FormulaTerm(Polynomial.of(1), ((layer, kernel),), layer)
        case Convolution(geometry=geometry, weights=values):
            for axes, (taps, value) in product(_pieces(geometry.axes), np.ndenumerate(values)):
                yield _plain(_Layer(geometry, axes, taps=taps), value)
        case Selection(geometry=geometry):
            yield from map(_plain, _selected(leaf, geometry))
        case Patches(geometry=geometry, values=SymbolicKernel() as kernel):
            for axes in _pieces(geometry.axes):
                reads = _Reads(geometry, axes, kernel, leaf.transposed)
                yield FormulaTerm(Polynomial.of(1), ((reads, kernel),), reads)
        case Diagonal(values=values):
            for index, value in np.ndenumerate(values):
                yield _plain(_Entry(index, index), value)
        case Matrix(values=values):
            for (row, column), value in np.ndenumerate(values):
                yield _plain(_entry(leaf, row, column), value)
        case SparseMatrix(values=values, indices=columns, indptr=starts):
            rows = np.repeat(np.arange(leaf.shape[0]), np.diff(starts))
            for row, column, value in zip(rows, columns, values, strict=True):
                yield _plain(_entry(leaf, row, column), value)
        case _:
            raise UndecidableError(
                f"{leaf!r} is not supported with symbolic sizes: use numbers for its sizes"
            )


def _selected(leaf: Selection, geometry: Geometry) -> Iterator[Factor]:
    inner = geometry.out_shape, geometry.in_shape
    outer = leaf.out_shape, leaf.in_shape
    for axes in _pieces(geometry.axes):
        factors: list[Factor] = [_Window(axes)]
        if _is_split(leaf):
            factors = [_Layer(geometry, axes, taps=taps) for taps in np.ndindex(*geometry.taps)]
        for factor in factors:
            yield factor if inner == outer else _Reshaped(factor, inner, outer)


def _entry(leaf: Matrix | SparseMatrix, row: np.integer | int, column: np.integer | int) -> _Entry:
    first, second = np.unravel_index(row, leaf.out_shape), np.unravel_index(column, leaf.in_shape)
    return _Entry(tuple(map(int, first)), tuple(map(int, second)))

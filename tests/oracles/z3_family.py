"""A second decision procedure: operators with letters as formulas for z3.

Written from the definition i = s o + d t - p and the plain words for the borders, and sharing
nothing with the sets that isl gets. Every middle index of a product is computed from what is
known on its left (the row and the labels), so that no quantifier is left; a sum of numbers over
such formulas stands for a family whose kernels are given as numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import sympy
import z3

import convalg as ca
from convalg.kernels import SymbolicKernel
from convalg.operators.leaves import Adjoint, Convolution, Diagonal, Matrix, Patches, Selection
from convalg.operators.tree import Compose, Kron, Scaled, Sum, leaves
from convalg.prove.decisions.polynomials import Polynomial

Labels = dict[str, list[Any]]
Step = tuple[Any, list[Any]]
"""A condition and the index that one factor leads to."""


class OutsideError(Exception):
    """The converter does not speak of this."""


def number(value: Any) -> Any:
    """A size as a z3 expression."""
    value = sympy.sympify(value)
    match value:
        case sympy.Integer():
            return z3.IntVal(int(value))
        case sympy.Symbol():
            return z3.Int(value.name)
        case sympy.Add():
            return z3.Sum([number(term) for term in value.args])
        case sympy.floor():
            above, below = sympy.together(value.args[0]).as_numer_denom()
            if below.is_Integer and below > 0:
                return number(sympy.expand(above)) / int(below)
        case sympy.Mul():
            factor, rest = value.as_coeff_Mul()
            if factor.is_Integer and factor != 1:
                return int(factor) * number(rest)
        case sympy.Max():
            first, *others = (number(term) for term in value.args)
            for other in others:
                first = z3.If(first >= other, first, other)
            return first
    raise OutsideError(f"{value} is not linear")


def within(index: Any, size: Any) -> Any:
    return z3.And(index >= 0, index < number(size))


def folded(axis: Any, raw: Any) -> tuple[Any, Any]:
    """Which input a raw index reads, and whether it reads one: the borders, folded once."""
    n = number(axis.in_size)
    before, behind = {
        "zeros": (raw, raw),
        "circular": (raw + n, raw - n),
        "edge": (z3.IntVal(0), n - 1),
        "reflect": (-raw, 2 * n - 2 - raw),
        "symmetric": (-1 - raw, 2 * n - 1 - raw),
    }[axis.boundary]
    column = z3.If(raw < 0, before, z3.If(raw >= n, behind, raw))
    return z3.And(column >= 0, column < n), column


def divided(value: Any, by: int) -> tuple[Any, Any]:
    """value / by, where that is whole."""
    if by < 0:
        value, by = -value, -by
    return value % by == 0, value / by


def read(axis: Any, o: Any, t: Any) -> tuple[Any, Any]:
    """The input that tap t of output o reads."""
    raw = axis.stride * o + axis.dilation * t - number(axis.padding)
    is_read, column = folded(axis, raw)
    return z3.And(within(o, axis.out_size), within(t, axis.taps), is_read), column


def output_of(axis: Any, i: Any, t: Any, wraps: int | None = None) -> tuple[Any, Any]:
    """The output whose tap t reads input i: o = (i - d t + p) / s, with i some periods further."""
    _need_zeros(axis, wraps)
    raw = i + (wraps or 0) * number(axis.in_size)
    whole, o = divided(raw - axis.dilation * t + number(axis.padding), axis.stride)
    return z3.And(whole, *_boxed(axis, o, t, i)), o


def tap_of(axis: Any, o: Any, i: Any, wraps: int | None = None) -> tuple[Any, Any]:
    """The tap by which output o reads input i: t = (i - s o + p) / d, as above."""
    _need_zeros(axis, wraps)
    raw = i + (wraps or 0) * number(axis.in_size)
    whole, t = divided(raw - axis.stride * o + number(axis.padding), axis.dilation)
    return z3.And(whole, *_boxed(axis, o, t, i)), t


def _boxed(axis: Any, o: Any, t: Any, i: Any) -> list[Any]:
    return [within(o, axis.out_size), within(t, axis.taps), within(i, axis.in_size)]


def _need_zeros(axis: Any, wraps: int | None) -> None:
    if axis.boundary != "zeros" and (axis.boundary != "circular" or wraps is None):
        raise OutsideError(f"the inverse of the boundary {axis.boundary}")


@dataclass(frozen=True)
class Fixed:
    """A leaf, or the adjoint of one, with the tap of its numeric kernel chosen."""

    leaf: Any
    turned: bool
    taps: tuple[int, ...] | None = None
    wraps: tuple[int, ...] = ()
    """By how many periods each axis is continued, where an index is computed from an input."""

    def _periods(self) -> tuple[int | None, ...]:
        return self.wraps or (None,) * len(self.leaf.geometry.axes)

    def local(self, labels: Labels) -> list[Any]:
        """The index of the kernel (channels first) that is at work."""
        if self.taps is not None:
            return [z3.IntVal(tap) for tap in self.taps]
        if isinstance(self.leaf, Selection):
            raise OutsideError("a product with sums over windows of symbolic size")
        kernel = self.leaf.weights if isinstance(self.leaf, Convolution) else self.leaf.values
        found = []
        for axis, flipped in zip(kernel.axes, kernel.flipped, strict=True):
            index = labels[kernel.name][axis]
            found.append(number(kernel.named_shape[axis]) - 1 - index if flipped else index)
        return found

    def forward(self, row: list[Any], labels: Labels) -> Step:
        """From a row to the one column that these labels join it with."""
        if isinstance(self.leaf, Patches):
            return self._patches(row, labels)
        geometry, local = self.leaf.geometry, self.local(labels)
        if isinstance(self.leaf, Selection):
            row = _reshaped(row, self._side(rows=True), self._side(rows=True, inner=True))
        lead = int(geometry.has_channels)
        conditions, column = self._channels(row, local) if lead else ([], [])
        taps = local[2 * lead :]
        for axis, index, tap, wrap in zip(
            geometry.axes, row[lead:], taps, self._periods(), strict=True
        ):
            step = output_of(axis, index, tap, wrap) if self.turned else read(axis, index, tap)
            condition, found = step
            conditions.append(condition)
            column.append(found)
        if isinstance(self.leaf, Selection):
            column = _reshaped(column, self._side(rows=False, inner=True), self._side(rows=False))
        return z3.And(*conditions), column

    def member(self, row: list[Any], column: list[Any], labels: Labels) -> Any:
        """Whether these labels join a row and a column."""
        if self.turned and isinstance(self.leaf, Selection) and self._has_border():
            return Fixed(self.leaf, False, self.taps).member(column, row, labels)
        if self.taps is None and isinstance(self.leaf, Selection):
            return self._summed(row, column)
        condition, found = self.forward(row, labels)
        return z3.And(condition, *(a == b for a, b in zip(found, column, strict=True)))

    def _has_border(self) -> bool:
        return any(axis.boundary != "zeros" for axis in self.leaf.geometry.axes)

    def _side(self, *, rows: bool, inner: bool = False) -> tuple[Any, ...]:
        owner = self.leaf.geometry if inner else self.leaf
        return owner.out_shape if rows != self.turned else owner.in_shape

    def _channels(self, row: list[Any], local: list[Any]) -> tuple[list[Any], list[Any]]:
        geometry = self.leaf.geometry
        groups, outputs, inputs = geometry.channels
        o, c = local[:2]
        conditions = [within(o, geometry.out_channels), within(c, inputs)]
        if groups == 1:
            i = c
        elif outputs == inputs == 1:
            i = o + c
        elif isinstance(outputs, int) and isinstance(inputs, int):
            i = o / outputs * inputs + c
        else:
            raise OutsideError(f"groups of {outputs} channels")
        conditions.append(within(i, geometry.in_channels))
        source, target = (i, o) if self.turned else (o, i)
        return [*conditions, row[0] == source], [target]

    def _summed(self, row: list[Any], column: list[Any]) -> Any:
        """A sum over as many taps as a letter says: there is one tap for each input at most."""
        outputs, inputs = (column, row) if self.turned else (row, column)
        triples = zip(self.leaf.axes, outputs, inputs, strict=True)
        return z3.And(*(tap_of(axis, o, i)[0] for axis, o, i in triples))

    def _patches(self, row: list[Any], labels: Labels) -> Step:
        """B(x): rows are outputs, columns taps (or the reverse), and the label is the input."""
        geometry, inputs = self.leaf.geometry, self.local(labels)
        if self.leaf.transposed:
            return self._patches_of_adjoint(row, inputs)
        lead = int(geometry.has_channels)
        if self.turned:
            return self._patches_turned(row, inputs)
        conditions, column = [], []
        if lead:
            start, each = self._group_of(row[0])
            conditions += [within(row[0], geometry.out_channels)]
            conditions += [inputs[0] >= start, inputs[0] < start + each]
            column += [row[0], inputs[0] - start]
        for axis, o, i, wrap in zip(
            geometry.axes, row[lead:], inputs[lead:], self._periods(), strict=True
        ):
            condition, tap = tap_of(axis, o, i, wrap)
            conditions.append(condition)
            column.append(tap)
        return z3.And(*conditions), column

    def _patches_turned(self, row: list[Any], inputs: list[Any]) -> Step:
        geometry = self.leaf.geometry
        lead = int(geometry.has_channels)
        conditions, column = [], []
        if lead:
            start, each = self._group_of(row[0])
            conditions = [within(row[0], geometry.out_channels), *_bounds(row[1], each)]
            conditions.append(inputs[0] == start + row[1])
            column = [row[0]]
        each_axis = zip(geometry.axes, inputs[lead:], row[2 * lead :], self._periods(), strict=True)
        steps = [output_of(axis, i, t, wrap) for axis, i, t, wrap in each_axis]
        conditions += [condition for condition, _ in steps]
        return z3.And(*conditions), column + [found for _, found in steps]

    def _group_of(self, output: Any) -> tuple[Any, Any]:
        """The first input channel that an output channel reads, and how many it reads."""
        geometry = self.leaf.geometry
        _, outputs, inputs = geometry.channels
        if geometry.groups == 1:
            return z3.IntVal(0), number(inputs)
        if outputs == inputs == 1:
            return output, z3.IntVal(1)
        if isinstance(outputs, int) and isinstance(inputs, int):
            return output / outputs * inputs, z3.IntVal(inputs)
        raise OutsideError(f"groups of {outputs} channels")

    def _patches_of_adjoint(self, row: list[Any], outputs: list[Any]) -> Step:
        """Rows are inputs of the layer or, where turned, taps; the label is one of its outputs."""
        geometry = self.leaf.geometry
        if geometry.has_channels:
            raise OutsideError("patches of an adjoint layer with channels")
        step = read if self.turned else tap_of
        triples = zip(geometry.axes, outputs, row, strict=True)
        steps = [step(axis, o, index) for axis, o, index in triples]
        return z3.And(*(condition for condition, _ in steps)), [found for _, found in steps]


def _bounds(index: Any, size: Any) -> list[Any]:
    return [index >= 0, index < size]


def _reshaped(index: list[Any], before: tuple[Any, ...], after: tuple[Any, ...]) -> list[Any]:
    """An index in another shape: of numbers after the first, or with other axes of one sample."""
    if before == after:
        return index
    kept = [k for k, size in enumerate(before) if size != 1]
    places = [k for k, size in enumerate(after) if size != 1]
    if [before[k] for k in kept] != [after[k] for k in places]:
        if not all(isinstance(size, int) for size in (*before[1:], *after[1:])):
            raise OutsideError(f"a reshape of {before} to {after}")
        flat = index[0]
        for value, size in zip(index[1:], before[1:], strict=True):
            flat = flat * size + value
        found: list[Any] = []
        for size in reversed(after[1:]):
            found.insert(0, flat % size)
            flat = flat / size
        found.insert(0, flat)
        return found
    found = [z3.IntVal(0)] * len(after)
    for k, place in zip(kept, places, strict=True):
        found[place] = index[k]
    return found


@dataclass(frozen=True)
class Product:
    """Factors from left to right."""

    factors: tuple[Any, ...]

    def forward(self, row: list[Any], labels: Labels) -> Step:
        conditions = []
        for factor in self.factors:
            condition, row = factor.forward(row, labels)
            conditions.append(condition)
        return z3.And(*conditions), row

    def member(self, row: list[Any], column: list[Any], labels: Labels) -> Any:
        condition, middle = Product(self.factors[:-1]).forward(row, labels)
        return z3.And(condition, self.factors[-1].member(middle, column, labels))


@dataclass(frozen=True)
class Outer:
    """A Kronecker product: the left factor on the first axes."""

    left: Any
    right: Any
    rows: int
    columns: int

    def forward(self, row: list[Any], labels: Labels) -> Step:
        one, first = self.left.forward(row[: self.rows], labels)
        other, second = self.right.forward(row[self.rows :], labels)
        return z3.And(one, other), first + second

    def member(self, row: list[Any], column: list[Any], labels: Labels) -> Any:
        return z3.And(
            self.left.member(row[: self.rows], column[: self.columns], labels),
            self.right.member(row[self.rows :], column[self.columns :], labels),
        )


Expanded = Iterator[tuple[Polynomial, tuple[str, ...], Any]]


def expanded(node: Any) -> Expanded:
    """(coefficient, names of kernels, what is left): sums and numeric kernels written out."""
    match node:
        case Compose():
            for each in product(*(list(expanded(factor)) for factor in node.factors)):
                yield _joined([e[:2] for e in each], Product(tuple(e[2] for e in each)))
        case Kron(left=left, right=right):
            for a, b in product(list(expanded(left)), list(expanded(right))):
                outer = Outer(a[2], b[2], len(left.out_shape), len(left.in_shape))
                yield _joined([a[:2], b[:2]], outer)
        case Sum():
            for term in node.terms:
                yield from expanded(term)
        case Scaled(factor=factor, operator=operator):
            for coefficient, names, rest in expanded(operator):
                yield coefficient * Polynomial.of(factor), names, rest
        case Adjoint(operator=leaf):
            yield from _expanded_leaf(leaf, True)
        case _:
            yield from _expanded_leaf(node, False)


def _joined(parts: list[Any], rest: Any) -> Any:
    coefficient, names = Polynomial.of(1), ()
    for one, some in parts:
        coefficient, names = coefficient * one, names + some
    return coefficient, names, rest


def _expanded_leaf(leaf: Any, turned: bool) -> Expanded:
    match leaf:
        case (
            Convolution(weights=SymbolicKernel(name=name))
            | Patches(values=SymbolicKernel(name=name))
        ):
            inverts = turned or isinstance(leaf, Patches)
            periods = [
                (-1, 0, 1) if inverts and axis.boundary == "circular" else (0,)
                for axis in leaf.geometry.axes
            ]
            for wraps in product(*periods):
                yield Polynomial.of(1), (name,), Fixed(leaf, turned, None, wraps)
        case Convolution(weights=weights):
            for index, value in np.ndenumerate(weights):
                yield Polynomial.of(value), (), Fixed(leaf, turned, index)
        case Selection():
            taps = leaf.geometry.taps
            if not all(isinstance(size, int) for size in taps):
                yield Polynomial.of(1), (), Fixed(leaf, turned)
                return
            for index in np.ndindex(*taps):
                yield Polynomial.of(1), (), Fixed(leaf, turned, index)
        case _:
            raise OutsideError(f"a leaf {type(leaf).__name__}")


def domain(sides: tuple[ca.Operator, ca.Operator]) -> list[Any]:
    """The sizes at which a user could write both sides down."""
    found = []
    for side in sides:
        found += [number(letter) >= 0 for letter in side.symbols]
        for leaf in leaves(side):
            if isinstance(leaf, (Matrix, Diagonal)):
                continue  # Numbers, whose sizes are numbers too.
            # What a constructor asks for beyond its axes: a range of output_padding, a size.
            found += [number(condition.value) >= 0 for condition in leaf.geometry.conditions]
            for axis in leaf.geometry.axes:
                found += [number(size) >= 1 for size in (axis.in_size, axis.out_size, axis.taps)]
                reach = abs(axis.dilation) * (axis.taps - 1)
                start = axis.padding + (reach if axis.dilation < 0 else 0)
                end = axis.stride * (axis.out_size - 1) + reach - start - (axis.in_size - 1)
                if not isinstance(leaf, Selection):
                    found += [number(start) >= 0, number(end) > -axis.stride]
                if axis.boundary not in ("zeros", "edge"):
                    widest = number(axis.in_size) - int(axis.boundary == "reflect")
                    found += [number(start) <= widest, number(end) <= widest]
            for count in (leaf.geometry.in_channels, leaf.geometry.out_channels):
                found += [] if count is None else [number(count) >= 1]
    return found


def exists_at(sides: tuple[ca.Operator, ca.Operator], sizes: dict[str, int]) -> bool:
    """Whether sizes belong to the domain."""
    values = [(z3.Int(name), z3.IntVal(value)) for name, value in sizes.items()]
    found = z3.simplify(z3.substitute(z3.And(*domain(sides)), *values))
    return z3.is_true(found)


def difference(first: ca.Operator, second: ca.Operator) -> Iterator[list[Any]]:
    """Formulas that say, for each product of weights, that the two families differ."""
    row = [z3.Int(f"row{k}") for k in range(len(first.out_shape))]
    column = [z3.Int(f"column{k}") for k in range(len(first.in_shape))]
    labels: Labels = {}
    counts: dict[tuple[str, ...], list[Any]] = {}
    for sign, side in ((1, first), (-1, second)):
        for coefficient, names, term in expanded(side):
            if len(set(names)) < len(names):
                raise OutsideError("one kernel twice in a product")
            for leaf in leaves(side):
                kernel = getattr(leaf, "weights", getattr(leaf, "values", None))
                if isinstance(kernel, SymbolicKernel):
                    spots = range(kernel.ndim)
                    labels[kernel.name] = [z3.Int(f"{kernel.name}_label{k}") for k in spots]
            formula = term.member(row, column, labels)
            for monomial, value in coefficient.terms.items():
                weighed = z3.If(formula, z3.RealVal(str(Fraction(value) * sign)), z3.RealVal(0))
                counts.setdefault((*sorted(names), "|", *monomial), []).append(weighed)
    limits = domain((first, second))
    for indices, shape in ((row, first.out_shape), (column, first.in_shape)):
        limits += [within(index, size) for index, size in zip(indices, shape, strict=True)]
    for parts in counts.values():
        yield [*limits, z3.Sum(parts) != 0]


def decide(first: ca.Operator, second: ca.Operator, timeout: int = 10_000) -> str:
    """ "equal", "different", "nowhere" (no sizes), or "unknown" where z3 gives up.

    Raises: OutsideError.
    """
    if _satisfiable(domain((first, second)), timeout) == z3.unsat:
        return "nowhere"
    answers = []
    limits = domain((first, second))
    for shapes in ((first.out_shape, second.out_shape), (first.in_shape, second.in_shape)):
        for a, b in zip(*shapes, strict=True):
            answers.append(_satisfiable([*limits, number(a) != number(b)], timeout))
    answers += [_satisfiable(formulas, timeout) for formulas in difference(first, second)]
    if z3.sat in answers:
        return "different"
    return "unknown" if z3.unknown in answers else "equal"


def _satisfiable(formulas: list[Any], timeout: int) -> Any:
    solver = z3.Solver()
    solver.set("timeout", timeout)
    solver.add(*formulas)
    return solver.check()

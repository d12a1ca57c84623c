"""The arrays, indices, sums and operators of a layer, for derivations.

The correlation C of a geometry is (C x)[k, o] = sum over e, t of w[k, e, t] x[c, s o + d t - p],
with output channel k, input channel c = E (k // D) + e, and D outputs and E inputs per group.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import sympy

from convalg.axis import Axis, Size
from convalg.faces.latex import expression
from convalg.geometry import Geometry
from convalg.operators.tree import Operator
from convalg.prove.derivations.conditions import (
    Condition,
    Value,
    entries_of,
    pool_entries,
    pool_taps,
    quotient,
    within,
)
from convalg.prove.derivations.derivation import Step, step
from convalg.prove.derivations.indices import (
    Border,
    Floor,
    Index,
    expanded,
    read_at,
    size_latex,
    variable,
)
from convalg.prove.derivations.one_layer import OneLayer, one_layer
from convalg.prove.derivations.statements import Definition, Equation, Ranges, Setting, are_same
from convalg.prove.derivations.sums import (
    Applied,
    Array,
    Entry,
    Expression,
    IndexSum,
    Named,
    Plus,
    Times,
    Vector,
)
from convalg.size import is_symbolic


class Names:
    """Names of arrays, operators and indices that differ from those of the symbolic sizes.

    >>> import convalg as ca
    >>> names = Names(*ca.sizes("t n"))
    >>> names("t"), names("o"), names("A")
    ('\\\\hat{t}', 'o', 'A')
    """

    def __init__(self, *symbols: object) -> None:
        self._taken = {size_latex(symbol) for symbol in symbols}

    def __call__(self, name: str) -> str:
        """Return the name; with a hat or in another font if it is also the name of a size."""
        if name not in self._taken:
            return name
        return f"\\mathcal{{{name}}}" if name[:1].isupper() else f"\\hat{{{name}}}"


def _unchanged(entry: Entry) -> Expression:
    return entry


@dataclass(frozen=True)
class LayerSums:
    """The sums of one geometry for a kernel, and the names of its indices."""

    geometry: Geometry
    names: Names
    weights: Array | None
    """The unknown kernel; None for a pooling."""
    transposed: bool = False
    """For a transposed layer, the names i and o are exchanged, and so are the channels c and k."""
    factor: str = ""
    """The factor in front of the sum, as LaTeX."""

    def of(self, geometry: Geometry) -> LayerSums:
        """Return the sums of another geometry with the same kernel."""
        return replace(self, geometry=geometry)

    # Indices.

    def letter(self, name: str) -> str:
        """Return the name of an index or channel."""
        return self.names(_OTHER.get(name, name) if self.transposed else name)

    def each(self, letter: str) -> tuple[str, ...]:
        """Return the variables of an index: one, such as o, or o_1, o_2, ... for several axes."""
        count = len(self.geometry.axes)
        name = self.letter(letter)
        return (name,) if count == 1 else tuple(f"{name}_{{{k + 1}}}" for k in range(count))

    @property
    def lead(self) -> int:
        """1 if shapes begin with channels, else 0."""
        return int(self.geometry.has_channels)

    def index(self, letter: str, channel: str) -> tuple[Index, ...]:
        """Return the index of an array: its channel, if there are any, and a variable per axis."""
        spatial = tuple(map(variable, self.each(letter)))
        return (variable(self.letter(channel)), *spatial) if self.lead else spatial

    def free(self, letter: str, channel: str, shape: Sequence[Size]) -> Ranges:
        """Return the variables of `index`, each with its size from a shape."""
        own = (self.letter(channel),) if self.lead else ()
        return tuple(zip((*own, *self.each(letter)), shape, strict=True))

    @cached_property
    def borders(self) -> tuple[Border | None, ...]:
        """The boundary rule of each axis; None for an axis that is padded with zeros."""
        axes = self.geometry.axes
        folded = [axis for axis in axes if axis.boundary != "zeros"]
        alike = len({(axis.boundary, axis.in_size) for axis in folded}) == 1
        rules: list[Border | None] = []
        for number, axis in enumerate(axes):
            if axis.boundary == "zeros":
                rules.append(None)
                continue
            name = "\\rho" if alike else f"\\rho_{{{number + 1}}}"
            rules.append(Border.of(axis, name, (self.names("u"), self.names("r"))))
        if alike and any(rule is not None and rule.wraps for rule in rules):
            # All axes share one rule, which must be valid for the axis that reads furthest out.
            rules = [rule and replace(rule, wraps=True) for rule in rules]
        return tuple(rules)

    @property
    def rules(self) -> tuple[tuple[Border, Axis], ...]:
        """The boundary rules, each with its axis."""
        pairs = zip(self.borders, self.geometry.axes, strict=True)
        return tuple((border, axis) for border, axis in pairs if border is not None)

    def read(self) -> tuple[Index, ...]:
        """Return the input index that tap t of output o reads, on each axis."""
        rows = zip(self.geometry.axes, self.each("o"), self.each("t"), self.borders, strict=True)
        return tuple(read_at(*row) for row in rows)

    # Channels.

    @property
    def within(self) -> Index:
        """The index on the second axis of the kernel: e, or 0 if a group has one input channel."""
        groups, _, inputs = self.geometry.channels
        if groups != 1 and inputs == 1:
            return Index()
        return variable(self.letter("c" if groups == 1 else "e"))

    @property
    def channel(self) -> Index:
        """The input channel that weight [k, e] reads: E (k // D) + e."""
        groups, outputs, inputs = self.geometry.channels
        if groups == 1:
            return self.within
        k = self.letter("k")
        group = k if outputs == 1 else Floor(k, outputs)
        return Index(((inputs, group), *self.within.terms))

    def tap(self) -> tuple[Index, ...]:
        """Return the index of weight [k, e, t]."""
        spatial = tuple(map(variable, self.each("t")))
        return (variable(self.letter("k")), self.within, *spatial) if self.lead else spatial

    def flipped_tap(self) -> tuple[Index, ...]:
        """Return the index of weight [k, e, K - 1 - t]."""
        axes = zip(self.geometry.axes, self.each("t"), strict=True)
        spatial = tuple(Index(((-1, t),), expanded(axis.taps - 1)) for axis, t in axes)
        return (*self.tap()[: -len(spatial)], *spatial) if self.lead else spatial

    def _summed_forward(self) -> tuple[str, ...]:
        """Return the channels over which the sum for an output runs."""
        own = [atom for _, atom in self.within.terms if isinstance(atom, str)]
        return tuple(own) if self.lead else ()

    def _summed_back(self) -> tuple[tuple[str, ...], tuple[tuple[Index, Index], ...]]:
        """Return the channels over which the sum for an input runs, and the conditions on them."""
        groups, _, _ = self.geometry.channels
        if not self.lead or self._is_depthwise:
            return (), ()
        k, c = self.letter("k"), variable(self.letter("c"))
        if groups == 1:
            return (k,), ()
        return (k, *self._summed_forward()), ((self.channel, c),)

    @property
    def _is_depthwise(self) -> bool:
        """Whether each channel is a group of its own, so that k and c are the same."""
        groups, outputs, inputs = self.geometry.channels
        return bool(groups != 1 and outputs == 1 and inputs == 1)

    def _back(self, index: tuple[Index, ...]) -> tuple[Index, ...]:
        """Return an index [k, ...] in the sum for input channel c; k is c if depthwise."""
        if not self.lead or not self._is_depthwise:
            return index
        return (variable(self.letter("c")), *index[1:])

    # Sums.

    def forward(self, x: Vector, change: Callable[[Entry], Expression] = _unchanged) -> Expression:
        """Return the sum over e, t of w[k, e, t] x[c(k, e), s o + d t - p].

        `change`: makes the second factor of each product from the entry of x.
        """
        at = (*((self.channel,) if self.lead else ()), *self.read())
        body = self._weighted(self.tap(), change(Entry(x, at)))
        variables = (*self._summed_forward(), *self.each("t"))
        return self._times_factor(IndexSum(variables, body, (), self._taps()))

    def _taps(self) -> tuple[tuple[str, Size], ...]:
        """Return the ranges of the taps of a pooling; those of a kernel are its shape."""
        if self.weights is not None:
            return ()
        return tuple(zip(self.each("t"), self.geometry.taps, strict=True))

    def _weighted(self, tap: tuple[Index, ...], other: Expression) -> Expression:
        """Return the product of a weight and another factor."""
        return other if self.weights is None else Times((Entry(self.weights, tap), other))

    def _times_factor(self, total: IndexSum) -> Expression:
        return Plus(((self.factor, total),)) if self.factor else total

    def backward(self, g: Vector, change: Callable[[Entry], Expression] = _unchanged) -> Expression:
        """Return the sum of w[k, e, t] g[k, o] over the k, e, o, t that satisfy two conditions.

        The conditions are c(k, e) = c and s o + d t - p = i.

        `change`: makes the second factor of each product from the entry of g.
        """
        channels, linked = self._summed_back()
        inputs = tuple(map(variable, self.each("i")))
        conditions = (*linked, *zip(self.read(), inputs, strict=True))
        weight, entry = self._back(self.tap()), self._back(self.index("o", "k"))
        body = self._weighted(weight, change(Entry(g, entry)))
        variables = (*channels, *self.each("o"), *self.each("t"))
        return self._times_factor(IndexSum(variables, body, conditions, self._taps()))

    def gathered(self, g: Vector, at: tuple[Index, ...], tap: tuple[Index, ...]) -> Expression:
        """Return the sum over k, e, t with c(k, e) = c of w[tap] g[k, at]."""
        channels, linked = self._summed_back()
        lead = (variable(self.letter("k")),) if self.lead else ()
        weight, entry = self._back(tap), self._back((*lead, *at))
        body = self._weighted(weight, Entry(g, entry))
        variables = (*channels, *self.each("t"))
        return self._times_factor(IndexSum(variables, body, linked, self._taps()))

    # Operators.

    def operator(self, name: str) -> Named:
        """Return the layer as an operator, whose entries are labelled with the weights."""
        return self.named(name, self.geometry)

    def named(self, name: str, geometry: Geometry) -> Named:
        """Return the layer of another geometry as an operator with the same kernel."""
        shapes, name = (geometry.out_shape, geometry.in_shape), self.names(name)
        if self.weights is not None:
            return Named(name, *shapes, entries_of(geometry), self.weights)
        taps = pool_taps(geometry)
        return Named(name, *shapes, pool_entries(geometry), None, taps, self.factor)

    def definition(self, operator: Named, x: Array, given: tuple[str, ...] = ()) -> Definition:
        """Return the statement of the sum that defines the correlation."""
        row = Entry(Applied(operator, x), self.index("o", "k"))
        free = self.free("o", "k", self.geometry.out_shape)
        equation = Equation(row, self.forward(x), free)
        geometry = self.geometry
        shapes = (geometry.in_shape, geometry.out_shape, *self.weight_shapes)
        return Definition(operator, equation, shapes, self.rules, given)

    def transposed_definition(
        self, operator: Named, x: Array, given: tuple[str, ...] = ()
    ) -> Definition:
        """Return the statement of the sum that defines the transposed layer."""
        row = Entry(Applied(operator, x), self.index("i", "c"))
        free = self.free("i", "c", self.geometry.in_shape)
        equation = Equation(row, self.backward(x), free)
        geometry = self.geometry
        shapes = (geometry.out_shape, geometry.in_shape, *self.weight_shapes)
        return Definition(operator, equation, shapes, self.rules, given)

    @property
    def weight_shapes(self) -> tuple[tuple[Size, ...], ...]:
        """The shape of the kernel, if there is one."""
        return () if self.weights is None else (self.geometry.kernel_shape,)


_OTHER = {"i": "o", "o": "i", "k": "c", "c": "k"}


@dataclass(frozen=True, eq=False)
class Subject:
    """The operator that a derivation is about: a single layer, or the transpose of one.

    `geometry`: the geometry of the layer, where the padding of a strided "same" layer is
    abbreviated by a symbol.
    """

    layer: OneLayer
    geometry: Geometry
    setting: Setting
    names: Names

    @staticmethod
    def of(operator: Operator, name: str) -> Subject:
        """Return the subject of a derivation.

        Raises: the errors of `one_layer` for an operator that is not a single layer.
        """
        layer = one_layer(operator, name)
        geometry, named = _abbreviated(layer)
        setting = Setting.of(operator, named=named)
        names = Names(*setting.symbols, *(symbol for symbol, _ in named))
        return Subject(layer, geometry, setting, names)

    @property
    def transposed(self) -> bool:
        """Whether the operator is the transpose of the layer."""
        return self.layer.transposed

    @property
    def sums(self) -> LayerSums:
        """The sums of the layer."""
        weights = None
        if self.layer.kernel_shape is not None:
            weights = Array(self.names("w"), self.geometry.kernel_shape)
        factor = "" if self.layer.factor == 1 else expression(sympy.sympify(self.layer.factor))
        return LayerSums(self.geometry, self.names, weights, self.transposed, factor)

    @property
    def shapes(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The shapes of the input and the output of the operator."""
        geometry = self.geometry
        shapes = geometry.in_shape, geometry.out_shape
        return shapes[::-1] if self.transposed else shapes

    def definition(self, name: str = "A") -> tuple[Named, Step]:
        """Return the layer as a named operator, and the first step of every derivation."""
        sums, setting = self.sums, self.setting
        x = Array(self.names("x"), self.shapes[0])
        given = setting.abbreviations(*(axis.padding for axis in self.geometry.axes))
        own = sums.named(name, self.layer.geometry)
        # The formulas have the abbreviated shapes, the entries are those of the given operator.
        abbreviated = sums.operator(name)
        named = replace(own, out_shape=abbreviated.out_shape, in_shape=abbreviated.in_shape)
        if self.transposed:
            named = swapped(named)
            statement = sums.transposed_definition(named, x, given)
        else:
            statement = sums.definition(named, x, given)
        operator, shape = self.layer.operator, self.layer.kernel_shape
        actual = [operator.in_shape, operator.out_shape, *([] if shape is None else [shape])]
        statement = replace(statement, shapes=tuple(actual))
        kind, borders = self.layer.kind, _boundary_text(self.geometry, self.transposed)
        return named, step(statement, f"definition of the {kind}{borders}", setting)


def _boundary_text(geometry: Geometry, transposed: bool) -> str:
    """Return the boundary rule as text: what happens outside the array."""
    rules = [axis.boundary for axis in geometry.axes if axis.boundary != "zeros"]
    if not rules:
        return (
            "; values written outside the output are dropped"
            if transposed
            else ("; taps outside the input contribute nothing")
        )
    rest = "" if len(rules) == len(geometry.axes) else ", zeros on the other axes"
    return f"; {' and '.join(dict.fromkeys(rules))} boundary{rest}"


def _abbreviated(layer: OneLayer) -> tuple[Geometry, tuple[tuple[Any, Any], ...]]:
    """Return the geometry with a symbol for each padding that is a maximum, and the symbols."""
    taken = {symbol.name for symbol in layer.operator.symbols}
    free = next(name for name in ("q", "m", "r", "z", "total") if name not in taken)
    abbreviations: dict[Any, Any] = {}
    axes = []
    for axis in layer.geometry.axes:
        padding: Any = axis.padding
        wide = padding.atoms(sympy.Max) if is_symbolic(padding) else set()
        if len(wide) != 1:
            axes.append(axis)
            continue
        (total,) = wide
        name = free if not abbreviations else f"{free}{len(abbreviations) + 1}"
        symbol = abbreviations.setdefault(total, sympy.Symbol(name, integer=True, nonnegative=True))
        outputs: Any = axis.out_size
        if is_symbolic(outputs) and outputs.has(sympy.Max):
            rounded = -(-axis.in_size // axis.stride)
            same = are_same(Setting.of(layer.operator), outputs, rounded)
            outputs = rounded if same else outputs.subs(total, symbol)
        axes.append(replace(axis, padding=padding.subs(total, symbol), out_size=outputs))
    geometry = replace(layer.geometry, axes=tuple(axes))
    return geometry, tuple((symbol, total) for total, symbol in abbreviations.items())


def swapped(named: Named) -> Named:
    """Return the operator with rows and columns exchanged."""
    rows, columns = len(named.out_shape), len(named.in_shape)

    def entries(point: Sequence[Value]) -> list[Condition]:
        column, row = point[:columns], point[columns : columns + rows]
        return named.entries((*row, *column, *point[columns + rows :]))

    return replace(named, out_shape=named.in_shape, in_shape=named.out_shape, entries=entries)


def relabelled(geometry: Geometry, weights: Array, name: str, original: Geometry) -> Named:
    """Return the layer `geometry` with the kernel of `original` flipped and channels exchanged.

    Its weight [c, f, t] is weight [k, e, K - 1 - t] with c = E g + e and k = D g + f in group g.
    """
    shapes = (geometry.out_shape, geometry.in_shape)
    inner, lead = entries_of(geometry), int(geometry.has_channels)
    start = sum(map(len, shapes))

    def entries(point: Sequence[Value]) -> list[Condition]:
        label = list(point[start:])
        own: list[Value] = []
        bounds: list[Condition] = []
        if lead:
            k, e = label[:2]
            groups, outputs, inputs = original.channels
            group = 0 if groups == 1 else quotient(k, outputs)
            own = [inputs * group + e, k - outputs * group]
            bounds = [within(k, groups * outputs), within(e, inputs)]
        pairs = zip(original.taps, label[2 * lead :], strict=True)
        return [*bounds, *inner((*point[:start], *own, *(taps - 1 - t for taps, t in pairs)))]

    return Named(name, *shapes, entries, weights)


def moves(name: str, axes: Sequence[Axis], channels: int | None) -> Named:
    """Return an operator that moves samples along each axis, identically in all channels."""
    geometry = Geometry(tuple(axes), channels, channels)
    entries, taps = pool_entries(geometry), pool_taps(geometry)
    return Named(name, geometry.out_shape, geometry.in_shape, entries, None, taps)

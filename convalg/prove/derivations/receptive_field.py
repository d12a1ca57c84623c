"""Derivations of receptive fields: backward through a product, forward through a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import networkx as nx
import sympy

from convalg.axis import Axis, Size, floored
from convalg.errors import KindError
from convalg.network.layers.base import Link
from convalg.network.network import Network
from convalg.network.reach import Reach, Span, reaches
from convalg.operators.tree import Compose, Operator
from convalg.prove.decisions.domain import Domain
from convalg.prove.decisions.smtlib import Script, conjunction, disjunction, negation
from convalg.prove.derivations.conditions import put, quotient
from convalg.prove.derivations.derivation import Step, step
from convalg.prove.derivations.indices import affine, expanded, read_at, size_latex
from convalg.prove.derivations.layer_sums import Names, Subject
from convalg.prove.derivations.one_layer import one_layer
from convalg.prove.derivations.statements import FailingCase, Setting, Statement, formula_of
from convalg.prove.verdict import Verdict
from convalg.size import Condition, is_symbolic


def operator_steps(operator: Operator) -> list[Step]:
    """Return the steps from the last layer of a product back to its input."""
    factors = operator.factors if isinstance(operator, Compose) else (operator,)
    layers = [one_layer(factor, "the receptive field") for factor in factors]
    if len(layers) == 1:
        single = Subject.of(operator, "the receptive field")
        geometries = [(single.geometry, single.transposed)]
        setting, names = single.setting, single.names
    else:
        geometries = [(layer.geometry, layer.transposed) for layer in layers]
        setting, names = Setting.of(operator), Names(*operator.symbols)
    dims = len(geometries[0][0].axes)
    steps: list[Step] = []
    for k in range(dims):
        axes = [(geometry.axes[k], transposed) for geometry, transposed in geometries]
        where = "" if dims == 1 else f" on axis {k}"
        steps += _field_steps(axes, where, setting, names)
    return steps


@dataclass(frozen=True, eq=False)
class Field(Statement):
    """The indices R(u) that output u reads through a layer, and the first and last of them.

    `chain`: the axes from the last layer back to this one, each with whether it is transposed.
    `exact`: whether the first and last indices are read; otherwise they are only bounds.
    """

    shown: str
    """R(u) as a set, in terms of the R(u) of the layer after it."""
    name: str
    output: Any
    chain: tuple[tuple[Axis, bool], ...]
    start: Any
    end: Any
    exact: bool
    given: tuple[str, ...] = ()
    """Abbreviations of the setting, as LaTeX."""
    source: tuple[Any, Any] | None = None
    """The bounds of R(u) of the layer after this one, proved by an earlier step, if they are used
    in place of the layers after it."""

    def pieces(self) -> list[str]:
        """The set, its bounds, and the number of indices between them."""
        bounds = ",\\ ".join(_bound(value, self.output) for value in (self.start, self.end))
        size = expanded(self.end - self.start + 1)
        if self.exact:
            pieces = [self.shown, f"\\operatorname{{hull}} {self.name} = [{bounds}]"]
        else:
            pieces = [self.shown, f"{self.name} \\subseteq [{bounds}]"]
        if self.output not in sympy.sympify(size).free_symbols:
            pieces.append(f"r {'=' if self.exact else BELOW} {size_latex(size)}")
        return [*pieces, *self.given]

    def failures(self, script: Script) -> Iterator[FailingCase]:
        """Yield that an index outside the bounds is read, or that a bound is not."""
        u = script.index("index.0")
        start, end = (put(sympy.sympify(v), {self.output: u}) for v in (self.start, self.end))
        conditions: list[str] = []
        index, number, chain = u, 0, self.chain
        if self.source is not None:
            index, number, chain = script.index("index.1"), 1, self.chain[-1:]
            first, last = (put(sympy.sympify(v), {self.output: u}) for v in self.source)
            conditions += [script.at_least(index, first), script.at_least(last, index)]
        for axis, transposed in chain:
            t = script.index(f"index.{(number := number + 1)}")
            conditions += script.within(t, axis.taps)
            if transposed:
                i = script.index(f"index.{(number := number + 1)}")
                conditions.append(script.equal(axis.raw(i, t), index))
                index = i
            else:
                index = axis.raw(index, t)
        bounds, where = (str(self.start), str(self.end)), size_latex(self.output)
        beyond = disjunction([script.above(start, index), script.above(index, end)])
        yield FailingCase(conjunction([*conditions, beyond]), bounds, "more", where, (u.name,))
        if self.exact:
            for bound, is_last in ((start, False), (end, True)):
                reached = conjunction(self._reaches(script, u, bound, is_last))
                yield FailingCase(negation(reached), bounds, "fewer", where, (u.name,))

    def decide(self, setting: Setting) -> Verdict:
        """Decide whether the statement holds for all sizes of the setting."""
        verdict = super().decide(setting)
        is_certain = not (self.exact and any(transposed for _, transposed in self.chain[1:]))
        if verdict.status != "refuted" or is_certain:
            return verdict
        # Another index of the layer after a transposed one may be the one that reaches the bound.
        return setting.unknown(formula_of(self), "no read of the first and last index is known")

    def _reaches(self, script: Script, u: Size, bound: Size, is_last: bool) -> Iterator[str]:
        """Yield conditions under which a bound is read: through the extreme tap of each layer."""
        index: Any = u
        for axis, transposed in self.chain:
            if transposed:
                i = _reads_back(axis, index)[is_last]
                yield from _written_by(script, axis, index, i)
                index = i
            else:
                t = axis.taps - 1 if is_last != axis.is_backwards else 0
                yield script.above(axis.taps, 0)
                index = axis.raw(index, t)
        yield script.equal(index, bound)


def _written_by(script: Script, axis: Axis, output: Size, i: Size) -> list[str]:
    """Return the conditions that a transposed layer writes input i to an output."""
    t = quotient(output - axis.raw(i, 0), axis.raw(0, 1) - axis.raw(0, 0))
    return [script.equal(axis.raw(i, t), output), *script.within(t, axis.taps)]


def _reads_back(axis: Axis, index: Size) -> tuple[Any, Any]:
    """Return the first and last input that a transposed layer writes to an output."""
    first = -floored(-(index + axis.before - (axis.span - 1)), axis.stride)
    return first, floored(index + axis.before, axis.stride)


BELOW = "\\le"


def _bound(value: object, output: object) -> str:
    """Return a bound of an interval as LaTeX, with the index of the output first."""
    expression = sympy.sympify(value)
    if expression.has(sympy.floor):
        return size_latex(expression)
    factor = expression.coeff(output)
    return affine([(factor, size_latex(output))], expanded(expression - factor * output))


def _field_steps(
    axes: list[tuple[Axis, bool]], where: str, setting: Setting, names: Names
) -> list[Step]:
    """Return the steps from the last layer back to the input."""
    taken = {symbol.name for symbol in setting.symbols}
    u = sympy.Symbol(next(name for name in "uvqrxyz" if name not in taken), integer=True)
    variable = size_latex(u)
    start: Any = u
    end: Any = u
    label = names("R")
    steps: list[Step] = []
    is_exact = True
    for number, (axis, transposed) in enumerate(axes):
        depth = len(axes) - number
        source = start, end
        if transposed:
            start, end = _reads_back(axis, start)[0], _reads_back(axis, end)[1]
        else:
            start = axis.stride * start - axis.before
            end = axis.stride * end + axis.span - 1 - axis.before
        start, end = expanded(start), expanded(end)
        after = f"{label}_{{{depth}}}({variable})" if number else f"\\{{ {variable} \\}}"
        own = f"{label}_{{{depth - 1}}}({variable})"
        shown = f"{own} = {_set_latex(axis, transposed, after, names)}"
        given = setting.abbreviations(axis.padding)
        chain = tuple(axes[: number + 1])
        field = Field(shown, own, u, chain, start, end, exact=True, given=given)
        # After a layer with only a bound, exactness with symbols is not worth its search.
        is_plain = is_exact or all(each.is_concrete for each, _ in chain)
        is_exact = is_plain and bool(field.decide(setting))
        if not is_exact:
            field = replace(field, exact=False, source=source if number else None)
        kind = "transposed layer" if transposed else "layer"
        numbers = f"k = {axis.taps}, s = {axis.stride}, p = {axis.before}"
        if abs(axis.dilation) != 1:
            numbers += f", d = {abs(axis.dilation)}"
        bound = "" if field.exact else "; only a bound, since not every index in between is read"
        reason = f"back through {kind} {depth}{where}, ignoring the border: {numbers}{bound}"
        steps.append(step(field, reason, setting))
    return steps


def _set_latex(axis: Axis, transposed: bool, after: str, names: Names) -> str:
    """Return the set of inputs that a set of outputs reads, as LaTeX."""
    i, j, t = names("i"), names("j"), names("t")
    taps = f"0 \\le {t} < {size_latex(axis.taps)}"
    if transposed:
        return f"\\{{ {i} : {read_at(axis, i, t).latex()} \\in {after},\\ {taps} \\}}"
    return f"\\{{ {read_at(axis, j, t).latex()} : {j} \\in {after},\\ {taps} \\}}"


# Networks.


@dataclass(frozen=True)
class NetworkField(Statement):
    """The field of a node along one axis, from the fields of its sources.

    `parts`: for each source, how the node reads it, and the field of the source. `exact`: whether
    the first and last positions are read; otherwise they are only bounds.
    """

    parts: tuple[tuple[Link | Size | None, Span], ...]
    span: Span
    exact: bool
    output: str = "u"
    """The name of an output's index."""

    def pieces(self) -> list[str]:
        """The bounds of what output u reads, with the size r, jump j and padding P."""
        span = self.span
        moving = [(span.stride, self.output)] if span.stride != 0 else []
        ends = ",\\ ".join(affine(moving, end) for end in (span.start, span.end))
        numbers = (span.size, span.stride, -span.start)
        size, jump, padding = (size_latex(sympy.sympify(value)) for value in numbers)
        if self.exact:
            bounds, sign = f"{self.output} \\mapsto [{ends}]", "="
        else:
            bounds, sign = f"{self.output} \\mapsto R \\subseteq [{ends}]", BELOW
        return [bounds, f"r {sign} {size},\\ j = {jump},\\ P = {padding}"]

    def failures(self, script: Script) -> Iterator[FailingCase]:
        """Yield that a position outside the bounds is read, or that a bound is not.

        The fields of the sources are proved by earlier steps.
        """
        u = script.index("index.0")
        bounds = [self.span.first(u), self.span.last(u)]
        reached: list[list[str]] = [[], []]
        for link, before in self.parts:
            for conditions, source, is_end in _read(script, link, u):
                own = (before.first(source), before.last(source))
                beyond = [_above(script, bounds[0], own[0]), _above(script, own[1], bounds[1])]
                claim = conjunction([*conditions, disjunction(beyond)])
                yield FailingCase(claim, str(self.span), "more", self.output, (u.name,))
                for k in (0, 1):
                    if is_end[k]:
                        equal = script.equal(sympy.numer(sympy.together(own[k] - bounds[k])), 0)
                        reached[k].append(conjunction([*conditions, equal]))
        for each in reached if self.exact else ():
            claim = negation(disjunction(each))
            yield FailingCase(claim, str(self.span), "fewer", self.output, (u.name,))


def _above(script: Script, first: Size, second: Size) -> str:
    """Return the condition first > second of fractions with positive denominators."""
    above, below = sympy.fraction(sympy.together(first - second))
    return script.above(-above if below.could_extract_minus_sign() else above, 0)


def network_steps(net: Network, node: str) -> list[Step]:
    """Return the steps forward from the input of a network through all ancestors of a node."""
    dims = len(net.in_shape) - 1
    if not dims:
        raise KindError(
            f"a receptive field is derived along spatial axes, but the input {net.in_shape} of "
            f"{net.name} has only channels"
        )
    reach = reaches(net)
    kept = nx.ancestors(net.graph, node) | {node}
    nodes = [other for other, _ in net.layers() if other in kept]
    axes = [list(_fields(net, reach, nodes, axis)) for axis in range(dims)]
    if all(lines == axes[0] for lines in axes):
        axes = axes[:1]
    positive = _positive(net, reach, nodes)
    symbols = tuple(sorted({s for value in positive for s in value.free_symbols}, key=str))
    limits = tuple(Condition(value - 1) for value in positive)
    setting = Setting(Domain(symbols, limits))
    output = Names(*symbols)("u")
    return [
        step(
            replace(field, output=output),
            reason + (f" (axis {axis})" if len(axes) > 1 else ""),
            setting,
        )
        for axis, fields in enumerate(axes)
        for field, reason in fields
    ]


def _fields(
    net: Network, reach: dict[str, Reach], nodes: list[str], axis: int
) -> Iterator[tuple[NetworkField, str]]:
    """Yield the steps along one axis; a layer that reads only its own position has none."""
    own = Span(0, 0, 1)
    yield (
        NetworkField(((None, own),), own, True),
        "a position of the input reads only itself",
    )
    for node in nodes:
        sources = dict.fromkeys(net.sources(node))
        before = [reach[source].spans[axis] for source in sources]
        if reach[node].kind != "whole" and len({part.stride for part in before}) > 1:
            raise KindError(
                f"branches with jumps {' and '.join(str(k.stride) for k in before)} meet at "
                f"{node}, and the union of their fields does not have this form: see "
                f"net.misalignments, or derive the field of a node before it"
            )
        span = reach[node].spans[axis]
        if all(part == span for part in before):
            continue
        links = [_link(net, reach, node, source, axis) for source in sources]
        parts = tuple(zip(map(_without_sizes, links), before, strict=True))
        yield NetworkField(parts, span, reach[node].exact), _reason(net, node, sources, links)


def _link(
    net: Network, reach: dict[str, Reach], node: str, source: str, axis: int
) -> Link | Size | None:
    """Return the link from a node to a source.

    A size means that all positions are read, None that only the same position is read.
    """
    before = reach[source]
    if before.kind == "whole":
        return None
    if reach[node].kind == "whole":
        return before.sizes[axis]
    if before.kind == "flat" or reach[node].kind == "flat" or net[node].many:
        return None
    links = net[node].links(net.shapes[source])
    assert links is not None
    return links[axis]


def _without_sizes(link: Link | Size | None) -> Link | Size | None:
    """Return a link without the sizes of its axis: a field ignores borders."""
    if not isinstance(link, Link):
        return link
    return replace(link, axis=replace(link.axis, in_size=1, out_size=1, boundary="zeros"))


def _read(
    script: Script, link: Link | Size | None, u: Size
) -> Iterator[tuple[list[str], Any, tuple[bool, bool]]]:
    """Yield the positions of a source that position u of a node reads.

    Each is (conditions, position, ends): the position is read where the conditions hold, for all
    values of the variables in it, or for two of them, the first and the last.
    """
    if link is None:
        yield [], u, (True, True)
        return
    if not isinstance(link, Link):
        j = script.index("index.1")
        yield script.within(j, link), j, (False, False)
        yield [], 0, (True, False)
        yield [], link - 1, (False, True)
        return
    axis = link.axis
    if link.table is not None:
        for number, row in enumerate(link.table):
            at = [script.equal(u, number)]
            yield at, min(row), (True, False)
            yield at, max(row), (False, True)
        return
    t = script.index("index.1")
    taps = script.within(t, axis.taps)
    if link.transposed:
        i = script.index("index.2")
        yield [*taps, script.equal(axis.raw(i, t), u)], i, (False, False)
        for k, end in enumerate(_reads_back(axis, u)):
            yield _written_by(script, axis, u, end), end, (k == 0, k == 1)
        return
    yield taps, axis.raw(u, t), (False, False)
    ends = (0, axis.taps - 1)
    first, last = ends[::-1] if axis.is_backwards else ends
    yield [], axis.raw(u, first), (True, False)
    yield [], axis.raw(u, last), (False, True)


def _positive(net: Network, reach: dict[str, Reach], nodes: list[str]) -> list[Any]:
    """Return the symbols that are at least 1: of kernels, steps, and axes read completely."""
    sizes: dict[Any, None] = {}
    for node in nodes:
        for source in net.sources(node):
            for axis in range(len(net.in_shape) - 1):
                link = _link(net, reach, node, source, axis)
                if isinstance(link, Link):
                    values = link.axis.taps, link.axis.stride, abs(link.axis.dilation)
                    sizes.update(dict.fromkeys(values))
                else:
                    sizes[link] = None
    return [size for size in sizes if is_symbolic(size)]


def _reason(
    net: Network, node: str, sources: Iterable[str], links: list[Link | Size | None]
) -> str:
    """Return the effect of a layer on the field, as text."""
    if len(links) > 1:
        return f"{node} joins {', '.join(sources)}: the union of what they read"
    (link,) = links
    if not isinstance(link, Link):
        reads = "reads" if net[node].reads_all(net.shapes[net.sources(node)[0]]) else "may read"
        return f"{node} {reads} every position of {', '.join(sources)}"
    axis = link.axis
    dilated = "" if abs(axis.dilation) == 1 else f", d = {abs(axis.dilation)}"
    width = "(k - 1)" if not dilated else "d (k - 1)"
    numbers = f"k = {axis.taps}, s = {axis.stride}{dilated}, p = {axis.before}"
    if link.table is not None:
        return f"through {node}: windows contained in those with {numbers}"
    if link.transposed:
        return (
            f"through {node}, transposed: {numbers}; j becomes j / s, then r grows by {width} j "
            f"and P by ({width.strip('()')} - p) j"
        )
    return f"through {node}: {numbers}; r grows by {width} j, P by p j, and j becomes s j"

"""Derivations of receptive fields: backward through a product, forward through a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import islpy
import networkx as nx
import sympy

from convalg.axis import Axis, Size
from convalg.errors import KindError, UndecidableError
from convalg.faces.relation import parameters, text
from convalg.network.layers.base import Link
from convalg.network.network import Network
from convalg.network.reach import Reach, Span, reaches
from convalg.operators.tree import Compose, Operator
from convalg.prove.decisions.domain import Domain
from convalg.prove.derivations.derivation import Derivation, Step, one_layer, step
from convalg.prove.derivations.indices import affine, expanded, read_at, size_latex
from convalg.prove.derivations.layer_sums import Names, Subject
from convalg.prove.derivations.statements import SETS, Setting, formula_of
from convalg.prove.verdict import Verdict
from convalg.size import Condition, is_symbolic


def receptive_field(subject: Operator | Network, node: str | None = None) -> Derivation:
    """Derive which inputs one output of a product of layers, or of a network, may depend on.

    Rule: backward through a layer of a product, r <- s r + (d (k - 1) + 1 - s), S <- s S,
    P <- s P + p; forward through a network, to `node` or the output, r <- r + d (k - 1) j,
    P <- P + p j, j <- s j, with the size r, the jump j and the padding P. Where branches meet,
    their fields are united. Borders are ignored, and so are gaps between the inputs that are read.

    Args:
        subject: a layer, a product of layers, or a network. Sizes are numbers or symbols; strides
            and dilations are numbers.
        node: the name of the node of a network whose field is derived; the output of the network
            unless given. None for a layer or a product.

    Returns:
        A derivation with one step per layer and axis; equal axes of a network are derived once.

    Raises:
        KindError: when a factor of a product is not a correlation or convolution or the transpose
            of one, when `node` is given without a network, for a network without spatial axes, and
            where branches with different jumps meet.
        UndecidableError: for symbolic strides or dilations.

    Source: Araujo, Norris, Sim, Computing Receptive Fields of CNNs, Distill 2019.

    >>> import convalg as ca
    >>> net = ca.correlation(7, ca.kernel(3, name="b")) @ ca.correlation(9, ca.kernel(3))
    >>> print(ca.derive.receptive_field(net).steps[-1].formula.split(",\\\\quad ", 1)[1])
    \\operatorname{hull} R_{0}(u) = [u,\\ u + 4],\\quad r = 5
    >>> derivation = ca.derive.receptive_field(ca.zoo.lenet5(), "S4")
    >>> [step.reason.split(":")[0] for step in derivation.steps[1:]]
    ['through C1', 'through S2', 'through C3', 'through S4']
    >>> derivation.steps[-1].formula, bool(derivation.verify())
    ('u \\\\mapsto [4 u,\\\\ 4 u + 15],\\\\quad r = 16,\\\\ j = 4,\\\\ P = 0', True)
    """
    if isinstance(subject, Network):
        return _through(subject, subject.receptive_field(node).node)
    if node is not None:
        raise KindError(
            f"{subject!r} is an operator, which does not have a node {node!r}: only a network has "
            f"nodes"
        )
    if isinstance(subject, Compose):
        layers = [one_layer(factor, "the receptive field") for factor in subject.factors]
        geometries = [(layer.geometry, transposed) for layer, transposed in layers]
        setting, names = Setting.of(subject), Names(*subject.symbols)
    else:
        single = Subject.of(subject, "the receptive field")
        geometries = [(single.geometry, single.transposed)]
        setting, names = single.setting, single.names
    dims = len(geometries[0][0].axes)
    steps: list[Step] = []
    for k in range(dims):
        axes = [(geometry.axes[k], transposed) for geometry, transposed in geometries]
        where = "" if dims == 1 else f" on axis {k}"
        steps += _field_steps(axes, where, setting, names)
    return Derivation(f"The receptive field of {subject!r}", tuple(steps))


@dataclass(frozen=True, eq=False)
class Field:
    """The indices R(u) that output u reads through a layer, and the first and last of them.

    `reads`: {[u] -> [i]} for this layer and the layers after it, ignoring borders. `exact`: whether
    the first and last indices are read; otherwise they are only bounds.
    """

    shown: str
    """R(u) as a set, in terms of the R(u) of the layer after it."""
    name: str
    output: Any
    reads: islpy.Map
    start: Any
    end: Any
    exact: bool
    given: tuple[str, ...] = ()
    """Abbreviations of the setting, as LaTeX."""

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

    def decide(self, setting: Setting) -> Verdict:
        """Compare the first and last indices of the set with the bounds, for all u."""
        claim = formula_of(self)
        reads = self.reads.intersect_params(setting.domain)
        u, start, end = (text(value) for value in (self.output, self.start, self.end))
        values = (self.start, self.end, *setting.symbols)
        declared = parameters(*(sympy.sympify(v).subs(self.output, 0) for v in values))
        head, some = f"{declared}{{ [{u}] -> [i]", f"{start} <= {end}"
        within = islpy.Map(f"{head} : {start} <= i <= {end} }}")
        good = reads.is_subset(within)
        if good and self.exact:
            first, last = (
                islpy.Map(f"{head} : i = {bound} and {some} }}").intersect_params(setting.domain)
                for bound in (start, end)
            )
            good = reads.lexmin().is_equal(first) and reads.lexmax().is_equal(last)
        if good:
            return Verdict("proved", claim, setting.scope, SETS)
        return setting.unknown(claim, "the bounds of the set differ from the claimed bounds", SETS)


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
    reads = islpy.Map(f"{{ [{text(u)}] -> [i] : i = {text(u)} }}")
    label = names("R")
    steps = []
    for number, (axis, transposed) in enumerate(axes):
        depth = len(axes) - number
        step_back = _transposed_reads(axis) if transposed else _layer_reads(axis)
        reads = reads.apply_range(islpy.Map(step_back))
        if transposed:
            start = -((-(start + axis.before - (axis.span - 1))) // axis.stride)
            end = (end + axis.before) // axis.stride
        else:
            start = axis.stride * start - axis.before
            end = axis.stride * end + axis.span - 1 - axis.before
        start, end = expanded(start), expanded(end)
        after = f"{label}_{{{depth}}}({variable})" if number else f"\\{{ {variable} \\}}"
        own = f"{label}_{{{depth - 1}}}({variable})"
        shown = f"{own} = {_set_latex(axis, transposed, after, names)}"
        given = setting.abbreviations(axis.padding)
        field = Field(shown, own, u, reads, start, end, exact=True, given=given)
        if not field.decide(setting):
            field = replace(field, exact=False)
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


def _layer_reads(axis: Axis) -> str:
    """Return the relation {[output] -> [input]} of a layer for isl, ignoring the border."""
    read = axis.formula("v0", "v2", text)
    return (
        f"{parameters(axis.taps, axis.padding)}{{ [v0] -> [v1] : "
        f"exists (v2: v1 = {read} and 0 <= v2 < {text(axis.taps)}) }}"
    )


def _transposed_reads(axis: Axis) -> str:
    """Return the relation {[output] -> [input]} of a transposed layer, ignoring the border."""
    written = axis.formula("v1", "v2", text)
    return (
        f"{parameters(axis.taps, axis.padding)}{{ [v0] -> [v1] : "
        f"exists (v2: v0 = {written} and 0 <= v2 < {text(axis.taps)}) }}"
    )


# Networks.


@dataclass(frozen=True)
class NetworkField:
    """The field of a node along one axis, from the fields of its sources.

    `exact`: whether the first and last positions are read; otherwise they are only bounds.
    """

    parts: tuple[tuple[str, str], ...]
    """For each source, two relations for isl: node to source, and source to network input."""
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

    def decide(self, setting: Setting) -> Verdict:
        """Check the step from the fields of the sources, proved by earlier steps, to this one."""
        claim = formula_of(self)
        parts = (
            islpy.Map(of_source).apply_range(islpy.Map(of_input))
            for of_source, of_input in self.parts
        )
        reads = reduce(islpy.Map.union, parts)
        reads = reads.intersect_params(setting.domain)
        good = reads.is_subset(islpy.Map(_between(self.span)))
        if self.exact:
            first, last = (
                islpy.Map(_between(Span(end, end, self.span.stride)))
                for end in (self.span.start, self.span.end)
            )
            first, last = (end.intersect_params(setting.domain) for end in (first, last))
            good = reads.lexmin().is_equal(first) and reads.lexmax().is_equal(last)
        if good:
            return Verdict("proved", claim, setting.scope, SETS)
        return setting.unknown(claim, "the bounds of the set differ from the claimed bounds", SETS)


def _through(net: Network, node: str) -> Derivation:
    """Derive the field of a node, forward from the input through all its ancestors."""
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
    setting = Setting(symbols, Domain(tuple(symbols), limits))
    output = Names(*symbols)("u")
    steps = [
        step(
            replace(field, output=output),
            reason + (f" (axis {axis})" if len(axes) > 1 else ""),
            setting,
        )
        for axis, fields in enumerate(axes)
        for field, reason in fields
    ]
    return Derivation(f"The receptive field of {node} in {net.name}", tuple(steps))


def _fields(
    net: Network, reach: dict[str, Reach], nodes: list[str], axis: int
) -> Iterator[tuple[NetworkField, str]]:
    """Yield the steps along one axis; a layer that reads only its own position has none."""
    own = Span(0, 0, 1)
    yield (
        NetworkField(((_SAME, _between(own)),), own, True),
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
        parts = tuple(
            (_reads(link), _between(part)) for link, part in zip(links, before, strict=True)
        )
        yield NetworkField(parts, span, reach[node].exact), _reason(net, node, sources, links)


_SAME = "{ [u] -> [u] }"


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
    link = links[axis]
    if is_symbolic(link.axis.stride) or is_symbolic(link.axis.dilation):
        raise UndecidableError(
            f"a receptive field can be derived for numeric strides and dilations, not for "
            f"{link.axis.stride} and {link.axis.dilation} at {node}: substitute numbers"
        )
    return link


def _reads(link: object) -> str:
    """Return the relation {[position in a node] -> [position in its source]} for isl."""
    if link is None:
        return _SAME
    if not isinstance(link, Link):
        return f"{parameters(link)}{{ [v0] -> [v1] : 0 <= v1 < {text(link)} }}"
    axis = link.axis
    if link.table is not None:
        windows = enumerate(map(list, link.table))
        rows = (f"v0 = {u} and {min(row)} <= v1 <= {max(row)}" for u, row in windows)
        return f"{{ [v0] -> [v1] : {' or '.join(rows)} }}"
    return _transposed_reads(axis) if link.transposed else _layer_reads(axis)


def _between(span: Span) -> str:
    """Return the relation {[u] -> [i]} for all i between two bounds, for isl.

    The bounds are multiplied by their common denominator, since isl needs integer coefficients.
    """
    ends = [sympy.sympify(value) for value in (span.start, span.end, span.stride)]
    common = sympy.ilcm(1, *(sympy.fraction(sympy.together(end))[1] for end in ends))
    low, high, step = (text(sympy.expand(end * common)) for end in ends)
    bounds = f"{low} + {step}*u <= {common}*i and {common}*i <= {high} + {step}*u"
    return f"{parameters(*ends)}{{ [u] -> [i] : {bounds} }}"


def _positive(net: Network, reach: dict[str, Reach], nodes: list[str]) -> list[Any]:
    """Return the symbolic sizes that are at least 1: of kernels, and of axes read completely."""
    sizes: dict[Any, None] = {}
    for node in nodes:
        for source in net.sources(node):
            for axis in range(len(net.in_shape) - 1):
                link = _link(net, reach, node, source, axis)
                sizes[link.axis.taps if isinstance(link, Link) else link] = None
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

"""Derivations of receptive fields: back through a product of layers, forwards through a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import islpy
import networkx as nx
import sympy

from convalg.axis import Axis
from convalg.base import Operator
from convalg.errors import KindError, UndecidableError
from convalg.faces.relation import parameters, text
from convalg.network.graph import INPUT, Network
from convalg.network.layers.base import Link
from convalg.network.receptive import Reach, Span, reaches
from convalg.operators import Compose
from convalg.prove import family
from convalg.prove.derivation import Derivation, Step, affine, one_layer, scope_of
from convalg.prove.verdict import ISL, Verdict
from convalg.spec import is_symbolic


def receptive_field(subject: Operator | Network, node: str | None = None) -> Derivation:
    """Which inputs one output of a product of layers, or of a network, can read.

    Rule: back through a layer of a product, r <- s r + (d (k - 1) + 1 - s), S <- s S,
    P <- s P + p; forwards through a network, to `node` or the output, r <- r + d (k - 1) j,
    P <- P + p j, j <- s j, with the size r, the jump j and the padding P. Where branches meet,
    their union. Borders are left aside, and so are holes.
    Source: Araujo, Norris, Sim, Computing Receptive Fields of CNNs, Distill 2019.
    Raises: KindError unless all factors are correlations with the same number of axes; for a
    network without axes, and where branches of different jumps meet. UndecidableError for
    letters as strides.

    >>> import convalg as ca
    >>> net = ca.correlation(7, ca.kernel(3, name="b")) @ ca.correlation(9, ca.kernel(3))
    >>> receptive_field(net).steps[-1].formula
    'u \\\\mapsto [u,\\\\ u + 4],\\\\quad r = 5'
    >>> found = receptive_field(ca.zoo.lenet5(), "S4")
    >>> [step.reason.split(":")[0] for step in found.steps]
    ['a place of the input reads itself', 'through C1', 'through S2', 'through C3', 'through S4']
    >>> found.steps[-1].formula, bool(found.verify())
    ('u \\\\mapsto [4 u,\\\\ 4 u + 15],\\\\quad r = 16,\\\\ j = 4,\\\\ P = 0', True)
    """
    if isinstance(subject, Network):
        return _through(subject, subject.receptive_field(node).node)
    if node is not None:
        raise KindError(f"{subject!r} has no node {node!r}: only a network has nodes")
    operator = subject
    factors = operator.factors if isinstance(operator, Compose) else (operator,)
    layers = [one_layer(factor, "the receptive field") for factor in factors]
    dims = len(layers[0].geometry.axes)
    steps: list[Step] = []
    for k in range(dims):
        axes = [layer.geometry.axes[k] for layer in layers]
        steps += _field_steps(axes, "" if dims == 1 else f" on axis {k}", scope_of(operator))
    return Derivation(f"The receptive field of {operator!r}", tuple(steps))


def _field_steps(axes: list[Axis], where: str, scope: str) -> list[Step]:
    """From the last layer back to the input; sizes are those of the hull."""
    size: Any = 1
    stride: Any = 1
    padding: Any = 0
    steps = []
    for number, axis in enumerate(axes):
        size = sympy.expand(axis.stride * size + axis.span - axis.stride)
        stride = stride * axis.stride
        padding = sympy.expand(axis.stride * padding + axis.before)
        done = axes[: number + 1]
        start = affine([(stride, "u")], -padding)
        end = affine([(stride, "u")], sympy.expand(size - 1 - padding))
        steps.append(
            Step(
                f"u \\mapsto [{start},\\ {end}],\\quad r = {sympy.latex(sympy.sympify(size))}",
                f"back through layer {len(axes) - number}{where}: "
                f"k = {axis.taps}, s = {axis.stride}, p = {axis.before}",
                partial(_hull, done, stride, padding, size, scope),
            )
        )
    return steps


def _hull(axes: list[Axis], stride: Any, padding: Any, size: Any, scope: str) -> Verdict:
    """First and last input of the composed relation, the border left aside."""
    names = ["u", *(f"j{k}" for k in range(len(axes)))]
    conditions, sizes = [], []
    for k, axis in enumerate(axes):
        read = f"{axis.stride}*{names[k]} + {axis.dilation}*t{k} - {text(axis.padding)}"
        conditions.append(f"{names[k + 1]} = {read} and 0 <= t{k} < {text(axis.taps)}")
        sizes += [axis.taps, axis.padding]
    hidden = [*names[1:], *(f"t{k}" for k in range(len(axes)))]
    letters = parameters(*sizes)
    positive = " and ".join(f"{text(axis.taps)} >= 1" for axis in axes)
    reads = islpy.Map(
        f"{letters}{{ [u] -> [i] : exists ({', '.join(hidden)}: i = {names[-1]} and "
        f"{' and '.join(conditions)}) }}"
    )
    first = f"{stride}u - {text(padding)}"
    ends = [
        islpy.Map(f"{letters}{{ [u] -> [i] : i = {first} and {positive} }}"),
        islpy.Map(f"{letters}{{ [u] -> [i] : i = {first} + {text(size)} - 1 and {positive} }}"),
    ]
    claim = "the hull of the receptive field"
    if reads.lexmin().is_equal(ends[0]) and reads.lexmax().is_equal(ends[1]):
        return Verdict("proved", claim, scope, ISL)
    return Verdict("unknown", claim, scope, ISL, reason="the hull is another")


# Networks.


@dataclass(frozen=True)
class _Line:
    """One step along one axis; equal lines have equal proofs."""

    formula: str
    reason: str
    parts: tuple[tuple[str, str], ...]
    """What the node reads of each source, and the source of the input, as isl."""
    whole: Span
    exact: bool
    """Whether the ends are read themselves, or the field only lies between them."""

    def check(self, domain: str, scope: str) -> Verdict:
        """The step from the fields of the sources, which the steps before it prove, to this one."""
        reads = None
        for of_source, of_input in self.parts:
            part = islpy.Map(of_source).apply_range(islpy.Map(of_input))
            reads = part if reads is None else reads.union(part)
        assert reads is not None
        sizes = islpy.Set(domain)
        reads = reads.intersect_params(sizes)
        if not self.exact:
            claim = "nothing is read outside these bounds"
            good = reads.is_subset(islpy.Map(_between(self.whole)))
        else:
            claim = "the first and the last position that is read"
            span = self.whole
            first, last = (
                islpy.Map(_between(Span(end, end, span.stride))).intersect_params(sizes)
                for end in (span.start, span.end)
            )
            good = reads.lexmin().is_equal(first) and reads.lexmax().is_equal(last)
        if good:
            return Verdict("proved", claim, scope, ISL)
        return Verdict("unknown", claim, scope, ISL, reason="the hull is another")


def _through(net: Network, wanted: str) -> Derivation:
    """Forwards from the input to a node, over all that it reads."""
    dims = len(net.in_shape) - 1
    if not dims:
        raise KindError(
            f"a receptive field is derived along axes, and the input {net.in_shape} of {net.name} "
            f"has channels only"
        )
    known = reaches(net)
    kept = nx.ancestors(net.graph, wanted) | {wanted}
    nodes = [node for node, _ in net.layers() if node in kept]
    axes = [list(_lines(net, known, nodes, axis)) for axis in range(dims)]
    if all(lines == axes[0] for lines in axes):
        axes = axes[:1]
    positive = _positive(net, known, nodes)
    letters = sorted({s for value in positive for s in value.free_symbols}, key=str)
    scope = family.scope_of([value - 1 for value in positive], letters)
    conditions = " and ".join(f"{text(value)} >= 1" for value in positive) or "true"
    domain = f"{parameters(*positive)}{{ : {conditions} }}"
    steps = []
    for axis, lines in enumerate(axes):
        where = f" (axis {axis})" if len(axes) > 1 else ""
        for line in lines:
            check = partial(line.check, domain, scope)
            steps.append(Step(line.formula, line.reason + where, check))
    return Derivation(f"The receptive field of {wanted} in {net.name}", tuple(steps))


def _lines(net: Network, known: dict[str, Reach], nodes: list[str], axis: int) -> Iterator[_Line]:
    """The steps along one axis; a layer that reads its own place changes nothing, and has none."""
    own = Span(0, 0, 1)
    yield _Line(
        _formula(own), "a place of the input reads itself", ((_SAME, _between(own)),), own, True
    )
    exact = {INPUT: True}
    for node in nodes:
        span, sources = known[node].spans[axis], dict.fromkeys(net.sources(node))
        before = [known[source].spans[axis] for source in sources]
        links = [_link(net, known, node, source, axis) for source in sources]
        if known[node].kind != "whole" and len({part.stride for part in before}) > 1:
            raise KindError(
                f"branches whose fields are {' and '.join(str(k.stride) for k in before)} apart "
                f"meet at {node}, and their union is no such field: see net.misalignments, or "
                f"derive the field of a node before it"
            )
        exact[node] = all(exact[source] for source in sources) and all(map(_is_exact, links))
        if all(part == span for part in before):
            continue
        parts = tuple(
            (_reads(link), _between(part)) for link, part in zip(links, before, strict=True)
        )
        yield _Line(_formula(span), _reason(node, sources, links), parts, span, exact[node])


_SAME = "{ [u] -> [u] }"


def _link(net: Network, known: dict[str, Reach], node: str, source: str, axis: int) -> Any:
    """What a node reads of a source: through a link, all of so many places, or None, its own."""
    before = known[source]
    if before.kind == "whole":
        return None
    if known[node].kind == "whole":
        return before.sizes[axis]
    if before.kind == "flat" or known[node].kind == "flat" or net[node].many:
        return None
    links = net[node].links(net.shapes[source])
    assert links is not None
    link = links[axis]
    if is_symbolic(link.axis.stride) or is_symbolic(link.axis.dilation):
        raise UndecidableError(
            f"a receptive field is derived for numbers as stride and dilation, not for "
            f"{link.axis.stride} and {link.axis.dilation} at {node}: put in numbers"
        )
    return link


def _is_exact(link: Any) -> bool:
    """Whether a link takes ends that are read to ends that are read."""
    if not isinstance(link, Link):
        return True
    return link.table is None and (not link.turned or link.axis.stride == 1)


def _reads(link: Any) -> str:
    """{[place of a node] -> [place of its source]} for isl, the border left aside."""
    if link is None:
        return _SAME
    if not isinstance(link, Link):
        return f"{parameters(link)}{{ [u] -> [c] : 0 <= c < {text(link)} }}"
    axis = link.axis
    if link.table is not None:
        rows = (f"u = {u} and {min(row)} <= c <= {max(row)}" for u, row in enumerate(link.table))
        return f"{{ [u] -> [c] : {' or '.join(rows)} }}"
    output, read = ("c", "u") if link.turned else ("u", "c")
    place = f"{axis.stride}*{output} + {axis.dilation}*t - {text(axis.padding)}"
    return (
        f"{parameters(axis.taps, axis.padding)}{{ [u] -> [c] : "
        f"exists (t : {read} = {place} and 0 <= t < {text(axis.taps)}) }}"
    )


def _between(span: Span) -> str:
    """{[u] -> [i]} of all between the bounds of u, for isl, in whole numbers."""
    ends = [sympy.sympify(value) for value in (span.start, span.end, span.stride)]
    common = sympy.ilcm(1, *(sympy.fraction(sympy.together(end))[1] for end in ends))
    low, high, step = (text(sympy.expand(end * common)) for end in ends)
    bounds = f"{low} + {step}*u <= {common}*i and {common}*i <= {high} + {step}*u"
    return f"{parameters(*ends)}{{ [u] -> [i] : {bounds} }}"


def _positive(net: Network, known: dict[str, Reach], nodes: list[str]) -> list[Any]:
    """Sizes in letters that are at least 1: of taps, and of places where all are read."""
    found: dict[Any, None] = {}
    for node in nodes:
        for source in net.sources(node):
            for axis in range(len(net.in_shape) - 1):
                link = _link(net, known, node, source, axis)
                found[link.axis.taps if isinstance(link, Link) else link] = None
    return [size for size in found if is_symbolic(size)]


def _formula(span: Span) -> str:
    moving = [(span.stride, "u")] if span.stride != 0 else []
    ends = ",\\ ".join(affine(moving, end) for end in (span.start, span.end))
    numbers = (("r", span.size), ("j", span.stride), ("P", -span.start))
    shown = ",\\ ".join(f"{name} = {affine([], value)}" for name, value in numbers)
    return f"u \\mapsto [{ends}],\\quad {shown}"


def _reason(node: str, sources: Iterable[str], links: list[Any]) -> str:
    """What a layer does to the field, in words."""
    if len(links) > 1:
        return f"{node} joins {', '.join(sources)}: the union of what they read"
    (link,) = links
    if not isinstance(link, Link):
        return f"{node} reads every place of {', '.join(sources)}"
    axis = link.axis
    dilated = "" if abs(axis.dilation) == 1 else f", d = {abs(axis.dilation)}"
    width = "(k - 1)" if not dilated else "d (k - 1)"
    numbers = f"k = {axis.taps}, s = {axis.stride}{dilated}, p = {axis.before}"
    if link.table is not None:
        return f"through {node}: windows within those of {numbers}"
    if link.turned:
        return (
            f"through {node}, transposed: {numbers}; j becomes j / s, then r grows by {width} j "
            f"and P by ({width.strip('()')} - p) j"
        )
    return f"through {node}: {numbers}; r grows by {width} j, P by p j, and j becomes s j"

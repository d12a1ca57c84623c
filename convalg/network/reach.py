"""Receptive fields by the closed recurrence, for integer and symbolic sizes.

Along one axis, output u of a node reads positions of the input from start + stride u to
end + stride u. A layer with stride s, dilation d, k taps and padding p changes these numbers to

    start' = start - stride p,  end' = end + stride (d (k - 1) - p),  stride' = stride s,

and a transposed layer changes them in the opposite direction. The recurrence ignores borders: it
continues the data beyond them. The module `dependence` computes the positions that are actually
read, which exclude the holes of dilation and strides and follow the rule of each boundary.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

from convalg.axis import Size
from convalg.errors import KindError
from convalg.network.graph import INPUT, Graph
from convalg.network.layers.base import Layer, Link, Shape
from convalg.network.layers.opaque import Opaque
from convalg.network.layers.shape import Concat, Flatten
from convalg.size import is_symbolic, size_text


@dataclass(frozen=True)
class Span:
    """The interval from start + stride u to end + stride u that output u reads along one axis.

    It may extend into the padding.
    """

    start: Any
    end: Any
    stride: Any

    @property
    def size(self) -> Any:
        """The number of positions from `start` to `end`: the size of the receptive field."""
        width = self.end - self.start
        return width + 1 if is_symbolic(width) else math.floor(width) + 1

    @property
    def middle(self) -> Any:
        """The centre of the interval for u = 0."""
        total = self.start + self.end
        return total / 2 if is_symbolic(total) else _tidy(Fraction(total) / 2)

    def first(self, u: object) -> Any:
        """Return the first position of the interval for output u."""
        return self.start + self.stride * u

    def last(self, u: object) -> Any:
        """Return the last position of the interval for output u."""
        return self.end + self.stride * u

    def __str__(self) -> str:
        return f"[{_affine(self.start, self.stride)}, {_affine(self.end, self.stride)}]"


Fan = tuple[Span, ...]
"""The hull of joined branches along one axis: one span for each stride, usually a single one."""


@dataclass(frozen=True)
class Reach:
    """The positions of the network's input that the outputs of a node read, along each axis.

    `sizes` has the number of outputs along each axis. `kind` is "lattice" if outputs are indexed
    by position, "flat" if they are a flattened lattice of shape `sizes`, and "whole" if each
    output may read the whole input.
    """

    node: str
    fans: tuple[Fan, ...]
    sizes: Shape
    kind: Literal["lattice", "flat", "whole"] = "lattice"
    exact: bool = True
    """Whether an output that depends on no padding reads both ends of its span."""
    determined: bool = True
    """Whether no layer on the path is opaque, so that the entries read are determined."""
    uneven: bool = False
    """Whether channels belong to branches with different receptive fields."""
    borders: frozenset[str] = frozenset()
    """The boundary rules other than zeros on the path."""

    @property
    def spans(self) -> tuple[Span, ...]:
        """One span for each axis. Raises: KindError if branches with different strides meet."""
        for axis, fan in enumerate(self.fans):
            if len(fan) > 1:
                strides = " and ".join(size_text(span.stride) for span in fan)
                raise KindError(
                    f"branches with strides of {strides} meet at or before {self.node}, so on "
                    f"axis {axis} the size, the stride and the padding of the receptive field "
                    f"depend on the output: use box(u) or mask(u) for the field of output u"
                )
        return tuple(fan[0] for fan in self.fans)

    @property
    def is_regular(self) -> bool:
        """Whether there is one size and one stride along each axis."""
        return all(len(fan) == 1 for fan in self.fans)

    @property
    def is_bound(self) -> bool:
        """Whether sizes are only upper bounds, which are printed as "at most"."""
        return not (self.exact and self.is_regular)

    @property
    def sizes_at_most(self) -> tuple[Any, ...]:
        """The size of the field along each axis; its maximum if branches differ in stride."""
        return tuple(
            fan[0].size if len(fan) == 1 else self._widest(fan, n)
            for fan, n in zip(self.fans, self._outputs, strict=True)
        )

    @property
    def strides(self) -> tuple[Any, ...]:
        """The stride of the field along each axis; None if branches differ in stride."""
        return tuple(fan[0].stride if len(fan) == 1 else None for fan in self.fans)

    def hull(self, u: Shape) -> tuple[tuple[Any, Any], ...]:
        """Return the first and the last position of output u over all branches, by axis."""
        return tuple(map(_hull, self.fans, u))

    def window_text(self) -> str:
        """Return the positions that output u reads as text: "u reads [-1 + 2u, 1 + 2u]"."""
        reads = "reads" if self.exact else "reads within"
        return f"u {reads} {', '.join(map(_fan_text, self.fans))}"

    def border_text(self) -> str:
        """Return the boundary rules other than zeros as text: "circular border"."""
        return f"{' and '.join(sorted(self.borders))} border" if self.borders else ""

    def size_text(self) -> str:
        """Return the size of the field as text: "3 x 3", or "at most 3 x 3" for a bound."""
        text = " x ".join(size_text(size) for size in self.sizes_at_most)
        return f"at most {text}" if self.is_bound and text else text

    def stride_text(self) -> str:
        """Return the stride of the field as text: "2 x 2", or "1, 2" where branches differ."""
        return " x ".join(", ".join(size_text(span.stride) for span in fan) for fan in self.fans)

    @property
    def _outputs(self) -> Shape:
        return self.sizes if self.kind != "whole" else (1,) * len(self.fans)

    @staticmethod
    def _widest(fan: Fan, outputs: Size) -> Any:
        # The width is a convex function of u, so its maximum is at the first or the last output.
        widths = [last - first + 1 for first, last in (_hull(fan, 0), _hull(fan, outputs - 1))]
        return largest(*widths)


def _hull(fan: Fan, u: object) -> tuple[Any, Any]:
    """Return the first and the last position of output u over all branches, as integers."""
    low, high = fan[0].first(u), fan[0].last(u)
    for span in fan[1:]:
        low, high = smallest(low, span.first(u)), largest(high, span.last(u))
    if not is_symbolic(low) and not is_symbolic(high):
        return math.ceil(low), math.floor(high)
    return low, high


@dataclass(frozen=True)
class Misalignment:
    """Two branches that meet at a node although their receptive fields are at different positions.

    Attributes:
        node: the name of the node at which the branches meet.
        ends: the names of the last nodes of the two branches.
        difference: for each axis, the value for the second branch minus the value for the first.
        of: the quantity that differs: "centres" (of output 0, in pixels) or "strides".
        net: the network.
    """

    node: str
    ends: tuple[str, str]
    difference: tuple[Any, ...]
    of: Literal["centres", "strides"]
    net: Graph = field(repr=False, compare=False)

    @cached_property
    def paths(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """For each of the two branches, a path of nodes from the input to its last node."""
        first, second = (_path(self.net, end) for end in self.ends)
        return first, second

    def __str__(self) -> str:
        first, second = (_path_text(self.net, end) for end in self.ends)
        return (
            f"{self.node} joins {first} and {second}, whose {self.of} differ by {self.difference}"
        )


def reaches(net: Graph) -> dict[str, Reach]:
    """Return the receptive field of every node, computed by the closed recurrence.

    Source: Araujo, Norris & Sim 2019, section "Computing receptive fields".
    """
    spatial = net.in_shape[1:]
    fields = net.reach_cache
    if len(fields) == len(net.graph):
        return fields
    fields[INPUT] = Reach(INPUT, tuple((Span(0, 0, 1),) for _ in spatial), spatial)
    for node, entry in net.graph.nodes.items():
        if node in fields:
            continue
        layer, parts = entry["layer"], [fields[source] for source in entry["sources"]]
        if layer.many:
            fields[node] = _joined(node, parts, stacked=isinstance(layer, Concat))
        else:
            before = net.graph.nodes[entry["sources"][0]]["shape"]
            fields[node] = _after_layer(node, parts[0], layer, before, entry["shape"][1:])
    return fields


def _after_layer(node: str, before: Reach, layer: Layer, shape: Shape, after: Shape) -> Reach:
    lattice, links = before.kind == "lattice", layer.links(shape)
    determined = before.determined and not _is_opaque(layer)
    exact, uneven = before.exact and determined, before.uneven
    if uneven:
        own = layer.channels(shape)
        # The layer may read the channels of only one branch.
        exact = exact and (own is None or bool(own.any(axis=0).all()))
        uneven = own is None or not own.all()
    if lattice and not links and isinstance(layer, Flatten):
        kept = replace(before, kind="flat")
    elif links is None or (not lattice and _mixes(layer)):
        exact = exact and (before.kind == "whole" or layer.reads_all(shape))
        kept = replace(before, fans=_everything(before), sizes=(), kind="whole")
    elif lattice:
        borders = before.borders | {k.axis.boundary for k in links if k.axis.boundary != "zeros"}
        exact = exact and all(link.is_tight for link in links)
        kept = replace(before, fans=_through(before, links), sizes=after, borders=borders)
    else:
        kept = before
    return replace(kept, node=node, exact=exact, determined=determined, uneven=uneven)


def _through(before: Reach, links: tuple[Link, ...]) -> tuple[Fan, ...]:
    fans: list[Fan] = []
    for k, (fan, link) in enumerate(zip(before.fans, links, strict=True)):
        # Axes are often equal; their spans are then computed only once.
        same = k and fan == before.fans[k - 1] and link == links[k - 1]
        fans.append(fans[-1] if same else tuple(_span_after(span, link) for span in fan))
    return tuple(fans)


def _is_opaque(layer: Layer) -> bool:
    """Return whether it is unknown which entries a layer reads."""
    return isinstance(layer, Opaque) and layer.like is None


def misalignments(net: Graph) -> list[Misalignment]:
    """Return all pairs of misaligned branches; see `Network.misalignments`."""
    fields = reaches(net)
    pairs = []
    for node, layer in net.layers():
        sources = net.sources(node)
        if not layer.many or any(fields[s].kind != "lattice" for s in sources):
            continue
        if not all(fields[s].is_regular for s in sources):
            # This misalignment has been reported at an earlier node.
            continue
        for other in sources[1:]:
            pair = fields[sources[0]].spans, fields[other].spans
            strides = tuple(b.stride - a.stride for a, b in zip(*pair, strict=True))
            centres = tuple(b.middle - a.middle for a, b in zip(*pair, strict=True))
            ends = (sources[0], other)
            if any(strides):
                pairs.append(Misalignment(node, ends, strides, "strides", net))
            elif any(centres):
                pairs.append(Misalignment(node, ends, centres, "centres", net))
    return pairs


def _path(net: Graph, node: str) -> tuple[str, ...]:
    """Return the nodes from the input to a node, following the first input of each layer back."""
    path = [node]
    while path[-1] != INPUT:
        path.append(net.sources(path[-1])[0])
    return tuple(reversed(path))


def _path_text(net: Graph, node: str, longest: int = 6) -> str:
    """Return the last nodes of the path from the input to a node as text: "input > ... > relu3"."""
    path = [node]
    while path[-1] != INPUT and len(path) < longest:
        path.append(net.sources(path[-1])[0])
    start = [] if path[-1] == INPUT else [INPUT, "..."]
    return " > ".join([*start, *reversed(path)])


def _mixes(layer: Layer) -> bool:
    """Return whether an output channel of a layer may read other channels than its own."""
    # Decided by the class, since the table of channels may be large.
    return type(layer).channels is not Layer.channels


def _span_after(span: Span, link: Link) -> Span:
    """Return the span of a node from the span of its input and the link of its layer."""
    axis, step = link.axis, span.stride
    if link.table is not None:
        start, end = link.table.bounds
        fraction = Fraction(step) if isinstance(step, int) else step
        return Span(
            _tidy(span.start + fraction * start),
            _tidy(span.end + fraction * end),
            _tidy(fraction * link.table.step),
        )
    before, width = link.reach
    if not link.transposed:
        return Span(
            span.start - step * before,
            span.end + step * (width - before),
            step * axis.stride,
        )
    if isinstance(step, (int, Fraction)) and isinstance(axis.stride, int):
        share = _tidy(Fraction(1, axis.stride) * step)
    else:
        share = step / axis.stride
    return Span(
        _tidy(span.start + share * (before - width)), _tidy(span.end + share * before), share
    )


def _everything(reach: Reach) -> tuple[Fan, ...]:
    """Return the hull of the fields of all outputs of a node."""
    if reach.kind == "whole":
        return reach.fans
    fans: list[Fan] = []
    for fan, n in zip(reach.fans, reach.sizes, strict=True):
        low, high = fan[0].first(0), fan[0].last(n - 1)
        for span in fan[1:]:
            low, high = smallest(low, span.first(0)), largest(high, span.last(n - 1))
        fans.append((Span(low, high, 0),))
    return tuple(fans)


def _joined(node: str, parts: list[Reach], *, stacked: bool) -> Reach:
    """Return the hull of the fields of the branches that a node joins."""
    first = parts[0]
    exact, determined = all(p.exact for p in parts), all(p.determined for p in parts)
    borders = frozenset().union(*(p.borders for p in parts))
    uneven = any(p.uneven for p in parts) or (stacked and any(p.fans != first.fans for p in parts))
    kind = first.kind
    if any(p.kind != kind or (kind == "flat" and p.sizes != first.sizes) for p in parts):
        # The outputs of the branches are not indexed by the same lattice.
        exact = exact and all(part.kind == "whole" for part in parts)
        parts = [Reach(p.node, _everything(p), (), "whole") for p in parts]
        kind, first = "whole", parts[0]
    sizes = first.sizes if kind != "whole" else (1,) * len(first.fans)
    fans = tuple(
        _fan([span for fan in each for span in fan], n)
        for *each, n in zip(*(part.fans for part in parts), sizes, strict=True)
    )
    return Reach(node, fans, first.sizes, kind, exact, determined, uneven, borders)


def _fan(spans: list[Span], outputs: Size) -> Fan:
    """Return the hull of spans: one span for each stride, without spans that others cover."""
    alike: list[Span] = []
    for span in spans:
        for k, other in enumerate(alike):
            if other.stride == span.stride:
                low, high = smallest(other.start, span.start), largest(other.end, span.end)
                alike[k] = Span(low, high, span.stride)
                break
        else:
            alike.append(span)
    if len(alike) == 1 or any(is_symbolic(v) for s in alike for v in (s.start, s.end, s.stride)):
        return tuple(sorted(alike, key=str)) if len(alike) > 1 else tuple(alike)
    # The result must not depend on the order of the branches.
    alike.sort(key=lambda span: (span.stride, span.start, span.end))
    ends = [0] if is_symbolic(outputs) or outputs == 1 else [0, int(outputs) - 1]
    kept = list(alike)
    for span in alike:
        rest = [other for other in kept if other is not span]
        if any(_covers(o, span, ends, outputs, lower=True) for o in rest) and any(
            _covers(o, span, ends, outputs, lower=False) for o in rest
        ):
            kept = rest
    return tuple(kept)


def _covers(other: Span, span: Span, ends: Iterable[int], outputs: object, *, lower: bool) -> bool:
    """Return whether `other` extends at least as far as `span` for all outputs, at one end."""
    if lower:
        near = all(other.first(u) <= span.first(u) for u in ends)
        return near and (not is_symbolic(outputs) or other.stride <= span.stride)
    near = all(other.last(u) >= span.last(u) for u in ends)
    return near and (not is_symbolic(outputs) or other.stride >= span.stride)


def _tidy(value: object) -> Any:
    """Return a fraction with an integer value as an int, and any other value unchanged."""
    return int(value) if isinstance(value, Fraction) and value.denominator == 1 else value


def smallest(first: Any, second: Any) -> Any:
    """Return the smaller of two numbers, as an expression if one of them is symbolic."""
    if is_symbolic(first) or is_symbolic(second):
        import sympy

        return sympy.Min(first, second)
    return min(first, second)


def largest(first: Any, second: Any) -> Any:
    """Return the larger of two numbers, as an expression if one of them is symbolic."""
    if is_symbolic(first) or is_symbolic(second):
        import sympy

        return sympy.Max(first, second)
    return max(first, second)


def _affine(constant: object, factor: object) -> str:
    """Return constant + factor u as text."""
    if factor == 0:
        return size_text(constant)
    step = "u" if factor == 1 else f"{factor}u"
    return step if constant == 0 else f"{size_text(constant)} + {step}"


def _fan_text(fan: Fan) -> str:
    """Return the hull of the spans of a fan as text: "[-1 + 2u, 3 + 2u]"."""
    if len(fan) == 1:
        return str(fan[0])
    low = ", ".join(dict.fromkeys(_affine(span.start, span.stride) for span in fan))
    high = ", ".join(dict.fromkeys(_affine(span.end, span.stride) for span in fan))
    return f"[min({low}), max({high})]"

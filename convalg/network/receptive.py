"""Receptive fields: the closed recurrence, with numbers or symbols, and the exact sets.

Along one axis output u of a node reads, of the input, positions between start + stride u and
end + stride u. After a layer with stride s, dilation d, k taps and padding p that is

    start' = start - stride p,  end' = end + stride (d (k - 1) - p),  stride' = stride s,

and the reverse for a transposed layer. The recurrence lets the data go on beyond every border,
as padding does; what is really read, with the holes that dilation and strides leave and the
border as its rule has it, comes from the patterns themselves (see `dependence`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

from convalg.errors import KindError
from convalg.network.graph import INPUT, Graph
from convalg.network.layers.base import Layer, Link, Shape
from convalg.network.layers.opaque import Opaque
from convalg.network.layers.shape import Concat, Flatten
from convalg.size import is_symbolic, size_words


@dataclass(frozen=True)
class Span:
    """Output u reads between start + stride u and end + stride u, padding included."""

    start: Any
    end: Any
    stride: Any

    @property
    def size(self) -> Any:
        """How many positions lie in between: the size of the receptive field."""
        width = self.end - self.start
        return width + 1 if is_symbolic(width) else math.floor(width) + 1

    @property
    def middle(self) -> Any:
        """The centre for u = 0."""
        total = self.start + self.end
        return total / 2 if is_symbolic(total) else _tidy(Fraction(total) / 2)

    def first(self, u: Any) -> Any:
        """The lower bound for output u."""
        return self.start + self.stride * u

    def last(self, u: Any) -> Any:
        """The upper bound for output u."""
        return self.end + self.stride * u

    def __str__(self) -> str:
        return f"[{_affine(self.start, self.stride)}, {_affine(self.end, self.stride)}]"


Fan = tuple[Span, ...]
"""The hull of branches along one axis: one span for each stride that matters, mostly one."""


@dataclass(frozen=True)
class Reach:
    """What the units of a node read, by axis.

    `kind`: "lattice" (units are indexed by position), "flat" (a flattened lattice of `sizes`) or
    "whole" (each unit may read everything).
    """

    node: str
    fans: tuple[Fan, ...]
    sizes: Shape
    kind: Literal["lattice", "flat", "whole"] = "lattice"
    exact: bool = True
    """Whether both ends of a span are read, by an output for which no layer reads padding."""
    known: bool = True
    """Whether each layer on the way says which entries it reads: none is opaque."""
    uneven: bool = False
    """Whether the channels come from branches with different fields."""
    borders: frozenset[str] = frozenset()
    """The rules of borders other than zeros on the way."""

    @property
    def spans(self) -> tuple[Span, ...]:
        """One span by axis. Raises: KindError where branches with different strides meet."""
        for axis, fan in enumerate(self.fans):
            if len(fan) > 1:
                strides = " and ".join(size_words(span.stride) for span in fan)
                raise KindError(
                    f"branches with strides of {strides} meet at or before {self.node}, so on "
                    f"axis {axis} the field has no single size, stride or padding: ask box(u) or "
                    f"mask(u) for that of an output"
                )
        return tuple(fan[0] for fan in self.fans)

    @property
    def is_regular(self) -> bool:
        """Whether there is one size and one stride along each axis."""
        return all(len(fan) == 1 for fan in self.fans)

    @property
    def is_bound(self) -> bool:
        """Whether sizes are only bounds, to be called "at most"."""
        return not (self.exact and self.is_regular)

    @property
    def sizes_at_most(self) -> tuple[Any, ...]:
        """The size of the field by axis; of branches with different strides, the largest."""
        return tuple(
            fan[0].size if len(fan) == 1 else self._widest(fan, n)
            for fan, n in zip(self.fans, self._outputs, strict=True)
        )

    @property
    def strides(self) -> tuple[Any, ...]:
        """The stride of the field by axis, None where branches differ."""
        return tuple(fan[0].stride if len(fan) == 1 else None for fan in self.fans)

    def hull(self, u: tuple[Any, ...]) -> tuple[tuple[Any, Any], ...]:
        """The first and the last position of a unit, by axis, over all branches."""
        return tuple(map(_hull, self.fans, u))

    def words(self) -> str:
        """What unit u reads, as in "u reads [-1 + 2u, 1 + 2u]"."""
        reads = "reads" if self.exact else "reads within"
        return f"u {reads} {', '.join(map(_fan_words, self.fans))}"

    def border_words(self) -> str:
        """The rules of borders other than zeros, as text."""
        return f"{' and '.join(sorted(self.borders))} border" if self.borders else ""

    def size_words(self) -> str:
        """The size of the field as text: "at most" where it is a bound."""
        words = " x ".join(size_words(size) for size in self.sizes_at_most)
        return f"at most {words}" if self.is_bound and words else words

    def stride_words(self) -> str:
        """The stride of the field as text, as in "2 x 2"; "1, 2" where branches differ."""
        return " x ".join(", ".join(size_words(span.stride) for span in fan) for fan in self.fans)

    @property
    def _outputs(self) -> Shape:
        return self.sizes if self.kind != "whole" else (1,) * len(self.fans)

    @staticmethod
    def _widest(fan: Fan, outputs: Any) -> Any:
        # The width is convex in u: it is largest at the first or the last output.
        widths = [last - first + 1 for first, last in (_hull(fan, 0), _hull(fan, outputs - 1))]
        return largest(*widths)


def _hull(fan: Fan, u: Any) -> tuple[Any, Any]:
    """The first and the last position of output u over all branches, as integers."""
    low, high = fan[0].first(u), fan[0].last(u)
    for span in fan[1:]:
        low, high = smallest(low, span.first(u)), largest(high, span.last(u))
    if not is_symbolic(low) and not is_symbolic(high):
        return math.ceil(low), math.floor(high)
    return low, high


@dataclass(frozen=True)
class Misalignment:
    """Two branches that meet at a node and look at different positions of the input.

    `difference` is that of their centres in pixels, by axis; or of their strides.
    """

    node: str
    ends: tuple[str, str]
    difference: tuple[Any, ...]
    of: Literal["centres", "strides"]
    net: Graph = field(repr=False, compare=False)

    @cached_property
    def paths(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """A path from the input to each of the two."""
        first, second = (_path(self.net, end) for end in self.ends)
        return first, second

    def __str__(self) -> str:
        first, second = (_path_words(self.net, end) for end in self.ends)
        return (
            f"{self.node} joins {first} and {second}, whose {self.of} differ by {self.difference}"
        )


def reaches(net: Graph) -> dict[str, Reach]:
    """What every node reads, by the closed recurrence.

    Source: Araujo, Norris & Sim 2019, section "Computing receptive fields".
    """
    spatial = net.in_shape[1:]
    found = net._reaches
    if len(found) == len(net.graph):
        return found
    found[INPUT] = Reach(INPUT, tuple((Span(0, 0, 1),) for _ in spatial), spatial)
    for node, facts in net.graph.nodes.items():
        if node in found:
            continue
        layer, parts = facts["layer"], [found[source] for source in facts["sources"]]
        if layer.many:
            found[node] = _joined(node, parts, stacked=isinstance(layer, Concat))
        else:
            before = net.graph.nodes[facts["sources"][0]]["shape"]
            found[node] = _after_layer(node, parts[0], layer, before, facts["shape"][1:])
    return found


def _after_layer(node: str, before: Reach, layer: Layer, shape: Shape, after: Shape) -> Reach:
    lattice, links = before.kind == "lattice", layer.links(shape)
    known = before.known and not _is_opaque(layer)
    exact, uneven = before.exact and known, before.uneven
    if uneven:
        own = layer.channels(shape)
        # Channels of one branch may be the only ones that are kept.
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
    return replace(kept, node=node, exact=exact, known=known, uneven=uneven)


def _through(before: Reach, links: tuple[Link, ...]) -> tuple[Fan, ...]:
    fans: list[Fan] = []
    for k, (fan, link) in enumerate(zip(before.fans, links, strict=True)):
        # Axes are mostly alike: the spans of one are then those of the next.
        same = k and fan == before.fans[k - 1] and link == links[k - 1]
        fans.append(fans[-1] if same else tuple(_behind(span, link) for span in fan))
    return tuple(fans)


def _is_opaque(layer: Layer) -> bool:
    """Whether nothing is known of what a layer reads."""
    return isinstance(layer, Opaque) and layer.like is None


def misalignments(net: Graph) -> list[Misalignment]:
    """See `Network.misalignments`."""
    known = reaches(net)
    found = []
    for node, layer in net.layers():
        sources = net.sources(node)
        if not layer.many or any(known[s].kind != "lattice" for s in sources):
            continue
        if not all(known[s].is_regular for s in sources):
            # Where these have met there is a misalignment already.
            continue
        for other in sources[1:]:
            pair = known[sources[0]].spans, known[other].spans
            strides = tuple(b.stride - a.stride for a, b in zip(*pair, strict=True))
            centres = tuple(b.middle - a.middle for a, b in zip(*pair, strict=True))
            ends = (sources[0], other)
            if any(strides):
                found.append(Misalignment(node, ends, strides, "strides", net))
            elif any(centres):
                found.append(Misalignment(node, ends, centres, "centres", net))
    return found


def _path(net: Graph, node: str) -> tuple[str, ...]:
    """A path from the input to a node, by first inputs."""
    path = [node]
    while path[-1] != INPUT:
        path.append(net.sources(path[-1])[0])
    return tuple(reversed(path))


def _path_words(net: Graph, node: str, longest: int = 6) -> str:
    """The end of a path from the input to a node."""
    path = [node]
    while path[-1] != INPUT and len(path) < longest:
        path.append(net.sources(path[-1])[0])
    start = [] if path[-1] == INPUT else [INPUT, "..."]
    return " > ".join([*start, *reversed(path)])


def _mixes(layer: Layer) -> bool:
    """Whether a layer reads other channels than its own; asked without building which."""
    return type(layer).channels is not Layer.channels


def _behind(span: Span, link: Link) -> Span:
    """The span after one layer."""
    axis, step = link.axis, span.stride
    if link.table is not None:
        start, end = link.table.bounds
        exactly = Fraction(step) if isinstance(step, int) else step
        return Span(
            _tidy(span.start + exactly * start),
            _tidy(span.end + exactly * end),
            _tidy(exactly * link.table.step),
        )
    before, width = link.reach
    if not link.turned:
        return Span(
            span.start - step * before,
            span.end + step * (width - before),
            step * axis.stride,
        )
    share = (
        _tidy(Fraction(1, axis.stride) * step)
        if isinstance(step, (int, Fraction))
        else (step / axis.stride)
    )
    return Span(
        _tidy(span.start + share * (before - width)), _tidy(span.end + share * before), share
    )


def _everything(reach: Reach) -> tuple[Fan, ...]:
    """All units of a lattice taken together."""
    if reach.kind == "whole":
        return reach.fans
    found = []
    for fan, n in zip(reach.fans, reach.sizes, strict=True):
        low, high = fan[0].first(0), fan[0].last(n - 1)
        for span in fan[1:]:
            low, high = smallest(low, span.first(0)), largest(high, span.last(n - 1))
        found.append((Span(low, high, 0),))
    return tuple(found)


def _joined(node: str, parts: list[Reach], *, stacked: bool) -> Reach:
    """The hull of branches; of whole ones, or of lattices."""
    first = parts[0]
    exact, known = all(p.exact for p in parts), all(p.known for p in parts)
    borders = frozenset().union(*(p.borders for p in parts))
    uneven = any(p.uneven for p in parts) or (stacked and any(p.fans != first.fans for p in parts))
    kind = first.kind
    if any(p.kind != kind or (kind == "flat" and p.sizes != first.sizes) for p in parts):
        # Units of one branch and of the other do not read from one lattice.
        exact = exact and all(part.kind == "whole" for part in parts)
        parts = [Reach(p.node, _everything(p), (), "whole") for p in parts]
        kind, first = "whole", parts[0]
    sizes = first.sizes if kind != "whole" else (1,) * len(first.fans)
    fans = tuple(
        _fan([span for fan in each for span in fan], n)
        for *each, n in zip(*(part.fans for part in parts), sizes, strict=True)
    )
    return Reach(node, fans, first.sizes, kind, exact, known, uneven, borders)


def _fan(spans: list[Span], outputs: Any) -> Fan:
    """The hull of spans over so many outputs: one span for each stride that is needed."""
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
    # In the same order whatever that of the branches.
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


def _covers(other: Span, span: Span, ends: Iterable[int], outputs: Any, *, lower: bool) -> bool:
    """Whether the bound of another span is as far out as that of a span, for all outputs."""
    if lower:
        near = all(other.first(u) <= span.first(u) for u in ends)
        return near and (not is_symbolic(outputs) or other.stride <= span.stride)
    near = all(other.last(u) >= span.last(u) for u in ends)
    return near and (not is_symbolic(outputs) or other.stride >= span.stride)


def _tidy(value: Any) -> Any:
    """A fraction that is whole, as an int."""
    return int(value) if isinstance(value, Fraction) and value.denominator == 1 else value


def smallest(first: Any, second: Any) -> Any:
    """The smaller of two sizes, an expression where they have symbols."""
    if is_symbolic(first) or is_symbolic(second):
        import sympy

        return sympy.Min(first, second)
    return min(first, second)


def largest(first: Any, second: Any) -> Any:
    """The larger of two sizes, an expression where they have symbols."""
    if is_symbolic(first) or is_symbolic(second):
        import sympy

        return sympy.Max(first, second)
    return max(first, second)


def _affine(constant: Any, factor: Any) -> str:
    """constant + factor u, as one writes it."""
    if factor == 0:
        return size_words(constant)
    step = "u" if factor == 1 else f"{factor}u"
    return step if constant == 0 else f"{size_words(constant)} + {step}"


def _fan_words(fan: Fan) -> str:
    """A span as one writes it, [-1 + 2u, 3 + 2u], or the hull of several."""
    if len(fan) == 1:
        return str(fan[0])
    low = ", ".join(dict.fromkeys(_affine(span.start, span.stride) for span in fan))
    high = ", ".join(dict.fromkeys(_affine(span.end, span.stride) for span in fan))
    return f"[min({low}), max({high})]"

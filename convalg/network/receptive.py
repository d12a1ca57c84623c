"""Receptive fields: the closed recurrence, the exact sets, and both in letters.

Along one axis output u of a node reads, of the input, positions between start + stride u and
end + stride u. Behind a layer with stride s, dilation d, k taps and padding p that is

    start' = start - stride p,  end' = end + stride (d (k - 1) - p),  stride' = stride s,

and turned round for a transposed layer. What lies inside and is really read, with the holes that
dilation and strides leave and the border cut off, comes from the patterns themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from convalg.base import Array
from convalg.errors import ArgumentError, KindError, SymbolicError
from convalg.network.graph import INPUT, Network
from convalg.network.layers.base import Layer, Link, Shape
from convalg.network.layers.shape import Concat, Flatten
from convalg.spec import is_symbolic, size_words

if TYPE_CHECKING:
    import islpy


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

    def __str__(self) -> str:
        return f"[{_affine(self.start, self.stride)}, {_affine(self.end, self.stride)}]"


@dataclass(frozen=True)
class Reach:
    """What the units of a node read, by axis.

    `kind`: "lattice" (units are indexed by place), "flat" (a flattened lattice of `sizes`) or
    "whole" (every unit reads everything).
    """

    spans: tuple[Span, ...]
    sizes: Shape
    kind: Literal["lattice", "flat", "whole"] = "lattice"


@dataclass(frozen=True)
class Misalignment:
    """Two branches that meet at a node and look at different places of the input.

    `difference` is that of their centres in pixels, by axis; or of their strides.
    """

    node: str
    paths: tuple[tuple[str, ...], tuple[str, ...]]
    difference: tuple[Any, ...]
    of: Literal["centres", "strides"]

    def __str__(self) -> str:
        first, second = (" > ".join(path) for path in self.paths)
        return (
            f"{self.node} joins {first} and {second}, whose {self.of} differ by {self.difference}"
        )


@dataclass(frozen=True, eq=False)
class ReceptiveField:
    """What an output at a node reads of the network's input.

    `size`, `stride` and `padding` have one number for each axis: output u reads positions
    -padding + stride u to -padding + stride u + size - 1, as far as they are in the image.
    """

    net: Network
    node: str
    reach: Reach

    @property
    def size(self) -> tuple[Any, ...]:
        """Pixels along each axis, holes and padding included."""
        return tuple(span.size for span in self.reach.spans)

    @property
    def stride(self) -> tuple[Any, ...]:
        """Pixels between the fields of neighbouring outputs; a fraction behind upsampling."""
        return tuple(span.stride for span in self.reach.spans)

    @property
    def padding(self) -> tuple[Any, ...]:
        """Pixels that the field of output 0 begins before the image."""
        return tuple(-span.start for span in self.reach.spans)

    def center(self, u: Any = 0) -> tuple[Any, ...]:
        """The centre of the field of an output, by axis.

        Shapes: u one index, or one for each axis; an int or a letter.
        """
        return tuple(
            span.middle + span.stride * place
            for span, place in zip(self.reach.spans, self._unit(u), strict=True)
        )

    def box(self, u: Any = 0, *, clip: bool = False) -> tuple[tuple[Any, Any], ...]:
        """Bounds of what an output reads, by axis; with `clip` in the image.

        Only behind a transposed layer or an upsampling may the first or last position inside them
        not be read: `positions` says.
        """
        found = []
        sizes = self.net.in_shape[1:]
        for span, place, n in zip(self.reach.spans, self._unit(u), sizes, strict=True):
            low, high = span.start + span.stride * place, span.end + span.stride * place
            if not is_symbolic(low) and not is_symbolic(high):
                low, high = math.ceil(low), math.floor(high)
            if clip:
                low, high = _largest(low, 0), _smallest(high, n - 1)
            found.append((low, high))
        return tuple(found)

    def positions(self, u: Any = 0) -> tuple[list[int], ...]:
        """The positions that an output really reads, by axis: in the image, without the holes.

        Where branches meet these are the projections on the axes; `mask` has the set itself.
        """
        return tuple(sorted(found) for found in _sets(self.net, self.node, self._place(u)))

    def holes(self, u: Any = 0) -> tuple[list[int], ...]:
        """Positions between the first and the last that are read, and that are not themselves."""
        return tuple(
            sorted(set(range(found[0], found[-1] + 1)) - set(found)) if found else []
            for found in self.positions(u)
        )

    def mask(self, u: Any = 0) -> Array:
        """Which pixels an output reads, as booleans of the image's spatial shape."""
        return _mask(self.net, self.node, self._place(u))

    def readers(self, i: Any) -> tuple[list[int], ...]:
        """The outputs that read a pixel, by axis: the other direction.

        Shapes: i one index, or one for each axis.
        Raises: KindError behind a flattening, where every output may read every pixel.
        """
        if self.reach.kind != "lattice":
            raise KindError(f"{self.node} has no places: each of its units reads a whole region")
        dims = len(self.reach.spans)
        pixel = tuple(i) if isinstance(i, (tuple, list)) else (i,) * dims
        return tuple(sorted(found) for found in _forward_sets(self.net, self.node, pixel))

    def channels(self, channel: int = 0) -> list[int]:
        """The input channels that an output channel reads."""
        found = _channels(self.net)[self.node]
        if not 0 <= channel < len(found):
            raise ArgumentError(
                f"channel must be 0 to {len(found) - 1} at {self.node}, not {channel}"
            )
        return np.flatnonzero(found[channel]).tolist()

    def relation(self, axis: int = 0) -> islpy.Map:
        """{[output] -> [input]} of one axis, exact, with letters where sizes are letters.

        Raises: KindError behind a flattening, ArgumentError for an axis that there is not.
        """
        from convalg.network.relations import relation

        if self.reach.kind != "lattice" or not 0 <= axis < len(self.reach.spans):
            raise KindError(f"{self.node} has no axis {axis} whose places read places")
        return relation(self.net, self.node, axis)

    def __repr__(self) -> str:
        parts = ", ".join(map(str, self.reach.spans))
        words = " x ".join(size_words(n) for n in self.size)
        return f"<receptive field of {self.node}: {words}, u reads {parts}>"

    def _unit(self, u: Any) -> tuple[Any, ...]:
        """The place of a unit on the lattice that it reads from."""
        dims = len(self.reach.spans)
        if self.reach.kind == "whole":
            return (0,) * dims
        if self.reach.kind == "flat" and not isinstance(u, (tuple, list)):
            inner = math.prod(self.reach.sizes)
            return tuple(int(k) for k in np.unravel_index(int(u) % inner, self.reach.sizes))
        place = tuple(u) if isinstance(u, (tuple, list)) else (u,) * dims
        if len(place) != dims:
            raise ArgumentError(f"u must be one index or {dims} of them, not {u!r}")
        return place

    def _place(self, u: Any) -> tuple[int, ...] | None:
        """The same for numbers; None where a unit reads everything."""
        if any(is_symbolic(n) for n in (*self.net.in_shape, *self.reach.sizes)):
            raise SymbolicError(
                f"sets of positions need numbers for sizes: see relation() of {self!r}"
            )
        if self.reach.kind == "whole":
            return None
        place = tuple(int(k) for k in self._unit(u))
        for k, (index, n) in enumerate(zip(place, self.reach.sizes, strict=True)):
            if not 0 <= index < n:
                raise ArgumentError(
                    f"u must be 0 to {n - 1} on axis {k} of {self.node}, not {index}"
                )
        return place


def receptive_field(net: Network, node: str) -> ReceptiveField:
    """See `Network.receptive_field`."""
    return ReceptiveField(net, node, reaches(net)[node])


def reaches(net: Network) -> dict[str, Reach]:
    """What every node reads, by the closed recurrence.

    Source: Araujo, Norris & Sim 2019, section "Computing receptive fields".
    """
    spatial = net.in_shape[1:]
    found = net._reaches
    if len(found) == len(net.graph):
        return found
    found[INPUT] = Reach(tuple(Span(0, 0, 1) for _ in spatial), spatial)
    for node, facts in net.graph.nodes.items():
        if node in found:
            continue
        layer, parts = facts["layer"], [found[source] for source in facts["sources"]]
        if layer.many:
            found[node] = _joined(parts)
        else:
            before = net.graph.nodes[facts["sources"][0]]["shape"]
            found[node] = _behind_layer(parts[0], layer, before, facts["shape"][1:])
    return found


def _behind_layer(before: Reach, layer: Layer, shape: Shape, after: Shape) -> Reach:
    links = layer.links(shape)
    lattice = before.kind == "lattice"
    if lattice and not links and isinstance(layer, Flatten):
        return Reach(before.spans, before.sizes, "flat")
    if links is None or (not lattice and _mixes(layer)):
        return Reach(_everything(before), (), "whole")
    if not lattice:
        return before
    spans: list[Span] = []
    for k, (span, link) in enumerate(zip(before.spans, links, strict=True)):
        # Axes are mostly alike: the span of one is then that of the next.
        same = k and span == before.spans[k - 1] and link == links[k - 1]
        spans.append(spans[-1] if same else _behind(span, link))
    return Reach(tuple(spans), after)


def misalignments(net: Network) -> list[Misalignment]:
    """See `Network.misalignments`."""
    known = reaches(net)
    found = []
    for node, layer in net.layers():
        sources = net.sources(node)
        if not layer.many or any(known[s].kind != "lattice" for s in sources):
            continue
        for other in sources[1:]:
            pair = known[sources[0]].spans, known[other].spans
            paths = (_path(net, sources[0]), _path(net, other))
            strides = tuple(b.stride - a.stride for a, b in zip(*pair, strict=True))
            centres = tuple(b.middle - a.middle for a, b in zip(*pair, strict=True))
            if any(strides):
                found.append(Misalignment(node, paths, strides, "strides"))
            elif any(centres):
                found.append(Misalignment(node, paths, centres, "centres"))
    return found


def _path(net: Network, node: str) -> tuple[str, ...]:
    """A path from the input to a node, by first inputs."""
    path = [node]
    while path[-1] != INPUT:
        path.append(net.sources(path[-1])[0])
    return tuple(reversed(path))


def _mixes(layer: Layer) -> bool:
    """Whether a layer reads other channels than its own; asked without building which."""
    return type(layer).channels is not Layer.channels


def _behind(span: Span, link: Link) -> Span:
    """The span behind one layer."""
    axis, step = link.axis, span.stride
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


def _everything(reach: Reach) -> tuple[Span, ...]:
    """All units of a lattice taken together."""
    if reach.kind == "whole":
        return reach.spans
    return tuple(
        Span(span.start, span.end + span.stride * (n - 1), 0)
        for span, n in zip(reach.spans, reach.sizes, strict=True)
    )


def _joined(parts: list[Reach]) -> Reach:
    """The hull of branches; of whole ones, or of lattices."""
    if any(part.kind != parts[0].kind for part in parts):
        parts = [Reach(_everything(part), (), "whole") for part in parts]
    spans = []
    for each in zip(*(part.spans for part in parts), strict=True):
        low, high = each[0].start, each[0].end
        for span in each[1:]:
            low, high = _smallest(low, span.start), _largest(high, span.end)
        spans.append(Span(low, high, each[0].stride))
    return Reach(tuple(spans), parts[0].sizes, parts[0].kind)


# Exact sets.


def _sets(net: Network, wanted: str, place: tuple[int, ...] | None) -> list[set[int]]:
    """The input positions that one unit reads, by axis, from the patterns."""
    dims = len(net.in_shape) - 1
    known = reaches(net)
    pending: dict[str, list[set[int]]] = {wanted: _start(net, known, wanted, place)}
    for node in reversed([n for n, _ in net.layers()]):
        if node not in pending:
            continue
        here = pending.pop(node)
        for source in dict.fromkeys(net.sources(node)):
            back = _backwards(net, known, node, source, here)
            old = pending.setdefault(source, [set() for _ in range(dims)])
            pending[source] = [a | b for a, b in zip(old, back, strict=True)]
    return pending[INPUT]


def _start(
    net: Network, known: dict[str, Reach], node: str, place: tuple[int, ...] | None
) -> list[set[int]]:
    if place is not None:
        return [{k} for k in place]
    return [set() for _ in net.in_shape[1:]]


def _backwards(
    net: Network, known: dict[str, Reach], node: str, source: str, here: list[set[int]]
) -> list[set[int]]:
    """The positions of a source that positions of a node read."""
    layer = net[node]
    before = known[source]
    if before.kind == "whole":
        return here
    if known[node].kind == "whole":
        sizes = before.sizes
        return [set(range(int(n))) for n in sizes]
    if before.kind == "flat" or layer.many or known[node].kind == "flat":
        return here
    links = layer.links(net.shapes[source])
    assert links is not None
    return [_read(link, places) for link, places in zip(links, here, strict=True)]


def _read(link: Link, places: set[int]) -> set[int]:
    """What positions read through one axis."""
    table = link.columns()
    if not link.turned:
        found = table[sorted(places)] if places else table[:0]
        return {int(k) for k in found.ravel() if k >= 0}
    hit = np.isin(table, sorted(places)).any(axis=1)
    return {int(k) for k in np.flatnonzero(hit)}


def _forward_sets(net: Network, wanted: str, pixel: tuple[Any, ...]) -> list[set[int]]:
    """The positions of a node that read one pixel, by axis."""
    found: dict[str, list[set[int]]] = {INPUT: [{int(k)} for k in pixel]}
    for node, layer in net.layers():
        parts = []
        for source in dict.fromkeys(net.sources(node)):
            here = found[source]
            links = None if layer.many else layer.links(net.shapes[source])
            if layer.many:
                parts.append(here)
            elif links is None or len(links) != len(here):
                parts.append([set() for _ in here])
            else:
                turned = [replace(link, turned=not link.turned) for link in links]
                parts.append([_read(k, s) for k, s in zip(turned, here, strict=True)])
        found[node] = [set().union(*each) for each in zip(*parts, strict=True)]
        if node == wanted:
            break
    return found[wanted]


def _mask(net: Network, wanted: str, place: tuple[int, ...] | None) -> Array:
    """The set of pixels that one unit reads: products of axes, joined over branches."""
    known = reaches(net)
    sizes = tuple(int(n) for n in net.in_shape[1:])
    pending: dict[str, Array] = {}
    if place is not None:
        pending[wanted] = np.zeros(tuple(int(n) for n in known[wanted].sizes), dtype=bool)
        pending[wanted][place] = True
    else:
        pending[wanted] = np.zeros((), dtype=bool)
    for node in reversed([n for n, _ in net.layers()]):
        if node not in pending:
            continue
        here = pending.pop(node)
        for source in dict.fromkeys(net.sources(node)):
            back = _mask_back(net, known, node, source, here)
            old = pending.get(source)
            pending[source] = back if old is None else old | back
    return pending.get(INPUT, np.zeros(sizes, dtype=bool))


def _mask_back(net: Network, known: dict[str, Reach], node: str, source: str, here: Array) -> Array:
    before = known[source]
    if before.kind == "whole":
        return here
    if known[node].kind == "whole":
        return np.ones(tuple(int(n) for n in before.sizes), dtype=bool)
    layer = net[node]
    if before.kind == "flat" or layer.many or known[node].kind == "flat":
        return here
    links = layer.links(net.shapes[source])
    assert links is not None
    for k, link in enumerate(links):
        matrix = _matrix(link)
        here = np.moveaxis(np.tensordot(here, matrix, axes=(k, 0)), -1, k) > 0
    return here


def _matrix(link: Link) -> Array:
    """Which source positions (columns) each position (rows) reads along an axis."""
    table = link.columns()
    found = np.zeros((len(table), int(link.axis.in_size)), dtype=np.int32)  # type: ignore[arg-type]
    rows, taps = np.nonzero(table >= 0)
    found[rows, table[rows, taps]] = 1
    return found.T if link.turned else found


def _channels(net: Network) -> dict[str, Array]:
    """Which input channels each channel of every node reads."""
    count = int(net.in_shape[0])
    found: dict[str, Array] = {INPUT: np.eye(count, dtype=bool)}
    for node, layer in net.layers():
        sources = net.sources(node)
        parts = [found[source] for source in sources]
        if isinstance(layer, Concat):
            found[node] = np.concatenate(parts)
        elif layer.many:
            found[node] = np.logical_or.reduce(parts)
        else:
            own = layer.channels(net.shapes[sources[0]])
            found[node] = parts[0] if own is None else (own.astype(np.int32) @ parts[0]) > 0
    return found


def _tidy(value: Any) -> Any:
    """A fraction that is whole, as an int."""
    return int(value) if isinstance(value, Fraction) and value.denominator == 1 else value


def _smallest(first: Any, second: Any) -> Any:
    if is_symbolic(first) or is_symbolic(second):
        import sympy

        return sympy.Min(first, second)
    return min(first, second)


def _largest(first: Any, second: Any) -> Any:
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

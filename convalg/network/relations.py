"""Receptive fields as integer relations: exact, for numbers and letters, decided by isl."""

from __future__ import annotations

import islpy

from convalg.errors import KindError, TooLargeError
from convalg.faces.relation import axis_condition, parameters, text
from convalg.network.dependence import ordered
from convalg.network.graph import INPUT, Graph
from convalg.network.layers.base import Link
from convalg.network.receptive import reaches

MOST_WINDOWS = 10_000


def relation(net: Graph, wanted: str, axis: int) -> islpy.Map:
    """{[position at a node] -> [position of the input]} along one axis."""
    _check_channels(net, wanted)
    found: dict[str, islpy.Map] = {INPUT: _identity(net.in_shape[1 + axis])}
    for node, layer in net.layers():
        parts = []
        for source in dict.fromkeys(net.sources(node)):
            if source not in found:
                continue
            if layer.many:
                parts.append(found[source])
                continue
            links = layer.links(net.shapes[source])
            if links is None or len(links) <= axis:
                continue
            parts.append(link_relation(links[axis]).apply_range(found[source]))
        if parts:
            whole = parts[0]
            for part in parts[1:]:
                whole = whole.union(part)
            found[node] = whole.coalesce()
        if node == wanted:
            break
    return found[wanted]


def _check_channels(net: Graph, wanted: str) -> None:
    """Raises: KindError where channels of one branch are dropped after they were joined."""
    known = reaches(net)
    for node in ordered(net, wanted):
        for source in net.sources(node):
            own = None if net[node].many else net[node].channels(net.shapes[source])
            if known[source].uneven and own is not None and not own.any(axis=0).all():
                raise KindError(
                    f"{node} drops channels of {source}, whose channels read different fields, "
                    f"and a relation holds for all of them: ask positions(u)"
                )


def link_relation(link: Link) -> islpy.Map:
    """{[output] -> [input]} of one layer along one axis."""
    if link.table is not None:
        # Windows of unequal sizes: no formula, one by one.
        if len(link.table) > MOST_WINDOWS:
            raise TooLargeError(
                f"a relation of {len(link.table)} windows of unequal sizes is over the limit of "
                f"{MOST_WINDOWS}: ask positions(u)"
            )
        rows = (f"[{o}] -> [c] : {row.start} <= c < {row.stop}" for o, row in enumerate(link.table))
        return islpy.Map(f"{{ {'; '.join(rows)} }}")
    axis = link.axis
    conditions = [
        f"0 <= o < {text(axis.out_size)}",
        f"0 <= c < {text(axis.in_size)}",
        axis_condition(axis, "o", "t", "c"),
    ]
    letters = parameters(axis.in_size, axis.out_size, axis.taps, axis.padding)
    body = " and ".join(conditions)
    found = islpy.Map(f"{letters}{{ [o] -> [c] : exists (t : {body}) }}")
    return found.reverse() if link.turned else found


def _identity(size: object) -> islpy.Map:
    letters = parameters(size)
    return islpy.Map(f"{letters}{{ [o] -> [o] : 0 <= o < {text(size)} }}")

"""Receptive fields as exact integer relations of the library isl, also for symbolic sizes."""

from __future__ import annotations

import islpy

from convalg.errors import KindError, TooLargeError
from convalg.faces.relation import axis_condition, parameters, text
from convalg.network.dependence import ordered
from convalg.network.graph import INPUT, Graph
from convalg.network.layers.base import Link
from convalg.network.reach import reaches

MOST_WINDOWS = 10_000
"""The largest number of windows of unequal sizes that a relation lists one by one."""


def relation(net: Graph, wanted: str, axis: int) -> islpy.Map:
    """Return the relation {[output of a node] -> [position of the input]} along one axis."""
    _check_channels(net, wanted)
    relations: dict[str, islpy.Map] = {INPUT: _identity(net.in_shape[1 + axis])}
    for node, layer in net.layers():
        parts = []
        for source in dict.fromkeys(net.sources(node)):
            if source not in relations:
                continue
            if layer.many:
                parts.append(relations[source])
                continue
            links = layer.links(net.shapes[source])
            if links is None or len(links) <= axis:
                continue
            parts.append(link_relation(links[axis]).apply_range(relations[source]))
        if parts:
            union = parts[0]
            for part in parts[1:]:
                union = union.union(part)
            relations[node] = union.coalesce()
        if node == wanted:
            break
    return relations[wanted]


def _check_channels(net: Graph, wanted: str) -> None:
    """Raise KindError if a layer drops channels of branches with different fields."""
    fields = reaches(net)
    for node in ordered(net, wanted):
        for source in net.sources(node):
            own = None if net[node].many else net[node].channels(net.shapes[source])
            if fields[source].uneven and own is not None and not own.any(axis=0).all():
                raise KindError(
                    f"a relation holds for all channels, but the channels of {source} have "
                    f"different receptive fields and {node} drops some of them: use positions(u)"
                )


def link_relation(link: Link) -> islpy.Map:
    """Return the relation {[output] -> [input]} of one layer along one axis."""
    if link.table is not None:
        # No common formula describes windows of unequal sizes, so they are listed.
        if len(link.table) > MOST_WINDOWS:
            raise TooLargeError(
                f"a relation may list up to {MOST_WINDOWS} windows of unequal sizes, not "
                f"{len(link.table)}: use positions(u)"
            )
        rows = (f"[{o}] -> [c] : {row.start} <= c < {row.stop}" for o, row in enumerate(link.table))
        return islpy.Map(f"{{ {'; '.join(rows)} }}")
    axis = link.axis
    conditions = [
        f"0 <= o < {text(axis.out_size)}",
        f"0 <= c < {text(axis.in_size)}",
        axis_condition(axis, "o", "t", "c"),
    ]
    symbols = parameters(axis.in_size, axis.out_size, axis.taps, axis.padding)
    body = " and ".join(conditions)
    reads = islpy.Map(f"{symbols}{{ [o] -> [c] : exists (t : {body}) }}")
    return reads.reverse() if link.transposed else reads


def _identity(size: object) -> islpy.Map:
    """Return the relation between each position of an axis and itself."""
    symbols = parameters(size)
    return islpy.Map(f"{symbols}{{ [o] -> [o] : 0 <= o < {text(size)} }}")

"""The layout of networks with nested skip connections, such as a U-Net, as two sides of a U."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

LEAST_SPAN = 4
"""Least number of rows that a skip connection of a U spans."""
LEAST_SKIPS = 2


@dataclass(frozen=True)
class SkipLayout:
    """The nodes on the downward and the upward side, their rows, and the edges across."""

    down: frozenset[str]
    up: frozenset[str]
    rows: dict[str, int]
    across: tuple[tuple[str, str], ...]


def hourglass(graph: nx.DiGraph) -> SkipLayout | None:
    """Return the two sides of a graph with nested skip connections, or None if there are none.

    A skip connection joins nodes at least four rows apart; from the outermost to the innermost
    their sources are in ascending and their targets in descending order. Both ends of a skip
    connection are in one row.

    >>> main = nx.path_graph(14, create_using=nx.DiGraph)
    >>> main.add_edges_from([(2, 11), (4, 9)])
    >>> layout = hourglass(main)
    >>> sorted(layout.up), layout.rows[2] == layout.rows[11], layout.rows[4] == layout.rows[9]
    ([9, 10, 11, 12, 13], True, True)
    """
    row_of = {n: k for k, row in enumerate(nx.topological_generations(graph)) for n in row}
    skips = [(u, v) for u, v in graph.edges if row_of[v] - row_of[u] >= LEAST_SPAN]
    skips.sort(key=lambda edge: row_of[edge[0]])
    if len(skips) < LEAST_SKIPS:
        return None
    reaches = {u: nx.descendants(graph, u) for u in {u for u, _ in skips} | {v for _, v in skips}}
    for (_, outer), (_, inner) in pairwise(skips):
        if row_of[inner] >= row_of[outer] or outer not in reaches[inner]:
            return None
    turn = skips[-1][1]
    up = frozenset(reaches[turn] | {turn})
    down = frozenset(graph) - up
    if any(u not in down or v not in up for u, v in skips):
        return None
    rows = _rows(graph, up, skips)
    if rows is None:
        return None
    across = tuple((u, v) for u, v in graph.edges if u in down and v in up)
    return SkipLayout(down, up, rows, across)


def _rows(
    graph: nx.DiGraph, up: frozenset[str], skips: list[tuple[str, str]]
) -> dict[str, int] | None:
    """Return rows that descend on one side and ascend on the other, or None if impossible."""
    level = {v: u for u, v in skips}
    if len(level) < len(skips) or len(set(level.values())) < len(skips):
        return None
    folded: nx.DiGraph = nx.DiGraph()
    folded.add_nodes_from(level.get(node, node) for node in graph)
    for u, v in graph.edges:
        if (u, v) in skips:
            continue
        if u in up:
            folded.add_edge(level.get(v, v), level.get(u, u))
        elif v in up:
            # The upward side starts next to the bottom, or above it.
            folded.add_edge(level.get(v, v), u)
        else:
            folded.add_edge(u, v)
    if not nx.is_directed_acyclic_graph(folded):
        return None
    rows = {n: k for k, row in enumerate(nx.topological_generations(folded)) for n in row}
    return {node: rows[level.get(node, node)] for node in graph}

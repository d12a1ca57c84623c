"""A layout for directed acyclic graphs: rows from the top, with few crossings.

Source: Sugiyama, Tagawa, Toda 1981, Methods for visual understanding of hierarchical systems.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import networkx as nx

SWEEPS = 8
GAP = 0.18
"""Inches between neighbours in a row."""
LANE = 0.16
"""Inches that an edge occupies in a row that it passes."""
FIRM = 1e6
"""The weight of items that must not move."""

Item: TypeAlias = "str | tuple[str, str, int]"
"""A node, or an edge (source, target) at a row that it passes."""


@dataclass(frozen=True)
class Layering:
    """Rows of nodes and passing edges, the centre of each in inches, and the total width."""

    rows: tuple[tuple[Item, ...], ...]
    middles: Mapping[Item, float]
    width: float

    def route(self, source: str, target: str) -> list[tuple[int, float]]:
        """Return the rows and positions of an edge, from its source to its target."""
        row_of = {item: k for k, row in enumerate(self.rows) for item in row}
        between: list[Item] = [
            (source, target, k) for k in range(row_of[source] + 1, row_of[target])
        ]
        return [(row_of[item], self.middles[item]) for item in [source, *between, target]]


def layering(
    graph: nx.DiGraph, widths: Mapping[str, float], row_of: Mapping[str, int] | None = None
) -> Layering:
    """Assign each node to the row given by `row_of`, or to the row after its last source.

    Shapes: `widths` in inches for each node.

    >>> diamond = nx.DiGraph([("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("a", "d")])
    >>> layers = layering(diamond, dict.fromkeys("abcd", 1.0))
    >>> [len(row) for row in layers.rows], [row for row, _ in layers.route("a", "d")]
    ([1, 3, 1], [0, 1, 2])
    """
    if row_of is None:
        generations = nx.topological_generations(graph)
        row_of = {node: k for k, row in enumerate(generations) for node in row}
    rows: list[list[Item]] = [[] for _ in range(max(row_of.values()) + 1)]
    for node in graph:
        rows[row_of[node]].append(node)
    links: list[tuple[Item, Item]] = []
    for source, target in graph.edges:
        path: list[Item] = [source]
        for k in range(row_of[source] + 1, row_of[target]):
            path.append((source, target, k))
            rows[k].append(path[-1])
        path.append(target)
        links += pairwise(path)
    above: dict[Item, list[Item]] = {item: [] for row in rows for item in row}
    below: dict[Item, list[Item]] = {item: [] for row in rows for item in row}
    for upper, lower in links:
        above[lower].append(upper)
        below[upper].append(lower)
    rows = _ordered(rows, above, below)
    # The longest path stays straight, unless there are branches on both sides of it.
    upright = set(nx.dag_longest_path(graph)) if max(map(len, rows)) <= 2 else set()
    sizes = {item: widths[item] if isinstance(item, str) else LANE for row in rows for item in row}
    middles = _placed(rows, above, below, sizes, upright)
    left = min(x - sizes[item] / 2 for item, x in middles.items())
    right = max(x + sizes[item] / 2 for item, x in middles.items())
    middles = {item: x - left for item, x in middles.items()}
    return Layering(tuple(map(tuple, rows)), middles, right - left)


Neighbours: TypeAlias = dict[Item, list[Item]]


def _ordered(rows: list[list[Item]], above: Neighbours, below: Neighbours) -> list[list[Item]]:
    """Return the order with the fewest crossings found while sorting rows by mean neighbour."""
    best, fewest = [list(row) for row in rows], _crossings(rows, below)
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        near = above if downwards else below
        order = rows if downwards else rows[::-1]
        for earlier, row in pairwise(order):
            position = {item: k for k, item in enumerate(earlier)}
            mean = {
                item: sum(position[n] for n in near[item]) / len(near[item]) if near[item] else k
                for k, item in enumerate(row)
            }
            row.sort(key=mean.__getitem__)
        crossings = _crossings(rows, below)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best


def _crossings(rows: list[list[Item]], below: Neighbours) -> int:
    """Return the number of crossings of edges between neighbouring rows."""
    total = 0
    for upper, lower in pairwise(rows):
        position = {item: k for k, item in enumerate(lower)}
        ends = [
            position[n] for item in upper for n in sorted(below[item], key=position.__getitem__)
        ]
        total += sum(a > b for k, a in enumerate(ends) for b in ends[k + 1 :])
    return total


def _placed(
    rows: list[list[Item]],
    above: Neighbours,
    below: Neighbours,
    sizes: Mapping[Item, float],
    upright: Container[Item],
) -> dict[Item, float]:
    """Return the centres: each item as close to the mean of its neighbours as its row allows."""
    middles: dict[Item, float] = {}
    for row in rows:
        x = 0.0
        for item in row:
            # A single box in its row, through which all data pass, is aligned with the others.
            middles[item] = x + sizes[item] / 2 if len(row) > 1 else 0.0
            x += sizes[item] + GAP
    for sweep in range(3 * SWEEPS):
        near = (above, below)[sweep % 2]
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            if len(row) < 2:
                continue
            targets, weights = [], []
            for item in row:
                neighbours = near[item] or [item]
                mean = sum(middles[n] for n in neighbours) / len(neighbours)
                targets.append(0.0 if item in upright else mean)
                # Straight passing edges are preferred to centred boxes.
                loose = 1.0 if isinstance(item, str) else 4.0
                weights.append(FIRM if item in upright else loose)
            for item, x in zip(row, _apart(row, targets, weights, sizes), strict=True):
                middles[item] = x
    return middles


def _apart(
    row: list[Item], targets: list[float], weights: list[float], sizes: Mapping[Item, float]
) -> list[float]:
    """Return the positions nearest to the targets, in weighted squares, that keep the distances.

    With the distances subtracted this is isotonic regression, solved by pooling adjacent violators.
    """
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + (sizes[left] + sizes[right]) / 2 + GAP)
    pools: list[tuple[float, float, int]] = []
    for target, offset, weight in zip(targets, offsets, weights, strict=True):
        mean, total, count = target - offset, weight, 1
        while pools and pools[-1][0] > mean:
            other, heavy, many = pools.pop()
            mean = (mean * total + other * heavy) / (total + heavy)
            total, count = total + heavy, count + many
        pools.append((mean, total, count))
    means = [mean for mean, _, count in pools for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]

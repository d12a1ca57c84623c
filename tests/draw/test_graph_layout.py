"""Rows of a layered graph keep the order of its edges and the distances of its boxes."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convalg.draw.graph_layout import GAP, LANE, layering


@st.composite
def graphs(draw: st.DrawFn) -> nx.DiGraph:
    """Graphs without loops in which everything comes from the first node."""
    count = draw(st.integers(1, 12))
    graph = nx.DiGraph()
    graph.add_node("0")
    for k in range(1, count):
        sources = draw(st.sets(st.integers(0, k - 1), min_size=1, max_size=3))
        graph.add_edges_from((str(source), str(k)) for source in sources)
    return graph


@settings(max_examples=60, deadline=None)
@given(graphs(), st.data())
def test_a_layering_keeps_order_and_distance(graph: nx.DiGraph, data: st.DataObject) -> None:
    widths = {node: data.draw(st.sampled_from([0.5, 1.0, 2.0])) for node in graph}
    found = layering(graph, widths)
    place = {item: k for k, row in enumerate(found.rows) for item in row}
    assert {item for item in place if isinstance(item, str)} == set(graph)
    size = {item: widths[item] if isinstance(item, str) else LANE for item in place}
    for row in found.rows:
        for left, right in pairwise(row):
            apart = found.middles[right] - found.middles[left]
            assert apart >= (size[left] + size[right]) / 2 + GAP - 1e-6
    for source, target in graph.edges:
        assert place[source] < place[target]
        route = found.route(source, target)
        assert [row for row, _ in route] == list(range(place[source], place[target] + 1))
    edges = [found.middles[item] + s * size[item] / 2 for item in place for s in (-1, 1)]
    assert np.ptp(edges) == pytest.approx(found.width)

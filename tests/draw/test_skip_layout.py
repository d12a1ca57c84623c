"""The two sides of a graph with nested skip connections, and graphs without sides."""

from __future__ import annotations

import networkx as nx

from convalg.draw.skip_layout import hourglass


def test_a_stack_and_skips_that_cross_have_no_sides() -> None:
    path = nx.path_graph(20, create_using=nx.DiGraph)
    assert hourglass(path) is None
    path.add_edges_from([(2, 10), (4, 12)])
    assert hourglass(path) is None

"""The graph of a network: which boxes, which words, which arrows, and that nothing overlaps."""

from __future__ import annotations

from itertools import combinations, pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

import convalg as ca
from convalg.draw.graph_layout import GAP, LANE, layering
from convalg.draw.network_boxes import as_graph, box_title, groups, layer_text
from convalg.draw.network_layout import NetworkLayout, plan
from convalg.draw.skip_layout import hourglass
from convalg.errors import KindError, TooLargeError

NETWORKS = {
    name: getattr(ca.zoo, name)
    for name in ("lenet5", "vgg16", "googlenet", "resnet18", "resnet152", "unet", "fcn", "rcnn")
}
PLANS = {name: plan(groups(make())) for name, make in NETWORKS.items()}


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("name", PLANS)
def test_boxes_stand_apart_and_inside(name: str) -> None:
    found = PLANS[name]
    for spot in found.spots:
        assert spot.x >= -1e-6
        assert spot.x + spot.width <= found.width + 1e-6
        assert spot.y >= -1e-6
        assert spot.y + spot.height <= found.height + 1e-6
    for a, b in combinations(found.spots, 2):
        beside = a.x + a.width < b.x or b.x + b.width < a.x
        assert beside or a.y + a.height < b.y or b.y + b.height < a.y


@pytest.mark.parametrize("name", PLANS)
def test_arrows_join_boxes_and_pass_beside_the_others(name: str) -> None:
    found = PLANS[name]
    for points in found.arrows:
        start, end = (
            [
                s
                for s in found.spots
                if s.x < x < s.x + s.width and min(abs(s.y - y), abs(s.y + s.height - y)) < 1e-6
            ]
            for x, y in (points[0], points[-1])
        )
        assert start
        assert end
        for x, y in points[1:-1]:
            assert not [
                s for s in found.spots if s.x < x < s.x + s.width and s.y < y < s.y + s.height
            ]


def arrows(found: NetworkLayout) -> int:
    return len(found.arrows) + len(found.sideways)


@pytest.mark.parametrize(
    "name", ["lenet5", "vgg16", "googlenet", "resnet18", "unet", "fcn", "rcnn"]
)
def test_every_layer_and_every_edge_is_there(name: str) -> None:
    net = NETWORKS[name]()
    parts = groups(net)
    assert [part.times for part in parts] == [1] * len(parts)
    boxes = [box for part in parts for box in part.boxes]
    shown = sum(" ".join(box.lines).count("+ ") + 1 for box in boxes if "…" not in box.lines[1:2])
    assert shown == len(net) + 1
    assert arrows(PLANS[name]) == sum(len(box.sources) for box in boxes)
    totals = sum(
        int(box.lines[-1].split(" · ")[1].replace(",", ""))
        for box in boxes
        if " · " in box.lines[-1]
    )
    assert totals == net.parameters


def test_a_small_network_word_by_word() -> None:
    net = ca.sequential(
        (1, 28, 28),
        [ca.layers.Conv(6, 5), ca.layers.ReLU(), ca.layers.MaxPool(2), ca.layers.Flatten()],
        name="small",
    )
    figure = ca.draw.network(net)
    assert words(figure) == [
        "input", "1 x 28 x 28",
        "conv1", "Conv(6, 5)", "+ ReLU", "6 x 24 x 24 · 156",
        "maxpool1", "MaxPool(2)", "6 x 12 x 12",
        "flatten1", "Flatten", "864",
        "in each box: node, layers, output shape · parameters",
    ]  # fmt: skip
    assert figure.axes[0].get_title(loc="left").startswith("small: 4 layers, 156 parameters")


def test_repeated_blocks_are_drawn_once() -> None:
    figure = ca.draw.network(ca.zoo.resnet152())
    assert [word for word in words(figure) if word.startswith("×")] == ["× 2", "× 7", "× 35", "× 2"]
    assert max(figure.get_size_inches()) < 16
    net, parts = ca.zoo.resnet152(), groups(ca.zoo.resnet152())
    layers = sum(
        part.times * (" ".join(box.lines).count("+ ") + 1) for part in parts for box in part.boxes
    )
    assert layers == len(net) + 1


def test_a_block_that_differs_is_no_repetition() -> None:
    layers = [ca.layers.Conv(4, 3, padding=1) for _ in range(60)]
    assert [part.times for part in groups(ca.sequential((4, 9, 9), layers))] == [1, 60]
    layers[30] = ca.layers.Conv(4, 5, padding=2)
    assert [part.times for part in groups(ca.sequential((4, 9, 9), layers))] == [1, 30, 1, 29]


def test_long_networks_have_the_shape_of_a_page() -> None:
    layers = [ca.layers.Conv(2, 1 + 2 * (k % 7), padding=k % 7) for k in range(300)]
    width, height = ca.draw.network(ca.sequential((2, 9, 9), layers)).get_size_inches()
    assert 0.5 < height / width < 1.2


def test_no_column_is_begun_for_a_few_boxes() -> None:
    net = ca.Network((2, 9, 9))
    # All that follows is one block that nothing breaks.
    start = net.add(ca.layers.Conv(2, 1))
    for _ in range(40):
        net.add(ca.layers.Conv(2, 3, padding=1))
    net.add(ca.layers.Add(), [net.output, start])
    net.add(ca.layers.Flatten())
    assert len({round(spot.x, 3) for spot in plan(groups(net)).spots if spot.box is not None}) == 1


def test_several_outputs_are_drawn() -> None:
    net = ca.Network((1, 8))
    first = net.add(ca.layers.Conv(1, 3))
    net.add(ca.layers.Conv(1, 2), first, name="aside")
    net.add(ca.layers.Conv(1, 1), first)
    found = plan(groups(net))
    assert {spot.name for spot in found.spots} == {"input", "conv1", "aside", "conv2"}
    assert len(found.arrows) == 3
    assert ca.draw.network(ca.Network((1, 4))).axes


def test_what_feeds_two_layers_stands_alone() -> None:
    net = ca.Network((2, 8, 8))
    first = net.add(ca.layers.Conv(2, 3, padding=1))
    active = net.add(ca.layers.ReLU(), first)
    net.add(ca.layers.Add(), [first, active])
    boxes = [box for part in groups(net) for box in part.boxes]
    assert [(box.name, box.sources) for box in boxes] == [
        ("input", ()),
        ("conv1", ("input",)),
        ("relu1", ("conv1",)),
        ("add1", ("conv1", "relu1")),
    ]


def test_the_sides_of_a_unet() -> None:
    found = PLANS["unet"]
    spots = {spot.name: spot for spot in found.spots}
    for level in range(1, 5):
        crop, join = spots[f"up{level}.crop"], spots[f"up{level}.concat"]
        assert crop.y + crop.height / 2 == pytest.approx(join.y + join.height / 2)
        assert crop.x < join.x
    assert len(found.sideways) == 5
    # A stack has no sides, and neither have skips that cross.
    path = nx.path_graph(20, create_using=nx.DiGraph)
    assert hourglass(path) is None
    path.add_edges_from([(2, 10), (4, 12)])
    assert hourglass(path) is None


def test_sizes_may_be_letters() -> None:
    (n,) = ca.sizes("n")
    figure = ca.draw.network(ca.sequential((1, n, n), [ca.layers.Conv(2, 3)]))
    assert "2 x n - 2 x n - 2 · 20" in words(figure)


def test_names_are_drawn_as_they_are() -> None:
    net = ca.Network((1, 8), name="a_$x$ <b>&")
    net.add(ca.layers.Conv(1, 3), name="$\\frac{ <b> & _")
    figure = ca.draw.network(net)
    assert "$\\frac{ <b> & _" in words(figure)
    assert figure.axes[0].get_title(loc="left").startswith("a_$x$ <b>&")
    assert "svg" in figure.svg()


def test_long_words_are_shortened() -> None:
    assert box_title("a" * 20 + "b" * 20) == "a" * 12 + "…" + "b" * 12
    assert box_title("a" * 26) == "a" * 26
    layer = ca.layers.Conv(64, (3, 5), stride=(2, 1), padding=((1, 2), (3, 4)), groups=4)
    assert layer_text(layer) == "Conv(64, (3, 5), stride=(2, 1), …)"


def test_networks_that_cannot_be_drawn() -> None:
    with pytest.raises(KindError, match=r"draw.network takes a ca.Network, not Pad"):
        ca.draw.network(ca.layers.Pad(1))
    net = ca.Network((1, 4))
    for _ in range(1500):
        net.add(ca.layers.Conv(1, 1), "input")
    with pytest.raises(TooLargeError, match="a graph of 1501 boxes is too large to draw"):
        ca.draw.network(net)


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


def test_a_figure_of_a_part_is_of_the_graph() -> None:
    graph = as_graph(groups(ca.zoo.lenet5()))
    assert list(graph) == ["input", "C1", "S2", "C3", "S4", "C5", "F6", "output"]

"""The boxes of a network: joined layers, repeated blocks, shortened text."""

from __future__ import annotations

import convalg as ca
from convalg.draw.network_boxes import as_graph, box_title, groups, layer_text


def test_a_block_that_differs_is_no_repetition() -> None:
    layers = [ca.layers.Conv(4, 3, padding=1) for _ in range(60)]
    assert [part.times for part in groups(ca.sequential((4, 9, 9), layers))] == [1, 60]
    layers[30] = ca.layers.Conv(4, 5, padding=2)
    assert [part.times for part in groups(ca.sequential((4, 9, 9), layers))] == [1, 30, 1, 29]


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


def test_long_words_are_shortened() -> None:
    assert box_title("a" * 20 + "b" * 20) == "a" * 12 + "…" + "b" * 12
    assert box_title("a" * 26) == "a" * 26
    layer = ca.layers.Conv(64, (3, 5), stride=(2, 1), padding=((1, 2), (3, 4)), groups=4)
    assert layer_text(layer) == "Conv(64, (3, 5), stride=(2, 1), …)"


def test_a_figure_of_a_part_is_of_the_graph() -> None:
    graph = as_graph(groups(ca.zoo.lenet5()))
    assert list(graph) == ["input", "C1", "S2", "C3", "S4", "C5", "F6", "output"]

"""The graph of a network: which boxes, which words, which arrows, and that nothing overlaps."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

import convalg as ca
from convalg.draw.network_boxes import groups
from convalg.errors import KindError, TooLargeError


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


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


def test_long_networks_have_the_shape_of_a_page() -> None:
    layers = [ca.layers.Conv(2, 1 + 2 * (k % 7), padding=k % 7) for k in range(300)]
    width, height = ca.draw.network(ca.sequential((2, 9, 9), layers)).get_size_inches()
    assert 0.5 < height / width < 1.2


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


def test_networks_that_cannot_be_drawn() -> None:
    with pytest.raises(KindError, match=r"draw.network takes a ca.Network, not Pad"):
        ca.draw.network(ca.layers.Pad(1))
    net = ca.Network((1, 4))
    for _ in range(1500):
        net.add(ca.layers.Conv(1, 1), "input")
    with pytest.raises(TooLargeError, match="a graph of 1501 boxes is too large to draw"):
        ca.draw.network(net)

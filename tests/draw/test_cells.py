"""The text in cells: short numbers, and names without any markup."""

from __future__ import annotations

from xml.etree import ElementTree

import sympy
from read_figures import texts

import convalg as ca


def test_floats_are_short() -> None:
    axes = ca.draw.matrix(ca.correlation(2, [1 / 3, -1.0])).axes[0]
    assert texts(axes) == {(0, 0): "0.333", (0, 1): "-1"}


def test_names_are_drawn_as_they_are() -> None:
    names = [r"$\frac{", "<b>"]
    layer = ca.correlation(3, [sympy.Symbol(name) for name in names])
    figure = ca.draw.matrix(layer)
    assert set(texts(figure.axes[0]).values()) == set(names)
    assert not any(text.get_parse_math() for text in figure.axes[0].texts)
    tree = ElementTree.fromstring(figure.svg())
    assert not [element for element in tree.iter() if element.tag.endswith("}b")]

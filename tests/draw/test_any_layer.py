"""Every figure of any small layer renders, without a warning, with all its words on the page."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from baselines import off_page, overlapping
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from strategies import layers

import convalg as ca
from convalg.draw import tikz
from convalg.errors import KindError, TooLargeError


def figures(layer: Any, row: Any) -> list[Figure]:
    """Those that a layer of this size and kind has."""
    calls = (
        lambda: ca.draw.matrix(layer),
        lambda: ca.draw.matrix(layer, row=row),
        lambda: ca.draw.kernel(layer),
        lambda: ca.draw.faces(layer),
        lambda: ca.draw.flow(layer),
        lambda: ca.draw.window(layer, row),
    )
    found = []
    for call in calls:
        # What is too large or wraps says so before anything is drawn.
        with suppress(TooLargeError, KindError):
            found.append(call())
    return found


@settings(max_examples=30)
@given(layers(dims=(1, 1, 2, 2)), st.data())
def test_figures_of_any_layer_render(drawn: Any, data: st.DataObject) -> None:
    layer = drawn.operator
    row = data.draw(st.sampled_from(list(np.ndindex(*layer.out_shape))))
    shown = figures(layer, row)
    assert len(shown) >= 3
    for figure in shown:
        assert off_page(figure) == []
        assert overlapping(figure) == []
        assert figure.svg().startswith("<?xml")  # type: ignore[attr-defined]


@settings(max_examples=30)
@given(layers(dims=(1, 1, 2, 2)))
def test_pictures_of_any_layer_are_whole(drawn: Any) -> None:
    layer = drawn.operator
    try:
        picture = tikz.matrix(layer)
    except TooLargeError:
        return
    assert picture.startswith("\\begin{tikzpicture}")
    assert picture.count("rectangle ++(1,1)") == layer.counts.nonzeros

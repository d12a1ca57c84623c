"""Pooling figures: numbers, winners, and where gradients go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from strategies import integers

import convalg as ca
from convalg.draw import palette
from convalg.errors import KindError, ShapeError, TooLargeError


def cells(axes: Axes) -> tuple[dict[tuple[int, int], str], dict[tuple[int, int], Any]]:
    """Words and colours by row and column."""
    words = {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in axes.texts}
    (found,) = [c for c in axes.collections if isinstance(c, PolyCollection)]
    colours = {}
    for path, colour in zip(found.get_paths(), np.asarray(found.get_facecolor()), strict=True):
        x, y = path.vertices.min(axis=0)
        colours[int(y), int(x)] = tuple(np.round(colour[:3], 6))
    return words, colours


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from([ca.max_pool, ca.min_pool, ca.average_pool, ca.sum_pool]),
    st.sampled_from([{}, {"stride": 1}, {"padding": 1}]),
    integers((4, 4)),
    st.data(),
)
def test_the_four_grids(make: Any, options: Any, x: Any, data: st.DataObject) -> None:
    pool = make((4, 4), 2, **options)
    g = data.draw(integers(pool.out_shape))
    figure = ca.draw.pooling(pool, x, g)
    wanted = [x, pool(x), g, pool.at(x).T(g)]
    shown = [cells(axes) for axes in figure.axes]
    for (words, _), values in zip(shown, wanted, strict=True):
        numbers = {place: text.split("\n")[0] for place, text in words.items()}
        assert numbers == {place: str(values[place]) for place in np.ndindex(*values.shape)}
    # A sample has the colour of the only output that depends on it.
    dependent = pool.at(x).to_numpy().reshape(*pool.out_shape, 4, 4)
    blank = tuple(np.round(palette.rgb(palette.PAPER), 6))
    several = tuple(np.round(palette.rgb(palette.SEVERAL), 6))
    for place in np.ndindex(4, 4):
        outputs = [out for out in np.ndindex(*pool.out_shape) if dependent[(*out, *place)]]
        colour = blank if not outputs else several if outputs[1:] else shown[1][1][outputs[0]]
        assert shown[0][1][place] == shown[3][1][place] == colour
        # What the colour says is written too.
        name = ",".join(map(str, outputs[0])) if outputs else ""
        below = f"\n×{len(outputs)}" if outputs[1:] else f"\ny{name}" if outputs else ""
        assert shown[0][0][place] == f"{x[place]}{below}"


def test_a_line_is_a_row_and_the_gradient_is_one_by_default() -> None:
    figure = ca.draw.pooling(ca.max_pool(4, 2), [3, 1, 2, 5])
    words = [cells(axes)[0] for axes in figure.axes]
    assert words[2] == {(0, 0): "1", (0, 1): "1"}
    assert words[3] == {(0, 0): "1", (0, 1): "0", (0, 2): "0", (0, 3): "1"}


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((np.eye(2), [1]), KindError, "draw.pooling takes a map such as ca.max_pool, not ndarray"),
        (
            (ca.max_pool((2, 2), 2, channels=3), np.ones((3, 2, 2))),
            ShapeError,
            r"shows one channel of one or two axes, not \(3, 2, 2\)",
        ),
        (
            (ca.max_pool(25, 5), np.ones(25)),
            TooLargeError,
            r"pooling of shape \(25,\) is too large",
        ),
        ((ca.max_pool(4, 2), [1, 2]), ShapeError, r"x must be one array of shape \(4,\), not \(2,"),
        (
            (ca.max_pool(4, 2), [1, 2, 3, 4], [1]),
            ShapeError,
            r"g must be one array of shape \(2,\), not \(1,\)",
        ),
    ],
)
def test_poolings_that_cannot_be_drawn(arguments: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ca.draw.pooling(*arguments)


def test_the_largest_pooling_is_drawn() -> None:
    assert ca.draw.pooling(ca.max_pool((24, 24), 4), np.arange(576).reshape(24, 24)).axes

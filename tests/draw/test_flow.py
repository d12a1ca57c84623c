"""Flow and overlap: every entry is a line, and every row of `full` is there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

import convalg as ca
from convalg.draw import palette
from convalg.errors import ArgumentError, KindError, ShapeError, SymbolicError, TooLargeError


def lines(axes: Axes, gid: str) -> dict[tuple[int, int], tuple[float, ...]]:
    """(row, column) of each line and its colour; nodes of a side stand in the middle."""
    found = {}
    rows, columns = (
        sum(len(c.get_paths()) for c in axes.collections if c.get_gid() in names)
        for names in (("y", "dy"), ("x", "dx"))
    )
    most = max(rows, columns)
    for collection in axes.collections:
        if isinstance(collection, LineCollection) and (collection.get_gid() or "") == gid:
            for ends, colour in zip(
                collection.get_segments(), np.asarray(collection.get_colors()), strict=True
            ):
                (_, column), (_, row) = ends - (0, 0.5)
                place = int(row - (most - rows) / 2), int(column - (most - columns) / 2)
                found[place] = tuple(np.round(colour[:3], 6))
    return found


@pytest.mark.parametrize(
    "operator",
    [
        ca.correlation(7, ca.kernel(3)),
        ca.correlation((3, 3), ca.kernel(2, 2), padding=1),
        ca.transposed_correlation(4, ca.kernel(3), stride=2),
        ca.dense([[1, 0, 2], [0, 3, 0]]),
    ],
    ids=["line", "plane", "transposed", "dense"],
)
def test_every_entry_is_a_line_both_ways(operator: Any) -> None:
    forward, back = ca.draw.flow(operator).axes
    exact = operator.to_sympy()
    rows, columns = operator.shape
    nonzero = {(r, c) for r in range(rows) for c in range(columns) if exact[r, c] != 0}
    assert lines(forward, "").keys() | lines(forward, "strong").keys() == nonzero
    assert lines(forward, "strong").keys() == {p for p in nonzero if p[0] == rows // 2}
    assert lines(back, "strong").keys() == {p for p in nonzero if p[1] == columns // 2}
    both = [lines(axes, "") | lines(axes, "strong") for axes in (forward, back)]
    assert both[0] == both[1]


def test_lines_have_the_colours_of_the_matrix() -> None:
    weights = palette.weight_colours((3,)).round(6)
    found = lines(ca.draw.flow(ca.correlation(5, ca.kernel(3))).axes[0], "")
    assert all(colour == tuple(weights[column - row]) for (row, column), colour in found.items())


(LETTER,) = ca.sizes("n")


@pytest.mark.parametrize(
    ("operator", "error", "words"),
    [
        (np.eye(2), KindError, "draw.flow takes an operator, not ndarray"),
        (ca.correlation(LETTER, [1, 2]), SymbolicError, "draw.flow needs numbers for sizes"),
        (ca.correlation(41, [1]), TooLargeError, "the flow through a 41 x 41 matrix is too large"),
        (ca.dense(np.ones((21, 20))), TooLargeError, "the flow through a 21 x 20 matrix is too"),
    ],
)
def test_flows_that_cannot_be_drawn(operator: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ca.draw.flow(operator)


def test_the_largest_flows_are_drawn() -> None:
    assert ca.draw.flow(ca.correlation(40, [1])).axes
    assert ca.draw.flow(ca.dense(np.ones((20, 20)))).axes


def taps(axes: Axes, gid: str) -> set[tuple[int, int]]:
    """Row and column of the taps on the input, or beside it."""
    return {
        (int(np.floor(y)), int(np.floor(x)))
        for collection in axes.collections
        if isinstance(collection, PolyCollection) and collection.get_gid() == gid
        for x, y in (path.vertices.min(axis=0) for path in collection.get_paths())
    }


@pytest.mark.parametrize(("n", "k", "dilation"), [(6, 3, 1), (5, 3, 2), (4, 4, 1), (3, 1, 1)])
def test_overlap_is_partial_or_complete(n: int, k: int, dilation: int) -> None:
    axes = ca.draw.overlap(n, k, dilation=dilation).axes[0]
    reach = dilation * (k - 1)
    every = {(r, r - reach + dilation * t) for r in range(n + reach) for t in range(k)}
    on = {(r, c) for r, c in every if 0 <= c < n}
    assert taps(axes, "on") == on
    assert taps(axes, "off") == every - on
    words = [text.get_text() for text in axes.texts if text.get_text() in ("partial", "complete")]
    full = [sum((r, c) in on for r2, c in every if r2 == r) == k for r in range(n + reach)]
    assert words == ["complete" if whole else "partial" for whole in full]
    assert f"{sum(full)} complete (valid)" in axes.get_title(loc="left")


@pytest.mark.parametrize(
    ("sizes", "error", "words"),
    [
        ((38, 4), TooLargeError, "an overlap of 41 outputs is too large to draw; the limit is 40"),
        ((2, 3), ShapeError, "kernel of 3 taps .* is larger than the padded input of 2"),
        ((0, 1), ArgumentError, "n must be at least 1, not 0"),
        ((3, "a"), KindError, "k must be an integer, not 'a'"),
    ],
)
def test_overlaps_that_there_are_not(sizes: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ca.draw.overlap(*sizes)
    assert ca.draw.overlap(37, 4).axes

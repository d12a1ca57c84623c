"""Figures are read back: which squares there are, in which colour, with which words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from read_figures import BOTH, LAYERS, lines, shown, squares, texts

import convalg as ca
from convalg.draw import palette
from convalg.errors import ArgumentError, KindError, ShapeError, SymbolicError, TooLargeError
from convalg.operators.tree import Operator


@pytest.mark.parametrize("operator", BOTH.values(), ids=BOTH)
def test_each_entry_has_its_weight_and_its_colour(operator: Operator) -> None:
    exact = operator.to_sympy()
    figure = ca.draw.matrix(operator)
    assert isinstance(figure, Figure)
    drawn = squares(figure.axes[0])
    rows, columns = operator.shape
    nonzero = {(r, c) for r in range(rows) for c in range(columns) if exact[r, c] != 0}
    assert drawn.keys() == nonzero
    assert texts(figure.axes[0]) == {place: str(exact[place]) for place in nonzero}
    # The same weight has the same colour, another weight another one.
    colours = {(str(exact[place]), colour) for place, colour in drawn.items()}
    names = {str(exact[place]) for place in nonzero}
    assert len(colours) == len(names) == len({colour for _, colour in colours})


@pytest.mark.parametrize("operator", BOTH.values(), ids=BOTH)
def test_the_kernel_has_the_colours_of_the_matrix(operator: Operator) -> None:
    in_matrix = squares(ca.draw.matrix(operator).axes[0])
    words = texts(ca.draw.matrix(operator).axes[0])
    by_word = {words[place]: colour for place, colour in in_matrix.items()}
    in_kernel = {}
    for axes in ca.draw.kernel(operator).axes:
        named = texts(axes)
        in_kernel.update({named[place]: colour for place, colour in squares(axes).items()})
    assert in_kernel.keys() == {str(weight) for weight in operator.kernel.ravel()}
    assert {word: in_kernel[word] for word in by_word} == by_word


def test_a_weight_that_is_zero_is_drawn_and_a_zero_is_blank() -> None:
    axes = ca.draw.matrix(ca.correlation(4, [5, 0])).axes[0]
    assert texts(axes) == {(r, r + t): "50"[t] for r in range(3) for t in range(2)}


def test_weights_that_meet_on_one_entry_are_joined() -> None:
    layer = ca.correlation(4, ca.kernel(3), padding=1, boundary="edge")
    axes = ca.draw.matrix(layer).axes[0]
    assert texts(axes)[0, 0] == "w0+w1"
    assert texts(axes)[3, 3] == "w1+w2"
    assert squares(axes)[0, 0] == pytest.approx(to_rgb(palette.SEVERAL), abs=1e-6)


def test_other_operators_have_a_colour_for_each_value() -> None:
    total = ca.correlation(3, [1, 2, 1], padding=1) + 2 * ca.identity(3)
    axes = ca.draw.matrix(total).axes[0]
    assert texts(axes) == {
        (r, c): str(int(total.to_numpy()[r, c])) for r, c in np.argwhere(total.to_numpy()).tolist()
    }
    assert len(set(squares(axes).values())) == 2
    assert axes.get_title(loc="left") == "3 x 3, 7 non-zeros, 2 different values"


def test_an_operator_without_entries_is_blank() -> None:
    nothing = ca.correlation(3, [1]) - ca.correlation(3, [1])
    assert squares(ca.draw.matrix(nothing).axes[0]) == {}


def test_lines_stand_between_the_blocks() -> None:
    layer = ca.correlation((3, 4), ca.kernel(2, 2, 1, 1))
    axes = ca.draw.matrix(layer).axes[0]
    inner = {4, 8, 12, 16, 20}
    assert lines(axes, 0.7) == {(side, k) for side in ("row", "column") for k in inner}
    assert lines(axes, 1.4) == {("row", 12), ("column", 12)}
    line = ca.draw.matrix(LAYERS["1-D"]).axes[0]
    assert lines(line, 0.7) == lines(line, 1.4) == set()


def test_indices_stand_beside_rows_and_columns() -> None:
    axes = ca.draw.matrix(ca.correlation((3, 3), ca.kernel(2, 2))).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0,0", "0,1", "1,0", "1,1"]
    assert [label.get_text() for label in axes.get_xticklabels()][2:4] == ["0,2", "1,0"]


def test_beyond_256_rows_or_columns_the_density_is_drawn() -> None:
    exact = ca.draw.matrix(ca.correlation(256, [1]))
    assert len(squares(exact.axes[0])) == 256
    dense = ca.draw.matrix(ca.correlation(257, [1, 1]))
    assert squares(dense.axes[0]) == {}
    # 256 x 257 entries in squares of 3 x 3; the whole diagonal band is in them.
    share = np.eye(86) * 5 + np.eye(86, k=1)
    share[85] = 0
    share[85, 85] = 2
    assert shown(dense.axes[0]) == pytest.approx(palette.strong_colours(share / 5))
    assert dense.axes[0].get_title(loc="left").split("\n") == [
        "256 x 257, 512 non-zeros",
        "each pixel is 3 x 3 entries, at most 0.56 of them non-zero",
    ]


# A row and its patch.


@pytest.mark.parametrize(
    ("name", "row"), [("1-D", 2), ("2-D", (1, 3)), ("channels", (1, 0, 1)), ("strided", (0, 0))]
)
def test_a_row_is_framed_and_put_back_into_the_image(name: str, row: Any) -> None:
    layer = LAYERS[name]
    figure = ca.draw.matrix(layer, row=row)
    main, *planes = figure.axes
    number = int(np.ravel_multi_index(row if isinstance(row, tuple) else (row,), layer.out_shape))
    (frame,) = (c for c in main.collections if np.isclose(c.get_linewidth()[0], 1.8))
    assert isinstance(frame, LineCollection)
    (corners,) = frame.get_segments()
    assert corners.min(axis=0).tolist() == [0, number]
    assert corners.max(axis=0).tolist() == [layer.shape[1], number + 1]
    in_row = {c: text for (r, c), text in texts(main).items() if r == number}
    colours = {c: colour for (r, c), colour in squares(main).items() if r == number}
    shape = (1, *layer.in_shape) if len(layer.in_shape) < 3 else layer.in_shape
    shape = (1, *shape) if len(shape) < 3 else shape
    assert len(planes) == shape[0]
    for channel, axes in enumerate(planes):
        flat = {int(np.ravel_multi_index((channel, *place), shape)): place for place in texts(axes)}
        assert {c: texts(axes)[place] for c, place in flat.items()} == {
            c: text for c, text in in_row.items() if c // (shape[1] * shape[2]) == channel
        }
        assert all(squares(axes)[place] == colours[c] for c, place in flat.items())


@pytest.mark.parametrize(
    ("layer", "row", "error", "words"),
    [
        (LAYERS["2-D"], 3, ShapeError, r"row must be the index of an output of shape \(5, 4\)"),
        (LAYERS["2-D"], (5, 0), ArgumentError, r"row\[0\] must be below 5, not 5"),
        (LAYERS["1-D"], -1, ArgumentError, r"row\[0\] must be at least 0, not -1"),
        (LAYERS["1-D"], "a", KindError, r"row\[0\] must be an integer, not 'a'"),
        (ca.correlation(257, [1]), 0, ArgumentError, "cannot be shown in a figure of densities"),
    ],
)
def test_rows_that_there_are_not(
    layer: Operator, row: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        ca.draw.matrix(layer, row=row)


def test_axes_say_what_their_numbers_count() -> None:
    axes = ca.draw.matrix(LAYERS["channels"]).axes[0]
    assert axes.get_ylabel() == "output: channel, row, column"
    assert ca.draw.matrix(LAYERS["1-D"]).axes[0].get_xlabel() == "input: sample"
    assert ca.draw.matrix(LAYERS["3-D"]).axes[0].get_xlabel() == "input: channel, row, column"
    deep = ca.identity((1, 1, 1, 1, 2))
    assert ca.draw.matrix(deep).axes[0].get_xlabel().startswith("input: axis 0, axis 1")


# Three faces.


def test_a_family_has_no_figure() -> None:
    (n,) = ca.sizes("n")
    with pytest.raises(SymbolicError, match=r"draw.matrix needs numbers for sizes"):
        ca.draw.matrix(ca.correlation(n, ca.kernel(3)))


def test_a_kernel_of_many_channels_is_laid_out() -> None:
    layer = ca.correlation((3, 3), ca.kernel(2, 3, 2, 2))
    figure = ca.draw.kernel(layer)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [f"kernel[{o}, {c}]" for o in range(2) for c in range(3)]
    tops = [round(axes.get_position().y0, 6) for axes in figure.axes]
    assert tops[0] == tops[1] == tops[2] > tops[3]
    assert texts(figure.axes[4])[1, 0] == str(layer.kernel[1, 1, 1, 0])


def test_a_kernel_over_three_axes_is_laid_out_in_slices() -> None:
    figure = ca.draw.kernel(ca.correlation((3, 3, 3), ca.kernel(2, 2, 2)))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["kernel[0]", "kernel[1]"]
    assert texts(figure.axes[1])[0, 1] == "w101"


def test_letters_stand_above_the_numbers() -> None:
    layer = ca.correlation((4, 4), ca.kernels.sobel_x)
    axes = ca.draw.kernel(layer, letters=ca.kernel(3, 3)).axes[0]
    assert texts(axes)[1, 0] == "w10\n-2"


def test_kernels_that_cannot_be_drawn() -> None:
    with pytest.raises(
        ShapeError, match=r"letters must have the shape of the kernel \(3,\), not \(2,"
    ):
        ca.draw.kernel(LAYERS["1-D"], letters=ca.kernel(2))
    with pytest.raises(KindError, match="must contain exactly one kernel"):
        ca.draw.kernel(ca.identity(3))
    assert ca.draw.kernel(ca.correlation((32, 32), np.ones((32, 32)))).axes
    with pytest.raises(TooLargeError, match="a kernel of 1056 weights is too large to draw"):
        ca.draw.kernel(ca.correlation((33, 32), np.ones((33, 32))))


@pytest.mark.parametrize(
    ("n", "k", "dilation"), [(5, 3, 1), (6, 4, 1), (4, 4, 1), (7, 3, 2), (3, 1, 1)]
)
def test_modes_are_rows_of_one_matrix(n: int, k: int, dilation: int) -> None:
    figure = ca.draw.modes(n, k, dilation=dilation)
    full, same, valid = figure.axes
    entries = texts(full)
    reach = dilation * (k - 1)
    for axes, first, count in ((same, reach - reach // 2, n), (valid, reach, n - reach)):
        kept = {place: text for place, text in entries.items() if first <= place[0] < first + count}
        assert texts(axes) == kept
        # The frame is around the rows that are kept.
        (frame,) = (c for c in axes.collections if np.isclose(c.get_linewidth()[0], 1.8))
        assert isinstance(frame, LineCollection)
        (corners,) = frame.get_segments()
        assert corners.min(axis=0).tolist() == [0, first]
        assert corners.max(axis=0).tolist() == [n, first + count]
        assert len(axes.get_yticklabels()) == count
    assert [axes.get_title(loc="left").split(":")[0] for axes in figure.axes] == [
        "full",
        "same",
        "valid",
    ]
    # In full every sample meets every weight.
    assert len(entries) == n * k


@pytest.mark.parametrize(
    ("sizes", "error", "words"),
    [
        ((3, 4), ShapeError, "kernel of 4 taps .* is larger than the padded input of 3"),
        ((0, 1), ArgumentError, "n must be at least 1, not 0"),
        ((3, 0), ArgumentError, "k must be at least 1, not 0"),
        ((2.5, 1), KindError, "n must be an integer, not 2.5"),
        ((250, 8), ArgumentError, "draw.modes draws up to 256 rows, but n=250, k=8 gives 257"),
    ],
)
def test_modes_that_there_are_not(sizes: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ca.draw.modes(*sizes)


# Colours.


# Figures and the rest of the world.


def test_only_operators_are_drawn() -> None:
    with pytest.raises(KindError, match="takes an operator such as"):
        ca.draw.matrix(np.eye(3))


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (8, 8), (9, 9)])
def test_the_patch_of_a_row_is_on_the_page(shape: tuple[int, int]) -> None:
    layer = ca.correlation(shape, ca.kernel(3, 3), padding=1)
    figure = ca.draw.matrix(layer, row=(3, 3))
    for axes in figure.axes:
        assert 0 <= axes.get_position().x0 <= axes.get_position().x1 <= 1

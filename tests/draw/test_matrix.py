"""Figures are read back: which squares there are, in which colour, with which words."""

from __future__ import annotations

import subprocess
import sys
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from strategies import layers

import convalg as ca
from convalg.draw import palette
from convalg.draw.density import density
from convalg.errors import ArgumentError, KindError, ShapeError, SymbolicError, TooLargeError
from convalg.faces.support import nonzero_bound
from convalg.operators.tree import Operator

LAYERS = {
    "1-D": ca.correlation(8, ca.kernel(3), padding=1),
    "2-D": ca.correlation((5, 4), ca.kernel(3, 2), padding="same"),
    "strided": ca.correlation((6, 6), ca.kernel(3, 3), stride=2, padding=1),
    "channels": ca.correlation((3, 3), ca.kernel(2, 3, 2, 2)),
    "groups": ca.convolution(6, ca.kernel(4, 2, 3), groups=2, dilation=2, padding=1),
    "circular": ca.correlation(5, ca.kernel(3), padding=1, boundary="circular"),
    "3-D": ca.correlation((3, 2, 3), ca.kernel(2, 2, 2)),
}
BOTH = LAYERS | {f"{name}, adjoint": layer.T for name, layer in LAYERS.items()}


def squares(axes: Axes) -> dict[tuple[int, int], tuple[float, ...]]:
    """Row and column of each filled square, and its colour."""
    found: dict[tuple[int, int], tuple[float, ...]] = {}
    for collection in axes.collections:
        if isinstance(collection, PolyCollection):
            for path, colour in zip(
                collection.get_paths(), np.asarray(collection.get_facecolor()), strict=False
            ):
                column, row = path.vertices.min(axis=0)
                assert (int(row), int(column)) not in found
                found[int(row), int(column)] = tuple(np.round(colour[:3], 6))
    return found


def texts(axes: Axes) -> dict[tuple[int, int], str]:
    """Row and column of each text in a square."""
    places = ((text.get_position(), text.get_text()) for text in axes.texts)
    return {(int(y), int(x)): words for (x, y), words in places}


def lines(axes: Axes, width: float) -> set[tuple[Any, ...]]:
    """The lines of one width: ("row", 3) for one below the third row."""
    found: set[tuple[Any, ...]] = set()
    for collection in axes.collections:
        if isinstance(collection, LineCollection) and np.isclose(
            collection.get_linewidth()[0], width
        ):
            for segment in collection.get_segments():
                (x0, y0), (x1, y1) = segment
                found.add(("row", int(y0)) if y0 == y1 else ("column", int(x0)))
                assert (x0, y0) != (x1, y1)
    return found


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


def test_a_matrix_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    total = ca.correlation((300, 300), np.ones((3, 3)), padding=1) + ca.identity((300, 300))
    entries = nonzero_bound(total)
    # The function of this name hides the module of this name.
    room = sys.modules["convalg.draw.density"]
    monkeypatch.setattr(room, "MOST_ENTRIES", entries)
    assert ca.draw.matrix(total).axes[0].images
    monkeypatch.setattr(room, "MOST_ENTRIES", entries - 1)
    with pytest.raises(TooLargeError, match=rf"matrix with {entries} entries is too large to draw"):
        ca.draw.matrix(total)


def test_layers_of_any_size_are_counted_axis_by_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = ca.correlation((224, 224), np.ones((64, 64, 3, 3)), padding=1)
    title = ca.draw.matrix(layer).axes[0].get_title(loc="left")
    assert title.startswith(f"3,211,264 x 3,211,264, {layer.counts.nonzeros:,} non-zeros")
    room = sys.modules["convalg.draw.density"]
    monkeypatch.setattr(room, "MOST_ENTRIES", 998 * 3)
    assert ca.draw.matrix(ca.correlation(1000, [1, 1, 1])).axes
    with pytest.raises(TooLargeError, match="2997 entries on one axis are too many to count"):
        ca.draw.matrix(ca.correlation(1001, [1, 1, 1]))


@pytest.mark.parametrize("step", [1, 2, 3, 7])
@pytest.mark.parametrize("operator", BOTH.values(), ids=BOTH)
def test_densities_are_counts_of_entries(operator: Operator, step: int) -> None:
    filled = (np.asarray(operator.to_numpy()) != 0).astype(int)
    rows, columns = filled.shape
    padded = np.pad(filled, ((0, -rows % step), (0, -columns % step)))
    high, wide = (size // step for size in padded.shape)
    wanted = padded.reshape(high, step, wide, step).sum(axis=(1, 3))
    assert density(operator, step).tolist() == wanted.tolist()


@given(layers(), st.integers(1, 9))
def test_densities_of_any_layer(drawn: Any, step: int) -> None:
    pattern = drawn.operator
    ones = pattern.refill(np.ones(pattern.kernel.shape, dtype=int))
    filled = (np.asarray(ones.to_numpy()) != 0).astype(int)
    counts = density(pattern, step)
    assert counts.sum() == filled.sum()
    for place in np.ndindex(*counts.shape):
        part = filled[tuple(slice(k * step, (k + 1) * step) for k in place)]
        assert counts[place] == part.sum()


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


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", ["1-D", "strided", "channels", "groups"])
def test_the_faces_of_a_layer_share_their_colours(name: str, turned: bool) -> None:
    layer = LAYERS[name].T if turned else LAYERS[name]
    x = 1 + np.arange(layer.shape[1]).reshape(layer.in_shape)
    plain, adjoint, by_kernel = ca.draw.faces(layer, x=x).axes
    assert texts(adjoint) == {(c, r): text for (r, c), text in texts(plain).items()}
    exact = layer.by_kernel(x).to_numpy()
    assert {place: int(text) for place, text in texts(by_kernel).items()} == {
        place: exact[place] for place in map(tuple, np.argwhere(exact).tolist())
    }
    weights = palette.weight_colours(layer.kernel.shape).round(6)
    assert all(colour == tuple(weights[label]) for (_, label), colour in squares(by_kernel).items())
    assert squares(plain) == squares(ca.draw.matrix(layer).axes[0])


def test_samples_without_numbers_have_letters() -> None:
    by_kernel = ca.draw.faces(ca.correlation((2, 3), ca.kernel(2, 2))).axes[2]
    assert texts(by_kernel)[1, 2] == "x1,1"
    edge = ca.draw.faces(ca.correlation(3, ca.kernel(3), padding=1, boundary="reflect")).axes[2]
    assert texts(edge)[0, 0] == "x1"


@pytest.mark.parametrize(
    ("operator", "x", "error", "words"),
    [
        (ca.identity(3), None, KindError, "draw.faces takes a layer of ca.correlation"),
        (LAYERS["1-D"], [1, 2], ShapeError, r"x must be one input of shape \(8,\), not of shape"),
        (
            ca.correlation(62, [1], padding=0),
            None,
            TooLargeError,
            "the faces of a 62 x 62 matrix with 1 weights are too large",
        ),
    ],
)
def test_faces_that_cannot_be_drawn(
    operator: Any, x: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        ca.draw.faces(operator, x=x)


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


def shown(axes: Axes) -> np.ndarray:
    (image,) = axes.images
    return np.asarray(image.get_array())


def test_images_before_and_after() -> None:
    before = np.arange(6, dtype=np.uint8).reshape(2, 3) * 51
    after = np.array([[-2, 0], [2, 4]])
    left, right = ca.draw.image_pair(before, after).axes
    assert shown(left) * 255 == pytest.approx(before)
    # Zero is the middle grey.
    assert shown(right).tolist() == [[0.25, 0.5], [0.75, 1]]
    assert [text.get_text() for text in right.texts] == ["black -4, grey 0, white 4"]
    assert right.get_title(loc="left") == "after: 2 x 2"


def test_colour_is_shown_in_colour_and_other_channels_one_by_one() -> None:
    colour = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    five = np.arange(20).reshape(5, 2, 2) * 100
    first, *others = ca.draw.image_pair(colour, five).axes
    assert shown(first) * 255 == pytest.approx(np.moveaxis(colour, 0, -1))
    assert len(others) == 4
    assert shown(others[2]).tolist() == [[0, pytest.approx(1 / 3)], [pytest.approx(2 / 3), 1]]
    assert [text.get_text() for text in others[2].texts] == ["black 800, white 1,100"]
    assert others[2].get_title(loc="left") == "after: channel 2 of 5, 2 x 2"


def test_large_images_are_thinned_and_say_so() -> None:
    exact, thinned = ca.draw.image_pair(np.zeros((512, 2)), np.zeros((513, 2))).axes
    assert shown(exact).shape == (512, 2)
    assert shown(thinned).shape == (257, 1)
    assert [text.get_text() for text in thinned.texts] == ["one pixel of 2 x 2"]


def test_a_flat_image_of_another_range_is_drawn() -> None:
    _, right = ca.draw.image_pair(np.zeros((2, 2)), np.full((2, 2), 300)).axes
    assert np.isfinite(shown(right)).all()


@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        (
            np.zeros((2, 2), dtype=complex),
            KindError,
            "before must contain real numbers, not complex",
        ),
        (np.zeros(3), ShapeError, r"before must have shape \(height, width\) or .* not \(3,\)"),
        (np.zeros((0, 3)), ShapeError, r"before must have shape .* not \(0, 3\)"),
    ],
)
def test_what_is_no_image(image: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ca.draw.image_pair(image, np.zeros((2, 2)))


# Colours.

# Machado, Oliveira, Fernandes, "A physiologically-based model for simulation of color vision
# deficiency" (2009), severity 1.
VISION = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def cielab(colours: np.ndarray, vision: np.ndarray) -> np.ndarray:
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ vision.T, 0, 1) @ TO_XYZ.T / np.array([0.9505, 1, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = f.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@pytest.mark.parametrize("vision", VISION.values(), ids=VISION)
@pytest.mark.parametrize(("shape", "least"), [((3, 3), 13), ((8,), 14), ((5,), 14)])
def test_colours_are_told_apart(shape: Any, least: float, vision: np.ndarray) -> None:
    lab = cielab(palette.weight_colours(shape), vision)
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    assert distance[~np.eye(len(lab), dtype=bool)].min() > least


@pytest.mark.parametrize("shape", [(1,), (9,), (40,), (11, 11), (2, 3, 3, 3), (4, 4, 5, 5)])
def test_every_weight_has_its_own_colour_with_readable_text(shape: Any) -> None:
    colours = palette.weight_colours(shape)
    assert colours.shape == (np.prod(shape), 3)
    assert len(np.unique(colours.round(6), axis=0)) == len(colours)
    assert colours.min() >= 0
    assert colours.max() <= 1
    for colour in colours:
        light, dark = sorted(
            (palette.luminance(colour), palette.luminance(to_rgb(palette.text_colour(colour)))),
            reverse=True,
        )
        assert (light + 0.05) / (dark + 0.05) >= 4.5


# Figures and the rest of the world.


def test_a_figure_is_the_same_svg_each_time_and_leaves_settings_alone() -> None:
    before = dict(mpl.rcParams)
    first, second = (ca.draw.matrix(LAYERS["2-D"]).svg() for _ in range(2))
    assert first == second
    assert ElementTree.fromstring(first).tag.endswith("}svg")
    assert dict(mpl.rcParams) == before


def test_a_figure_shows_itself_in_a_notebook() -> None:
    figure = ca.draw.modes(4, 2)
    assert figure._repr_svg_() == figure.svg()


def test_pyplot_stays_out() -> None:
    code = (
        "import sys, convalg as ca; ca.draw.matrix(ca.correlation(4, [1, 2])).svg(); "
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_only_operators_are_drawn() -> None:
    with pytest.raises(KindError, match="takes an operator such as"):
        ca.draw.matrix(np.eye(3))


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (8, 8), (9, 9)])
def test_the_patch_of_a_row_is_on_the_page(shape: tuple[int, int]) -> None:
    layer = ca.correlation(shape, ca.kernel(3, 3), padding=1)
    figure = ca.draw.matrix(layer, row=(3, 3))
    for axes in figure.axes:
        assert 0 <= axes.get_position().x0 <= axes.get_position().x1 <= 1

"""The window of a layer: what it reads, that it adds up, and what the figure shows of it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from PIL import Image

import convalg as ca
from convalg.draw import palette
from convalg.draw.scene import MOST_CELLS, output_of, scene
from convalg.errors import (
    ArgumentError,
    FileError,
    KindError,
    ShapeError,
    SymbolicError,
    TooLargeError,
)
from convalg.operators.tree import Operator

SMALL = {
    "plain": ca.correlation((5, 5), ca.kernel(3, 3), padding=1),
    "line": ca.correlation(8, ca.kernel(3), stride=2),
    "dilated": ca.convolution((6, 7), ca.kernel(2, 2), stride=2, padding=1, dilation=2),
    "cropped": ca.correlation((7, 5), ca.kernel(2, 2)) @ ca.identity((7, 5)),
    "circular": ca.correlation(6, ca.kernel(3), padding=1, boundary="circular"),
    "channels": ca.correlation((4, 4), ca.kernel(2, 3, 2, 2)),
    "transposed": ca.transposed_correlation((3, 3), ca.kernel(3, 3), stride=2, padding=1),
}


def test_dilated_taps_leave_holes_and_a_convolution_runs_backwards() -> None:
    taps = scene(SMALL["dilated"], (1, 1), None).taps
    assert {tap.text: tap.position for tap in taps} == {
        "w00": (4, 4), "w01": (4, 2), "w10": (2, 4), "w11": (2, 2),
    }  # fmt: skip


def groups_of(axes: Axes, gid: str) -> list[PolyCollection]:
    return [c for c in axes.collections if isinstance(c, PolyCollection) and c.get_gid() == gid]


@pytest.mark.parametrize("name", ["plain", "line", "dilated", "circular", "channels", "transposed"])
def test_the_taps_have_the_colours_of_the_matrix(name: str) -> None:
    layer = SMALL[name]
    axes = ca.draw.window(layer).axes[0]
    (taps,) = groups_of(axes, "taps")
    drawn = {tuple(np.round(colour[:3], 6)) for colour in np.asarray(taps.get_facecolor())}
    weights = palette.weight_colours(layer.kernel.shape).round(6)
    assert drawn <= set(map(tuple, weights.tolist()))
    found = scene(layer, output_of(layer, None), None)
    colours = [tuple(weights[tap.label].tolist()) for tap in found.taps]
    assert drawn == set(colours)
    frames = [patch for patch in axes.patches if patch.get_gid() == "window"]
    assert len(frames) == len(found.inputs)
    assert len([patch for patch in axes.patches if patch.get_gid() == "target"]) == 1


def formula(figure: Any) -> str:
    (words,) = [t.get_text() for t in figure.axes[0].texts if t.get_gid() == "formula"]
    return words.replace("\N{NO-BREAK SPACE}", " ")


def test_the_sum_is_written_out() -> None:
    figure = ca.draw.window(ca.correlation(4, [2, -3]), 1, x=[1, 2, 3, 4])
    assert formula(figure).split("\n")[1] == "y[1] = 2 x[1] + (-3) x[2] = -5"
    # Nothing but padding is read.
    layer = ca.correlation(2, [5], padding=1)
    assert formula(ca.draw.window(layer, 0)).split("\n")[1] == "y[0] = 0"


def test_long_sums_are_cut_between_two_products() -> None:
    lines = formula(ca.draw.window(SMALL["channels"], (1, 1, 1))).split("\n")
    assert len(lines) == 3
    assert lines[2].endswith(" + …")
    assert scene(SMALL["channels"], (1, 1, 1), None).formula.endswith(" + … (12 products)")


def test_many_channels_are_cut_and_the_title_says_so() -> None:
    layer = ca.correlation((3, 3), ca.kernel(1, 5, 2, 2))
    figure = ca.draw.window(layer)
    assert "the first 4 of 5 input channels" in formula(figure)
    assert len(scene(layer, (0, 0, 0), None).inputs) == 4


def test_the_default_output_is_the_middle() -> None:
    assert output_of(SMALL["plain"], None) == (2, 2)
    assert output_of(SMALL["channels"], None) == (0, 1, 1)
    assert output_of(SMALL["line"], None) == (1,)
    assert output_of(SMALL["line"], 2) == (2,)


BIG = ca.correlation(MOST_CELLS, [1, 1], padding=1)
(LETTER,) = ca.sizes("n")


@pytest.mark.parametrize(
    ("operator", "options", "error", "words"),
    [
        (np.eye(3), {}, KindError, "draw.window takes a layer of ca.correlation, ca.convolution"),
        (ca.identity(3), {}, KindError, "draw.window takes a layer .* not identity"),
        (SMALL["cropped"] @ ca.shift((7, 5), 1), {}, KindError, "draw.window takes a layer"),
        (
            SMALL["circular"].T,
            {},
            KindError,
            "transposed layers with the boundary 'zeros', not 'circular'",
        ),
        (
            ca.correlation((3, 3, 3), np.ones((2, 2, 2))),
            {},
            ShapeError,
            "shows one or two spatial axes, not 3",
        ),
        (SMALL["plain"], {"output": 1}, ShapeError, r"output must be an index into shape \(5, 5\)"),
        (SMALL["plain"], {"output": (0, 5)}, ArgumentError, r"output\[1\] must be below 5, not 5"),
        (SMALL["plain"], {"output": (0, -1)}, ArgumentError, r"output\[1\] must be at least 0"),
        (SMALL["plain"], {"output": (0, 1.5)}, KindError, r"output\[1\] must be an integer"),
        (
            SMALL["line"],
            {"x": [1, 2]},
            ShapeError,
            r"one sample of shape \(8,\), not of shape \(2,\)",
        ),
        (
            SMALL["line"],
            {"x": np.ones((2, 8))},
            ShapeError,
            r"x must be one sample of shape \(8,\)",
        ),
        (BIG, {}, TooLargeError, "a window over 50 cells is too large to draw; the limit is 48"),
        (ca.correlation(LETTER, [1, 2]), {}, SymbolicError, "draw.window needs numbers for sizes"),
    ],
)
def test_windows_that_cannot_be_drawn(
    operator: Any, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        ca.draw.window(operator, **options)


def test_the_largest_window_is_drawn() -> None:
    assert ca.draw.window(ca.correlation(MOST_CELLS, [1, 1])).axes
    assert ca.draw.window(ca.correlation((MOST_CELLS,) * 2, np.ones((3, 3)))).axes


def test_an_animation_has_a_frame_for_each_output(tmp_path: Path) -> None:
    layer: Operator = ca.correlation((4, 4), ca.kernel(3, 3))
    place = ca.draw.window_animation(layer, tmp_path / "a.gif", milliseconds=200, dpi=40)
    with Image.open(place) as movie:
        assert movie.n_frames == 4  # type: ignore[attr-defined]
        assert movie.info["loop"] == 0
        frames = []
        for k in range(4):
            movie.seek(k)
            assert movie.info["duration"] == 200
            frames.append(np.asarray(movie.convert("RGB")))
    assert all((a != b).any() for a, b in pairwise(frames))
    again = ca.draw.window_animation(layer, tmp_path / "b.GIF", milliseconds=200, dpi=40)
    assert again.read_bytes() == place.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif", "b.GIF"]


@pytest.mark.parametrize(
    ("operator", "name", "options", "error", "words"),
    [
        (SMALL["line"], "a.mp4", {}, ArgumentError, "the file name must end in .gif, not"),
        (SMALL["line"], "no/a.gif", {}, FileError, "cannot be written: No such file"),
        (
            SMALL["line"],
            "a.gif",
            {"milliseconds": 19},
            ArgumentError,
            "milliseconds must be from 20 to 60000, not 19",
        ),
        (SMALL["line"], "a.gif", {"dpi": 401}, ArgumentError, "dpi must be from 10 to 400, not"),
        (SMALL["line"], "a.gif", {"dpi": 1.5}, KindError, "dpi must be an integer"),
        (
            ca.correlation((21, 20), [[1]]),
            "a.gif",
            {},
            TooLargeError,
            "an animation of 420 outputs is too long; the limit is 400",
        ),
        (ca.identity(3), "a.gif", {}, KindError, "draw.window_animation takes a layer"),
    ],
)
def test_animations_that_cannot_be_written(
    operator: Any,
    name: str,
    options: dict[str, Any],
    error: type[Exception],
    words: str,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=words):
        ca.draw.window_animation(operator, tmp_path / name, **options)
    assert not list(tmp_path.iterdir())

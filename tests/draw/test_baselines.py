"""The main figures against stored pictures: the same size, and nearly the same pixels.

`python tests/oracles/baselines.py` stores them anew; look at what changed before keeping it.
"""

from __future__ import annotations

import numpy as np
import pytest
from baselines import FIGURES, FOLDER, off_page, overlapping, pixels
from PIL import Image
from scipy.ndimage import uniform_filter

LARGEST_FILE = 20_000
SQUARE = 9
"""Pixels of the squares whose mean colours are compared: letters may move by a fraction."""
MOST_APART = 40
"""Of 255, in one square; a cell of another weight is 60 and more."""
MEAN_APART = 2.0


def stored(name: str) -> np.ndarray:
    with Image.open(FOLDER / f"{name}.png") as image:
        return np.asarray(image.convert("RGB"))


def apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How far the mean colours of small squares are apart."""
    change = one.astype(float) - other.astype(float)
    return np.abs(uniform_filter(change, size=(SQUARE, SQUARE, 1)))


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_looks_as_it_did(name: str) -> None:
    now, before = pixels(FIGURES[name]()), stored(name)
    assert now.shape == before.shape
    found = apart(now, before)
    assert found.mean() < MEAN_APART
    assert found.max() < MOST_APART


def test_pictures_are_small_and_none_is_left_over() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(FIGURES)
    assert max(path.stat().st_size for path in FOLDER.iterdir()) < LARGEST_FILE


@pytest.mark.parametrize("name", ["matrix", "window", "network"])
def test_the_comparison_sees_a_change(name: str) -> None:
    before = stored(name)
    changed = before.copy()
    # A square of the size of a cell in another colour.
    row, column = np.array(before.shape[:2]) // 2
    changed[row : row + 14, column : column + 14] = (220, 138, 0)
    assert apart(changed, before).max() > MOST_APART
    assert apart(np.roll(before, 4, axis=1), before).max() > MOST_APART


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_readable_in_grey(name: str) -> None:
    """No text is lost: dark and light are both there without colour."""
    grey = pixels(FIGURES[name]()) @ np.array([0.2126, 0.7152, 0.0722])
    assert grey.min() < 90
    assert grey.max() > 250


@pytest.mark.parametrize("name", FIGURES)
def test_all_words_are_on_the_page_and_apart(name: str) -> None:
    figure = FIGURES[name]()
    assert off_page(figure) == []
    assert overlapping(figure) == []


def test_words_off_the_page_and_on_each_other_are_seen() -> None:
    figure = FIGURES["modes"]()
    axes = figure.axes[0]
    axes.text(0, 0, "far", transform=axes.transAxes, clip_on=False).set_position((-9, 0))
    axes.text(0.5, 0.5, "first", transform=axes.transAxes)
    axes.text(0.5, 0.5, "again", transform=axes.transAxes)
    assert off_page(figure) == ["far"]
    assert ("first", "again") in overlapping(figure)

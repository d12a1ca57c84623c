"""Images before and after: shades, colours, captions and wrong input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from read_figures import shown

import convalg as ca
from convalg.errors import KindError, ShapeError


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

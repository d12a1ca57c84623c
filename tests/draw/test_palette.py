"""Colours differ for every kind of colour vision, and text on them is readable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb

from convalg.draw import palette

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


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_the_scale_keeps_its_order_in_greyscale(a: float, b: float) -> None:
    dark, light = (palette.luminance(palette.signed_colours(v, 1.0)) for v in sorted((a, b)))
    assert dark <= light + 1e-12
    strong, weak = (palette.luminance(palette.strong_colours(abs(v))) for v in (a, b))
    assert abs(a) < abs(b) or strong <= weak + 1e-12

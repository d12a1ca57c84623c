"""Colours: one for each weight, told apart with every kind of colour vision."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Colours = npt.NDArray[np.float64]

# Chosen so that three of them in three tints each (a 3 x 3 kernel) stay 13 CIELAB units apart
# under simulated protanopia, deuteranopia and tritanopia; all eight stay 14 apart.
HUES = ("#005ab5", "#dc8a00", "#5b8c3e", "#882255", "#56b4e9", "#f0e442", "#777777", "#cc79a7")
LIGHTEST = 0.6

INK, PAPER = "#1b1f24", "#ffffff"
BLOCK_LINE, CELL_LINE, GHOST = "#4b5563", "#e3e6ea", "#aab1ba"
SEVERAL = "#b9b2a7"
"""The colour of an entry on which several weights meet."""


def weight_colours(shape: tuple[int, ...]) -> Colours:
    """A colour for each weight of a kernel, in row-major order.

    Shapes: (weights, 3), red, green and blue from 0 to 1.
    Rule: a hue for each row of the kernel, a tint for each column, so that a block of a 2-D
    matrix has one hue; the weights of one row alone get hues. Tints go on where hues run out.

    >>> weight_colours((3,)).round(2).tolist()
    [[0.0, 0.35, 0.71], [0.86, 0.54, 0.0], [0.36, 0.55, 0.24]]
    """
    sizes = [size for size in shape if size > 1]
    columns = sizes[-1] if len(sizes) > 1 else 1
    count = math.prod(shape)
    row, column = np.divmod(np.arange(count), columns)
    turn, hue = np.divmod(row, len(HUES))
    level = column + columns * turn
    tint = LIGHTEST * level / max(int(level.max(initial=0)), 1)
    base = np.array([_rgb(name) for name in HUES])[hue]
    return base + (1 - base) * tint[:, None]


def text_colour(colour: npt.ArrayLike) -> str:
    """Black or white, whichever stands out more on a colour (at least 4.5 to 1).

    Source: WCAG 2.1, relative luminance and contrast ratio.

    >>> text_colour((0, 0.35, 0.71)), text_colour((0.94, 0.89, 0.26))
    ('#ffffff', '#000000')
    """
    return "#000000" if luminance(colour) > 0.179 else "#ffffff"


def luminance(colour: npt.ArrayLike) -> float:
    """The relative luminance of an sRGB colour, from 0 to 1.

    >>> luminance((1, 1, 1))
    1.0
    """
    channel = np.asarray(colour, dtype=float)
    linear = np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))


def _rgb(name: str) -> list[float]:
    return [int(name[place : place + 2], 16) / 255 for place in (1, 3, 5)]

"""Colours: one for each weight, distinguishable with every kind of colour vision."""

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
BAND = "#eef1f5"
"""The colour of background areas."""
SEVERAL = "#b9b2a7"
"""The colour of an entry with several weights."""


def weight_colours(shape: tuple[int, ...]) -> Colours:
    """Return a colour for each weight of a kernel, in row-major order.

    Shapes: (weights, 3), red, green and blue from 0 to 1.
    Rule: a hue for each row of the kernel and a tint for each column, so that a block of a 2-D
    matrix has one hue; the weights of a single row get hues. Further rows repeat the hues with
    other tints.

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
    base = np.array([rgb(name) for name in HUES])[hue]
    colours: Colours = base + (1 - base) * tint[:, None]
    return colours


NEGATIVE, ZERO, POSITIVE = "#0b2a5b", "#8a8f98", "#fff3cf"
"""The ends and the middle of the scale for signed numbers."""


def signed_colours(values: npt.ArrayLike, largest: float) -> Colours:
    """Return a colour for each number from -largest to largest.

    Shapes: `(*shape)` to `(*shape, 3)`.
    Rule: dark blue, grey at zero, pale yellow; the luminance increases with the number, so the
    order is the same in greyscale.

    >>> signed_colours([-2, 0, 2], 2).round(2).tolist()
    [[0.04, 0.16, 0.36], [0.54, 0.56, 0.6], [1.0, 0.95, 0.81]]
    """
    share = np.clip(np.asarray(values, dtype=float) / (largest or 1.0), -1, 1)[..., None]
    low, middle, high = (np.array(rgb(name)) for name in (NEGATIVE, ZERO, POSITIVE))
    colours: Colours = middle + np.where(share < 0, (middle - low) * share, (high - middle) * share)
    return colours


def strong_colours(shares: npt.ArrayLike) -> Colours:
    """Return a colour for each number from 0 (white) to 1 (darkest), monotonically darker.

    Shapes: `(*shape)` to `(*shape, 3)`.

    >>> strong_colours([0, 1]).round(2).tolist()
    [[1.0, 1.0, 1.0], [0.04, 0.16, 0.36]]
    """
    share = np.clip(np.asarray(shares, dtype=float), 0, 1)[..., None]
    light, middle, dark = (np.array(rgb(name)) for name in (PAPER, HUES[4], NEGATIVE))
    low = light + (middle - light) * 2 * share
    colours: Colours = np.where(share < 0.5, low, middle + (dark - middle) * (2 * share - 1))
    return colours


def text_colour(colour: npt.ArrayLike) -> str:
    """Return black or white, whichever has more contrast with a colour (at least 4.5 to 1).

    Source: WCAG 2.1, relative luminance and contrast ratio.

    >>> text_colour((0, 0.35, 0.71)), text_colour((0.94, 0.89, 0.26))
    ('#ffffff', '#000000')
    """
    return "#000000" if luminance(colour) > 0.179 else "#ffffff"


def luminance(colour: npt.ArrayLike) -> float:
    """Return the relative luminance of an sRGB colour, from 0 to 1.

    >>> luminance((1, 1, 1))
    1.0
    """
    channel = np.asarray(colour, dtype=float)
    linear = np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))


def rgb(name: str) -> list[float]:
    """Return red, green and blue from 0 to 1 for a name such as "#ffffff"."""
    return [int(name[start : start + 2], 16) / 255 for start in (1, 3, 5)]

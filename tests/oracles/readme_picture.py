"""The picture at the top of the README; run as a script, it is stored anew."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image

import convalg as ca

PICTURE = Path(__file__).parents[2] / "docs" / "_static" / "layer-and-matrix.png"
DPI = {"window": 150, "matrix": 100}
GAP = 60
LAYER = ca.correlation((4, 4), ca.kernel(3, 3), padding=1)


def picture() -> npt.NDArray[np.uint8]:
    """The window of a layer and its matrix, side by side on white."""
    window, matrix = ca.draw.window(LAYER, (0, 1)), ca.draw.matrix(LAYER)
    sides = [_pixels(window, DPI["window"]), _pixels(matrix, DPI["matrix"])]
    height = max(len(side) for side in sides)
    width = sum(side.shape[1] for side in sides) + GAP
    page = np.full((height, width, 3), 255, dtype=np.uint8)
    left = 0
    for side in sides:
        top = (height - len(side)) // 2
        page[top : top + len(side), left : left + side.shape[1]] = side
        left += side.shape[1] + GAP
    return page


def _pixels(figure: Figure, dpi: int) -> npt.NDArray[np.uint8]:
    page = io.BytesIO()
    with mpl.rc_context({"font.family": "DejaVu Sans"}):
        figure.savefig(page, format="png", dpi=dpi)
    with Image.open(page) as image:
        return np.asarray(image.convert("RGB"))


if __name__ == "__main__":
    Image.fromarray(picture()).quantize(64).save(PICTURE, optimize=True)

"""Reads figures back: which squares there are, in which colour, with which text and lines."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

import convalg as ca

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


def shown(axes: Axes) -> np.ndarray:
    """The values of the only image."""
    (image,) = axes.images
    return np.asarray(image.get_array())

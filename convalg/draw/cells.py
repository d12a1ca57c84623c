"""Squares with text: the primitives for drawing matrices, windows and grids."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

from convalg.draw.palette import BLOCK_LINE, CELL_LINE, INK, Colours, text_colour
from convalg.escape import terminal

CORNERS = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
LARGEST_TEXT, SMALLEST_TEXT = 9.0, 2.6  # points


def squares(
    axes: Axes,
    positions: npt.ArrayLike,
    colours: object,
    *,
    edges: str = CELL_LINE,
    width: float = 0.3,
    style: str = "-",
    inset: float = 0.0,
    zorder: float = 2,
    gid: str | None = None,
) -> None:
    """Draw squares of side 1, given by their top left corners.

    Shapes: `positions` (squares, 2), across and down; `colours` one for all or (squares, 3).
    """
    corners = CORNERS * (1 - 2 * inset) + inset
    at = np.asarray(positions, dtype=float).reshape(-1, 2)
    collection = PolyCollection(
        list(at[:, None, :] + corners),
        facecolors=colours,
        edgecolors=edges,
        linewidths=width,
        linestyles=style,
        zorder=zorder,
    )
    collection.set(clip_on=False, gid=gid)
    axes.add_collection(collection)


def fitting(text: str, size: float) -> float:
    """Return the font size in points, at most 9, at which text fits a square of `size` inches.

    >>> fitting("w00", 1.0)
    9.0
    """
    lines = text.split("\n")
    room = 72 * size * 0.9
    return min(LARGEST_TEXT, room / max(0.72 * max(map(len, lines)), 1.25 * len(lines)))


def write(
    axes: Axes, x: float, y: float, text: str, points: float, colour: str, *, zorder: float = 6
) -> None:
    """Write text centred at a point, without interpreting dollar signs as formulas."""
    label = axes.text(x, y, text, fontsize=points, color=colour, ha="center", zorder=zorder)
    label.set(va="center" if "\n" in text else "center_baseline", parse_math=False)
    label.set_linespacing(1.05)


def frame(axes: Axes, rows: int, columns: int) -> None:
    """Draw a frame around cells, and set the limits of the axes: rows down, columns across."""
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    edges = [[(0, 0), (columns, 0), (columns, rows), (0, rows), (0, 0)]]
    outline = LineCollection(edges, colors=BLOCK_LINE, linewidths=1.1, zorder=4)
    outline.set_clip_on(False)
    axes.add_collection(outline)


def board(
    axes: Axes, texts: npt.NDArray[np.object_], colours: Colours, size: float, *, named: bool = True
) -> None:
    """Draw a grid of coloured cells with text and, with `named`, the row and column indices.

    Shapes: `texts` (rows, columns), `colours` (rows, columns, 3).
    """
    rows, columns = texts.shape
    frame(axes, rows, columns)
    positions = [(c, r) for r in range(rows) for c in range(columns)]
    flat = np.asarray(colours).reshape(-1, 3)
    squares(axes, positions, flat, edges=BLOCK_LINE, width=0.5)
    fits = [fitting(text, size) for text in texts.ravel() if text]
    common = min(float(np.median(fits)), 7.5) if fits else 0.0
    for (x, y), text, colour in zip(positions, texts.ravel(), flat, strict=True):
        points = min(fitting(text, size), common) if text else 0.0
        if points >= SMALLEST_TEXT:
            write(axes, x + 0.5, y + 0.5, text, points, text_colour(colour))
    if named and size >= 0.13:
        axes.xaxis.tick_top()
        if rows > 1:
            axes.set_yticks(np.arange(rows) + 0.5, [str(r) for r in range(rows)])
        axes.set_xticks(np.arange(columns) + 0.5, [str(c) for c in range(columns)])
        axes.tick_params(labelsize=6, colors=INK)


def number_text(value: object) -> str:
    """Return a number as short text; symbols and exact numbers unchanged.

    >>> number_text(np.float64(1 / 9)), number_text(np.int64(-1))
    ('0.111', '-1')
    """
    return f"{value:.3g}" if isinstance(value, (float, np.floating)) else terminal(value)

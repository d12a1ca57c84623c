"""The kernel as a window that slides over the padded (or dilated) input; a figure or a GIF."""

from __future__ import annotations

import io
import os
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

from convalg.arguments import as_path
from convalg.draw.cells import SMALLEST_TEXT, fitting, squares, write
from convalg.draw.figure import Drawing, rendered
from convalg.draw.files import ending
from convalg.draw.palette import (
    BAND,
    BLOCK_LINE,
    GHOST,
    INK,
    PAPER,
    Colours,
    text_colour,
    weight_colours,
)
from convalg.draw.scene import (
    INPUT,
    PADDING,
    Board,
    Position,
    Scene,
    layer_of,
    output_of,
    sample_of,
    scene,
)
from convalg.errors import ArgumentError, TooLargeError
from convalg.files import replace_file
from convalg.operators.tree import Operator
from convalg.size import as_integer

WIDEST, NARROWEST, LARGEST_CELL = 7.6, 4.8, 0.36  # inches
LETTER = 0.07  # inches of one character of the formula
LEAST_TEXT = 4  # points
GAP, BETWEEN = 3.0, 1.7
"""Cells between the input and the output, and between the channels of the input."""
MOST_FRAMES = 400
Point: TypeAlias = tuple[float, float]
LEAST_NAMED = 0.13  # least inches of a cell with an index next to it


def window(operator: Operator, output: object = None, *, x: object = None) -> Drawing:
    """Draw the kernel on the padded input at the position of one output, and the output.

    Weights have the same colours as in `matrix`. Each tap is drawn on the sample that it reads, so
    a dilated kernel has holes, and the kernel of a convolution is flipped. The kernel of a
    transposed layer is drawn on the input with zeros inserted between its samples. If
    there are more than 4 input channels, the first 4 are shown.

    Args:
        operator: a correlation, a convolution or a transposed correlation.
        output: an index into the output shape, by default the middle.
        x: one input of shape `operator.in_shape`, whose values and results are shown.

    Raises:
        KindError: for another operator.
        ShapeError: for more than two spatial axes, or an `output` or `x` of another shape.
        ArgumentError: when `output` is out of range.
        TooLargeError: for more than 48 cells per side.

    >>> import convalg as ca
    >>> figure = ca.draw.window(ca.correlation((5, 5), ca.kernel(3, 3), padding=1), (0, 2))
    >>> texts = [text.get_text() for text in figure.axes[0].texts if text.get_gid() == "formula"]
    >>> texts[0].split("\\n")[1]
    'y[0,2] = w10\xa0x[0,1] + w11\xa0x[0,2] + w12\xa0x[0,3] + w20\xa0x[1,1] + w21\xa0x[1,2] +'
    """
    layer_of(operator, "draw.window")
    return _drawn(scene(operator, output_of(operator, output), sample_of(operator, x)), operator)


def window_animation(
    operator: Operator,
    path: str | os.PathLike[str],
    *,
    x: object = None,
    milliseconds: int = 500,
    dpi: int = 90,
) -> Path:
    """Write a looping GIF of the window at every output of the first channel, and return its path.

    The file is written under a temporary name and renamed, so it is never incomplete.

    Args:
        operator: a correlation, a convolution or a transposed correlation.
        path: the file, with the suffix .gif.
        x: one input of shape `operator.in_shape`, whose values and results are shown.
        milliseconds: the time for which each frame is shown, from 20 to 60000.
        dpi: the resolution in pixels per inch, from 10 to 400.

    Raises:
        ArgumentError: for another suffix, time or resolution.
        TooLargeError: for more than 400 outputs.
        FileError: when the file cannot be written. The errors of `window` are raised too.

    >>> import convalg as ca, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     layer = ca.correlation(4, ca.kernel(3))
    ...     ca.draw.window_animation(layer, folder + "/window.gif", dpi=40).read_bytes()[:3]
    b'GIF'
    """
    from PIL import Image

    file = as_path(path)
    ending(file, ("gif",))
    time = _between(milliseconds, "milliseconds", 20, 60_000)
    pixels = _between(dpi, "dpi", 10, 400)
    layer_of(operator, "draw.window_animation")
    first = output_of(operator, None)
    spatial = len(layer_of(operator, "draw.window")[0].geometry.axes)
    lead, plane = first[:-spatial], operator.out_shape[-spatial:]
    count = int(np.prod(plane))
    if count > MOST_FRAMES:
        raise TooLargeError(
            f"an animation of {count} outputs is too long; the limit is {MOST_FRAMES}: animate a "
            f"smaller layer of the same form"
        )
    values = sample_of(operator, x)
    pictures = []
    for target in np.ndindex(*plane):
        frame = _drawn(scene(operator, (*lead, *target), values), operator)
        with Image.open(io.BytesIO(rendered(frame, "png", pixels))) as picture:
            pictures.append(picture.convert("RGB"))
    # One palette for all frames avoids flicker.
    colours = pictures[0].quantize(256)
    frames = [p.quantize(palette=colours, dither=Image.Dither.NONE) for p in pictures]
    page = io.BytesIO()
    frames[0].save(
        page, format="GIF", save_all=True, append_images=frames[1:], duration=time, loop=0
    )
    return replace_file(file, page.getvalue())


def _between(value: object, name: str, least: int, most: int) -> int:
    number = as_integer(value, name)
    if not least <= number <= most:
        raise ArgumentError(f"{name} must be from {least} to {most}, not {number}")
    return number


@dataclass(frozen=True)
class WindowLayout:
    """The positions of the boards in cells from the top left: inputs, then the output."""

    wide: float
    tall: float
    inputs: tuple[Point, ...]
    output: Point
    below: bool
    """Whether the output is below the input, as it is if both are rows."""


def layout_of(view: Scene) -> WindowLayout:
    """Return the layout: the output next to the input, or below it if both are rows."""
    boards, (rows, columns) = view.inputs, view.output.shape
    width = boards[0].shape[1]
    heights = [board.shape[0] for board in boards]
    tall = sum(heights) + BETWEEN * (len(boards) - 1)
    if max(rows, *heights) == 1:
        wide = max(width, columns)
        tops = _stacked(heights, tall, tall)
        # The two rows are centred on each other.
        inputs = tuple(((wide - width) / 2, top) for top in tops)
        return WindowLayout(wide, tall + GAP + 1, inputs, ((wide - columns) / 2, tall + GAP), True)
    high = max(tall, rows)
    inputs = tuple((0.0, top) for top in _stacked(heights, tall, high))
    return WindowLayout(
        width + GAP + columns, high, inputs, (width + GAP, (high - rows) / 2), False
    )


def _drawn(view: Scene, operator: Operator) -> Drawing:
    layer, transposed = layer_of(operator, "draw.window")
    colours = weight_colours(layer.weights.shape)
    layout = layout_of(view)
    size = min(LARGEST_CELL, (WIDEST - 0.7) / layout.wide)
    left, above, below = 0.35, 1.05, 0.15
    width = max(layout.wide * size + left + 0.2, NARROWEST)
    figure = Drawing(width, layout.tall * size + above + below)
    axes = figure.panel(left, below, layout.wide * size, layout.tall * size)
    axes.set_xlim(0, layout.wide)
    axes.set_ylim(layout.tall, 0)
    for number, (board, at) in enumerate(zip(view.inputs, layout.inputs, strict=True)):
        covered = {tap.position for tap in view.taps if tap.board == number}
        _board(axes, board, at, size, covered)
    _board(axes, view.output, layout.output, size, {view.target})
    _taps(axes, view, layout, colours, size)
    _target(axes, view, layout, size)
    kind = (
        "transposed: the window on the dilated input" if transposed else "the window on the input"
    )
    title = f"{kind}, {view.left_out}" if view.left_out else kind
    # Two lines for the sum in every frame, so that all frames have the same size.
    joined = view.formula.replace(" x[", "\N{NO-BREAK SPACE}x[")
    lines = textwrap.wrap(joined, int((width - left) / LETTER), break_long_words=False)
    if len(lines) > 2:
        lines = [lines[0], f"{lines[1].rpartition(' + ')[0]} + …"]
    text = "\n".join([title, *lines, *[" "] * (2 - len(lines))])
    axes.annotate(
        text,
        (0, 1),
        xycoords="figure fraction",
        xytext=(72 * left, -8),
        textcoords="offset points",
        va="top",
        fontsize=8,
        color=INK,
        parse_math=False,
        gid="formula",
    )
    return figure


def _stacked(heights: list[int], tall: float, high: float) -> list[float]:
    """Return the tops of stacked boards of total height `tall`, centred in a height."""
    top = (high - tall) / 2
    tops = []
    for height in heights:
        tops.append(top)
        top += height + BETWEEN
    return tops


def _board(axes: Axes, board: Board, at: Point, size: float, covered: set[Position]) -> None:
    """Draw the cells of a board, with text in cells that are not covered."""
    left, top = at
    for kind in dict.fromkeys(board.kinds.ravel().tolist()):
        positions = np.argwhere(board.kinds == kind)[:, ::-1] + (left, top)
        squares(
            axes,
            positions,
            PAPER if kind == INPUT else BAND,
            edges=BLOCK_LINE if kind == INPUT else GHOST,
            width=0.6,
            style="--" if kind == PADDING else "-",
            zorder=2 if kind == INPUT else 1,
            gid=f"cells {kind}",
        )
    for (row, column), text in np.ndenumerate(board.texts):
        if text and (row, column) not in covered and fitting(text, size) >= LEAST_TEXT:
            colour = INK if board.kinds[row, column] == INPUT else BLOCK_LINE
            x, y = left + column + 0.5, top + row + 0.5
            write(axes, x, y, text, min(fitting(text, size), 7.0), colour, zorder=3)
    if size >= LEAST_NAMED:
        points = min(6.0, 72 * size * 0.5)
        for row, name in enumerate(board.rows):
            write(axes, left - 0.35, top + row + 0.5, name, points, BLOCK_LINE)
        for column, name in enumerate(board.columns):
            write(axes, left + column + 0.5, top - 0.35, name, points, BLOCK_LINE)
    axes.annotate(
        board.title,
        (left, top),
        xytext=(0, 14),
        textcoords="offset points",
        fontsize=7.5,
        color=INK,
        annotation_clip=False,
    )


def _taps(axes: Axes, view: Scene, layout: WindowLayout, colours: Colours, size: float) -> None:
    """Draw the weights on the cells that they read."""
    starts = [layout.inputs[tap.board] for tap in view.taps]
    positions = np.array([tap.position[::-1] for tap in view.taps]) + starts
    filled = colours[[tap.label for tap in view.taps]]
    squares(axes, positions, filled, edges="none", inset=0.06, zorder=4, gid="taps")
    for tap, (x, y) in zip(view.taps, positions, strict=True):
        below = view.inputs[tap.board].texts[tap.position]
        text = f"{tap.text}\n{below}" if below else tap.text
        points = min(fitting(text, size), 7.5)
        if points >= SMALLEST_TEXT:
            write(axes, x + 0.5, y + 0.5, text, points, text_colour(colours[tap.label]), zorder=6)


def _target(axes: Axes, view: Scene, layout: WindowLayout, size: float) -> None:
    """Draw the frames of the windows, the output cell, and lines between them."""
    row, column = view.target
    x, y = layout.output[0] + column, layout.output[1] + row
    cell = Rectangle((x, y), 1, 1, facecolor=INK, lw=0, zorder=5, clip_on=False, gid="target")
    axes.add_patch(cell)
    text = str(view.output.texts[row, column])
    if text:
        write(axes, x + 0.5, y + 0.5, text, min(fitting(text, size), 7.0), PAPER, zorder=6)
    lines = []
    for board, (left, top) in enumerate(layout.inputs):
        rows = [tap.position[0] for tap in view.taps if tap.board == board]
        columns = [tap.position[1] for tap in view.taps if tap.board == board]
        low, high = top + min(rows), top + max(rows) + 1
        start, end = left + min(columns), left + max(columns) + 1
        frame = Rectangle((start, low), end - start, high - low, fill=False, ec=INK, lw=1.8)
        frame.set(zorder=7, clip_on=False, gid="window")
        axes.add_patch(frame)
        if layout.below:
            lines += [[(start, high), (x, y)], [(end, high), (x + 1, y)]]
        else:
            lines += [[(end, low), (x, y)], [(end, high), (x, y + 1)]]
    axes.add_collection(
        LineCollection(lines, colors=INK, linewidths=0.6, zorder=6, alpha=0.55, clip_on=False)
    )

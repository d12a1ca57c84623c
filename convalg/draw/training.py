"""Figures of training: kernels as small images, and the training history."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from convalg.arguments import plural
from convalg.arrays import as_numbers
from convalg.draw.figure import Drawing, breadth, caption, plot
from convalg.draw.palette import BLOCK_LINE, HUES, INK, signed_colours
from convalg.errors import ArgumentError, KindError, ShapeError, SymbolicError
from convalg.network.network import Network

Array = npt.NDArray[Any]

MOST_ROWS, MOST_COLUMNS = 16, 16
WIDEST, TALLEST = 7.6, 9.0  # inches
LARGEST_TILE, LEAST_SCALE = 0.9, 0.6
STEPS = 64
"""The number of colours in a scale."""


def kernels(source: Network | npt.ArrayLike, node: str | None = None) -> Drawing:
    """Draw kernels as a grid of small images, all on one scale that is symmetric about zero.

    Each image is labelled with its indices along the leading axes. If there are two leading axes,
    the rows of the grid are output channels and the columns are input channels. If
    there are more than 16 rows or columns, the first 16 are drawn, and the title states this.

    Args:
        source: a network with weights, or an array of shape `(*leading, height, width)`.
        node: the name of the node whose kernel is drawn, by default the first node with a kernel.

    Raises:
        KindError: when `source` is neither a network nor real numbers.
        SymbolicError: for symbolic kernels.
        ArgumentError: when there are no weights, or numbers that are not finite.
        ShapeError: for fewer than two axes.

    >>> import convalg as ca, numpy as np
    >>> ca.draw.kernels(np.arange(18).reshape(2, 3, 3)).axes[0].get_title(loc="left")
    '0'
    """
    values, name = _values(source, node)
    shape = values.shape
    tiles, numbers, cut = _grid(values)
    rows, columns, height, width = tiles.shape
    above, left = 0.16, 0.2
    side = min(
        LARGEST_TILE / max(height, width),
        WIDEST / (columns * (width + 1)),
        (TALLEST / rows - above) / height,
    )
    across, down, gap = width * side, height * side, max(side, 0.06)
    wide, tall = columns * (across + gap), rows * (down + above)
    title = f"{name}: {' x '.join(map(str, shape))}{cut}"
    whole_width = left + max(wide + 0.75, breadth(title) + 0.1)
    # The scale needs room for its three numbers.
    figure = Drawing(whole_width, max(tall, LEAST_SCALE) + 0.75)
    lowest = 0.2 + max(LEAST_SCALE - tall, 0)
    largest = float(np.abs(tiles).max(initial=0))
    points = max(min(7.0, 72 * across / 5), 3.5)
    for position, label in numbers.items():
        row, column = position
        bottom = lowest + (rows - 1 - row) * (down + above)
        axes = figure.panel(left + column * (across + gap), bottom, across, down)
        axes.imshow(signed_colours(tiles[position], largest), interpolation="none", aspect="auto")
        _frame(axes)
        caption(axes, label, size=points, pad=2)
    _scale(figure, largest, left + wide + 0.1, max(tall, LEAST_SCALE))
    figure.text(
        left / whole_width,
        1 - 0.2 / (max(tall, LEAST_SCALE) + 0.75),
        title,
        fontsize=9,
        color=INK,
        va="center",
        parse_math=False,
    )
    return figure


def _values(source: object, node: str | None) -> tuple[Array, str]:
    if isinstance(source, Network):
        name = _first_kernel(source) if node is None else node
        source[name]
        weights = source.weights.get(name, {})
        if "kernel" not in weights:
            raise ArgumentError(
                f"{name} does not have a kernel: choose another node, or initialise the weights "
                f"with initialise(seed)"
            )
        values = np.asarray(weights["kernel"])
    else:
        if node is not None:
            raise ArgumentError(
                f"node={node!r} selects a layer of a network, but the source is an array"
            )
        values, name = as_numbers(source, "kernels"), "kernels"
    if values.dtype.kind == "O":
        try:
            values = values.astype(float)
        except TypeError:
            raise SymbolicError(
                f"symbolic kernels cannot be shown as colours: use draw.kernel, or substitute "
                f"numbers for {values.ravel()[0]}"
            ) from None
    if values.dtype.kind not in "biuf":
        raise KindError(f"kernels must be real numbers, not {values.dtype}")
    if values.ndim < 2 or not values.size:
        raise ShapeError(
            f"kernels must have shape (*leading, height, width) with positive sizes, not "
            f"{values.shape}"
        )
    if not np.isfinite(values).all():
        raise ArgumentError(f"the kernels of {name} contain numbers that are not finite")
    return values, name


def _first_kernel(net: Network) -> str:
    for name, arrays in net.weights.items():
        if "kernel" in arrays:
            return name
    raise ArgumentError(f"{net.name} has no kernels yet: create them with initialise(seed)")


def _grid(values: Array) -> tuple[Array, dict[tuple[int, int], str], str]:
    """Return the images in rows and columns, their labels by position, and a note on omissions."""
    leading, image = values.shape[:-2], values.shape[-2:]
    if len(leading) == 2 and min(leading) > 1:
        tiles = values[:MOST_ROWS, :MOST_COLUMNS]
        rows, columns = tiles.shape[:2]
        left_out = [
            f"the first {shown} {side} channels"
            for shown, all_of, side in zip(
                (rows, columns), leading, ("output", "input"), strict=True
            )
            if shown < all_of
        ]
        numbers = {(r, c): f"{r}, {c}" for r in range(rows) for c in range(columns)}
        return tiles, numbers, "".join(f", {text}" for text in left_out)
    count = math.prod(leading)
    shown = min(count, MOST_ROWS * MOST_COLUMNS)
    columns = min(math.ceil(math.sqrt(shown * image[0] / image[1])), shown)
    rows = -(-shown // columns)
    tiles = np.zeros((rows * columns, *image), dtype=values.dtype)
    tiles[:shown] = values.reshape(count, *image)[:shown]
    positions = [divmod(k, columns) for k in range(shown)]
    cut = f", the first {shown}" if shown < count else ""
    names = {position: _number(leading, k) for k, position in enumerate(positions)}
    return tiles.reshape(rows, columns, *image), names, cut


def _number(leading: tuple[int, ...], flat: int) -> str:
    return ", ".join(str(int(v)) for v in np.unravel_index(flat, leading)) if leading else ""


def _frame(axes: Axes) -> None:
    for spine in axes.spines.values():
        spine.set(visible=True, color=BLOCK_LINE, linewidth=0.5)


def _scale(figure: Drawing, largest: float, left: float, tall: float) -> None:
    """Draw the scale of colours from -largest to largest, on the right."""
    height = min(tall - 0.16, 1.6)
    axes = figure.panel(left, 0.2 + tall - 0.16 - height, 0.12, height)
    ramp = np.linspace(1, -1, STEPS)[:, None]
    axes.imshow(signed_colours(ramp, 1.0), aspect="auto", interpolation="none")
    axes.yaxis.tick_right()
    labels = [f"{largest:.3g}", "0", f"-{largest:.3g}"]
    axes.set_yticks([-0.5, STEPS / 2 - 0.5, STEPS - 0.5], labels)
    _frame(axes)


# The training history.


def history(course: object) -> Drawing:
    """Draw the loss and the accuracy of a training run, epoch by epoch.

    Args:
        course: the history that `ca.fit` returns, or another object with a list `loss` and,
            optionally, lists `accuracy` and `validation_accuracy`. A list has one number for each
            epoch, or None for an epoch in which the value was not measured.

    Raises:
        KindError: when the object does not have a list of losses.
        ArgumentError: when there are no losses, or another list has a different length.

    >>> import convalg as ca
    >>> from types import SimpleNamespace
    >>> course = SimpleNamespace(loss=[2.0, 1.0], accuracy=[0.5, 0.75], validation_accuracy=[])
    >>> [axes.get_title(loc="left") for axes in ca.draw.history(course).axes]
    ['loss: 1 after 2 epochs', 'accuracy: 0.75 on training images']
    """
    losses = _numbers(course, "loss")
    if not losses.size:
        raise ArgumentError(f"a history needs at least one epoch, but loss is {losses.tolist()}")
    lines = {
        label: _numbers(course, name, len(losses))
        for name, label in (
            ("accuracy", "training images"),
            ("validation_accuracy", "validation images"),
        )
    }
    lines = {label: line for label, line in lines.items() if np.isfinite(line).any()}
    wide, tall = 3.3, 2.3
    panels = 1 + bool(lines)
    figure = Drawing(panels * (wide + 0.75) + 0.1, tall + 0.95)
    axes = plot(figure, 0.6, 0.5, wide, tall)
    _line(axes, losses, 0)
    axes.set_ylim(bottom=min(0.0, float(np.nanmin(losses, initial=0))))
    epochs = plural(len(losses), "epoch")
    caption(axes, f"loss: {losses[-1]:.4g} after {epochs}")
    if lines:
        axes = plot(figure, 0.6 + wide + 0.75, 0.5, wide, tall)
        for number, (label, line) in enumerate(lines.items()):
            _line(axes, line, number, label)
        axes.set_ylim(0, 1.02)
        last = ", ".join(f"{_last(line):.4g} on {label}" for label, line in lines.items())
        caption(axes, f"accuracy: {last}", size=9 if len(lines) == 1 else 7.5)
        if len(lines) > 1:
            axes.legend(loc="lower right", fontsize=7, frameon=False)
    return figure


def _numbers(course: object, name: str, longest: int | None = None) -> Array:
    """Return one list of a history as floats, with NaN for None."""
    values = getattr(course, name, None if longest is None else [])
    if values is None or isinstance(values, str) or not hasattr(values, "__iter__"):
        raise KindError(f"draw.history needs a list of numbers `{name}`, not {values!r}")
    try:
        line = np.array([math.nan if v is None else float(v) for v in values])
    except (TypeError, ValueError):
        raise KindError(f"draw.history needs numbers in `{name}`, not {values!r}") from None
    if longest is not None and len(line) not in (0, longest):
        raise ArgumentError(
            f"{name} must have one entry for each of the {longest} epochs, not {len(line)}"
        )
    return line


def _last(line: Array) -> float:
    return float(line[np.isfinite(line)][-1])


def _line(axes: Axes, line: Array, number: int, label: str | None = None) -> None:
    """Draw a line with its own colour, dashes and markers."""
    style, mark = (("-", "o"), ("--", "s"))[number]
    epochs = np.arange(1, len(line) + 1)
    axes.plot(
        epochs,
        line,
        style,
        color=HUES[number],
        marker=mark if len(line) <= 30 or not np.isfinite(line).all() else None,
        markersize=3,
        linewidth=1.4,
        label=label,
    )
    axes.set_xlabel("epoch", fontsize=7.5, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))

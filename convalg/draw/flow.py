"""Data flow forward through A and backward through its adjoint; complete and partial overlap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from convalg.arguments import plural
from convalg.draw.cells import SMALLEST_TEXT, fitting, squares, write
from convalg.draw.figure import Drawing, breadth, caption
from convalg.draw.matrix import Cells, cells_of
from convalg.draw.palette import BAND, BLOCK_LINE, GHOST, INK, PAPER, text_colour, weight_colours
from convalg.errors import KindError, TooLargeError
from convalg.kernels import kernel as symbols
from convalg.operators.convolution import correlation
from convalg.operators.tree import Operator
from convalg.size import as_integer

Mask = npt.NDArray[np.bool_]
Ends = npt.NDArray[np.float64]
"""The start and the end of each line. Shapes: (lines, 2, 2), across and down."""

MOST_NODES, MOST_LINES = 40, 400
MOST_STEPS = 40
WIDEST, WIDE = 7.6, 2.9  # inches


def flow(operator: Operator) -> Drawing:
    """Draw the entries of a matrix as lines from input to output: forward, and back through A^T.

    Both panels have the same lines with the same weights, in the colours of `matrix`. The left
    panel emphasises the terms of the middle output: a row of A. The right panel emphasises the
    terms of the gradient of the middle input: a column of A, which is a row of A^T.

    Args:
        operator: the operator, with numbers for its sizes.

    Raises:
        KindError: when `operator` is not an operator.
        SymbolicError: for a family of operators with symbolic sizes.
        TooLargeError: for more than 40 inputs or outputs, or 400 entries.

    >>> import convalg as ca
    >>> [axes.get_title(loc="left") for axes in ca.draw.flow(ca.correlation(5, ca.kernel(3))).axes]
    ['forward: y = A x', 'back: dL/dx = A^T dL/dy']
    """
    if not isinstance(operator, Operator):
        raise KindError(f"draw.flow takes an operator, not {type(operator).__name__}")
    operator._need_numbers("draw.flow")
    rows, columns = operator.shape
    cells = cells_of(operator)[0] if max(rows, columns) <= MOST_NODES else None
    if cells is None or len(cells.rows) > MOST_LINES:
        raise TooLargeError(
            f"the flow through a {rows} x {columns} matrix is too large to draw; the limits are "
            f"{MOST_NODES} nodes per side and {MOST_LINES} entries: draw a smaller layer"
        )
    size = min(0.3, 7.0 / max(rows, columns))
    tall = max(rows, columns) * size
    figure = Drawing(2 * (WIDE + 0.7), tall + 0.6)
    forward = figure.panel(0.3, 0.15, WIDE, tall)
    back = figure.panel(0.3 + WIDE + 0.8, 0.15, WIDE, tall)
    picked = rows // 2, columns // 2
    _lines(forward, cells, operator, cells.rows == picked[0], size, forward=True)
    _lines(back, cells, operator, cells.columns == picked[1], size, forward=False)
    caption(forward, "forward: y = A x", pad=6)
    caption(back, "back: dL/dx = A^T dL/dy", pad=6)
    return figure


def _lines(
    axes: Axes, cells: Cells, operator: Operator, strong: Mask, size: float, *, forward: bool
) -> None:
    """Draw nodes on both sides, inputs on the left, and a line for each entry."""
    rows, columns = operator.shape
    most = max(rows, columns)
    shift_in, shift_out = (most - columns) / 2, (most - rows) / 2
    across = WIDE / size
    axes.set_xlim(0, across)
    axes.set_ylim(most, 0)
    ends = np.stack(
        [
            np.stack([np.full(len(cells.rows), 1.0), cells.columns + shift_in + 0.5], axis=1),
            np.stack([np.full(len(cells.rows), across - 1), cells.rows + shift_out + 0.5], axis=1),
        ],
        axis=1,
    )
    for chosen, width, alpha in ((~strong, 0.7, 0.45), (strong, 2.2, 1.0)):
        lines = LineCollection(list(ends[chosen]), colors=cells.colours[chosen], alpha=alpha)
        lines.set(linewidth=width, zorder=3 if width > 1 else 2, gid="strong" if width > 1 else "")
        axes.add_collection(lines)
    _heads(axes, ends[strong], 1 if forward else 0)
    _nodes(axes, operator.in_shape, "x" if forward else "dx", 0.0, shift_in, size)
    _nodes(axes, operator.out_shape, "y" if forward else "dy", across - 1, shift_out, size)
    _middles(axes, cells, ends, strong, size)


def _heads(axes: Axes, ends: Ends, side: int) -> None:
    """Draw arrow heads at one end of lines."""
    for line in ends:
        axes.annotate(
            "",
            xy=line[side],
            xytext=line[side] + (line[1 - side] - line[side]) * 0.12,
            arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 0, "mutation_scale": 9},
            zorder=5,
        )


def _middles(axes: Axes, cells: Cells, ends: Ends, strong: Mask, size: float) -> None:
    """Write the weights on the emphasised lines."""
    for entry in np.flatnonzero(strong):
        start, end = ends[entry]
        text = cells.texts[entry]
        points = min(fitting(text, max(size, 0.2)), 7.0)
        if points >= SMALLEST_TEXT:
            x, y = start + (end - start) * 0.5
            colour = text_colour(cells.colours[entry])
            box = {"boxstyle": "round,pad=0.15", "fc": cells.colours[entry], "ec": "none"}
            axes.text(
                x, y, text, fontsize=points, color=colour, ha="center", va="center",
                bbox=box, zorder=6, parse_math=False,
            )  # fmt: skip


def _nodes(
    axes: Axes, shape: tuple[int, ...], name: str, left: float, shift: float, size: float
) -> None:
    indices = list(np.ndindex(*shape))
    squares(
        axes,
        [(left, shift + k) for k in range(len(indices))],
        PAPER,
        edges=BLOCK_LINE,
        width=0.8,
        inset=0.04,
        zorder=4,
        gid=name,
    )
    for k, index in enumerate(indices):
        text = f"{name}{','.join(map(str, index))}" if size > 0.22 else ",".join(map(str, index))
        points = fitting(text, size)
        if points >= SMALLEST_TEXT:
            write(axes, left + 0.5, shift + k + 0.5, text, min(points, 7.0), INK)


def overlap(n: int, k: int, *, dilation: int = 1) -> Drawing:
    """Draw the kernel at each position of a full correlation, with complete or partial overlap.

    Taps outside the input are drawn as outlines. Rows with all taps inside are the outputs of
    `valid`; all rows together are those of `full`.

    Args:
        n: the number of samples.
        k: the number of taps.
        dilation: the distance between taps.

    Raises:
        ShapeError: when the kernel is longer than the input.
        KindError: when a size is not an integer.
        ArgumentError: when a size is not positive.
        TooLargeError: for more than 40 outputs.

    >>> import convalg as ca
    >>> ca.draw.overlap(5, 3).axes[0].get_title(loc="left")
    '7 outputs of full: 4 with partial overlap, 3 complete (valid)'
    """
    weights = symbols(as_integer(k, "k"))
    layer = correlation(as_integer(n, "n"), weights, padding="full", dilation=dilation)
    valid = correlation(as_integer(n, "n"), weights, dilation=dilation)
    axis = layer.geometry.axes[0]
    rows, reach = axis.numbers.out_size, axis.numbers.before
    if rows > MOST_STEPS:
        raise TooLargeError(
            f"an overlap of {rows} outputs is too large to draw; the limit is {MOST_STEPS}: use "
            f"smaller n and k"
        )
    columns = n + 2 * reach
    size = min(0.32, (WIDEST - 1.9) / columns)
    partial = rows - valid.shape[0]
    outputs = f"{plural(rows, 'output')} of full"
    title = f"{outputs}: {partial} with partial overlap, {valid.shape[0]} complete (valid)"
    wide = max(columns * size + 1.9, breadth(title) + 0.6)
    figure = Drawing(wide, (rows + 1.6) * size + 0.5)
    axes = figure.panel(0.45, 0.1, columns * size, (rows + 1.6) * size)
    axes.set_xlim(-reach, n + reach)
    axes.set_ylim(rows, -1.6)
    _samples(axes, n, rows, size)
    complete = range(reach, reach + valid.shape[0])
    colours = weight_colours((k,))
    for row in range(rows):
        raw = [int(axis.raw(row, tap)) for tap in range(k)]
        on = [tap for tap in range(k) if 0 <= raw[tap] < n]
        off = [tap for tap in range(k) if tap not in on]
        squares(axes, [(raw[t], row) for t in on], colours[on], inset=0.06, zorder=3, gid="on")
        squares(
            axes, [(raw[t], row) for t in off], "none", edges=GHOST, width=0.8, style="--",
            inset=0.06, zorder=3, gid="off",
        )  # fmt: skip
        for tap in range(k):
            points = min(fitting(str(weights[tap]), size), 7.5)
            colour = text_colour(colours[tap]) if tap in on else BLOCK_LINE
            if points >= SMALLEST_TEXT:
                write(axes, raw[tap] + 0.5, row + 0.5, str(weights[tap]), points, colour)
        kind = "complete" if row in complete else "partial"
        _overlap_label(axes, n + reach + 0.3, row, kind, size)
    caption(axes, title)
    axes.set_yticks(np.arange(rows) + 0.5, [f"y{row}" for row in range(rows)])
    axes.tick_params(labelsize=min(7.0, 72 * size * 0.6))
    return figure


def _samples(axes: Axes, n: int, rows: int, size: float) -> None:
    """Draw the input at the top, and its columns below it."""
    squares(axes, [(c, -1.4) for c in range(n)], PAPER, edges=BLOCK_LINE, width=0.8, gid="input")
    for column in range(n):
        points = min(fitting(f"x{column}", size), 7.5)
        if points >= SMALLEST_TEXT:
            write(axes, column + 0.5, -0.9, f"x{column}", points, INK)
    axes.axvspan(0, n, ymin=0, ymax=rows / (rows + 1.6), color=BAND, zorder=0, lw=0)


def _overlap_label(axes: Axes, x: float, row: int, kind: str, size: float) -> None:
    weight = "bold" if kind == "complete" else "normal"
    text = axes.text(x, row + 0.5, kind, fontsize=min(7.5, 72 * size * 0.6), color=INK)
    text.set(va="center_baseline", fontweight=weight)

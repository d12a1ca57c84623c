"""Three matrices of one layer: A, its transpose, and B(x), which acts on the kernel."""

from __future__ import annotations

import numpy as np

from convalg.arrays import as_numbers
from convalg.draw.cells import number_text
from convalg.draw.figure import Drawing, caption
from convalg.draw.matrix import BELOW, LETTER, Cells, Room, cells_of, index_names, panel
from convalg.draw.palette import weight_colours
from convalg.draw.scene import layer_of
from convalg.errors import ShapeError, TooLargeError
from convalg.operators.gradients import by_kernel
from convalg.operators.tree import Operator

MOST_COLUMNS = 120
"""Most columns of the three matrices together, and most rows of the tallest."""
WIDEST, LARGEST_CELL, GAP = 11.0, 0.36, 0.35  # inches


def faces(operator: Operator, *, x: object = None) -> Drawing:
    """Draw a layer as three matrices side by side: A, A^T and B(x).

    The output is y = A x = B(x) w, and the gradients are A^T dL/dy and B(x)^T dL/dy. An entry of
    B(x) is a sample of `x`, drawn in the colour of the weight that multiplies it, so each weight
    has the same colour in all three matrices.

    Args:
        operator: a correlation, a convolution or a transposed correlation.
        x: one input of shape `operator.in_shape`, by default symbols.

    Raises:
        KindError: when the operator does not have a kernel.
        SymbolicError: for a family of operators with symbolic sizes.
        ShapeError: when `x` does not have the shape of an input.
        TooLargeError: for more than 120 rows or columns.

    >>> import convalg as ca
    >>> [axes.get_title(loc="left") for axes in ca.draw.faces(ca.correlation(5, ca.kernel(3))).axes]
    ['A: 3 x 5', 'A^T: 5 x 3', 'B(x): 3 x 3']
    """
    layer, _ = layer_of(operator, "draw.faces")
    rows, columns = operator.shape
    weights = layer.weights.size
    widest, tallest = columns + rows + weights, max(rows, columns)
    if max(widest, tallest) > MOST_COLUMNS:
        raise TooLargeError(
            f"the faces of a {rows} x {columns} matrix with {weights} weights are too large to "
            f"draw; the limit is {MOST_COLUMNS} rows or columns: draw a smaller layer"
        )
    texts = _samples(operator, x)
    size = min(LARGEST_CELL, (WIDEST - 2.5) / widest)
    parts = (
        (operator, cells_of(operator)[0], "A"),
        (operator.T, cells_of(operator.T)[0], "A^T"),
        (_zero_by_kernel(operator), _by_weight(operator, texts), "B(x)"),
    )
    rooms = [Room.of(part, size) for part, _, _ in parts]
    widths, below = [], BELOW
    for (part, _, _), room in zip(parts, rooms, strict=True):
        wide = max(part.shape[1] * size, LETTER * len(f"input: {room.labels[1]}"))
        widths.append(wide + room.left + GAP)
        # A matrix with few rows next to a tall one has free space below it.
        below = max(below, room.below - (tallest - part.shape[0]) * size)
    above = max(room.above for room in rooms)
    figure = Drawing(sum(widths), tallest * size + below + above)
    left = 0.0
    for (part, cells, name), room, width in zip(parts, rooms, widths, strict=True):
        high, wide = part.shape
        bottom = below + (tallest - high) * size
        axes = figure.panel(left + room.left, bottom, wide * size, high * size)
        panel(axes, cells, part, size, room)
        caption(axes, f"{name}: {high} x {wide}", size=8.5, pad=room.pad)
        if name == "B(x)":
            axes.set_xlabel("weight", fontsize=6.5, labelpad=3, loc="left")
        left += width
    return figure


def _samples(operator: Operator, x: object) -> list[str]:
    """Return the text for each sample of an input."""
    if x is None:
        return [f"x{name}" for name in index_names(operator.in_shape)]
    values = as_numbers(x, "x")
    if values.shape != operator.in_shape:
        raise ShapeError(
            f"x must be one input of shape {operator.in_shape}, not of shape {values.shape}"
        )
    return [number_text(value) for value in values.ravel()]


def _zero_by_kernel(operator: Operator) -> Operator:
    """Return B(x) for x = 0, which is used for its shape."""
    return by_kernel(operator, np.zeros(operator.in_shape, dtype=int))


def _by_weight(operator: Operator, texts: list[str]) -> Cells:
    """Return the entries of B(x): the samples that an output multiplies by a weight."""
    layer, transposed = layer_of(operator, "draw.faces")
    colours = weight_colours(layer.weights.shape)
    samples: dict[tuple[int, int], list[str]] = {}
    for row, column, label in layer.pattern.triples().tolist():
        output, sample = (column, row) if transposed else (row, column)
        samples.setdefault((output, label), []).append(texts[sample])
    entries = np.array(list(samples), dtype=int).reshape(-1, 2)
    joined = ["+".join(each) for each in samples.values()]
    return Cells(entries[:, 0], entries[:, 1], colours[entries[:, 1]], joined)

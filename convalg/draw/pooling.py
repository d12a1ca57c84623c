"""Pooling: the samples of each output, and the gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from convalg.arrays import Array, as_numbers
from convalg.draw.cells import board, number_text
from convalg.draw.figure import Drawing, caption
from convalg.draw.palette import PAPER, SEVERAL, Colours, rgb, weight_colours
from convalg.errors import KindError, ShapeError, TooLargeError
from convalg.faces.exact import exact_rows
from convalg.operators.tree import Map

Panel = tuple[str, Array, Colours, list[str]]
"""A title, the values, their colours, and the text below each value."""

MOST_CELLS = 24
LARGEST_CELL = 0.42  # inches
WIDEST = 9.0


def pooling(pool: Map, x: object, g: object = None) -> Drawing:
    """Draw a pooling forward and backward: input, output, output gradient and input gradient.

    Every output has a colour, which it shares with the samples that contribute to it: the largest
    sample of a window for a maximum, all samples for a mean. The name of the output is written
    below the value of such a sample. A sample that contributes to several outputs is grey-brown,
    and the number of these outputs is written below it (×2).

    Args:
        pool: a pooling over one or two axes without channels, such as `ca.max_pool((4, 4), 2)` or
            `ca.average_pool((4, 4), 2)`.
        x: one input of shape `pool.in_shape`.
        g: the gradient of the output, an array of shape `pool.out_shape`, by default ones.

    Raises:
        KindError: when `pool` is not a map.
        ShapeError: for more than two axes, or another shape of `x` or `g`.
        TooLargeError: for more than 24 samples per side.

    >>> import convalg as ca
    >>> figure = ca.draw.pooling(ca.max_pool((2, 4), 2), [[1, 5, 2, 0], [3, 4, 8, 6]])
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['x', 'y = pool(x)', 'dL/dy', 'dL/dx']
    """
    if not isinstance(pool, Map):
        raise KindError(f"draw.pooling takes a map such as ca.max_pool, not {type(pool).__name__}")
    shapes = pool.in_shape, pool.out_shape
    if any(len(shape) > 2 for shape in shapes):
        raise ShapeError(
            f"draw.pooling shows one channel of one or two axes, not {shapes[0]}: create the "
            f"pooling without channels"
        )
    if max(max(shape) for shape in shapes) > MOST_CELLS:
        raise TooLargeError(
            f"a pooling of shape {shapes[0]} is too large to draw; the limit is "
            f"{MOST_CELLS} per side: draw a smaller pooling"
        )
    values = _one(x, shapes[0], "x")
    y = pool(values)
    gradient = np.ones_like(y) if g is None else _one(g, shapes[1], "g")
    jacobian = pool.at(values)
    back = jacobian.T(gradient)
    reached = _reached(exact_rows(jacobian), values.size)
    after = weight_colours((y.size,))
    before = _colours(reached, after)
    names = [f"\n{_names(outputs, shapes[1])}" if outputs else "" for outputs in reached]
    panels = (
        ("x", values, before, names),
        ("y = pool(x)", y, after, [""] * y.size),
        ("dL/dy", gradient, after, [""] * y.size),
        ("dL/dx", back, before, [""] * values.size),
    )
    return _drawn(panels)


def _one(x: object, shape: tuple[int, ...], name: str) -> Array:
    values = as_numbers(x, name)
    if values.shape != shape:
        raise ShapeError(f"{name} must be one array of shape {shape}, not {values.shape}")
    return values


def _reached(rows: Iterable[Mapping[int, object]], count: int) -> list[list[int]]:
    """Return the outputs that depend on each sample."""
    readers: list[list[int]] = [[] for _ in range(count)]
    for output, line in enumerate(rows):
        for sample, share in line.items():
            if share != 0:
                readers[sample].append(output)
    return readers


def _colours(reached: list[list[int]], after: Colours) -> Colours:
    """Return the colour of each sample: that of the only output that depends on it."""
    kinds = {0: rgb(PAPER), 2: rgb(SEVERAL)}
    return np.array([kinds.get(min(len(each), 2), after[each[:1]].ravel()) for each in reached])


def _names(outputs: list[int], shape: tuple[int, ...]) -> str:
    if len(outputs) > 1:
        return f"×{len(outputs)}"
    return f"y{','.join(str(int(k)) for k in np.unravel_index(outputs[0], shape))}"


def _drawn(panels: tuple[Panel, ...]) -> Drawing:
    planes = [np.atleast_2d(values) for _, values, _, _ in panels]
    across = sum(plane.shape[1] for plane in planes)
    gap, left, above = 0.45, 0.3, 0.55
    size = min(LARGEST_CELL, (WIDEST - 4 * gap) / across)
    tall = max(plane.shape[0] for plane in planes) * size
    figure = Drawing(across * size + 4 * gap + left, tall + above + 0.15)
    x = left
    for (title, _, colours, more), plane in zip(panels, planes, strict=True):
        rows, columns = plane.shape
        bottom = 0.15 + (tall - rows * size) / 2
        axes = figure.panel(x, bottom, columns * size, rows * size)
        texts = np.frompyfunc(number_text, 1, 1)(plane) + np.array(more, dtype=object).reshape(
            plane.shape
        )
        board(axes, texts, colours.reshape(rows, columns, 3), size)
        caption(axes, title, size=8.5, pad=14)
        x += columns * size + gap
    return figure

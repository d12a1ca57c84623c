"""The weight matrix, the kernel, and the three modes, coloured by shared weight."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

from convalg.base import Operator
from convalg.draw.figure import Drawing, caption
from convalg.draw.palette import (
    BLOCK_LINE,
    CELL_LINE,
    GHOST,
    INK,
    SEVERAL,
    Colours,
    text_colour,
    weight_colours,
)
from convalg.errors import ArgumentError, KindError, ShapeError, TooLargeError
from convalg.faces.exact import exact_rows
from convalg.faces.sparse import support_matrix
from convalg.faces.support import nonzero_bound
from convalg.gradients import only_convolution
from convalg.linear import correlation
from convalg.operators import Adjoint, Convolution
from convalg.spec import as_size

MOST_CELLS = 256
"""Up to this many rows and columns each entry is a square; larger matrices show densities."""
MOST_ENTRIES = 5_000_000
"""Entries that are counted for a density picture; beyond that a drawing is refused."""
MOST_WEIGHTS = 1024
DENSITY_SIDE = 128

WIDEST, NARROWEST, LARGEST_CELL, SMALLEST_NAMED = 7.6, 4.6, 0.42, 0.13  # inches
SMALLEST_TEXT = 2.6  # points


@dataclass(frozen=True)
class Cells:
    """What to draw: one square for each entry, apart from how it is drawn."""

    rows: np.ndarray
    columns: np.ndarray
    colours: Colours
    texts: list[str]


def matrix(operator: Operator) -> Drawing:
    """The matrix of an operator, each entry in the colour of its weight; zeros are blank.

    An entry of a layer (or of its adjoint) has the colour of its weight and, where there is
    room, its symbol or number; a weight that happens to be zero is drawn, what the pattern
    leaves out is not. Entries of any other operator have one colour for each value. Lines
    separate the blocks of the axes. Rule for size: up to 256 rows and columns each entry is
    drawn; beyond that, the share of entries that are not zero.

    Raises: TooLargeError for more than 5 million entries, SymbolicError for a family.

    >>> import convalg as ca
    >>> matrix(ca.correlation((4, 4), ca.kernel(3, 3))).axes[0].get_title(loc="left")
    '4 x 16, 36 entries that are not zero, 9 weights'
    """
    if not isinstance(operator, Operator):
        raise KindError(
            f"draw.matrix takes an operator such as ca.dense(M), not {type(operator).__name__}"
        )
    operator._need_numbers("draw.matrix")
    if max(operator.shape) > MOST_CELLS:
        return _density(operator)
    cells, weights = _cells(operator)
    rows, columns = operator.shape
    size = min(WIDEST / columns, LARGEST_CELL)
    named = _index_names(operator.out_shape), _index_names(operator.in_shape)
    room = size >= SMALLEST_NAMED
    points = min(7.0, 72 * size * 0.75)
    turned = max(map(len, named[1])) * points * 0.65 > 72 * size
    # Names stand upright once they are wider than a square; the title stays above them.
    high = points * (0.65 * max(map(len, named[1])) if turned else 1.2) + 6 if room else 4
    left, below, above = 0.62, 0.12, 0.3 + high / 72
    figure = Drawing(max(columns * size + left + 0.15, NARROWEST), rows * size + below + above)
    axes = figure.panel(left, below, columns * size, rows * size)
    _frame(axes, rows, columns)
    _grid(axes, operator.out_shape, operator.in_shape)
    _squares(axes, cells, size)
    if room:
        axes.xaxis.tick_top()
        axes.set_yticks(np.arange(rows) + 0.5, named[0])
        axes.set_xticks(np.arange(columns) + 0.5, named[1], rotation=90 if turned else 0)
        axes.tick_params(labelsize=points)
    entries = f"{rows} x {columns}, {len(cells.rows)} entries that are not zero"
    caption(axes, f"{entries}, {weights}", pad=high)
    return figure


def kernel(operator: Operator, *, letters: Any = None) -> Drawing:
    """The kernel of an operator, in the colours that `matrix` gives to its weights.

    Output channels go down, input channels (of a group) across. `letters`, an array of the
    shape of the kernel, names the weights above their values.

    Raises: KindError unless there is one kernel, ShapeError when the letters do not fit,
    TooLargeError beyond 1024 weights.

    >>> import convalg as ca
    >>> len(kernel(ca.correlation((4, 4), ca.kernel(2, 1, 3, 3))).axes)
    2
    """
    layer = only_convolution(operator)
    layer._need_numbers("draw.kernel")
    weights = layer.weights
    names = None if letters is None else np.asarray(letters, dtype=object)
    if names is not None and names.shape != weights.shape:
        raise ShapeError(f"letters must have the kernel's shape {weights.shape}, not {names.shape}")
    if weights.size > MOST_WEIGHTS:
        raise TooLargeError(
            f"a kernel of {weights.size} weights is too large to draw, the most is {MOST_WEIGHTS}: "
            f"draw one of its channels"
        )
    colours = weight_colours(weights.shape)
    texts = [_number_text(value) for value in weights.ravel()]
    if names is not None:
        texts = [f"{name}\n{text}" for name, text in zip(names.ravel(), texts, strict=True)]
    taps = layer.geometry.taps
    height, width = (taps[-2] if len(taps) > 1 else 1), taps[-1]
    outputs = layer.geometry.out_channels or 1
    across = weights.size // (outputs * height * width)
    return _kernel_panels(colours, texts, (outputs, across, height, width), layer)


def modes(n: int, k: int, *, dilation: int = 1) -> Drawing:
    """Full, same and valid side by side: which rows of one matrix each of them keeps.

    Shapes: a correlation of `n` samples with `k` taps. Rows of the full matrix that a mode
    drops are left as outlines, so the three panels line up row by row.

    Raises: ShapeError when the kernel is longer than the input, KindError or ArgumentError
    for sizes that are not positive integers.

    >>> [axes.get_title(loc="left") for axes in modes(5, 3).axes]
    ['full: 7 x 5', 'same: 5 x 5', 'valid: 3 x 5']
    """
    from convalg.kernels import kernel as symbols

    taps = as_size(k, "k")
    layers = {
        mode: correlation(as_size(n, "n"), symbols(taps), padding=mode, dilation=dilation)  # type: ignore[arg-type]
        for mode in ("full", "same", "valid")
    }
    full = layers["full"]
    rows, columns = full.shape
    if rows > MOST_CELLS:
        raise ArgumentError(
            f"modes draws up to {MOST_CELLS} rows, and n={n}, k={k} makes {rows}: use smaller sizes"
        )
    size = min((9.4 - 1.6) / (3 * columns), 0.34)
    gap, left, below, above = 0.55, 0.45, 0.12, 0.42
    width = columns * size
    figure = Drawing(left + 3 * width + 2 * gap + 0.15, rows * size + below + above)
    ghosts, _ = _cells(full)
    for place, (mode, layer) in enumerate(layers.items()):
        axes = figure.panel(left + place * (width + gap), below, width, rows * size)
        _frame(axes, rows, columns)
        # A row of a mode with less padding is the row of the full matrix that starts there.
        first = full.geometry.axes[0].before - layer.geometry.axes[0].before
        kept, _ = _cells(layer)
        _outlines(axes, ghosts)
        _squares(axes, replace(kept, rows=kept.rows + first), size)
        _bracket(axes, first, layer.shape[0], columns)
        caption(axes, f"{mode}: {layer.shape[0]} x {columns}")
        if size >= 0.12:
            names = [str(row) for row in range(layer.shape[0])]
            axes.set_yticks(np.arange(layer.shape[0]) + first + 0.5, names)
    return figure


def _cells(operator: Operator) -> tuple[Cells, str]:
    """The entries to draw, and how many weights or values they show."""
    match operator:
        case Convolution():
            cells = _layer_cells(operator)
            return cells, _plural(operator.weights.size, "weight")
        case Adjoint(operator=Convolution() as layer):
            cells = _layer_cells(layer)
            turned = Cells(cells.columns, cells.rows, cells.colours, cells.texts)
            return turned, _plural(layer.weights.size, "weight")
    entries = [
        (row, column, _number_text(value))
        for row, line in enumerate(exact_rows(operator))
        for column, value in line.items()
        if value != 0
    ]
    texts = [text for _, _, text in entries]
    values = list(dict.fromkeys(texts))
    colours = weight_colours((len(values),))
    number = {text: place for place, text in enumerate(values)}
    found = Cells(
        np.array([row for row, _, _ in entries], dtype=int),
        np.array([column for _, column, _ in entries], dtype=int),
        colours[[number[text] for text in texts]],
        texts,
    )
    return found, _plural(len(values), "different value")


def _layer_cells(layer: Convolution) -> Cells:
    """One cell for each entry of the pattern, several weights on one entry joined."""
    colours = weight_colours(layer.weights.shape)
    words = [_number_text(value) for value in layer.weights.ravel()]
    labels: dict[tuple[int, int], list[int]] = {}
    for row, column, label in layer.pattern.triples().tolist():
        labels.setdefault((row, column), []).append(label)
    several = [int(SEVERAL[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    places = np.array(list(labels), dtype=int).reshape(-1, 2)
    return Cells(
        places[:, 0],
        places[:, 1],
        np.array([colours[n[0]] if len(n) == 1 else several for n in labels.values()]),
        ["+".join(words[label] for label in n) for n in labels.values()],
    )


def _number_text(value: Any) -> str:
    """A weight in a few characters; symbols and exact numbers as they are.

    >>> _number_text(np.float64(1 / 9)), _number_text(np.int64(-1))
    ('0.111', '-1')
    """
    return f"{value:.3g}" if isinstance(value, (float, np.floating)) else str(value)


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def _frame(axes: Axes, rows: int, columns: int) -> None:
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    edges = [[(0, 0), (columns, 0), (columns, rows), (0, rows), (0, 0)]]
    axes.add_collection(
        LineCollection(edges, colors=BLOCK_LINE, linewidths=1.1, clip_on=False, zorder=4)
    )


def _grid(axes: Axes, out_shape: tuple[int, ...], in_shape: tuple[int, ...]) -> None:
    """Cell lines where there is room, and a line between the blocks of every leading axis."""
    rows, columns = math.prod(out_shape), math.prod(in_shape)
    if max(rows, columns) <= 128:
        lines = [[(0, r), (columns, r)] for r in range(1, rows)]
        lines += [[(c, 0), (c, rows)] for c in range(1, columns)]
        axes.add_collection(LineCollection(lines, colors=CELL_LINE, linewidths=0.4, zorder=1))
    for depth in range(1, max(len(out_shape), len(in_shape))):
        lines = [[(0, r), (columns, r)] for r in _block_edges(out_shape, depth)]
        lines += [[(c, 0), (c, rows)] for c in _block_edges(in_shape, depth)]
        width = 0.7 if depth == 1 else 1.4
        axes.add_collection(LineCollection(lines, colors=BLOCK_LINE, linewidths=width, zorder=3))


def _block_edges(shape: tuple[int, ...], depth: int) -> range:
    """Where blocks over the last `depth` axes meet."""
    if depth >= len(shape):
        return range(0)
    step = math.prod(shape[-depth:])
    return range(step, math.prod(shape), step)


def _squares(axes: Axes, cells: Cells, size: float) -> None:
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    places = np.stack([cells.columns, cells.rows], axis=1)
    axes.add_collection(
        PolyCollection(
            list(places[:, None, :] + corners),
            facecolors=cells.colours,
            edgecolors=CELL_LINE,
            linewidths=0.3 if size > 0.06 else 0,
            zorder=2,
        )
    )
    # Most texts share one size; a long one, where several weights meet, is smaller or left out.
    fits = {text: _font(text, size) for text in set(cells.texts)}
    common = float(np.median([fits[text] for text in cells.texts])) if cells.texts else 0.0
    for (column, row), text, colour in zip(places, cells.texts, cells.colours, strict=True):
        points = min(fits[text], common)
        if points >= SMALLEST_TEXT:
            _write(axes, column + 0.5, row + 0.5, text, points, text_colour(colour))


def _outlines(axes: Axes, cells: Cells) -> None:
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    places = np.stack([cells.columns, cells.rows], axis=1)
    squares = list(places[:, None, :] + corners)
    axes.add_collection(
        PolyCollection(squares, facecolors="none", edgecolors=GHOST, linewidths=0.4, zorder=1)
    )


def _bracket(axes: Axes, first: int, count: int, columns: int) -> None:
    """A frame around the rows that a mode keeps."""
    last = first + count
    edge = [[(0, first), (columns, first), (columns, last), (0, last), (0, first)]]
    axes.add_collection(LineCollection(edge, colors=INK, linewidths=1.8, clip_on=False, zorder=5))


def _font(text: str, size: float) -> float:
    """The size in points at which a text fits a square, 9 at most."""
    lines = text.split("\n")
    return min(9.0, 72 * size * 0.9 / max(0.72 * max(map(len, lines)), 1.25 * len(lines)))


def _write(axes: Axes, x: float, y: float, text: str, points: float, colour: str) -> None:
    axes.text(
        x,
        y,
        text,
        fontsize=points,
        color=colour,
        ha="center",
        va="center_baseline" if "\n" not in text else "center",
        parse_math=False,
        zorder=6,
    )


def _index_names(shape: tuple[int, ...]) -> list[str]:
    """The index of each sample, in row-major order."""
    return [",".join(map(str, place)) for place in np.ndindex(*shape)]


def _kernel_panels(
    colours: Colours, texts: list[str], grid: tuple[int, int, int, int], layer: Convolution
) -> Drawing:
    outputs, across, height, width = grid
    size = min(0.62, WIDEST / (across * (width + 0.5)))
    gap, left, above = 0.3, 0.1, 0.3
    figure = Drawing(left + across * (width * size + gap), outputs * (height * size + above + 0.08))
    each = height * width
    for number in range(outputs * across):
        down, right = divmod(number, across)
        bottom = (outputs - 1 - down) * (height * size + above + 0.08) + 0.04
        axes = figure.panel(
            left + right * (width * size + gap), bottom, width * size, height * size
        )
        _frame(axes, height, width)
        part = slice(number * each, (number + 1) * each)
        rows, columns = np.divmod(np.arange(each), width)
        _squares(axes, Cells(rows, columns, colours[part], texts[part]), size)
        caption(axes, _kernel_title(layer, number), size=8, pad=4)
    return figure


def _kernel_title(layer: Convolution, number: int) -> str:
    """Which part of the kernel a panel shows: the index before its last two axes."""
    shape = layer.weights.shape
    leading = shape[:-2] if len(layer.geometry.taps) > 1 else shape[:-1]
    if not leading:
        return "kernel"
    place = [str(v) for v in np.unravel_index(number, leading)]
    return f"kernel[{', '.join(place)}]"


def _density(operator: Operator) -> Drawing:
    """The share of entries that are not zero, in squares of many entries."""
    bound = nonzero_bound(operator)
    rows, columns = operator.shape
    if bound > MOST_ENTRIES:
        raise TooLargeError(
            f"a {rows} x {columns} matrix with {bound} entries is too large to draw, the most is "
            f"{MOST_ENTRIES}: draw a smaller layer of the same form"
        )
    step = max(-(-max(rows, columns) // DENSITY_SIDE), 1)
    high, wide = -(-rows // step), -(-columns // step)
    support = support_matrix(operator).tocoo()
    place = support.coords[0] // step * wide + support.coords[1] // step
    share = np.bincount(place, minlength=high * wide).reshape(high, wide) / step**2
    size = WIDEST / max(high, wide)
    figure = Drawing(wide * size + 0.3, high * size + 0.5)
    axes = figure.panel(0.15, 0.1, wide * size, high * size)
    axes.imshow(
        share,
        cmap="Greys",
        vmin=0,
        interpolation="nearest",
        extent=(0, wide, high, 0),
        aspect="auto",
    )
    _frame(axes, high, wide)
    count = f"{rows} x {columns}, {support.nnz} entries that are not zero"
    caption(axes, f"{count}; a pixel is {step} x {step} entries, darkest {share.max():.0%} filled")
    return figure

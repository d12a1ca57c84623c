"""The weight matrix, the kernel, and the three modes, coloured by shared weight."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import ConnectionPatch

from convalg.arguments import plural
from convalg.draw.cells import SMALLEST_TEXT, fitting, frame, number_text, squares, write
from convalg.draw.density import density
from convalg.draw.figure import Drawing, breadth, caption
from convalg.draw.palette import (
    BLOCK_LINE,
    CELL_LINE,
    GHOST,
    INK,
    SEVERAL,
    Colours,
    strong_colours,
    text_colour,
    weight_colours,
)
from convalg.errors import ArgumentError, KindError, ShapeError, TooLargeError
from convalg.faces.exact import exact_rows
from convalg.operators.gradients import convolutions, only_convolution
from convalg.operators.leaves import Adjoint, Convolution
from convalg.operators.make import correlation
from convalg.operators.tree import Operator
from convalg.size import as_size

MOST_CELLS = 256
"""Up to this many rows and columns each entry is a square; larger matrices show densities."""
MOST_WEIGHTS = 1024
DENSITY_SIDE = 128
MOST_BLOCKS = 32
"""Blocks of a density picture with lines between them."""
BELOW = 0.12  # inches
LETTER = 0.053  # inches of one letter of the words beside a matrix
MOST_PLANES = 4
"""Channels of the input that are shown beside a matrix."""

WIDEST, NARROWEST, LARGEST_CELL, SMALLEST_NAMED = 7.6, 4.6, 0.42, 0.13  # inches


@dataclass(frozen=True)
class Cells:
    """What to draw: one square for each entry, apart from how it is drawn."""

    rows: np.ndarray
    columns: np.ndarray
    colours: Colours
    texts: list[str]


def matrix(operator: Operator, *, row: Any = None) -> Drawing:
    """The matrix of an operator, each entry in the colour of its weight; zeros are blank.

    An entry of a layer (or of its adjoint) has the colour of its weight and, where there is
    room, its symbol or number; a weight that happens to be zero is drawn, what the pattern
    leaves out is not. Entries of any other operator have one colour for each value. Lines
    separate the blocks of the axes. `row`, the index of an output, frames its row and shows
    beside the matrix which patch of the input it is. Rule for size: up to 256 rows and columns
    each entry is drawn; beyond that, the share of entries that are not zero, counted exactly.

    Raises: KindError for what is no operator, SymbolicError for a family, TooLargeError for
    more than 5 million entries (of a layer: on one axis), ArgumentError or ShapeError for a `row`
    that there is not, or that no picture of single entries shows.

    >>> import convalg as ca
    >>> matrix(ca.correlation((4, 4), ca.kernel(3, 3))).axes[0].get_title(loc="left")
    '4 x 16, 36 entries that are not zero, 9 weights'
    """
    if not isinstance(operator, Operator):
        raise KindError(
            f"draw.matrix takes an operator such as ca.dense(M), not {type(operator).__name__}"
        )
    operator._need_numbers("draw.matrix")
    index = None if row is None else _row_of(operator, row)
    if max(operator.shape) > MOST_CELLS:
        if row is not None:
            raise ArgumentError(
                f"row={row!r} has no place in a picture of densities: draw a layer of up to "
                f"{MOST_CELLS} rows and columns"
            )
        return _density(operator)
    cells, weights = cells_of(operator)
    rows, columns = operator.shape
    size = min(WIDEST / columns, LARGEST_CELL)
    room = Room.of(operator, size)
    beside = 0.0 if index is None else patch_width(operator.in_shape, columns)
    width = max(columns * size + room.left + 0.15, NARROWEST - beside)
    figure = Drawing(width + beside, rows * size + room.below + room.above)
    axes = figure.panel(room.left, room.below, columns * size, rows * size)
    panel(axes, cells, operator, size, room)
    entries = f"{rows} x {columns}, {len(cells.rows)} entries that are not zero"
    caption(axes, f"{entries}, {weights}", pad=room.pad)
    if index is not None:
        draw_patch(figure, axes, cells, operator, index, width)
    return figure


def _row_of(operator: Operator, row: Any) -> int:
    """The flat number of an output. Raises: ShapeError or ArgumentError for none."""
    shape = operator.out_shape
    indices = tuple(row) if isinstance(row, tuple | list) else (row,)
    if len(indices) != len(shape):
        raise ShapeError(f"row must be the index of an output of shape {shape}, not {row!r}")
    integers = [int(as_size(v, f"row[{k}]", least=0)) for k, v in enumerate(indices)]
    for k, (value, size) in enumerate(zip(integers, shape, strict=True)):
        if value >= size:
            raise ArgumentError(f"row[{k}] must be below {size}, not {value}")
    return int(np.ravel_multi_index(integers, shape))


@dataclass(frozen=True)
class Room:
    """What stands around a matrix: the index beside each row and column, and what it counts."""

    left: float
    above: float
    below: float
    pad: float
    points: float
    names: tuple[list[str], list[str]] | None
    rotated: bool
    labels: tuple[str, str]

    @classmethod
    def of(cls, operator: Operator, size: float) -> Room:
        """The room for a matrix with squares of `size` inches."""
        names = index_names(operator.out_shape), index_names(operator.in_shape)
        points = min(7.0, 72 * size * 0.75)
        rotated = max(map(len, names[1])) * points * 0.65 > 72 * size
        shown = size >= SMALLEST_NAMED
        # Names stand upright once they are wider than a square; the title stays above them.
        high = points * (0.65 * max(map(len, names[1])) if rotated else 1.2) + 4 if shown else 0
        wide = points * 0.65 * max(map(len, names[0])) / 72 if shown else 0.0
        left, pad = wide + 0.32, high + 14
        labels = index_labels(operator)
        # The words beside a matrix of few rows reach below it.
        below = max(LETTER * len(f"output: {labels[0]}") - operator.shape[0] * size, 0) + BELOW
        shown_names = names if shown else None
        return cls(left, pad / 72 + 0.26, below, pad, points, shown_names, rotated, labels)


def panel(axes: Axes, cells: Cells, operator: Operator, size: float, room: Room) -> None:
    """Draw a matrix entry by entry."""
    rows, columns = operator.shape
    frame(axes, rows, columns)
    _grid(axes, operator.out_shape, operator.in_shape)
    draw_squares(axes, cells, size)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    if room.names is not None:
        axes.set_yticks(np.arange(rows) + 0.5, room.names[0])
        axes.set_xticks(np.arange(columns) + 0.5, room.names[1], rotation=90 * room.rotated)
        axes.tick_params(labelsize=room.points)
    axes.set_ylabel(f"output: {room.labels[0]}", fontsize=6.5, color=INK, labelpad=3, loc="top")
    axes.set_xlabel(f"input: {room.labels[1]}", fontsize=6.5, color=INK, labelpad=3, loc="left")


def patch_width(shape: tuple[int, ...], columns: int) -> float:
    """Inches for the input as an image beside a matrix of so many columns."""
    return shape[-1] * patch_cell(shape, columns) + 0.6


def patch_cell(shape: tuple[int, ...], columns: int) -> float:
    """The side of a pixel of the input beside a matrix, in inches: small beside a wide one."""
    return min(0.2 if columns > 64 else LARGEST_CELL, 2.4 / shape[-1])


def draw_patch(
    figure: Drawing, axes: Axes, cells: Cells, operator: Operator, row: int, left: float
) -> None:
    """A frame around a row, and the row put back into the shape of the input beside it."""
    columns, shape = operator.shape[1], operator.in_shape
    _bracket(axes, row, 1, columns)
    planes = math.prod(shape[:-2])
    high, wide = (shape[-2] if len(shape) > 1 else 1), shape[-1]
    chosen = np.flatnonzero(cells.rows == row)
    channel, pixel = np.divmod(cells.columns[chosen], high * wide)
    shown = min(planes, MOST_PLANES)
    _, up = figure.get_size_inches()
    gap = 0.32
    size = min(patch_cell(shape, columns), (up - 0.5 - gap * shown) / (high * shown))
    top = up - 0.5
    for plane in range(shown):
        image = figure.panel(left + 0.3, top - high * size, wide * size, high * size)
        inside = chosen[channel == plane]
        down, across = np.divmod(pixel[channel == plane], wide)
        frame(image, high, wide)
        _grid(image, (high,), (wide,))
        part = Cells(down, across, cells.colours[inside], [cells.texts[k] for k in inside])
        draw_squares(image, part, size)
        name = f"channel {plane}" if planes > 1 else "its patch"
        caption(image, name, size=7, pad=3)
        top -= high * size + gap
        edge = ConnectionPatch(
            (columns, row + 0.5), (0, high / 2), "data", "data", axesA=axes, axesB=image,
            color=INK, lw=0.8, zorder=1, arrowstyle="-|>",
        )  # fmt: skip
        figure.add_artist(edge)


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
    texts = [number_text(value) for value in weights.ravel()]
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
        mode: correlation(as_size(n, "n"), symbols(taps), padding=mode, dilation=dilation)
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
    width = max(columns * size, breadth(f"valid: {rows} x {columns}"))
    figure = Drawing(left + 3 * width + 2 * gap + 0.15, rows * size + below + above)
    ghosts, _ = cells_of(full)
    for number, (mode, layer) in enumerate(layers.items()):
        axes = figure.panel(left + number * (width + gap), below, columns * size, rows * size)
        frame(axes, rows, columns)
        # A row of a mode with less padding is the row of the full matrix that starts there.
        first = full.geometry.axes[0].before - layer.geometry.axes[0].before
        kept, _ = cells_of(layer)
        _outlines(axes, ghosts)
        draw_squares(axes, replace(kept, rows=kept.rows + first), size)
        _bracket(axes, first, layer.shape[0], columns)
        caption(axes, f"{mode}: {layer.shape[0]} x {columns}")
        if size >= 0.12:
            names = [str(row) for row in range(layer.shape[0])]
            axes.set_yticks(np.arange(layer.shape[0]) + first + 0.5, names)
    return figure


def cells_of(operator: Operator) -> tuple[Cells, str]:
    """The entries to draw, and how many weights or values they show."""
    match operator:
        case Convolution():
            cells = _layer_cells(operator)
            return cells, plural(operator.weights.size, "weight")
        case Adjoint(operator=Convolution() as layer):
            cells = _layer_cells(layer)
            transposed = Cells(cells.columns, cells.rows, cells.colours, cells.texts)
            return transposed, plural(layer.weights.size, "weight")
    entries = [
        (row, column, number_text(value))
        for row, line in enumerate(exact_rows(operator))
        for column, value in line.items()
        if value != 0
    ]
    texts = [text for _, _, text in entries]
    values = list(dict.fromkeys(texts))
    colours = weight_colours((len(values),))
    number = {text: index for index, text in enumerate(values)}
    cells = Cells(
        np.array([row for row, _, _ in entries], dtype=int),
        np.array([column for _, column, _ in entries], dtype=int),
        colours[[number[text] for text in texts]],
        texts,
    )
    return cells, plural(len(values), "different value")


def _layer_cells(layer: Convolution) -> Cells:
    """One cell for each entry of the pattern, several weights on one entry joined."""
    colours = weight_colours(layer.weights.shape)
    texts = [number_text(value) for value in layer.weights.ravel()]
    labels: dict[tuple[int, int], list[int]] = {}
    for row, column, label in layer.pattern.triples().tolist():
        labels.setdefault((row, column), []).append(label)
    several = [int(SEVERAL[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    entries = np.array(list(labels), dtype=int).reshape(-1, 2)
    return Cells(
        entries[:, 0],
        entries[:, 1],
        np.array([colours[n[0]] if len(n) == 1 else several for n in labels.values()]),
        ["+".join(texts[label] for label in n) for n in labels.values()],
    )


def _grid(axes: Axes, out_shape: tuple[int, ...], in_shape: tuple[int, ...]) -> None:
    """Cell lines where there is room, and a line between the blocks of every leading axis."""
    rows, columns = math.prod(out_shape), math.prod(in_shape)
    if max(rows, columns) <= 128:
        lines = [[(0, r), (columns, r)] for r in range(1, rows)]
        lines += [[(c, 0), (c, rows)] for c in range(1, columns)]
        axes.add_collection(LineCollection(lines, colors=CELL_LINE, linewidths=0.4, zorder=1))
    for depth in range(1, max(len(out_shape), len(in_shape))):
        lines = [[(0, r), (columns, r)] for r in block_edges(out_shape, depth)]
        lines += [[(c, 0), (c, rows)] for c in block_edges(in_shape, depth)]
        width = 0.7 if depth == 1 else 1.4
        axes.add_collection(LineCollection(lines, colors=BLOCK_LINE, linewidths=width, zorder=3))


def block_edges(shape: tuple[int, ...], depth: int) -> range:
    """Where blocks over the last `depth` axes meet."""
    if not 0 < depth < len(shape):
        return range(0)
    step = math.prod(shape[-depth:])
    return range(step, math.prod(shape), step)


def draw_squares(axes: Axes, cells: Cells, size: float) -> None:
    """Draw entries as squares of `size` inches, with their words where there is room."""
    positions = np.stack([cells.columns, cells.rows], axis=1)
    squares(axes, positions, cells.colours, width=0.3 if size > 0.06 else 0)
    # Most texts share one size; a long one, where several weights meet, is smaller or left out.
    fits = {text: fitting(text, size) for text in set(cells.texts)}
    common = float(np.median([fits[text] for text in cells.texts])) if cells.texts else 0.0
    for (column, row), text, colour in zip(positions, cells.texts, cells.colours, strict=True):
        points = min(fits[text], common)
        if points >= SMALLEST_TEXT:
            write(axes, column + 0.5, row + 0.5, text, points, text_colour(colour))


def _outlines(axes: Axes, cells: Cells) -> None:
    positions = np.stack([cells.columns, cells.rows], axis=1)
    squares(axes, positions, "none", edges=GHOST, width=0.4, zorder=1)


def _bracket(axes: Axes, first: int, count: int, columns: int) -> None:
    """A frame around the rows that a mode keeps."""
    last = first + count
    edge = [[(0, first), (columns, first), (columns, last), (0, last), (0, first)]]
    axes.add_collection(LineCollection(edge, colors=INK, linewidths=1.8, clip_on=False, zorder=5))


def index_names(shape: tuple[int, ...]) -> list[str]:
    """The index of each sample, in row-major order."""
    return [",".join(map(str, index)) for index in np.ndindex(*shape)]


def index_labels(operator: Operator) -> tuple[str, str]:
    """What the numbers of an index count, for outputs and inputs.

    >>> import convalg as ca
    >>> index_labels(ca.correlation((4, 4), ca.kernel(2, 1, 3, 3)))
    ('channel, row, column', 'channel, row, column')
    """
    layers = convolutions(operator)
    channels = bool(layers) and layers[0].geometry.has_channels
    return _axis_labels(operator.out_shape, channels), _axis_labels(operator.in_shape, channels)


def _axis_labels(shape: tuple[int, ...], channels: bool) -> str:
    lead = ["channel"] if channels or len(shape) == 3 else []
    spatial = len(shape) - len(lead)
    names = {0: [], 1: ["sample"], 2: ["row", "column"], 3: ["slice", "row", "column"]}
    return ", ".join([*lead, *names.get(spatial, [f"axis {k}" for k in range(spatial)])])


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
        frame(axes, height, width)
        part = slice(number * each, (number + 1) * each)
        rows, columns = np.divmod(np.arange(each), width)
        draw_squares(axes, Cells(rows, columns, colours[part], texts[part]), size)
        caption(axes, _kernel_title(layer, number), size=8, pad=4)
    return figure


def _kernel_title(layer: Convolution, number: int) -> str:
    """Which part of the kernel a panel shows: the index before its last two axes."""
    shape = layer.weights.shape
    leading = shape[:-2] if len(layer.geometry.taps) > 1 else shape[:-1]
    if not leading:
        return "kernel"
    index = [str(v) for v in np.unravel_index(number, leading)]
    return f"kernel[{', '.join(index)}]"


def _density(operator: Operator) -> Drawing:
    """The share of entries that are not zero, in squares of many entries."""
    rows, columns = operator.shape
    step = max(-(-max(rows, columns) // DENSITY_SIDE), 1)
    counts = density(operator, step)
    high, wide = counts.shape
    share = counts / step**2
    size = WIDEST / max(high, wide)
    figure = Drawing(max(wide * size + 0.55, NARROWEST), high * size + 0.7)
    axes = figure.panel(0.4, 0.1, wide * size, high * size)
    across, down = columns / step, rows / step
    axes.imshow(
        strong_colours(share / (float(share.max()) or 1.0)),
        interpolation="nearest",
        extent=(0, wide, high, 0),
        aspect="auto",
    )
    frame(axes, high, wide)
    lines = [[(0, r / step), (across, r / step)] for r in _few_edges(operator.out_shape)]
    lines += [[(c / step, 0), (c / step, down)] for c in _few_edges(operator.in_shape)]
    axes.add_collection(LineCollection(lines, colors=GHOST, linewidths=0.4, zorder=3))
    labels = index_labels(operator)
    axes.xaxis.set_label_position("top")
    axes.set_ylabel(f"output: {labels[0]}", fontsize=6.5, color=INK, labelpad=3)
    axes.set_xlabel(f"input: {labels[1]}", fontsize=6.5, color=INK, labelpad=3, loc="left")
    count = f"{rows:,} x {columns:,}, {int(counts.sum()):,} entries that are not zero"
    pixel = f"a pixel is {step} x {step} entries, darkest {share.max():.2g} of them filled"
    caption(axes, f"{count}\n{pixel}", size=8, pad=14)
    return figure


def _few_edges(shape: tuple[int, ...]) -> range:
    """Where the blocks of the first axis meet, while they are few."""
    return block_edges(shape, len(shape) - 1) if 1 < shape[0] <= MOST_BLOCKS else range(0)

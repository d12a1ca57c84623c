"""The weight matrix, the kernel, and the three padding modes, coloured by shared weight."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

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
from convalg.operators.convolution import correlation
from convalg.operators.gradients import convolutions, only_convolution
from convalg.operators.leaves import Adjoint, Convolution
from convalg.operators.tree import Operator
from convalg.size import as_integer

MOST_CELLS = 256
"""Most rows or columns for which each entry is a square; larger matrices show densities."""
MOST_WEIGHTS = 1024
DENSITY_SIDE = 128
MOST_BLOCKS = 32
"""Most blocks of a density picture that are separated by lines."""
BELOW = 0.12  # inches
LETTER = 0.053  # inches of one letter of the labels next to a matrix
MOST_PLANES = 4
"""Most channels of the input that are shown next to a matrix."""

WIDEST, NARROWEST, LARGEST_CELL, SMALLEST_NAMED = 7.6, 4.6, 0.42, 0.13  # inches


@dataclass(frozen=True)
class Cells:
    """The entries to draw, one square for each: position, colour and text."""

    rows: np.ndarray
    columns: np.ndarray
    colours: Colours
    texts: list[str]


def matrix(operator: Operator, *, row: object = None) -> Drawing:
    """Draw the matrix of an operator, each entry in the colour of its weight; zeros are blank.

    An entry of a layer (or of its adjoint) has the colour of its weight and, where there is room,
    its symbol or number. A weight that happens to be zero is drawn; entries outside the pattern
    are blank. Entries of any other operator have one colour for each value. Lines separate the
    blocks of each axis. A matrix of more than 256 rows or columns is drawn as a density: each
    pixel shows which share of a square of entries is non-zero.

    Args:
        operator: the operator, with numbers for its sizes.
        row: the index of an output, an integer or one integer for each axis of the output. Its
            row is framed, and shown next to the matrix as a patch of the input.

    Raises:
        KindError: when `operator` is not an operator.
        SymbolicError: for a family of operators with symbolic sizes.
        TooLargeError: for more than 5 million entries (of a layer: on one axis).
        ArgumentError: when `row` is outside the output, or the matrix has more than 256 rows or
            columns and `row` is given.
        ShapeError: when `row` does not have one integer for each axis of the output.
        KindError: when `row` contains something else than integers.

    >>> import convalg as ca
    >>> ca.draw.matrix(ca.correlation((4, 4), ca.kernel(3, 3))).axes[0].get_title(loc="left")
    '4 x 16, 36 non-zeros, 9 weights'
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
                f"row={row!r} cannot be shown in a figure of densities: draw a layer of up to "
                f"{MOST_CELLS} rows and columns"
            )
        return _density(operator)
    cells, weights = cells_of(operator)
    rows, columns = operator.shape
    size = min(WIDEST / columns, LARGEST_CELL)
    room = Room.of(operator, size)
    patch = 0.0 if index is None else patch_width(operator.in_shape, columns)
    width = max(columns * size + room.left + 0.15, NARROWEST - patch)
    figure = Drawing(width + patch, rows * size + room.below + room.above)
    axes = figure.panel(room.left, room.below, columns * size, rows * size)
    panel(axes, cells, operator, size, room)
    entries = f"{rows} x {columns}, {len(cells.rows)} non-zeros"
    caption(axes, f"{entries}, {weights}", pad=room.pad)
    if index is not None:
        draw_patch(figure, axes, cells, operator, index, width)
    return figure


def _row_of(operator: Operator, row: object) -> int:
    """Return the flat index of an output. Raises: ShapeError or ArgumentError for none."""
    shape = operator.out_shape
    indices = tuple(row) if isinstance(row, tuple | list) else (row,)
    if len(indices) != len(shape):
        raise ShapeError(f"row must be the index of an output of shape {shape}, not {row!r}")
    integers = [as_integer(v, f"row[{k}]", least=0) for k, v in enumerate(indices)]
    for k, (value, size) in enumerate(zip(integers, shape, strict=True)):
        if value >= size:
            raise ArgumentError(f"row[{k}] must be below {size}, not {value}")
    return int(np.ravel_multi_index(integers, shape))


@dataclass(frozen=True)
class Room:
    """The space around a matrix for its row and column indices, and the labels of the axes."""

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
        """Return the room for a matrix with squares of `size` inches."""
        names = index_names(operator.out_shape), index_names(operator.in_shape)
        points = min(7.0, 72 * size * 0.75)
        rotated = max(map(len, names[1])) * points * 0.65 > 72 * size
        shown = size >= SMALLEST_NAMED
        # Names are rotated if they are wider than a square; the title is above them.
        high = points * (0.65 * max(map(len, names[1])) if rotated else 1.2) + 4 if shown else 0
        wide = points * 0.65 * max(map(len, names[0])) / 72 if shown else 0.0
        left, pad = wide + 0.32, high + 14
        labels = index_labels(operator)
        # The label next to a matrix with few rows extends below it.
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
    """Return the width in inches of the input as an image next to a matrix."""
    return shape[-1] * patch_cell(shape, columns) + 0.6


def patch_cell(shape: tuple[int, ...], columns: int) -> float:
    """Return the side of a pixel of the input in inches, which is small for a wide matrix."""
    return min(0.2 if columns > 64 else LARGEST_CELL, 2.4 / shape[-1])


def draw_patch(
    figure: Drawing, axes: Axes, cells: Cells, operator: Operator, row: int, left: float
) -> None:
    """Draw a frame around a row, and next to it the row reshaped to the input."""
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


def kernel(operator: Operator, *, letters: object = None) -> Drawing:
    """Draw the kernel of an operator; its weights have the same colours as in `matrix`.

    Each row of panels is an output channel, and each column an input channel (of a group).

    Args:
        operator: an operator with one kernel.
        letters: names of the weights, an array of the shape of the kernel. They are written above
            the values of the weights.

    Raises:
        KindError: when the operator does not have exactly one kernel.
        ShapeError: when `letters` does not have the shape of the kernel.
        TooLargeError: for more than 1024 weights.

    >>> import convalg as ca
    >>> len(ca.draw.kernel(ca.correlation((4, 4), ca.kernel(2, 1, 3, 3))).axes)
    2
    """
    layer = only_convolution(operator)
    layer._need_numbers("draw.kernel")
    weights = layer.weights
    names = None if letters is None else np.asarray(letters, dtype=object)
    if names is not None and names.shape != weights.shape:
        raise ShapeError(
            f"letters must have the shape of the kernel {weights.shape}, not {names.shape}"
        )
    if weights.size > MOST_WEIGHTS:
        raise TooLargeError(
            f"a kernel of {weights.size} weights is too large to draw; the limit is "
            f"{MOST_WEIGHTS}: draw one of its channels"
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
    """Draw full, same and valid side by side: the rows of one matrix that each mode keeps.

    Rows of the full matrix that a mode drops are drawn as outlines, so the rows of the three
    panels are aligned.

    Args:
        n: the number of samples.
        k: the number of taps.
        dilation: the distance between taps.

    Raises:
        ShapeError: when the kernel is longer than the input.
        KindError: when a size is not an integer.
        ArgumentError: when a size is not positive, or for more than 256 rows.

    >>> import convalg as ca
    >>> [axes.get_title(loc="left") for axes in ca.draw.modes(5, 3).axes]
    ['full: 7 x 5', 'same: 5 x 5', 'valid: 3 x 5']
    """
    from convalg.kernels import kernel as symbols

    taps = as_integer(k, "k")
    layers = {
        mode: correlation(as_integer(n, "n"), symbols(taps), padding=mode, dilation=dilation)
        for mode in ("full", "same", "valid")
    }
    full = layers["full"]
    rows, columns = full.shape
    if rows > MOST_CELLS:
        raise ArgumentError(
            f"draw.modes draws up to {MOST_CELLS} rows, but n={n}, k={k} gives "
            f"{rows}: use smaller sizes"
        )
    size = min((9.4 - 1.6) / (3 * columns), 0.34)
    gap, left, below, above = 0.55, 0.45, 0.12, 0.42
    width = max(columns * size, breadth(f"valid: {rows} x {columns}"))
    figure = Drawing(left + 3 * width + 2 * gap + 0.15, rows * size + below + above)
    ghosts, _ = cells_of(full)
    for number, (mode, layer) in enumerate(layers.items()):
        axes = figure.panel(left + number * (width + gap), below, columns * size, rows * size)
        frame(axes, rows, columns)
        # The first row of a mode is the row of the full matrix with the same offset.
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
    """Return the entries to draw, and the number of weights or values as text."""
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
    """Return one cell for each entry of the pattern, with several weights on one entry joined."""
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
    """Draw cell lines if there is room, and lines between the blocks of every leading axis."""
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
    """Return the indices at which blocks over the last `depth` axes meet."""
    if not 0 < depth < len(shape):
        return range(0)
    step = math.prod(shape[-depth:])
    return range(step, math.prod(shape), step)


def draw_squares(axes: Axes, cells: Cells, size: float) -> None:
    """Draw entries as squares of `size` inches, with their texts if there is room."""
    positions = np.stack([cells.columns, cells.rows], axis=1)
    squares(axes, positions, cells.colours, width=0.3 if size > 0.06 else 0)
    # Most texts have one size; a long one, for a sum of weights, is smaller or left out.
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
    """Draw a frame around the rows that a mode keeps."""
    last = first + count
    edge = [[(0, first), (columns, first), (columns, last), (0, last), (0, first)]]
    axes.add_collection(LineCollection(edge, colors=INK, linewidths=1.8, clip_on=False, zorder=5))


def index_names(shape: tuple[int, ...]) -> list[str]:
    """Return the index of each sample as text, in row-major order."""
    return [",".join(map(str, index)) for index in np.ndindex(*shape)]


def index_labels(operator: Operator) -> tuple[str, str]:
    """Return the names of the axes of outputs and inputs.

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
    """Return the title of a panel of the kernel: the index of its leading axes."""
    shape = layer.weights.shape
    leading = shape[:-2] if len(layer.geometry.taps) > 1 else shape[:-1]
    if not leading:
        return "kernel"
    index = [str(v) for v in np.unravel_index(number, leading)]
    return f"kernel[{', '.join(index)}]"


def _density(operator: Operator) -> Drawing:
    """Draw the share of non-zeros in squares of many entries."""
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
    count = f"{rows:,} x {columns:,}, {int(counts.sum()):,} non-zeros"
    pixel = f"each pixel is {step} x {step} entries, at most {share.max():.2g} of them non-zero"
    caption(axes, f"{count}\n{pixel}", size=8, pad=14)
    return figure


def _few_edges(shape: tuple[int, ...]) -> range:
    """Return the indices at which blocks of the first axis meet, if there are few of them."""
    return block_edges(shape, len(shape) - 1) if 1 < shape[0] <= MOST_BLOCKS else range(0)

"""The data of a window figure, without drawing: the padded input, its taps, the output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from convalg.arrays import Array, as_numbers
from convalg.axis import Axis
from convalg.draw.cells import number_text
from convalg.errors import ArgumentError, KindError, ShapeError, TooLargeError
from convalg.geometry import Geometry
from convalg.operators.leaves import Convolution, single_layer
from convalg.operators.tree import Operator
from convalg.size import as_integer

Position: TypeAlias = tuple[int, int]
INPUT, PADDING, INSERTED = "input", "padding", "inserted"
MOST_CELLS = 48
"""Most cells per side of a padded input or an output."""
MOST_CHANNELS = 4
MOST_TERMS = 9


@dataclass(frozen=True)
class Board:
    """A grid of cells: `kinds` and short `texts` by position, and row and column indices."""

    title: str
    kinds: Array
    texts: Array
    rows: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def shape(self) -> Position:
        """The number of rows and columns, including the padding."""
        rows, columns = self.kinds.shape
        return rows, columns


@dataclass(frozen=True)
class Tap:
    """A weight on a cell of one board of the input."""

    board: int
    position: Position
    label: int
    text: str


@dataclass(frozen=True)
class Scene:
    """One output of a layer: the samples that it reads, and their weights."""

    inputs: tuple[Board, ...]
    taps: tuple[Tap, ...]
    output: Board
    target: Position
    formula: str
    left_out: str = ""


def layer_of(operator: object, name: str) -> tuple[Convolution, bool]:
    """Return the layer of an operator, and whether it is transposed.

    Raises:
        KindError: for another operator, or a transposed layer with a boundary other than zeros.
        ShapeError: for more than two spatial axes.
    """
    single = single_layer(operator) if isinstance(operator, Operator) else None
    if single is None or not isinstance(operator, Operator):
        raise KindError(
            f"{name} takes a layer of ca.correlation, ca.convolution or "
            f"ca.transposed_correlation, not {operator!r}"
        )
    layer, transposed = single
    operator._need_numbers(name)
    if len(layer.geometry.axes) > 2:
        raise ShapeError(
            f"{name} shows one or two spatial axes, not {len(layer.geometry.axes)}: draw a layer "
            f"with fewer axes"
        )
    if transposed and any(axis.boundary != "zeros" for axis in layer.geometry.axes):
        raise KindError(
            f"{name} shows transposed layers with the boundary 'zeros', not "
            f"{layer.geometry.axes[0].boundary!r}, whose windows wrap"
        )
    return layer, transposed


def output_of(operator: Operator, output: object) -> tuple[int, ...]:
    """Return the index of one output; by default the middle one of the first channel.

    Raises: ShapeError for another number of axes, ArgumentError outside the output.
    """
    shape = operator.out_shape
    if output is None:
        spatial = len(shape) - (len(shape) > 1 and _channels(operator) is not None)
        lead = (0,) * (len(shape) - spatial)
        return (*lead, *(n // 2 for n in shape[len(lead) :]))
    indices = output if isinstance(output, tuple | list) else (output,)
    if len(indices) != len(shape):
        raise ShapeError(f"output must be an index into shape {shape}, not {output!r}")
    index = tuple(as_integer(v, f"output[{k}]", least=0) for k, v in enumerate(indices))
    for k, (position, size) in enumerate(zip(index, shape, strict=True)):
        if position >= size:
            raise ArgumentError(f"output[{k}] must be below {size}, not {position}")
    return index


def sample_of(operator: Operator, x: object) -> Array | None:
    """Return the values of one input, if given. Raises: ShapeError for another shape."""
    if x is None:
        return None
    values = as_numbers(x, "x")
    if values.shape != operator.in_shape:
        raise ShapeError(
            f"x must be one sample of shape {operator.in_shape}, not of shape {values.shape}"
        )
    return values


def _channels(operator: Operator) -> int | None:
    layer, transposed = layer_of(operator, "draw.window")
    return layer.geometry.in_channels if transposed else layer.geometry.out_channels


def scene(operator: Operator, output: tuple[int, ...], x: Array | None) -> Scene:
    """Return the scene of one output; `x` are the values of the input, if they are shown."""
    layer, transposed = layer_of(operator, "draw.window")
    geometry = layer.geometry
    _check_sizes(geometry, transposed)
    lead = len(operator.out_shape) - len(geometry.axes)
    channel, target = (output[0] if lead else 0), output[lead:]
    sources = _sources(geometry, channel, transposed)
    shown = sources[:MOST_CHANNELS]
    lines = [
        _line(axis, position, transposed)
        for axis, position in zip(geometry.axes, target, strict=True)
    ]
    values = None if x is None else np.asarray(x).reshape(-1, *operator.in_shape[lead:])
    boards = tuple(_board(lines, values, source, bool(lead)) for source in shown)
    taps = _taps(layer, lines, channel, sources, transposed)
    result = None if x is None else np.asarray(operator(np.asarray(x)))
    return Scene(
        boards,
        tuple(tap for tap in taps if tap.board < len(shown)),
        _result(operator.out_shape, output, result, bool(lead)),
        _plane(target),
        _formula(output, taps, lines, sources, bool(lead), result),
        f"the first {len(shown)} of {len(sources)} input channels"
        if len(shown) < len(sources)
        else "",
    )


def _check_sizes(geometry: Geometry, transposed: bool) -> None:
    for axis in geometry.axes:
        sides = sum(max(int(side), 0) for side in (axis.before, axis.after))
        longest = max(axis.numbers.in_size + sides, axis.numbers.out_size, axis.numbers.taps)
        # Do not create a list of very many cells.
        if longest <= 4 * MOST_CELLS:
            longest = max(longest, len(_line(axis, 0, transposed).kinds))
        if longest > MOST_CELLS:
            raise TooLargeError(
                f"a window over {longest} cells is too large to draw; the limit is {MOST_CELLS}: "
                f"draw a smaller layer of the same form"
            )


def _sources(geometry: Geometry, channel: int, transposed: bool) -> list[int]:
    """Return the channels of the input that an output channel reads."""
    _, outputs, inputs = geometry.channels
    own, other = (inputs, outputs) if transposed else (outputs, inputs)
    first = channel // own * other
    return list(range(first, first + other))


@dataclass(frozen=True)
class SceneLine:
    """One axis of the padded or dilated input.

    `kinds` and `reads` (the sample in a cell, -1 for zero) by cell, and the cell of each tap.
    """

    kinds: tuple[str, ...]
    reads: tuple[int, ...]
    taps: tuple[int, ...]


def _line(axis: Axis, output: int, transposed: bool) -> SceneLine:
    return _dilated(axis, output) if transposed else _padded(axis, output)


def _padded(axis: Axis, output: int) -> SceneLine:
    n, taps = axis.numbers.in_size, range(axis.numbers.taps)
    before, after = max(axis.numbers.before, 0), max(axis.numbers.after, 0)
    kinds = (PADDING,) * before + (INPUT,) * n + (PADDING,) * after
    columns = {
        int(axis.raw(o, t)): int(axis.columns()[o, t])
        for o in range(axis.numbers.out_size)
        for t in taps
    }
    reads = tuple(columns.get(k, -1) if not 0 <= k < n else k for k in range(-before, n + after))
    return SceneLine(kinds, reads, tuple(int(axis.raw(output, t)) + before for t in taps))


def _dilated(axis: Axis, output: int) -> SceneLine:
    """Return the input of a transposed layer with stride - 1 zeros between its samples.

    Output i reads with tap t the cell i - r, where r is the raw index of tap t at output 0.
    """
    n, taps, outputs = (int(v) for v in (axis.out_size, axis.taps, axis.in_size))
    samples = {int(axis.raw(o, 0) - axis.raw(0, 0)): o for o in range(n)}
    cells = [output_ - int(axis.raw(0, t)) for output_ in (0, outputs - 1) for t in range(taps)]
    low, high = min(0, *cells), max(*samples, *cells)
    kinds, reads = [], []
    for cell in range(low, high + 1):
        inside = min(samples) <= cell <= max(samples)
        kinds.append(INPUT if cell in samples else INSERTED if inside else PADDING)
        reads.append(samples.get(cell, -1))
    positions = tuple(output - int(axis.raw(0, t)) - low for t in range(taps))
    return SceneLine(tuple(kinds), tuple(reads), positions)


def _plane(index: Sequence[int]) -> Position:
    """Return an index of one or two axes as row and column."""
    row, column = (0, *index)[-2:]
    return int(row), int(column)


def _board(lines: list[SceneLine], values: Array | None, source: int, named: bool) -> Board:
    """Return the board of one channel of the input."""
    down, across = _two(lines)
    kinds = np.empty((len(down.kinds), len(across.kinds)), dtype=object)
    texts = np.full(kinds.shape, "", dtype=object)
    order = {INPUT: 0, INSERTED: 1, PADDING: 2}
    for r, (kind, read) in enumerate(zip(down.kinds, down.reads, strict=True)):
        for c, (other, along) in enumerate(zip(across.kinds, across.reads, strict=True)):
            kinds[r, c] = max(kind, other, key=order.__getitem__)
            sampled = read >= 0 and along >= 0
            if not sampled:
                texts[r, c] = "0"
            elif values is not None:
                plane = values[source].reshape(-1, values.shape[-1])
                texts[r, c] = number_text(plane[read, along])
            elif kinds[r, c] == PADDING:
                # If the boundary repeats samples, the cell shows the index of the sample.
                texts[r, c] = f"x{along}" if len(lines) == 1 else f"x{read},{along}"
    title = f"input, channel {source}" if named else "input"
    rows = _names(down) if len(lines) == 2 else ("",)
    return Board(title, kinds, texts, rows, _names(across))


def _names(line: SceneLine) -> tuple[str, ...]:
    """Return the index of each sample; empty for zeros and copies."""
    return tuple(
        str(read) if kind == INPUT else ""
        for kind, read in zip(line.kinds, line.reads, strict=True)
    )


def _two(lines: list[SceneLine]) -> tuple[SceneLine, SceneLine]:
    """Return two axes; a single axis is a row."""
    return (lines[0], lines[1]) if len(lines) == 2 else (SceneLine((INPUT,), (0,), (0,)), lines[0])


def _taps(
    layer: Convolution, lines: list[SceneLine], channel: int, sources: list[int], transposed: bool
) -> list[Tap]:
    """Return every weight of an output, including those on padding."""
    shape = layer.weights.shape
    texts = [number_text(weight) for weight in layer.weights.ravel()]
    down, across = _two(lines)
    inputs = layer.geometry.channels[2]
    taps = []
    for board, source in enumerate(sources):
        pair = (source, channel % inputs) if transposed else (channel, source % inputs)
        lead = pair if len(shape) > len(lines) else ()
        for t, row in enumerate(down.taps):
            for u, column in enumerate(across.taps):
                tap = (t, u) if len(lines) == 2 else (u,)
                label = int(np.ravel_multi_index((*lead, *tap), shape))
                taps.append(Tap(board, (row, column), label, texts[label]))
    return taps


def _result(
    shape: tuple[int, ...], output: tuple[int, ...], result: Array | None, named: bool
) -> Board:
    plane = shape[1:] if named else shape
    rows, columns = _plane((1, *plane)) if len(plane) == 1 else _plane(plane)
    texts = np.full((rows, columns), "", dtype=object)
    if result is not None:
        values = (result[output[0]] if named else result).reshape(rows, columns)
        for index in np.ndindex(rows, columns):
            texts[index] = number_text(values[index])
    title = f"output, channel {output[0]}" if named else "output"
    kinds = np.full((rows, columns), INPUT, dtype=object)
    names = tuple(map(str, range(rows))) if len(plane) > 1 else ("",)
    return Board(title, kinds, texts, names, tuple(map(str, range(columns))))


def _formula(
    output: tuple[int, ...],
    taps: list[Tap],
    lines: list[SceneLine],
    sources: list[int],
    named: bool,
    result: Array | None,
) -> str:
    """Return the output as a sum, without the products with zeros of the padding."""
    down, across = _two(lines)
    terms = []
    for tap in taps:
        row, column = tap.position
        read = down.reads[row], across.reads[column]
        if min(read) < 0:
            continue
        index = (sources[tap.board],) * named + read[2 - len(lines) :]
        weight = f"({tap.text})" if any(sign in tap.text for sign in "+-/ ") else tap.text
        terms.append(f"{weight} x[{','.join(map(str, index))}]")
    more = f" + … ({len(terms)} products)" if len(terms) > MOST_TERMS else ""
    value = "" if result is None else f" = {number_text(result[output])}"
    total = " + ".join(terms[:MOST_TERMS]) or "0"
    return f"y[{','.join(map(str, output))}] = {total}{more}{value}"

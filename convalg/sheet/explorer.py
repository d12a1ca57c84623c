"""The interactive boards of the HTML page: input, kernel, output and matrix, cell by cell.

This module only collects data: the rows, columns and weights come from the pattern. The script
of the page derives from the matrix entries what is highlighted: for an output its row, the
columns of that row (its patch of the input) and their weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from convalg.draw.cells import number_text
from convalg.draw.palette import SEVERAL, rgb, text_colour, weight_colours
from convalg.faces.latex import layer_of
from convalg.operators.gradients import only_convolution
from convalg.operators.tree import Operator

CELL, NARROW = 34.0, 15.0
"""The side of a cell in pixels: in the arrays, and in the matrix."""
LONGEST = 5
"""The longest text that fits into a cell; a cell with a longer one only shows its colour."""


@dataclass(frozen=True)
class ExplorerCell:
    """A cell of a board: its position, its appearance and its meaning.

    `row`, `column` and `weights` are the numbers of the output, the input and the weights that
    it stands for, or empty.
    """

    grid_row: int
    grid_column: int
    name: str
    text: str
    fill: str
    ink: str
    row: str = ""
    column: str = ""
    weights: str = ""


@dataclass(frozen=True)
class ExplorerBoard:
    """A grid of square cells of `side` pixels; positions without a cell stay blank."""

    kind: str
    title: str
    label: str
    grid_rows: int
    grid_columns: int
    side: float
    cells: tuple[ExplorerCell, ...]

    @property
    def rows(self) -> list[tuple[int, list[ExplorerCell]]]:
        """The cells of each row of the grid."""
        rows: dict[int, list[ExplorerCell]] = {}
        for cell in self.cells:
            rows.setdefault(cell.grid_row, []).append(cell)
        return sorted(rows.items())


@dataclass(frozen=True)
class Explorer:
    """The four boards of a layer and the instructions printed above them."""

    caption: str
    boards: tuple[ExplorerBoard, ...]


def explorer(operator: Operator) -> Explorer:
    """Return the boards of a small layer or of the adjoint of one.

    >>> import convalg as ca
    >>> [(b.kind, len(b.cells)) for b in explorer(ca.correlation(4, ca.kernel(3))).boards]
    [('input', 4), ('kernel', 3), ('output', 2), ('matrix', 6)]
    """
    layer = only_convolution(operator)
    _, transposed = layer_of(operator)
    texts = [number_text(value) for value in layer.weights.ravel()]
    fills = [_hex(colour) for colour in weight_colours(layer.weights.shape)]
    entries: dict[tuple[int, int], list[int]] = {}
    for row, column, label in layer.pattern.triples().tolist():
        entry = (column, row) if transposed else (row, column)
        entries.setdefault(entry, []).append(label)
    boards = (
        _samples("input", operator.in_shape),
        _weights(layer.weights.shape, texts, fills),
        _samples("output", operator.out_shape),
        _matrix(operator, entries, texts, fills),
    )
    rows, columns = operator.shape
    caption = (
        f"Point at an output, or move to it with the Tab and arrow keys, to highlight its patch of "
        f"the input, its row of the {rows} x {columns} matrix and the weights that it uses. An "
        f"entry of the matrix highlights every entry with the same weight; an input highlights its "
        f"column and the outputs whose gradients it collects."
    )
    return Explorer(caption, boards)


def _samples(kind: str, shape: tuple[int, ...]) -> ExplorerBoard:
    """The samples of the input or the output; channels are placed side by side."""
    letter = "x" if kind == "input" else "y"
    high, wide = (shape[-2] if len(shape) > 1 else 1), shape[-1]
    planes = math.prod(shape[:-2])
    cells = []
    for number in range(math.prod(shape)):
        plane, pixel = divmod(number, high * wide)
        line, column = divmod(pixel, wide)
        name = f"{letter}[{_index(number, shape)}]"
        about = {"column" if kind == "input" else "row": str(number)}
        text = _index(number, shape) if len(shape) < 3 else f"{line},{column}"
        cells.append(ExplorerCell(line, column + plane * (wide + 1), name, text, "", "", **about))
    title = f"{kind} {letter}, {' x '.join(map(str, shape))}"
    label = f"{title}. Arrow keys move from sample to sample."
    return ExplorerBoard(kind, title, label, high, planes * (wide + 1) - 1, CELL, tuple(cells))


def _weights(shape: tuple[int, ...], texts: list[str], fills: list[str]) -> ExplorerBoard:
    high, wide = (shape[-2] if len(shape) > 1 else 1), shape[-1]
    cells = []
    for number, text in enumerate(texts):
        plane, pixel = divmod(number, high * wide)
        line, column = divmod(pixel, wide)
        name = f"weight {text} at tap {_index(number, shape)}"
        cells.append(
            ExplorerCell(
                line,
                column + plane * (wide + 1),
                name,
                text if len(text) <= LONGEST else "",
                fills[number],
                text_colour(rgb(fills[number])),
                weights=str(number),
            )
        )
    columns = math.prod(shape[:-2]) * (wide + 1) - 1
    title = f"kernel w, {' x '.join(map(str, shape))}"
    label = f"{title}. Arrow keys move from weight to weight."
    return ExplorerBoard("kernel", title, label, high, columns, CELL, tuple(cells))


def _matrix(
    operator: Operator,
    entries: dict[tuple[int, int], list[int]],
    texts: list[str],
    fills: list[str],
) -> ExplorerBoard:
    cells = []
    for (row, column), labels in sorted(entries.items()):
        text = "+".join(texts[label] for label in labels)
        fill = fills[labels[0]] if len(labels) == 1 else SEVERAL
        at = f"y[{_index(row, operator.out_shape)}], x[{_index(column, operator.in_shape)}]"
        cells.append(
            ExplorerCell(
                row,
                column,
                f"entry {text} in row {row}, column {column}: {at}",
                "",
                fill,
                text_colour(rgb(fill)),
                str(row),
                str(column),
                " ".join(map(str, labels)),
            )
        )
    rows, columns = operator.shape
    title = f"matrix A, {rows} x {columns}"
    label = f"{title}, zeros left blank. Arrow keys move from entry to entry."
    return ExplorerBoard("matrix", title, label, rows, columns, NARROW, tuple(cells))


def _index(number: int, shape: tuple[int, ...]) -> str:
    indices = []
    for size in reversed(shape):
        number, index = divmod(number, size)
        indices.append(str(index))
    return ",".join(reversed(indices))


def _hex(colour: object) -> str:
    red, green, blue = (round(255 * float(part)) for part in colour)  # type: ignore[attr-defined]  # matplotlib gives a tuple
    return f"#{red:02x}{green:02x}{blue:02x}"

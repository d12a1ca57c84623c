"""The boards to point at: input, kernel, output and matrix, and which of their cells belong.

Nothing is drawn here, and nothing is computed twice: rows, columns and weights are those of the
pattern. What lights up follows from the entries alone: an output lights its row, the columns
of that row are its patch, and their weights are those used.
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
"""The side of a cell in pixels: of an image, and of the matrix."""
LONGEST = 5
"""Letters that stand in a cell; of a longer text the colour has to do."""


@dataclass(frozen=True)
class ExplorerCell:
    """A cell of a board: where it stands, what it shows, and what it belongs to.

    `row`, `column` and `weights` say which output, input and weights it is about; empty where
    it is about none.
    """

    line: int
    place: int
    name: str
    text: str
    fill: str
    ink: str
    row: str = ""
    column: str = ""
    weights: str = ""


@dataclass(frozen=True)
class ExplorerBoard:
    """A grid of cells, drawn `side` pixels a cell; cells may be missing."""

    kind: str
    title: str
    label: str
    lines: int
    places: int
    side: float
    cells: tuple[ExplorerCell, ...]

    @property
    def rows(self) -> list[tuple[int, list[ExplorerCell]]]:
        """The cells line by line."""
        found: dict[int, list[ExplorerCell]] = {}
        for cell in self.cells:
            found.setdefault(cell.line, []).append(cell)
        return sorted(found.items())


@dataclass(frozen=True)
class Explorer:
    """The four boards of a layer, and words for those who do not see them."""

    caption: str
    boards: tuple[ExplorerBoard, ...]


def explorer(operator: Operator) -> Explorer:
    """The boards of a small layer, or of its adjoint.

    >>> import convalg as ca
    >>> [(b.kind, len(b.cells)) for b in explorer(ca.correlation(4, ca.kernel(3))).boards]
    [('input', 4), ('kernel', 3), ('output', 2), ('matrix', 6)]
    """
    layer = only_convolution(operator)
    _, turned = layer_of(operator)
    words = [number_text(value) for value in layer.weights.ravel()]
    fills = [_hex(colour) for colour in weight_colours(layer.weights.shape)]
    entries: dict[tuple[int, int], list[int]] = {}
    for row, column, label in layer.pattern.triples().tolist():
        place = (column, row) if turned else (row, column)
        entries.setdefault(place, []).append(label)
    boards = (
        _samples("input", operator.in_shape),
        _weights(layer.weights.shape, words, fills),
        _samples("output", operator.out_shape),
        _matrix(operator, entries, words, fills),
    )
    rows, columns = operator.shape
    caption = (
        f"Point at an output, or reach it with the tab and arrow keys: its patch of the input, "
        f"its row of the {rows} x {columns} matrix and the weights that it uses light up. At an "
        f"entry of the matrix: every entry with the same weight. At an input: its column, the "
        f"outputs that its gradient comes back from."
    )
    return Explorer(caption, boards)


def _samples(kind: str, shape: tuple[int, ...]) -> ExplorerBoard:
    """The samples of an image; its channels stand beside one another."""
    letter = "x" if kind == "input" else "y"
    high, wide = (shape[-2] if len(shape) > 1 else 1), shape[-1]
    planes = math.prod(shape[:-2])
    cells = []
    for number in range(math.prod(shape)):
        plane, pixel = divmod(number, high * wide)
        line, place = divmod(pixel, wide)
        name = f"{letter}[{_index(number, shape)}]"
        about = {"column" if kind == "input" else "row": str(number)}
        text = _index(number, shape) if len(shape) < 3 else f"{line},{place}"
        cells.append(ExplorerCell(line, place + plane * (wide + 1), name, text, "", "", **about))
    title = f"{kind} {letter}, {' x '.join(map(str, shape))}"
    label = f"{title}. Arrow keys move from sample to sample."
    return ExplorerBoard(kind, title, label, high, planes * (wide + 1) - 1, CELL, tuple(cells))


def _weights(shape: tuple[int, ...], words: list[str], fills: list[str]) -> ExplorerBoard:
    high, wide = (shape[-2] if len(shape) > 1 else 1), shape[-1]
    cells = []
    for number, word in enumerate(words):
        plane, pixel = divmod(number, high * wide)
        line, place = divmod(pixel, wide)
        name = f"weight {word} at tap {_index(number, shape)}"
        cells.append(
            ExplorerCell(
                line,
                place + plane * (wide + 1),
                name,
                _short(word),
                fills[number],
                text_colour(rgb(fills[number])),
                weights=str(number),
            )
        )
    places = math.prod(shape[:-2]) * (wide + 1) - 1
    title = f"kernel w, {' x '.join(map(str, shape))}"
    label = f"{title}. Arrow keys move from weight to weight."
    return ExplorerBoard("kernel", title, label, high, places, CELL, tuple(cells))


def _matrix(
    operator: Operator,
    entries: dict[tuple[int, int], list[int]],
    words: list[str],
    fills: list[str],
) -> ExplorerBoard:
    cells = []
    for (row, column), labels in sorted(entries.items()):
        text = "+".join(words[label] for label in labels)
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
    places = []
    for size in reversed(shape):
        number, place = divmod(number, size)
        places.append(str(place))
    return ",".join(reversed(places))


def _short(word: str) -> str:
    return word if len(word) <= LONGEST else ""


def _hex(colour: object) -> str:
    red, green, blue = (round(255 * float(part)) for part in colour)  # type: ignore[attr-defined]  # matplotlib gives a tuple
    return f"#{red:02x}{green:02x}{blue:02x}"

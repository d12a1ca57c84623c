"""Figures as TikZ pictures for LaTeX: text to paste into a document that loads `tikz`.

Every picture defines its own colours, needs no other package and no TikZ library, and compiles
with pdfLaTeX. `document` wraps a picture into a document that can be compiled on its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from convalg.arguments import a_kind
from convalg.draw import network_layout as plans
from convalg.draw.cells import fitting, number_text
from convalg.draw.matrix import Cells, block_edges, cells_of, index_names
from convalg.draw.network import hue_of
from convalg.draw.network_boxes import box_title, groups
from convalg.draw.palette import (
    BAND,
    BLOCK_LINE,
    CELL_LINE,
    GHOST,
    INK,
    text_colour,
    weight_colours,
)
from convalg.draw.scene import (
    INPUT,
    PADDING,
    Board,
    Position,
    layer_of,
    output_of,
    sample_of,
    scene,
)
from convalg.draw.window import layout_of
from convalg.errors import KindError, TooLargeError
from convalg.escape import latex
from convalg.kernels import kernel as symbols
from convalg.network.network import Network
from convalg.operators.convolution import correlation
from convalg.operators.gradients import only_convolution
from convalg.operators.tree import Operator
from convalg.size import as_integer

__all__ = ["document", "kernel", "matrix", "modes", "network", "window"]

MOST_CELLS = 100
"""Most rows or columns of a matrix that TeX draws cell by cell in reasonable time."""
MOST_BOXES = 200
CELL = 0.62  # centimetres
WIDEST = 15.0  # centimetres
LEAST_TEXT = 12.0  # least centimetres of a line of a formula
SMALLEST = 4  # points

TEXT = {
    '"': "''",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "…": r"\dots{}",
    # The usual command requires another font.
    "$": r"\char36{}",
}


DOCUMENT = r"""\documentclass{article}
\usepackage{tikz}
\newsavebox\picturebox
\begin{document}
\begin{lrbox}{\picturebox}%
PICTURE\end{lrbox}
\edef\across{\dimexpr\wd\picturebox+1cm\relax}
\edef\down{\dimexpr\ht\picturebox+\dp\picturebox+1cm\relax}
\ifdefined\pagewidth \pagewidth=\across \pageheight=\down
\else \pdfpagewidth=\across \pdfpageheight=\down \fi
\hoffset=\dimexpr 5mm-1in\relax \voffset=\hoffset
\shipout\vbox{\box\picturebox}
\end{document}
"""


def document(picture: str) -> str:
    """Return a LaTeX document that shows one picture on a page of the size of the picture.

    Args:
        picture: a TikZ picture, as the other functions of `ca.tikz` return it.

    Raises:
        KindError: when `picture` is not text.

    >>> import convalg as ca
    >>> picture = ca.tikz.matrix(ca.correlation(3, ca.kernel(2)))
    >>> print(ca.tikz.document(picture).splitlines()[1])
    \\usepackage{tikz}
    """
    return DOCUMENT.replace(
        "PICTURE", a_kind(picture, str, "tikz.document takes the text of a picture")
    )


def matrix(operator: Operator) -> str:
    """Return the matrix of an operator as a TikZ picture, in the colours of `draw.matrix`.

    Args:
        operator: the operator, with numbers for its sizes.

    Raises:
        KindError: when `operator` is not an operator.
        SymbolicError: for a family of operators with symbolic sizes.
        TooLargeError: for more than 100 rows or columns.

    >>> import convalg as ca
    >>> print(ca.tikz.matrix(ca.correlation(2, [7])).splitlines()[0])
    \\begin{tikzpicture}[x=0.62cm,y=-0.62cm,inner sep=0pt]
    """
    if not isinstance(operator, Operator):
        raise KindError(f"tikz.matrix takes an operator, not {type(operator).__name__}")
    operator._need_numbers("tikz.matrix")
    rows, columns = operator.shape
    if max(rows, columns) > MOST_CELLS:
        raise TooLargeError(
            f"a {rows} x {columns} matrix is too large for TikZ; the limit is {MOST_CELLS} rows or "
            f"columns: use draw.matrix"
        )
    cells, _ = cells_of(operator)
    picture = TikzPicture(min(CELL, WIDEST / columns))
    picture.grid(rows, columns)
    picture.cells(cells)
    picture.blocks(rows, columns, operator.out_shape, operator.in_shape)
    picture.names(index_names(operator.out_shape), index_names(operator.in_shape))
    return picture.text()


def kernel(operator: Operator) -> str:
    """Return the kernel of an operator as a TikZ picture, in the colours of its matrix.

    Each row of panels is an output channel, and each column an input channel (of a group).

    Args:
        operator: an operator with one kernel.

    Raises:
        KindError: when the operator does not have exactly one kernel.
        TooLargeError: for more than 100 rows or columns.

    >>> import convalg as ca
    >>> ca.tikz.kernel(ca.correlation((4, 4), ca.kernel(3, 3))).count("\\\\node")
    9
    """
    layer = only_convolution(operator)
    layer._need_numbers("tikz.kernel")
    taps = layer.geometry.taps
    high, wide = (int(taps[-2]) if len(taps) > 1 else 1), int(taps[-1])
    down = layer.geometry.out_channels or 1
    across = layer.weights.size // (int(down) * high * wide)
    if max(down * high, across * wide) > MOST_CELLS:
        raise TooLargeError(
            f"a kernel of shape {layer.weights.shape} is too large for TikZ; the limit is "
            f"{MOST_CELLS} taps in a row: draw one of its channels"
        )
    colours = weight_colours(layer.weights.shape)
    texts = [number_text(value) for value in layer.weights.ravel()]
    picture = TikzPicture(min(CELL, WIDEST / (across * (wide + 1))))
    each = high * wide
    for number in range(int(down) * across):
        row, column = divmod(number, across)
        indices, part = np.arange(each), slice(number * each, (number + 1) * each)
        one = Cells(indices // wide, indices % wide, colours[part], texts[part])
        at = (column * (wide + 0.6), row * (high + 0.6))
        picture.cells(one, at)
        picture.frame(at, (at[0] + wide, at[1] + high), colour=BLOCK_LINE, width=0.8)
    return picture.text()


def modes(n: int, k: int, *, dilation: int = 1) -> str:
    """Return the matrices of full, same and valid side by side, as a TikZ picture.

    Args:
        n: the number of samples.
        k: the number of taps.
        dilation: the distance between taps.

    Raises:
        TooLargeError: for more than 100 rows, or a row of more than 66 columns.
        ShapeError: when the kernel is longer than the input.
        KindError: when a size is not an integer.
        ArgumentError: when a size is not positive.

    >>> import convalg as ca
    >>> ca.tikz.modes(4, 2).count("full")
    1
    """
    size, taps = as_integer(n, "n"), as_integer(k, "k")
    names = ("full", "same", "valid")
    layers = [correlation(size, symbols(taps), padding=mode, dilation=dilation) for mode in names]
    rows, columns = layers[0].shape
    if rows > MOST_CELLS or 3 * columns > 2 * MOST_CELLS:
        raise TooLargeError(
            f"modes of {rows} rows are too large for TikZ; the limit is {MOST_CELLS}: use smaller "
            f"n and k"
        )
    picture = TikzPicture(min(CELL, WIDEST / (3 * columns + 4)))
    for number, (mode, layer) in enumerate(zip(names, layers, strict=True)):
        first = layers[0].geometry.axes[0].before - layer.geometry.axes[0].before
        left = number * (columns + 2)
        picture.grid(rows, columns, left)
        picture.cells(cells_of(layer)[0], (left, first))
        picture.frame((left, first), (left + columns, first + layer.shape[0]))
        picture.node(left, -0.8, f"{mode}: {layer.shape[0]} x {columns}", 8, anchor="west")
    return picture.text()


def window(operator: Operator, output: object = None, *, x: object = None) -> str:
    """Return the kernel on the padded input at one output, as a TikZ picture.

    Args:
        operator: a correlation, a convolution or a transposed correlation.
        output: an index into the output shape, by default the middle.
        x: one input of shape `operator.in_shape`, whose values and results are shown.

    Raises:
        KindError: for another operator.
        ShapeError: for more than two spatial axes, or an `output` or `x` of another shape.
        ArgumentError: when `output` is out of range.
        TooLargeError: for more than 48 cells per side.

    >>> import convalg as ca
    >>> "y[1]" in ca.tikz.window(ca.correlation(4, [1, 2]), 1)
    True
    """
    layer, _ = layer_of(operator, "tikz.window")
    view = scene(operator, output_of(operator, output), sample_of(operator, x))
    layout = layout_of(view)
    colours = weight_colours(layer.weights.shape)
    picture = TikzPicture(min(CELL, WIDEST / (layout.wide + 1)))
    for number, (board, at) in enumerate(zip(view.inputs, layout.inputs, strict=True)):
        picture.board(board, at, {tap.position for tap in view.taps if tap.board == number})
    picture.board(view.output, layout.output, {view.target})
    for tap in view.taps:
        left, top = layout.inputs[tap.board]
        below = view.inputs[tap.board].texts[tap.position]
        text = f"{tap.text}\n{below}" if below else tap.text
        at = (left + tap.position[1], top + tap.position[0])
        picture.cell(at, colours[tap.label], text)
    row, column = view.target
    x0, y0 = layout.output[0] + column, layout.output[1] + row
    result = str(view.output.texts[view.target])
    picture.cell((x0, y0), np.array([27, 31, 36]) / 255, result)
    for number, (left, top) in enumerate(layout.inputs):
        positions = np.array([tap.position for tap in view.taps if tap.board == number])
        (low, start), (high, end) = positions.min(axis=0), positions.max(axis=0) + 1
        picture.frame((left + start, top + low), (left + end, top + high))
        if layout.below:
            picture.line((left + start, top + high), (x0, y0))
            picture.line((left + end, top + high), (x0 + 1, y0))
        else:
            picture.line((left + end, top + low), (x0, y0))
            picture.line((left + end, top + high), (x0, y0 + 1))
    width = max(layout.wide * picture.size, LEAST_TEXT)
    picture.node(0, layout.tall + 0.4, formula(view.formula), 8, anchor="north west", width=width)
    return picture.text()


def network(net: Network) -> str:
    """Return the graph of a network as a TikZ picture, with the layout of `draw.network`.

    Args:
        net: the network; its sizes can be symbols.

    Raises:
        KindError: when `net` is not a network.
        TooLargeError: for more than 200 boxes.

    >>> import convalg as ca
    >>> ca.tikz.network(ca.sequential((1, 8, 8), [ca.layers.Conv(2, 3)])).count("\\\\draw")
    3
    """
    if not isinstance(net, Network):
        raise KindError(f"tikz.network takes a ca.Network, not {type(net).__name__}")
    parts = groups(net)
    count = sum(len(part.boxes) for part in parts)
    if count > MOST_BOXES:
        raise TooLargeError(
            f"a graph of {count} boxes is too large for TikZ; the limit is {MOST_BOXES}: use "
            f"draw.network"
        )
    layout = plans.plan(parts)
    picture = TikzPicture(2.54)
    for frame in layout.frames:
        corners = (frame.left, frame.top), (frame.right, frame.bottom)
        picture.frame(*corners, colour=GHOST, width=0.4)
        middle = (frame.top + frame.bottom) / 2
        picture.node(frame.right + 0.06, middle, f"$\\times$ {frame.times}", 8, anchor="west")
    for points in layout.arrows:
        picture.curve(points)
    for start, end in layout.sideways:
        picture.sideways(start, end)
    for spot in layout.spots:
        _box(picture, spot)
    return picture.text()


def _box(picture: TikzPicture, spot: plans.BoxPosition) -> None:
    corners = (spot.x, spot.y), (spot.x + spot.width, spot.y + spot.height)
    if spot.box is None:
        picture.frame(*corners, colour=GHOST, width=0.5, style="dashed", fill="white")
        middle = (spot.x + spot.width / 2, spot.y + spot.height / 2)
        picture.node(*middle, escaped(box_title(spot.name)), 6)
        return
    picture.frame(*corners, width=0.5, fill="white")
    bar = picture.colour(hue_of(spot.box.layer))
    low, high = (spot.x + 0.02, spot.y + 0.03), (spot.x + 0.075, spot.y + spot.height - 0.03)
    picture.add(f"\\fill[{bar}] {_at(*low)} rectangle {_at(*high)};")
    for k, line in enumerate((box_title(spot.name), *spot.box.lines)):
        y = spot.y + 0.05 + plans.LINE * (k + 0.5)
        picture.node(spot.x + 0.12, y, escaped(line), 6, anchor="west", bold=k == 0)


class TikzPicture:
    """The commands of one picture, in cells of `size` centimetres, with rows downwards."""

    def __init__(self, size: float) -> None:
        self.size = size
        self._colours: dict[str, None] = {}
        self._lines: list[str] = []

    def text(self) -> str:
        """Return the picture with the definitions of its colours."""
        colours = [f"\\definecolor{{c{name}}}{{HTML}}{{{name}}}" for name in self._colours]
        unit = f"{self.size:.3g}cm"
        start = f"\\begin{{tikzpicture}}[x={unit},y=-{unit},inner sep=0pt]"
        return "\n".join([start, *colours, *self._lines, "\\end{tikzpicture}", ""])

    def add(self, line: str) -> None:
        """Append one command."""
        self._lines.append(line)

    def colour(self, value: str | Iterable[float]) -> str:
        """Return the name of a colour given as "#rrggbb" or as three shares."""
        if not isinstance(value, str):
            value = "".join(f"{round(255 * float(share)):02x}" for share in value)
        name = value.removeprefix("#").upper()
        self._colours.setdefault(name)
        return f"c{name}"

    def cell(self, at: Sequence[float], colour: npt.NDArray[np.float64], text: str) -> None:
        """Draw a filled square and its text."""
        name = self.colour(colour)
        self.add(f"\\fill[{name}] {_at(*at)} rectangle ++(1,1);")
        lines = text.split("\n")
        points = min(int(fitting(text, 0.92 * self.size / 2.54)), 9)
        if text and points >= SMALLEST:
            ink = text_colour(colour)
            for k, line in enumerate(lines):
                y = at[1] + (k + 0.5 + 0.1 * (1 - 2 * k) * (len(lines) > 1)) / len(lines)
                self.node(at[0] + 0.5, y, tex(line), points, colour=ink)

    def cells(self, cells: Cells, at: tuple[float, float] = (0, 0)) -> None:
        """Draw the entries of a matrix."""
        entries = zip(cells.rows, cells.columns, cells.colours, cells.texts, strict=True)
        for row, column, colour, text in entries:
            self.cell((at[0] + column, at[1] + row), colour, text)

    def grid(self, rows: int, columns: int, left: int = 0) -> None:
        """Draw faint lines between cells, and a frame around all of them."""
        corners = f"{_at(left, 0)} grid {_at(left + columns, rows)}"
        self.add(f"\\draw[{self.colour(CELL_LINE)},line width=0.2pt,step=1] {corners};")
        self.frame((left, 0), (left + columns, rows), colour=BLOCK_LINE, width=0.8)

    def blocks(
        self, rows: int, columns: int, out_shape: tuple[int, ...], in_shape: tuple[int, ...]
    ) -> None:
        """Draw lines between the blocks of every axis except the last."""
        for depth in range(1, max(len(out_shape), len(in_shape))):
            width = 0.4 if depth == 1 else 0.9
            for row in block_edges(out_shape, depth):
                self.line((0, row), (columns, row), colour=BLOCK_LINE, width=width)
            for column in block_edges(in_shape, depth):
                self.line((column, 0), (column, rows), colour=BLOCK_LINE, width=width)

    def names(self, rows: Iterable[str], columns: Iterable[str]) -> None:
        """Write the index next to each row and above each column."""
        points = min(int(72 * self.size / 2.54 * 0.4), 6)
        if points < SMALLEST:
            return
        for k, name in enumerate(rows):
            self.node(-0.15, k + 0.5, name, points, anchor="east")
        for k, name in enumerate(columns):
            self.node(k + 0.5, -0.15, name, points, anchor="south")

    def board(self, board: Board, at: tuple[float, float], covered: set[Position]) -> None:
        """Draw the cells of an input or output, with text in cells that are not covered."""
        left, top = at
        band, ghost, line = map(self.colour, (BAND, GHOST, BLOCK_LINE))
        for (row, column), kind in np.ndenumerate(board.kinds):
            style = f"fill=white,draw={line}" if kind == INPUT else f"fill={band},draw={ghost}"
            dashes = ",dashed" if kind == PADDING else ""
            corner = _at(left + column, top + row)
            self.add(f"\\draw[{style}{dashes},line width=0.3pt] {corner} rectangle ++(1,1);")
            text = str(board.texts[row, column])
            points = min(int(fitting(text, self.size / 2.54)), 7) if text else 0
            if points >= SMALLEST and (row, column) not in covered:
                self.node(left + column + 0.5, top + row + 0.5, tex(text), points)
        self.node(left, top - 0.3, board.title, 7, anchor="south west")

    def node(
        self,
        x: float,
        y: float,
        text: str,
        points: int,
        *,
        anchor: str = "center",
        colour: str = INK,
        bold: bool = False,
        width: float | None = None,
    ) -> None:
        """Write LaTeX at a position, in lines of `width` centimetres."""
        font = f"\\fontsize{{{points}}}{{{points}}}\\selectfont"
        weight = "\\bfseries " if bold else ""
        lines = "" if width is None else f",text width={width:.3g}cm"
        options = f"anchor={anchor},text={self.colour(colour)}{lines}"
        self.add(f"\\node[{options}] at {_at(x, y)} {{{font} {weight}{text}}};")

    def line(
        self,
        start: Sequence[float],
        end: Sequence[float],
        *,
        colour: str = INK,
        width: float = 0.4,
    ) -> None:
        """Draw a straight line."""
        name = self.colour(colour)
        self.add(f"\\draw[{name},line width={width}pt] {_at(*start)} -- {_at(*end)};")

    def sideways(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Draw an arrow that leaves to the right, and arrives from the left or from below."""
        corner = _at(end[0], start[1])
        path = f"{_at(*start)} .. controls {corner} and {corner} .. {_at(*end)}"
        self.add(f"\\draw[{self.colour(INK)},line width=0.5pt,-latex] {path};")

    def curve(self, points: Sequence[tuple[float, float]]) -> None:
        """Draw a curve with vertical tangents at each point, and an arrow head at the end."""
        path = _at(*points[0])
        for (x, y), (to, end) in pairwise(points):
            half = (y + end) / 2
            path += f" .. controls {_at(x, half)} and {_at(to, half)} .. {_at(to, end)}"
        self.add(f"\\draw[{self.colour(INK)},line width=0.5pt,-latex] {path};")

    def frame(
        self,
        low: Sequence[float],
        high: Sequence[float],
        *,
        colour: str = INK,
        width: float = 1.2,
        style: str = "",
        fill: str = "",
    ) -> None:
        """Draw the outline of a rectangle."""
        more = "".join([f",{style}" * bool(style), f",fill={fill}" * bool(fill)])
        name = self.colour(colour)
        corners = f"{_at(*low)} rectangle {_at(*high)}"
        self.add(f"\\draw[{name},line width={width}pt{more}] {corners};")


def _at(x: float, y: float) -> str:
    return f"({x:.4g},{y:.4g})" if math.isfinite(x + y) else "(0,0)"


SYMBOL = re.compile(r"\b([A-Za-z])(\d+(?:[_,]\d+)*)?\b")
NUMBER = r"-?\d+(?:\.\d+|/\d+)?"


def tex(text: str) -> str:
    """Return the LaTeX of the text in a cell, with symbols such as w01 as subscripts.

    >>> tex("w01"), tex("-3"), tex("w0+w1"), tex("alpha")
    ('$w_{01}$', '$-3$', '$w_{0}+w_{1}$', 'alpha')
    """
    if re.fullmatch(NUMBER, text) or re.fullmatch(
        rf"{SYMBOL.pattern}(?:\+{SYMBOL.pattern})*", text
    ):
        return f"${SYMBOL.sub(_subscript, text)}$"
    return escaped(text)


def escaped(text: str) -> str:
    """Return text with all special characters of LaTeX escaped.

    >>> print(escaped("50% of $x_1"))
    50\\% of \\char36{}x\\_1
    """
    return latex(text, TEXT)


def formula(text: str) -> str:
    """Return a sum from `draw.window` as mathematics if all its names are symbols.

    >>> formula("y[1] = 2 x[0] + w01 x[1]")
    '$y[1] = 2 x[0] + w_{01} x[1]$'
    """
    start, more, tail = text.partition(" + … (")
    if not re.fullmatch(r"(?:[A-Za-z]\d*|[\d\[\],+\-()=./* ])*", start):
        return escaped(text)
    rest = f" + \\dots \\mbox{{ ({escaped(tail)}}}" if more else ""
    return f"${SYMBOL.sub(_subscript, start)}{rest}$"


def _subscript(match: re.Match[str]) -> str:
    return match[1] if match[2] is None else f"{match[1]}_{{{match[2].replace('_', ',')}}}"

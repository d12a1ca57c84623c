"""The table of a network: shapes, counts and receptive fields, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from convalg import html
from convalg.errors import SymbolicError
from convalg.escape import terminal
from convalg.network.graph import Graph
from convalg.network.reach import reaches
from convalg.size import is_symbolic, size_product, size_text

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = (
    "node",
    "layer",
    "output",
    "parameters",
    "matrix",
    "non-zeros",
    "multiplications",
    "field",
    "stride",
)
MOST_CHARACTERS = 60
"""The width of a cell in characters; longer text is truncated."""
NARROW = ("node", "layer", "output", "parameters", "field")


@dataclass(frozen=True)
class SummaryRow:
    """The row of one layer in a `Summary`.

    Attributes:
        node: the name of the node.
        layer: the layer as text.
        shape: the shape of the output as text, such as "6 x 24 x 24".
        parameters: the number of trainable parameters.
        dense: the number of entries of the dense matrix.
        nonzeros: the number of non-zeros of the matrix.
        multiplications: the number of multiplications, including those with padding zeros.
        field: the size of the receptive field as text, with "at most" if it is a bound.
        stride: the stride of the receptive field as text.
    """

    node: str
    layer: str
    shape: str
    parameters: int
    dense: int
    nonzeros: int
    multiplications: int
    field: str
    stride: str


@dataclass(frozen=True, eq=False)
class Summary:
    """The table of a network, which prints itself.

    Attributes:
        title: the name and the shapes of the network.
        rows: one `SummaryRow` for each layer.
        parameters: the total number of trainable parameters.
        nonzeros: the total number of non-zeros.
        multiplications: the total number of multiplications.
    """

    title: str
    rows: tuple[SummaryRow, ...]
    parameters: int
    nonzeros: int
    multiplications: int

    @property
    def table(self) -> Table:
        """The summary as a `rich.table.Table`."""
        return self._table(COLUMNS)

    @property
    def narrow_table(self) -> Table:
        """The summary as a `rich.table.Table` of 80 characters, without the counts of matrices."""
        return self._table(NARROW)

    def _table(self, columns: tuple[str, ...]) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(title=self.title, header_style="bold")
        for name in columns:
            justify: Literal["left", "right"] = "left" if name in COLUMNS[:3] else "right"
            table.add_column(name, justify=justify, overflow="fold")
        kept = [COLUMNS.index(name) for name in columns]
        for row in self.rows:
            cells = self._cells(row)
            table.add_row(*(Text(cells[k]) for k in kept))
        totals = (self.parameters, None, self.nonzeros, self.multiplications)
        last = ["total", "", "", *("" if v is None else _grouped(v) for v in totals), "", ""]
        table.add_section()
        table.add_row(*(last[k] for k in kept))
        return table

    def _cells(self, row: SummaryRow) -> list[str]:
        return [
            _grouped(v) if isinstance(v, int) else terminal(_cut(v)) for v in vars(row).values()
        ]

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(width=150, color_system=None, force_jupyter=False)
        with console.capture() as capture:
            console.print(self.table)
        return capture.get()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html.table(self.title, COLUMNS, map(self._cells, self.rows))

    def to_dict(self) -> dict[str, Any]:
        """Return the table as a dictionary of JSON values."""
        return {
            "title": self.title,
            "parameters": self.parameters,
            "nonzeros": self.nonzeros,
            "multiplications": self.multiplications,
            "layers": [vars(row) for row in self.rows],
        }


def summary(net: Graph) -> Summary:
    """Return the table of a network; see `Network.summary`.

    The multiplications include products with padding zeros; the non-zeros do not.

    Raises:
        SymbolicError: when a size is symbolic.
    """
    if any(is_symbolic(n) for n in net.in_shape):
        raise SymbolicError(
            f"a table of counts is computed only for integer sizes, not for in_shape "
            f"{net.in_shape}: build the network with integers"
        )
    fields, shapes = reaches(net), net.shapes
    rows = []
    for node, layer in net.layers():
        cost, inputs = net.cost(node), net.input_shapes(node)
        reach = fields[node]
        rows.append(
            SummaryRow(
                node,
                repr(layer),
                " x ".join(size_text(n) for n in shapes[node]),
                cost.parameters,
                sum(map(size_product, inputs)) * size_product(shapes[node]),
                cost.nonzeros,
                cost.padded,
                reach.size_text(),
                reach.stride_text(),
            )
        )
    title = f"{net.name}: {net.in_shape} to {net.out_shape}{net.hint}"
    totals = (
        sum(row.parameters for row in rows),
        sum(row.nonzeros for row in rows),
        sum(row.multiplications for row in rows),
    )
    return Summary(title, tuple(rows), *totals)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "\u2026"


def _grouped(value: int) -> str:
    return f"{value:,}" if value else "-"

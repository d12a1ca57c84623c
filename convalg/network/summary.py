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
"""The width of a cell; a longer text is cut."""
NARROW = ("node", "layer", "output", "parameters", "field")


@dataclass(frozen=True)
class SummaryRow:
    """The row of one layer. Shapes, fields and strides are text, since fields may be bounds."""

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
    """The table of a network: it prints itself, `rows` has its rows, `table` is a table of rich."""

    title: str
    rows: tuple[SummaryRow, ...]
    parameters: int
    nonzeros: int
    multiplications: int

    @property
    def table(self) -> Table:
        """The summary as a table of rich."""
        return self._table(COLUMNS)

    @property
    def narrow_table(self) -> Table:
        """The same without the columns of the matrices, for terminals of 80 columns."""
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
        """Return the table as JSON values."""
        return {
            "title": self.title,
            "parameters": self.parameters,
            "nonzeros": self.nonzeros,
            "multiplications": self.multiplications,
            "layers": [vars(row) for row in self.rows],
        }


def summary(net: Graph) -> Summary:
    """Return the table of a network; see `Network.summary`.

    Multiplications count those with padding zeros, non-zeros do not.

    Raises:
        SymbolicError: when sizes are symbolic.
    """
    if any(is_symbolic(n) for n in net.in_shape):
        raise SymbolicError(
            f"a table of counts needs numbers for sizes, not {net.in_shape}: build the network "
            f"with numbers"
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

"""A network as a table: shapes, counts, receptive fields, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convalg import html
from convalg.errors import SymbolicError
from convalg.escape import terminal
from convalg.network.graph import Graph
from convalg.network.receptive import reaches
from convalg.size import is_symbolic, size_product, size_words

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
MOST_WORDS = 60
NARROW = ("node", "layer", "output", "parameters", "field")


@dataclass(frozen=True)
class SummaryRow:
    """One layer; sizes as words, since they may be letters."""

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
    """The table of a network; prints itself, and has `rows` and `table` (of rich)."""

    title: str
    rows: tuple[SummaryRow, ...]
    parameters: int
    nonzeros: int
    multiplications: int

    @property
    def table(self) -> Table:
        """The table as rich draws it."""
        return self._table(COLUMNS)

    @property
    def narrow_table(self) -> Table:
        """The same without the sizes of the matrices, for 80 columns."""
        return self._table(NARROW)

    def _table(self, columns: tuple[str, ...]) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(title=self.title, header_style="bold")
        for name in columns:
            words = name in COLUMNS[:3]
            table.add_column(name, justify="left" if words else "right", overflow="fold")
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
        with console.capture() as heard:
            console.print(self.table)
        return heard.get()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html.table(self.title, COLUMNS, map(self._cells, self.rows))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "title": self.title,
            "parameters": self.parameters,
            "nonzeros": self.nonzeros,
            "multiplications": self.multiplications,
            "layers": [vars(row) for row in self.rows],
        }


def summary(net: Graph) -> Summary:
    """See `Network.summary`. Multiplications count padding zeros, non-zeros do not.

    Raises: SymbolicError when sizes are letters.
    """
    if any(is_symbolic(n) for n in net.in_shape):
        raise SymbolicError(f"a table of counts needs numbers for sizes, not {net.in_shape}")
    known, shapes = reaches(net), net.shapes
    rows = []
    for node, layer in net.layers():
        cost, inputs = net.cost(node), net.input_shapes(node)
        reach = known[node]
        rows.append(
            SummaryRow(
                node,
                repr(layer),
                " x ".join(size_words(n) for n in shapes[node]),
                cost.parameters,
                sum(map(size_product, inputs)) * size_product(shapes[node]),
                cost.nonzeros,
                cost.padded,
                reach.size_words(),
                reach.stride_words(),
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
    return text if len(text) <= MOST_WORDS else text[: MOST_WORDS - 1] + "\u2026"


def _grouped(value: int) -> str:
    return f"{value:,}" if value else "-"

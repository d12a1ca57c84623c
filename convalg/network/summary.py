"""A network as a table: shapes, counts, receptive fields, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convalg.errors import SymbolicError
from convalg.network.graph import Network
from convalg.network.receptive import reaches
from convalg.spec import is_symbolic, size_product, size_words

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


@dataclass(frozen=True)
class Row:
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
    rows: tuple[Row, ...]
    parameters: int
    nonzeros: int
    multiplications: int

    @property
    def table(self) -> Table:
        """The table as rich draws it."""
        from rich.table import Table
        from rich.text import Text

        table = Table(title=self.title, header_style="bold")
        for k, name in enumerate(COLUMNS):
            table.add_column(name, justify="left" if k < 3 else "right", overflow="fold")
        for row in self.rows:
            cells = (
                row.node,
                row.layer,
                row.shape,
                _grouped(row.parameters),
                _grouped(row.dense),
                _grouped(row.nonzeros),
                _grouped(row.multiplications),
                row.field,
                row.stride,
            )
            table.add_row(*map(Text, cells))
        totals = (self.parameters, None, self.nonzeros, self.multiplications)
        table.add_section()
        table.add_row("total", "", "", *("" if v is None else _grouped(v) for v in totals), "", "")
        return table

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(width=150, color_system=None)
        with console.capture() as heard:
            console.print(self.table)
        return heard.get()

    __repr__ = __str__

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "title": self.title,
            "parameters": self.parameters,
            "nonzeros": self.nonzeros,
            "multiplications": self.multiplications,
            "layers": [vars(row) for row in self.rows],
        }


def summary(net: Network) -> Summary:
    """See `Network.summary`. Multiplications count padding zeros, non-zeros do not.

    Raises: SymbolicError when sizes are letters.
    """
    if any(is_symbolic(n) for n in net.in_shape):
        raise SymbolicError(f"a table of counts needs numbers for sizes, not {net.in_shape}")
    known = reaches(net)
    rows = []
    for node, layer in net.layers():
        cost, inputs = net.cost(node), net.input_shapes(node)
        spans = known[node].spans
        rows.append(
            Row(
                node,
                repr(layer),
                " x ".join(size_words(n) for n in net.shapes[node]),
                cost.parameters,
                sum(map(size_product, inputs)) * size_product(net.shapes[node]),
                cost.nonzeros,
                cost.padded,
                " x ".join(size_words(span.size) for span in spans),
                " x ".join(size_words(span.stride) for span in spans),
            )
        )
    total = net.counts
    title = f"{net.name}: {net.in_shape} to {net.out_shape}"
    return Summary(title, tuple(rows), total.parameters, total.nonzeros, total.padded)


def _grouped(value: int) -> str:
    return f"{value:,}" if value else "-"

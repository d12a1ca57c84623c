"""The analysis of a network: its table, and warnings about the geometry of its layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, SupportsInt

import numpy as np

from convalg.axis import Axis
from convalg.escape import markdown
from convalg.network.graph import Graph
from convalg.network.layers.base import Link
from convalg.network.layers.convolution import Conv, ConvTranspose
from convalg.network.layers.pooling import AvgPool, MaxPool
from convalg.network.reach import misalignments, reaches
from convalg.network.receptive_field import receptive_field
from convalg.network.summary import COLUMNS, Summary, summary

Windows = (Conv, MaxPool, AvgPool)
MOST_CHECKED = 64
"""The largest receptive field, in pixels per axis, that is searched for holes."""
MOST_CHECKS = 64
"""The largest number of nodes searched for holes, since each search traces all earlier layers."""


@dataclass(frozen=True)
class Remark:
    """A warning about one node.

    Attributes:
        code: the kind of the warning, one of the codes that `analyse` lists.
        node: the name of the node.
        message: a sentence.
    """

    code: str
    node: str
    message: str

    def __str__(self) -> str:
        return f"{self.node}: {self.message} ({self.code})"


@dataclass(frozen=True, eq=False)
class Analysis:
    """The summary table of a network, and warnings about the geometry of its layers.

    Attributes:
        summary: the table of shapes, counts and receptive fields, layer by layer.
        remarks: the warnings.

    >>> import convalg as ca
    >>> from convalg.network.analysis import analyse
    >>> net = ca.sequential((1, 40, 40), [ca.layers.Conv(1, 3, dilation=2)] * 3)
    >>> [remark.code for remark in analyse(net).remarks]
    ['holes']
    """

    summary: Summary
    remarks: tuple[Remark, ...]
    sizes: dict[str, dict[str, bool | list[int | str | None]]]
    """For each node: "shape", "field" (the size of the receptive field along each axis),
    "field_is_bound" (whether that size is an upper bound) and "stride". Fractions are text; the
    stride is None where branches with different strides meet."""

    def to_dict(self) -> dict[str, Any]:
        """Return the analysis as a dictionary of JSON values, with sizes as lists of numbers."""
        values = self.summary.to_dict()
        layers = [{**layer, **self.sizes[layer["node"]]} for layer in values["layers"]]
        remarks = [asdict(remark) for remark in self.remarks]
        return {**values, "layers": layers, "remarks": remarks}

    def markdown(self) -> str:
        """Return the table and the remarks as Markdown."""
        lines = [f"# {markdown(self.summary.title)}", "", f"| {' | '.join(COLUMNS)} |"]
        lines.append("|" + " --- |" * len(COLUMNS))
        for row in self.summary.rows:
            cells = [
                f"{v:,}" if isinstance(v, int) else markdown(str(v)) for v in vars(row).values()
            ]
            lines.append(f"| {' | '.join(cells)} |")
        totals = self.summary
        lines += [
            "",
            f"{totals.parameters:,} parameters, {totals.nonzeros:,} non-zeros, "
            f"{totals.multiplications:,} multiplications with padding zeros.",
        ]
        if self.remarks:
            lines += ["", *(f"- {markdown(str(remark))}" for remark in self.remarks)]
        return "\n".join(lines) + "\n"


def analyse(net: Graph) -> Analysis:
    """Return the summary table of a network, and warnings about the geometry of its layers.

    The codes of the warnings are:

    - "left-out": an operator of the file has no shape and is missing from the network, as is
      everything that depends on it.
    - "stride-over-kernel": the stride exceeds the kernel, so no window reads some pixels.
    - "one-sided-padding": the output is shifted relative to the input.
    - "checkerboard": a transposed layer writes some outputs more often than others.
    - "misaligned": joined branches have receptive fields at different positions.
    - "holes": an output does not read some pixels inside its receptive field.
    - "beyond-image": a receptive field is larger than the image.

    Args:
        net: the network.

    Raises:
        SymbolicError: when a size is symbolic.
    """
    remarks = [
        Remark("left-out", net.output, f"not in the network: {what}")
        for what in net.graph.graph.get("left_out", ())
    ]
    for node, layer in net.layers():
        if isinstance(layer, Windows):
            remarks += _window_remarks(net, node)
        if isinstance(layer, ConvTranspose):
            remarks += _transposed_remarks(net, node)
    remarks += [Remark("misaligned", pair.node, str(pair)) for pair in misalignments(net)]
    remarks += _field_remarks(net)
    return Analysis(summary(net), tuple(remarks), _sizes(net))


def _sizes(net: Graph) -> dict[str, dict[str, bool | list[int | str | None]]]:
    fields = reaches(net)
    return {
        node: {
            "shape": _json_sizes(net.shapes[node]),
            "field": _json_sizes(fields[node].sizes_at_most),
            "field_is_bound": fields[node].is_bound,
            "stride": _json_sizes(fields[node].strides),
        }
        for node, _ in net.layers()
    }


def _json_sizes(sizes: Iterable[SupportsInt | None]) -> list[int | str | None]:
    """Return sizes as JSON values, with fractions as text."""
    return [
        None if size is None else int(size) if size == int(size) else str(size) for size in sizes
    ]


def _axes(net: Graph, node: str) -> list[Axis]:
    (source,) = net.sources(node)
    links: tuple[Link, ...] = net[node].links(net.shapes[source]) or ()
    return [link.axis for link in links]


def _window_remarks(net: Graph, node: str) -> list[Remark]:
    remarks = []
    axes = _axes(net, node)
    for k, axis in enumerate(axes):
        if axis.stride > axis.span and axis.out_size > 1:
            skipped = axis.stride - axis.span
            remarks.append(
                Remark(
                    "stride-over-kernel",
                    node,
                    f"a stride of {axis.stride} is larger than the window of {axis.span} on axis "
                    f"{k}: {skipped} of every {axis.stride} samples are never read",
                )
            )
            break
    for k, axis in enumerate(axes):
        if axis.stride == 1 and axis.before != axis.after and axis.out_size == axis.in_size:
            remarks.append(
                Remark(
                    "one-sided-padding",
                    node,
                    f"padding {axis.before} before and {axis.after} after on axis {k} keeps the "
                    f"size and shifts the output by half a sample",
                )
            )
            break
    return remarks


def _transposed_remarks(net: Graph, node: str) -> list[Remark]:
    """Return a remark on the first axis where some outputs are written more often than others."""
    for k, axis in enumerate(_axes(net, node)):
        residues = np.arange(int(axis.taps)) * abs(int(axis.dilation)) % int(axis.stride)
        counts = np.bincount(residues, minlength=int(axis.stride))
        if len(set(counts.tolist())) > 1:
            return [
                Remark(
                    "checkerboard",
                    node,
                    f"the stride of {axis.stride} does not divide the {axis.taps} taps on axis "
                    f"{k}: successive outputs are written "
                    f"{', '.join(map(str, counts.tolist()))} times in turn",
                )
            ]
    return []


def _field_remarks(net: Graph) -> list[Remark]:
    """Report the first node whose field has holes and the first whose field exceeds the image."""
    fields = reaches(net)
    sizes = net.in_shape[1:]
    remarks: dict[str, Remark] = {}
    checks = 0
    for node, _ in net.layers():
        reach = fields[node]
        if reach.kind != "lattice":
            continue
        field = reach.sizes_at_most
        at_most = "at most " if reach.is_bound else ""
        if (
            "beyond-image" not in remarks
            and not reach.is_bound
            and any(
                size > n and outputs > 1
                for size, n, outputs in zip(field, sizes, reach.sizes, strict=True)
            )
        ):
            remarks["beyond-image"] = Remark(
                "beyond-image",
                node,
                f"its receptive field of {_by(field)} is larger than the image of {_by(sizes)}",
            )
        # Each check traces an output back to the image, so the number of checks is limited.
        if (
            "holes" not in remarks
            and checks < MOST_CHECKS
            and max(field, default=0) <= MOST_CHECKED
            and not _is_pointwise(net, node)
        ):
            checks += 1
            middle = tuple(int(n) // 2 for n in reach.sizes)
            read = receptive_field(net, node).positions(middle)
            if any(line and len(line) <= line[-1] - line[0] for line in read):
                used = _by(map(len, read))
                remarks["holes"] = Remark(
                    "holes",
                    node,
                    f"its receptive field spans {at_most}{_by(field)} pixels, of which its middle "
                    f"output reads {used}",
                )
    return list(remarks.values())


def _is_pointwise(net: Graph, node: str) -> bool:
    """Return whether each output reads only the sample at its own position."""
    if net[node].many:
        return False
    links = net[node].links(net.input_shapes(node)[0]) or ()
    return all(
        link.table is None and link.axis == Axis(link.axis.in_size, link.axis.in_size)
        for link in links
    )


def _by(sizes: Iterable[object]) -> str:
    return " x ".join(map(str, sizes))

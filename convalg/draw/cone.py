"""The cone of a receptive field: the samples that one output reads, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx
import numpy as np
from matplotlib.collections import LineCollection

from convalg.arguments import plural
from convalg.axis import Axis
from convalg.draw.cells import squares
from convalg.draw.figure import Drawing, breadth, caption
from convalg.draw.palette import BLOCK_LINE, GHOST, HUES, INK, PAPER
from convalg.errors import ArgumentError, KindError, TooLargeError
from convalg.network.graph import INPUT
from convalg.network.layers.base import Link
from convalg.network.network import Network
from convalg.size import as_integer, is_symbolic

MOST_CELLS, MOST_ROWS = 96, 24
WIDEST, LARGEST_CELL, PITCH = 7.2, 0.24, 0.5  # inches


@dataclass(frozen=True)
class ConeRow:
    """A node, the number of its samples along one axis, and the samples that are read."""

    node: str
    size: int
    read: frozenset[int]


def cone(
    net: Network, output: int | None = None, *, node: str | None = None, axis: int = 0
) -> Drawing:
    """Draw the samples that one output of a node reads along one axis, layer by layer.

    Samples that are read are filled. Blank samples between them are holes, and dashed samples
    beyond the border are padding. Layers that read only the sample at the same position, such as
    ReLU, are left out.

    Args:
        net: the network.
        output: the index of the output along `axis`, by default the middle one.
        node: the node of the output, by default the output of the network.
        axis: the index of the spatial axis.

    Raises:
        KindError: when `net` is not a network or has symbolic sizes.
        ArgumentError: for an output, node or axis that does not exist.
        TooLargeError: for more than 96 samples or 24 layers.

    >>> import convalg as ca
    >>> net = ca.sequential((1, 12), [ca.layers.Conv(1, 3, dilation=2), ca.layers.Conv(1, 2)])
    >>> ca.draw.cone(net).axes[0].get_title(loc="left")
    'output 3 of conv2 reads 6 of 12 samples, in a field of 6'
    """
    if not isinstance(net, Network):
        raise KindError(f"draw.cone takes a ca.Network, not {type(net).__name__}")
    name = net.output if node is None else node
    dims = len(net.in_shape) - 1
    if not 0 <= (axis := as_integer(axis, "axis", least=0)) < dims:
        raise ArgumentError(f"axis must be an axis of the image, from 0 to {dims - 1}, not {axis}")
    if any(is_symbolic(n) for n in net.in_shape):
        raise KindError(f"draw.cone needs integers as sizes, not {net.in_shape}")
    rows, lines, ghosts = _traced(net, name, axis, output)
    longest = max(row.size for row in rows)
    if longest > MOST_CELLS or len(rows) > MOST_ROWS:
        raise TooLargeError(
            f"a cone over {longest} samples and {len(rows)} layers is too large to draw; the "
            f"limits are {MOST_CELLS} and {MOST_ROWS}: use a smaller input, or fewer layers"
        )
    return _drawn(rows, lines, ghosts, name)


Line = tuple[str, int, str, int]
"""A sample of a node that reads a sample of another."""


def _traced(
    net: Network, node: str, axis: int, output: int | None
) -> tuple[list[ConeRow], list[Line], dict[str, set[int]]]:
    """Return the rows from the output down to the image, the lines between them, the padding."""
    if not isinstance(node, str) or node != INPUT:
        net[node]
    size = _length(net, node, axis)
    position = size // 2 if output is None else as_integer(output, "output", least=0)
    if position >= size:
        raise ArgumentError(
            f"output must be below {size}, not {position}, since {node} has "
            f"{plural(size, 'sample')}"
        )
    needed = nx.ancestors(net.graph, node) | {node}
    shown = {name: _through(net, name, axis) for name in needed}
    read: dict[str, set[int]] = {shown[node]: {position}}
    lines: list[Line] = []
    ghosts: dict[str, set[int]] = {}
    for name in reversed([n for n in net if n in needed]):
        if name == INPUT or shown[name] != name:
            continue
        for source in dict.fromkeys(net.sources(name)):
            target = shown[source]
            link = _link(net, name, source, axis)
            samples = read.setdefault(target, set())
            for unit in read.get(name, set()):
                inside, outside = _reads(link, unit, _length(net, source, axis))
                samples.update(inside)
                lines += [(name, unit, target, sample) for sample in inside]
                ghosts.setdefault(target, set()).update(outside)
    order = [n for n in net if n in read]
    rows = [ConeRow(n, _length(net, n, axis), frozenset(read[n])) for n in reversed(order)]
    return rows, lines, ghosts


def _length(net: Network, node: str, axis: int) -> int:
    """Return the number of samples of a node along an axis; 1 for nodes without spatial axes."""
    shape = net.shapes[node]
    return int(shape[1 + axis]) if len(shape) == len(net.in_shape) else 1


def _through(net: Network, node: str, axis: int) -> str:
    """Return the first node towards the image that is not elementwise along the axis."""
    while node != INPUT and not net[node].many:
        (source,) = net.sources(node)
        link = _link(net, node, source, axis)
        if (
            link is None
            or link.transposed
            or link.table
            or link.axis != Axis(link.axis.in_size, link.axis.in_size)
        ):
            break
        node = source
    return node


def _link(net: Network, node: str, source: str, axis: int) -> Link | None:
    links = net[node].links(net.shapes[source])
    return links[axis] if links is not None and axis < len(links) else None


def _reads(link: Link | None, unit: int, size: int) -> tuple[set[int], set[int]]:
    """Return the samples that a unit reads, and the positions beyond the border."""
    if link is None:
        return set(range(size)), set()
    inside = {int(k) for k in link.reads(np.array([unit]))}
    if link.transposed or link.table is not None:
        return inside, set()
    raw = {int(link.axis.raw(unit, t)) for t in range(int(link.axis.taps))}
    return inside, {k for k in raw if not 0 <= k < size} if link.axis.boundary == "zeros" else set()


def _drawn(
    rows: list[ConeRow], lines: list[Line], ghosts: dict[str, set[int]], node: str
) -> Drawing:
    low = {row.node: min(ghosts.get(row.node, set()) | {0}) for row in rows}
    high = {row.node: max(ghosts.get(row.node, set()) | {row.size - 1}) for row in rows}
    longest = max(
        2 * max(row.size / 2 - low[row.node], high[row.node] + 1 - row.size / 2) for row in rows
    )
    size = min(LARGEST_CELL, WIDEST / longest)
    pitch = max(PITCH / size, 2.0)
    tall = (len(rows) - 1) * pitch + 1
    left = 0.25 + 0.062 * max(len(_label(row)) for row in rows)
    title = _title(rows, node)
    wide = max(longest * size, breadth(title, 8.5))
    figure = Drawing(left + wide + 0.3, tall * size + 0.6)
    axes = figure.panel(left, 0.15, longest * size, tall * size)
    axes.set_xlim(0, longest)
    axes.set_ylim(tall, 0)
    tops = {row.node: k * pitch for k, row in enumerate(rows)}
    starts = {row.node: (longest - row.size) / 2 for row in rows}
    ends = [
        [
            (starts[a] + unit + 0.5, tops[a] + 1),
            (starts[b] + sample + 0.5, tops[b]),
        ]
        for a, unit, b, sample in lines
    ]
    axes.add_collection(LineCollection(ends, colors=INK, linewidths=0.4, alpha=0.45, zorder=1))
    for row in rows:
        top, start = tops[row.node], starts[row.node]
        filled = [(start + k, top) for k in sorted(row.read)]
        blank = [(start + k, top) for k in range(row.size) if k not in row.read]
        beyond = [(start + k, top) for k in sorted(ghosts.get(row.node, set()))]
        squares(axes, blank, PAPER, edges=BLOCK_LINE, width=0.5, gid=f"blank {row.node}")
        squares(axes, filled, HUES[0], edges=BLOCK_LINE, width=0.5, gid=f"read {row.node}")
        squares(axes, beyond, PAPER, edges=GHOST, width=0.7, style="--", gid=f"padding {row.node}")
    axes.set_yticks([tops[row.node] + 0.5 for row in rows], [_label(row) for row in rows])
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    caption(axes, title, size=8.5)
    return figure


def _label(row: ConeRow) -> str:
    name = row.node if len(row.node) <= 22 else f"{row.node[:10]}…{row.node[-10:]}"
    return f"{name}: {len(row.read)} of {row.size}"


def _title(rows: list[ConeRow], node: str) -> str:
    top, image = rows[0], rows[-1]
    (output,) = top.read
    if not image.read:
        return f"output {output} of {node} reads nothing but padding"
    field = max(image.read) - min(image.read) + 1
    count = f"{len(image.read)} of {plural(image.size, 'sample')}"
    return f"output {output} of {node} reads {count}, in a field of {field}"

"""The receptive field of every node of a network, compared with the image."""

from __future__ import annotations

from typing import Any

from matplotlib.patches import Rectangle

from convalg.arguments import a_kind
from convalg.draw.figure import Drawing, caption
from convalg.draw.palette import BAND, GHOST, HUES, INK
from convalg.errors import ArgumentError
from convalg.network.graph import INPUT
from convalg.network.network import Network
from convalg.network.reach import reaches
from convalg.size import as_integer, is_symbolic

ROW = 0.24
"""Inches for one node."""
MOST_ROWS = 60


def receptive_field(net: Network, axis: int = 0) -> Drawing:
    """Draw the input range of the middle output of every node along one axis, as bars.

    There is one bar for each node whose receptive field is larger than those of all nodes before
    it. The shaded band is the image; the part of a bar beyond the band is padding.

    Args:
        net: the network, with numbers for its sizes.
        axis: the index of the spatial axis.

    Raises:
        ArgumentError: for an axis that does not exist, or symbolic sizes.
        KindError: when `net` is not a network.

    >>> import convalg as ca
    >>> net = ca.sequential((1, 32, 32), [ca.layers.Conv(4, 3), ca.layers.Conv(4, 3)])
    >>> ca.draw.receptive_field(net).axes[0].get_title(loc="left").partition(": ")[2]
    'samples that the middle output of each node reads, axis 0'
    """
    a_kind(net, Network, "draw.receptive_field takes a ca.Network")
    dims = len(net.in_shape) - 1
    if not 0 <= (axis := as_integer(axis, "axis", least=0)) < dims:
        raise ArgumentError(f"axis must be 0 to {dims - 1}, not {axis}")
    if any(is_symbolic(n) for n in net.in_shape):
        raise ArgumentError(f"draw.receptive_field needs integers as sizes, not {net.in_shape}")
    rows = _rows(net, axis)
    n = int(net.in_shape[1 + axis])
    low = min(0, *(start for _, start, _, _ in rows)) if rows else 0
    high = max(n, *(end for _, _, end, _ in rows)) if rows else n
    height = ROW * max(len(rows), 1)
    figure = Drawing(7.5, height + 1.0)
    axes = figure.panel(1.6, 0.5, 5.6, height)
    axes.set_xlim(low - 0.02 * (high - low), high + 0.06 * (high - low))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.add_patch(Rectangle((0, -0.6), n, len(rows) + 0.2, color=BAND, zorder=0))
    for row, (_, start, end, size) in enumerate(rows):
        axes.add_patch(Rectangle((start, row - 0.32), end - start, 0.64, color=HUES[0], alpha=0.85))
        axes.text(
            end + 0.01 * (high - low),
            row,
            size,
            va="center",
            fontsize=7,
            color=INK,
            parse_math=False,
        )
    axes.set_yticks(range(len(rows)), [_short(name) for name, *_ in rows], parse_math=False)
    axes.set_xticks([0, n], ["0", str(n)])
    axes.axvline(0, color=GHOST, lw=0.8, zorder=0)
    axes.axvline(n, color=GHOST, lw=0.8, zorder=0)
    bound = any(size.startswith("at most") for *_, size in rows)
    reads = "can read at most" if bound else "reads"
    caption(axes, f"{net.name}: samples that the middle output of each node {reads}, axis {axis}")
    return figure


def _rows(net: Network, axis: int) -> list[tuple[str, float, float, str]]:
    """Return name, first and last position, and size of each field larger than those before."""
    rows: list[tuple[str, float, float, str]] = []
    widest = 0.0
    fields: dict[str, Any] = reaches(net)
    for node in net:
        reach = fields[node]
        if node == INPUT:
            continue
        middle = tuple(
            int(n) // 2 if reach.kind == "lattice" else 0
            for n in (reach.sizes if reach.kind == "lattice" else reach.fans)
        )
        first, last = reach.hull(middle)[axis]
        if last - first + 1 > widest:
            widest = last - first + 1
            at_most = "at most " if reach.is_bound else ""
            size = f"{at_most}{reach.sizes_at_most[axis]}"
            rows.append((node, float(first), float(last + 1), size))
    if len(rows) > MOST_ROWS:
        step = len(rows) / MOST_ROWS
        rows = [rows[int(k * step)] for k in range(MOST_ROWS - 1)] + rows[-1:]
    return rows


def _short(name: str) -> str:
    return name if len(name) <= 22 else f"{name[:10]}…{name[-10:]}"

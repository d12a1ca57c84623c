"""The class of all figures: a matplotlib `Figure` that notebooks display as SVG."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from convalg.draw.palette import BLOCK_LINE, CELL_LINE, INK, PAPER

METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}
"""Metadata that omit the date and the version of matplotlib, for each format."""


def rendered(figure: Figure, kind: str, dpi: int = 200) -> bytes:
    """Return a figure as the bytes of a file, which are the same each time."""
    page = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "convalg", "svg.fonttype": "path", "pdf.fonttype": 42}):
        figure.savefig(page, format=kind, dpi=dpi, metadata=METADATA[kind])
    return page.getvalue()


class Drawing(Figure):
    """A matplotlib Figure that can be rendered as SVG, without global state."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), facecolor=PAPER)

    def svg(self) -> str:
        """Return the figure as SVG text, the same each time, with text as outlines."""
        return rendered(self, "svg").decode()

    def _repr_svg_(self) -> str:
        return self.svg()

    def panel(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Add axes at a position in inches, without ticks or frame."""
        across, up = self.get_size_inches()
        axes = self.add_axes((left / across, bottom / up, width / across, height / up))
        axes.tick_params(length=0, labelsize=7, colors=INK, pad=2)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
        return axes


def breadth(text: str, points: float = 9) -> float:
    """Return the approximate width of text in inches.

    >>> round(breadth("a title of some words"), 1)
    1.6
    """
    return len(text) * points * 0.0085


def caption(axes: Axes, text: str, size: float = 9, pad: float = 6) -> None:
    """Set a title as plain text, without interpreting dollar signs as formulas."""
    axes.set_title(text, fontsize=size, color=INK, pad=pad, loc="left", parse_math=False)


def plot(figure: Drawing, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes for curves at a position in inches, with ticks, two spines and a faint grid."""
    axes = figure.panel(left, bottom, width, height)
    # Panels have no ticks, so each axis needs its own locator.
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.tick_params(length=2.5, labelsize=7, colors=INK)
    for side in ("left", "bottom"):
        axes.spines[side].set(visible=True, color=BLOCK_LINE, linewidth=0.8)
    axes.grid(color=CELL_LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes

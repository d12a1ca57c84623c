"""The figure that every drawing is: matplotlib's own, which also shows itself in a notebook."""

from __future__ import annotations

import io

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from convalg.draw.palette import INK, PAPER


class Drawing(Figure):
    """A matplotlib Figure that knows how to become an SVG, with no state outside itself."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), facecolor=PAPER)

    def svg(self) -> str:
        """The figure as SVG text: the same bytes each time, letters as outlines."""
        page = io.StringIO()
        with mpl.rc_context({"svg.hashsalt": "convalg", "svg.fonttype": "path"}):
            self.savefig(page, format="svg", metadata={"Date": None, "Creator": None})
        return page.getvalue()

    def _repr_svg_(self) -> str:
        return self.svg()

    def panel(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Axes at a place given in inches, without ticks or frame."""
        across, up = self.get_size_inches()
        axes = self.add_axes((left / across, bottom / up, width / across, height / up))
        axes.tick_params(length=0, labelsize=7, colors=INK, pad=2)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
        return axes


def caption(axes: Axes, text: str, size: float = 9, pad: float = 6) -> None:
    """A title in plain text: dollar signs in a name start no formula."""
    axes.set_title(text, fontsize=size, color=INK, pad=pad, loc="left", parse_math=False)

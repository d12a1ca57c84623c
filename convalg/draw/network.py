"""The graph of a network: a box for each layer with its shape, data flowing down."""

from __future__ import annotations

from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, PathPatch, Rectangle
from matplotlib.path import Path

from convalg.arguments import plural
from convalg.draw.figure import Drawing, caption
from convalg.draw.network_boxes import box_title, groups
from convalg.draw.network_layout import LETTER, LINE, BoxPosition, Frame, NetworkLayout, Point, plan
from convalg.draw.palette import BAND, GHOST, HUES, INK, PAPER
from convalg.errors import KindError, TooLargeError
from convalg.network.layers.base import Layer
from convalg.network.layers.convolution import Conv, ConvTranspose, Dense
from convalg.network.layers.lenet import Radial, Subsample, TableConv
from convalg.network.layers.pooling import AdaptiveAvgPool, GlobalPoolLayer, PoolLayer
from convalg.network.layers.rearrange import Project
from convalg.network.layers.regions import RoIPool
from convalg.network.network import Network
from convalg.size import size_text

POINTS = 6.2
MOST_BOXES = 1500
NOTE = "in each box: node, layers, output shape · parameters"

KINDS: tuple[tuple[tuple[type[Layer], ...], str], ...] = (
    ((Conv, ConvTranspose, TableConv), HUES[0]),
    ((PoolLayer, GlobalPoolLayer, AdaptiveAvgPool, Subsample, RoIPool), HUES[1]),
    ((Dense, Project, Radial), HUES[3]),
)
JOIN, OTHER = HUES[2], HUES[6]


def network(net: Network) -> Drawing:
    """Draw the graph of a network: layers with their shapes and parameters, data flowing down.

    A box shows a layer together with the elementwise layers after it. A tall graph is continued in
    the next column at a box that all data pass; this box is repeated with a dashed frame. In a
    network of more than 44 boxes, consecutive equal blocks are drawn once, in a frame with their
    number. A network with nested skip connections, such as a U-Net, is drawn as a U: down on the
    left side and up on the right side, with the skip connections between the sides.

    Args:
        net: the network; its sizes can be symbols.

    Raises:
        KindError: when `net` is not a network.
        TooLargeError: for more than 1500 boxes.

    >>> import convalg as ca
    >>> net = ca.sequential((1, 28, 28), [ca.layers.Conv(6, 5), ca.layers.ReLU()], name="small")
    >>> ca.draw.network(net).axes[0].get_title(loc="left")
    'small: 2 layers, 156 parameters, 1 x 28 x 28 to 6 x 24 x 24'
    """
    if not isinstance(net, Network):
        raise KindError(f"draw.network takes a ca.Network, not {type(net).__name__}")
    parts = groups(net)
    count = sum(len(part.boxes) for part in parts)
    if count > MOST_BOXES:
        raise TooLargeError(
            f"a graph of {count} boxes is too large to draw; the limit is {MOST_BOXES}: "
            f"draw a part of the network"
        )
    return _drawn(plan(parts), _title(net))


def _title(net: Network) -> str:
    shapes = [" x ".join(map(size_text, shape)) for shape in (net.in_shape, net.out_shape)]
    count = net.parameters
    number = f"{count:,}" if isinstance(count, int) else size_text(count)
    return f"{net.name}: {plural(len(net), 'layer')}, {number} parameters, {' to '.join(shapes)}"


def _drawn(layout: NetworkLayout, title: str) -> Drawing:
    least = max(LETTER * 1.5 * len(title), LETTER * 1.15 * len(NOTE))
    figure = Drawing(max(layout.width, least) + 0.4, layout.height + 0.85)
    # A narrow graph is centred below its title.
    left = max(least - layout.width, 0) / 2
    axes = figure.panel(0.2, 0.2, max(layout.width, least), layout.height)
    axes.set_xlim(-left, max(layout.width, least) - left)
    axes.set_ylim(layout.height, 0)
    for frame in layout.frames:
        _repeated(axes, frame)
    for points in layout.arrows:
        _arrow(axes, points)
    for start, end in layout.sideways:
        _sideways(axes, start, end)
    for spot in layout.spots:
        _box(axes, spot)
    caption(axes, title, pad=22)
    axes.annotate(
        NOTE,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 10),
        textcoords="offset points",
        fontsize=7,
        color=INK,
        va="bottom",
    )
    return figure


def _box(axes: Axes, spot: BoxPosition) -> None:
    box = spot.box
    shape = FancyBboxPatch(
        (spot.x, spot.y),
        spot.width,
        spot.height,
        boxstyle="round,pad=0,rounding_size=0.04",
        facecolor=PAPER,
        edgecolor=GHOST if box is None else INK,
        linewidth=0.7,
        linestyle="--" if box is None else "-",
        zorder=3,
        clip_on=False,
    )
    axes.add_patch(shape)
    if box is None:
        middle = spot.x + spot.width / 2, spot.y + spot.height / 2
        _text(axes, *middle, box_title(spot.name), "center")
        return
    bar = Rectangle(
        (spot.x + 0.02, spot.y + 0.03), 0.055, spot.height - 0.06, color=hue_of(box.layer), lw=0
    )
    bar.set_zorder(4)
    axes.add_patch(bar)
    for k, line in enumerate((box_title(spot.name), *box.lines)):
        middle_line = spot.y + 0.05 + LINE * (k + 0.5)
        _text(axes, spot.x + 0.12, middle_line, line, "left", weight="normal" if k else "bold")


def _text(axes: Axes, x: float, y: float, text: str, align: str, *, weight: str = "normal") -> None:
    axes.text(
        x,
        y,
        text,
        ha=align,
        va="center_baseline",
        fontsize=POINTS,
        fontweight=weight,
        color=INK,
        parse_math=False,
        zorder=5,
    )


def hue_of(layer: Layer | None) -> str:
    """Return the colour for the kind of a layer."""
    if layer is None:
        return INK
    if layer.many:
        return JOIN
    return next((hue for types, hue in KINDS if isinstance(layer, types)), OTHER)


def _arrow(axes: Axes, points: list[Point]) -> None:
    """Draw a curve with vertical tangents at each point, and an arrow head at the end."""
    path, codes = [points[0]], [Path.MOVETO]
    for (x, y), (to, end) in pairwise(points):
        half = (y + end) / 2
        path += [(x, half), (to, half), (to, end)]
        codes += [Path.CURVE4] * 3
    _line(axes, Path(path, codes))
    (x, y), before = points[-1], points[-2]
    _tip(axes, x, y, 0, 1 if before[1] < y else -1)


def _sideways(axes: Axes, start: Point, end: Point) -> None:
    """Draw an arrow to the right: straight to the side of a box, or curved to its bottom."""
    y, (to, stop) = start[1], end
    if abs(y - stop) < 1e-9:
        _line(axes, Path([start, end]), width=1.3)
        _tip(axes, to, stop, 1, 0)
        return
    _line(axes, Path([start, (to, y), end], [Path.MOVETO, Path.CURVE3, Path.CURVE3]))
    _tip(axes, to, stop, 0, -1)


def _line(axes: Axes, path: Path, width: float = 0.8) -> None:
    patch = PathPatch(path, facecolor="none", edgecolor=INK, linewidth=width, zorder=2)
    patch.set_clip_on(False)
    axes.add_patch(patch)


def _tip(axes: Axes, x: float, y: float, right: int, down: int) -> None:
    """Draw the head of an arrow in one of the four directions."""
    back = x - 0.07 * right, y - 0.07 * down
    aside = 0.03 * down, 0.03 * right
    corners = [
        (x, y),
        (back[0] - aside[0], back[1] - aside[1]),
        (back[0] + aside[0], back[1] + aside[1]),
        (x, y),
    ]
    axes.add_patch(PathPatch(Path(corners), facecolor=INK, edgecolor="none", zorder=2))


def _repeated(axes: Axes, frame: Frame) -> None:
    """Draw a frame around a repeated block, with the number of repetitions."""
    shape = FancyBboxPatch(
        (frame.left, frame.top),
        frame.right - frame.left,
        frame.bottom - frame.top,
        boxstyle="round,pad=0,rounding_size=0.06",
        facecolor=BAND,
        edgecolor=GHOST,
        linewidth=0.6,
        zorder=0,
        clip_on=False,
    )
    axes.add_patch(shape)
    axes.text(
        frame.right + 0.05,
        (frame.top + frame.bottom) / 2,
        f"× {frame.times}",
        ha="left",
        va="center",
        fontsize=9,
        fontweight="bold",
        color=INK,
        zorder=6,
    )

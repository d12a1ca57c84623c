"""Measurements of an operator or a network: singular values, coverage, effective fields."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from convalg.arguments import plural
from convalg.draw.cells import board, frame
from convalg.draw.figure import Drawing, caption, plot
from convalg.draw.palette import BLOCK_LINE, HUES, INK, strong_colours
from convalg.errors import KindError, ShapeError, SymbolicError
from convalg.linalg.coverage import coverage as count_coverage
from convalg.linalg.spectrum import Spectrum
from convalg.linalg.spectrum import spectrum as find_spectrum
from convalg.network.effective import EffectiveField
from convalg.network.network import Network
from convalg.operators.tree import Operator

Plane = npt.NDArray[np.number]

MOST_NUMBERS = 24
SIDE = 4.2  # inches
STEPS = 64
MARGIN = 2
"""Pixels around a receptive field."""


def spectrum(source: Operator | Spectrum) -> Drawing:
    """Draw the singular values of an operator in descending order.

    Args:
        source: an operator, or the result of `ca.spectrum`.

    Raises:
        KindError: when `source` is neither an operator nor a spectrum. For an operator, the errors
            of `ca.spectrum` are raised too.

    >>> import convalg as ca
    >>> ca.draw.spectrum(ca.diagonal([3, -5, 0])).axes[0].get_title(loc="left")
    '3 singular values from 5 to 0 (dense)'
    """
    if not isinstance(source, Operator | Spectrum):
        raise KindError(f"draw.spectrum takes an operator, not {type(source).__name__}")
    result = source if isinstance(source, Spectrum) else find_spectrum(source)
    figure = Drawing(6.2, 3.4)
    axes = plot(figure, 0.6, 0.5, 5.3, 2.5)
    numbers = np.arange(1, len(result) + 1)
    axes.fill_between(numbers, result.values, step="mid", color=HUES[4], alpha=0.35, lw=0)
    mark = "o" if len(result) <= 60 else None
    axes.plot(numbers, result.values, color=HUES[0], lw=1.2, marker=mark, ms=3)
    axes.set_ylim(0, float(result[0]) * 1.06 or 1.0)
    axes.set_xlim(0.5, len(result) + 0.5)
    axes.set_xlabel("index of the singular value", fontsize=7.5, color=INK)
    many = plural(len(result), "singular value")
    caption(axes, f"{many} from {result[0]:.6g} to {_smallest(result):.6g} ({result.method})")
    return figure


def _smallest(result: Spectrum) -> float:
    """Return the last value, or zero if it is zero up to rounding."""
    last = float(result[-1])
    tiny = float(result[0]) * len(result) * float(np.finfo(float).eps)
    return 0.0 if last <= tiny else last


def coverage(operator: object) -> Drawing:
    """Draw how often a transposed layer writes each output, which shows checkerboard patterns.

    The counts are drawn as numbers and shades; with more than 24 outputs per side, only as shades.
    If there are several channels, the first one is drawn.

    Args:
        operator: an operator that `ca.coverage` accepts, such as a transposed correlation.

    Raises:
        ShapeError: for three or more spatial axes. The errors of `ca.coverage` are raised too.

    >>> import convalg as ca
    >>> figure = ca.draw.coverage(ca.transposed_correlation(5, [1, 1, 1], stride=2))
    >>> figure.axes[0].get_title(loc="left").partition(",")[0]
    'uneven: outputs written 1 or 2 times'
    """
    result = count_coverage(operator)
    if result.indices:
        raise SymbolicError(
            "draw.coverage draws numbers, and the coverage of a family is an expression: replace "
            "its symbols by numbers with A.at(...)"
        )
    counts = result.counts if result.counts.ndim < 3 else result.counts[0]
    if counts.ndim > 2:
        raise ShapeError(
            f"draw.coverage shows one or two spatial axes, not outputs of shape "
            f"{result.counts.shape}"
        )
    plane = np.atleast_2d(counts)
    text = result.explain()
    first, _, rest = text.partition("; ")
    figure, axes, size = _plane(plane, 0.36, below=0.15, above=0.75, least=4.4)
    shades = strong_colours(0.75 * plane / max(int(plane.max()), 1))
    if max(plane.shape) <= MOST_NUMBERS:
        board(axes, np.frompyfunc(str, 1, 1)(plane), shades, size)
    else:
        rows, columns = plane.shape
        axes.imshow(shades, extent=(0, columns, rows, 0), interpolation="none", aspect="auto")
        frame(axes, rows, columns)
    caption(axes, f"{first}\n{rest}" if rest else first, size=8, pad=14)
    return figure


def effective_field(net: Network, node: str | None = None, x: object = None) -> Drawing:
    """Draw how strongly an output of a node depends on each pixel, as a heat map.

    Without `x`, the figure shows the exact profile of a stack of layers with uniform kernels over
    its entire receptive field. With `x`, it shows the magnitude of the gradient at the pixels that
    the central output can read, and at two more pixels on each side. A darker pixel has more
    influence.

    Args:
        net: the network.
        node: the name of the node of the output, by default the output of the network.
        x: one input of shape `net.in_shape`, at which the gradient is computed.

    Raises:
        KindError: when `net` is not a network.
        ShapeError: for three or more spatial axes. The errors of
            `Network.effective_receptive_field` are raised too.

    >>> import convalg as ca
    >>> net = ca.sequential((1, 64, 64), [ca.layers.Conv(1, 3)] * 5)
    >>> ca.draw.effective_field(net).axes[0].get_title(loc="left")
    'conv5: 11 x 11 pixels, 90.4% of the weight within two standard deviations'
    """
    if not isinstance(net, Network):
        raise KindError(f"draw.effective_field takes a ca.Network, not {type(net).__name__}")
    name = net.output if node is None else node
    field: EffectiveField = net.effective_receptive_field(name, x)
    if field.values.ndim > 2:
        raise ShapeError(
            f"draw.effective_field shows one or two spatial axes, not {field.values.ndim}"
        )
    values = np.atleast_2d(field.values)
    plane, edge = (values, None) if x is None else _near(values, net, name)
    shares = plane / (float(plane.max()) or 1.0)
    rows, columns = plane.shape
    figure, axes, _ = _plane(plane, 0.3, below=0.2, above=0.5, least=5.4, right=0.8)
    axes.imshow(
        strong_colours(shares), extent=(0, columns, rows, 0), interpolation="none", aspect="auto"
    )
    frame(axes, rows, columns)
    if edge is not None:
        axes.add_patch(edge)
    _scale(figure, axes)
    size = " x ".join(map(str, plane.shape[-field.values.ndim :]))
    title = (
        f"{name}: {size} pixels, {field.mass():.1%} of the weight within two standard deviations"
    )
    caption(axes, title, size=8)
    return figure


def _plane(
    plane: Plane,
    largest: float,
    *,
    below: float,
    above: float,
    least: float,
    right: float = 0.2,
) -> tuple[Drawing, Axes, float]:
    """Return a figure with axes for a grid of cells, and the side of a cell in inches."""
    rows, columns = plane.shape
    size = min(largest, SIDE / max(rows, columns) if rows > 1 else 7.0 / columns)
    left = 0.35
    figure = Drawing(max(columns * size + left + right, least), rows * size + below + above)
    return figure, figure.panel(left, below, columns * size, rows * size), size


def _near(plane: Plane, net: Network, node: str) -> tuple[Plane, Rectangle]:
    """Return the pixels around the field of the central output, and a frame for the field."""
    middle = tuple(n // 2 for n in net.shapes[node][1:])
    spans = [(0, 0), *net.receptive_field(node).box(middle, clip=True)][-2:]
    starts = [max(int(low) - MARGIN, 0) for low, _ in spans]
    (top, bottom), (left, right) = spans
    part = plane[starts[0] : int(bottom) + 1 + MARGIN, starts[1] : int(right) + 1 + MARGIN]
    corner = float(left - starts[1]), float(top - starts[0])
    size = float(right - left + 1), float(bottom - top + 1)
    return part, Rectangle(corner, *size, fill=False, ec=BLOCK_LINE, lw=1.2, ls="--", zorder=5)


def _scale(figure: Drawing, axes: Axes) -> None:
    """Draw the scale of shades, from zero to the strongest pixel, on the right."""
    box = axes.get_position()
    across, up = figure.get_size_inches()
    height = min(box.height * up, 1.6)
    bar = figure.panel(box.x1 * across + 0.12, box.y1 * up - height, 0.12, height)
    ramp = np.linspace(1, 0, STEPS)[:, None]
    bar.imshow(strong_colours(ramp), aspect="auto", interpolation="none")
    bar.yaxis.tick_right()
    bar.set_yticks([-0.5, STEPS - 0.5], ["most", "0"])
    for spine in bar.spines.values():
        spine.set(visible=True, color=BLOCK_LINE, linewidth=0.5)

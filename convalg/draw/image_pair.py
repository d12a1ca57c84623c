"""Images before and after an operator is applied."""

from __future__ import annotations

import numbers
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convalg.arrays import as_numbers
from convalg.draw.figure import Drawing, caption
from convalg.errors import KindError, ShapeError

Array = npt.NDArray[np.generic]

SIDE = 3.5  # inches
MOST_PIXELS = 512
MOST_PANELS = 4


@dataclass(frozen=True)
class Shown:
    """An image ready to be drawn: values from 0 to 1, and its caption."""

    values: npt.NDArray[np.float64]
    label: str


def image_pair(before: npt.ArrayLike, after: npt.ArrayLike) -> Drawing:
    """Draw an image before and after an operator, side by side.

    An image whose values are all from 0 to 255 is shown with these values, in colour if it has
    three channels. Any other image is shown in grey, channel by channel (at most four channels):
    black is the least value and white the greatest. If an image has negative values, zero is the
    middle grey. If an image has more than 512 pixels per side, only every second, third, ...
    pixel of it is shown.

    Args:
        before: the image before, real numbers of shape `(height, width)` or
            `(channels, height, width)`.
        after: the image after, with a shape of the same form.

    Raises:
        ShapeError: when an image does not have one of these shapes, or is empty.
        KindError: when the images do not contain real numbers.

    >>> import convalg as ca, numpy as np
    >>> figure = ca.draw.image_pair(np.full((4, 4), 9), np.zeros((4, 4)))
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['before: 4 x 4', 'after: 4 x 4']
    """
    panels = [("before", shown) for shown in _shown(_channels(before, "before"))] + [
        ("after", shown) for shown in _shown(_channels(after, "after"))
    ]
    gap, below, above = 0.25, 0.3, 0.3
    sizes = [shown.values.shape[:2] for _, shown in panels]
    side = SIDE if len(panels) == 2 else 7.6 / min(len(panels), 3) - gap
    across = min(len(panels), 3 if len(panels) > 2 else 2)
    down = -(-len(panels) // across)
    tallest = max(side * min(height / width, 1.6) for height, width in sizes)
    cell = tallest + below + above
    figure = Drawing(across * (side + gap) + 0.1, down * cell)
    for number, (name, shown) in enumerate(panels):
        row, column = divmod(number, across)
        bottom = (down - 1 - row) * cell + below
        axes = figure.panel(0.1 + column * (side + gap), bottom, side, tallest)
        axes.set_anchor("NW")
        axes.imshow(shown.values, cmap="gray", vmin=0, vmax=1, interpolation="none", aspect="equal")
        caption(axes, f"{name}: {shown.label.split('; ')[0]}", size=9, pad=4)
        note = "; ".join(shown.label.split("; ")[1:])
        axes.text(0, -0.02, note, transform=axes.transAxes, fontsize=7.5, va="top")
    return figure


def _channels(image: npt.ArrayLike, name: str) -> Array:
    values = as_numbers(image, name)
    if values.dtype.kind == "O" and all(isinstance(v, numbers.Real) for v in values.flat):
        # Exact filters give fractions.
        values = values.astype(np.float64)
    if values.dtype.kind not in "biuf":
        raise KindError(f"{name} must contain real numbers, not {values.dtype}")
    if values.ndim not in (2, 3) or not values.size:
        raise ShapeError(
            f"{name} must have shape (height, width) or (channels, height, width), "
            f"not {values.shape}"
        )
    return values if values.ndim == 3 else values[None]


def _shown(image: Array) -> list[Shown]:
    """Return the panels of an image: one in colour or grey, or one for each channel."""
    channels, height, width = image.shape
    step = -(-max(height, width) // MOST_PIXELS)
    size = f"{height} x {width}" + (f"; one pixel of {step} x {step}" if step > 1 else "")
    small = image[:, ::step, ::step].astype(np.float64)
    if small.min() >= 0 and small.max() <= 255 and (channels in (1, 3)):
        values = small[0] if channels == 1 else np.moveaxis(small, 0, -1)
        return [Shown(values / 255, size)]
    panels = []
    for number, plane in enumerate(small[:MOST_PANELS]):
        label = size if channels == 1 else f"channel {number} of {channels}, {size}"
        panels.append(_grey(plane, label))
    return panels


def _grey(plane: npt.NDArray[np.float64], label: str) -> Shown:
    low, high = float(plane.min()), float(plane.max())
    if low < 0:
        low, high = -max(-low, high), max(-low, high)
    spread = high - low or 1.0
    zero = ", grey 0" if low < 0 < high else ""
    scale = f"black {low:,.6g}{zero}, white {high:,.6g}"
    return Shown((plane - low) / spread, f"{label}; {scale}")

"""Windows of one axis without a constant stride: adaptive pooling, regions and interpolation.

The windows of all other layers follow from `Axis`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Literal, TypeAlias

from convalg.arguments import one_of
from convalg.axis import Axis
from convalg.errors import TooLargeError
from convalg.limits import LARGEST_INTEGER, check_memory

Coordinates: TypeAlias = Literal[
    "half_pixel",
    "align_corners",
    "asymmetric",
    "pytorch_half_pixel",
    "half_pixel_symmetric",
]
Rounding: TypeAlias = Literal["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]
COORDINATES: tuple[Coordinates, ...] = (
    "half_pixel",
    "align_corners",
    "asymmetric",
    "pytorch_half_pixel",
    "half_pixel_symmetric",
)
BYTES_PER_SAMPLE = 500
"""Approximate bytes per sample of an axis while its windows are lists."""
BYTES_PER_PLACE = 25
"""Bytes per entry of a table of windows while the table is computed."""
BYTES_PER_ENTRY = 72
"""Bytes per entry of a table of windows that is converted to a matrix."""
ROUNDINGS: tuple[Rounding, ...] = ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")


def check_samples(sizes: tuple[int, ...], what: str) -> None:
    """Raise TooLargeError when the windows of all axes would not fit in memory as lists."""
    needed = sum(sizes) * BYTES_PER_SAMPLE
    what = f"{what} between axes of {', '.join(map(str, sizes))} samples"
    check_memory(needed, None, what=what, instead="use fewer samples", fixed=True)


def check_places(count: int, what: str, each: int = BYTES_PER_PLACE) -> None:
    """Raise TooLargeError when a table of `count` entries would not fit in memory."""
    what = f"the table of {what}"
    check_memory(count * each, None, what=what, instead="use smaller sizes", fixed=True)


def check_indices(sizes: Iterable[int], what: str) -> None:
    """Raise TooLargeError when an index exceeds 64 bits."""
    largest = max(map(abs, sizes), default=0)
    if largest > LARGEST_INTEGER:
        raise TooLargeError(
            f"{what} has indices up to {largest:.3g}, beyond 64 bits: use smaller sizes"
        )


def adaptive(in_size: int, out_size: int) -> Iterator[range]:
    """Yield the window of each output of an adaptive pooling, as a range of input samples.

    Rule: output o of m covers samples floor(o n / m) to ceil((o + 1) n / m) - 1.
    Source: PyTorch, AdaptiveAvgPool.

    >>> [list(window) for window in adaptive(5, 3)]
    [[0, 1], [1, 2, 3], [3, 4]]
    """
    for output in range(out_size):
        yield range(output * in_size // out_size, -(-(output + 1) * in_size // out_size))


def hull(ranges: list[range], in_size: int) -> Axis:
    """Return the axis that covers each window, with the fewest taps for its stride.

    The stride is the mean distance of the windows, rounded to an integer.

    >>> hull(list(adaptive(13, 6)), 13)
    Axis(in_size=13, out_size=6, taps=3, stride=2, dilation=1, padding=0, boundary='zeros')
    """
    stride = max(round(Fraction(in_size, len(ranges))), 1)
    before = max(stride * output - window.start for output, window in enumerate(ranges))
    after = max(window.stop - stride * output for output, window in enumerate(ranges))
    return Axis(in_size, len(ranges), taps=before + after, stride=stride, padding=before)


def region(
    first: float | Fraction,
    last: float | Fraction,
    scale: float | Fraction,
    in_size: int,
    out_size: int,
) -> Iterator[range]:
    """Yield the window of each output of a pooling over a region of an image.

    The region spans the pixels first to last, with `scale` samples per pixel.
    Rule: both ends are rounded to the nearest sample, halves up. In a region of h samples that
    starts at sample a, output o of m covers a + floor(o h / m) to a + ceil((o + 1) h / m) - 1.
    Windows end at the border of the input and may be empty.
    Source: Girshick 2015, Fast R-CNN, section 2.1.

    >>> [list(window) for window in region(2, 9, Fraction(1, 2), 5, 2)]
    [[1, 2, 3], [3, 4]]
    """
    low, high = (
        math.floor(Fraction(end) * Fraction(scale) + Fraction(1, 2)) for end in (first, last)
    )
    for part in adaptive(max(high - low + 1, 1), out_size):
        yield range(max(low + part.start, 0), min(low + part.stop, in_size))


def position(
    output: int, in_size: int, out_size: int, scale: Fraction, coordinates: Coordinates
) -> Fraction:
    """Return the exact position, in input samples, at which an output of a resizing is taken.

    Source: ONNX, operator Resize, coordinate_transformation_mode.

    >>> position(1, 2, 4, Fraction(2), "half_pixel")
    Fraction(1, 4)
    """
    one_of(coordinates, COORDINATES, "coordinates")
    half = Fraction(1, 2)
    match coordinates:
        case "half_pixel":
            return (output + half) / scale - half
        case "pytorch_half_pixel":
            return (output + half) / scale - half if out_size > 1 else Fraction(0)
        case "half_pixel_symmetric":
            # The grid is centred on the input where out_size is not exactly in_size * scale.
            adjustment = out_size / (scale * in_size)
            offset = Fraction(in_size, 2) * (1 - adjustment)
            return offset + (output + half) / scale - half
        case "align_corners":
            return Fraction(output * (in_size - 1), out_size - 1) if out_size > 1 else Fraction(0)
        case "asymmetric":
            return output / scale
    raise AssertionError(coordinates)


def nearest(position: Fraction, in_size: int, rounding: Rounding) -> int:
    """Return the index of the sample to which a position is rounded, clipped to the input.

    >>> nearest(Fraction(1, 2), 3, "round_prefer_floor"), nearest(Fraction(1, 2), 3, "ceil")
    (0, 1)
    """
    match one_of(rounding, ROUNDINGS, "rounding"):
        case "floor":
            sample = math.floor(position)
        case "ceil":
            sample = math.ceil(position)
        case "round_prefer_floor":
            sample = math.ceil(position - Fraction(1, 2))
        case _:
            sample = math.floor(position + Fraction(1, 2))
    return min(max(sample, 0), in_size - 1)


def linear(position: Fraction, in_size: int) -> dict[int, Fraction]:
    """Return the weights of linear interpolation at a position, by the index of the sample.

    A position outside the input is moved to the border.

    >>> linear(Fraction(1, 4), 3)
    {0: Fraction(3, 4), 1: Fraction(1, 4)}
    """
    position = min(max(position, Fraction(0)), Fraction(in_size - 1))
    low = math.floor(position)
    share = position - low
    return {low: 1 - share, low + 1: share} if share else {low: Fraction(1)}

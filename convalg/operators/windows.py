"""Windows that are no arithmetic progression: adaptive pooling, regions, interpolation, by axis.

Every other index comes from `Axis`; these have formulas of their own, kept here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, Literal, TypeAlias

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
"""About what one sample of an axis takes while its windows are lists."""
BYTES_PER_PLACE = 25
"""What one place of a table of windows takes while the table is made."""
BYTES_PER_ENTRY = 72
"""What one place takes where the table becomes a matrix."""
ROUNDINGS: tuple[Rounding, ...] = ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")


def check_samples(sizes: tuple[int, ...], what: str) -> None:
    """Raises: TooLargeError for axes whose windows cannot be listed."""
    needed = sum(sizes) * BYTES_PER_SAMPLE
    what = f"{what} between axes of {', '.join(map(str, sizes))} samples"
    check_memory(needed, None, what=what, instead="take fewer samples", fixed=True)


def check_places(count: int, what: str, each: int = BYTES_PER_PLACE) -> None:
    """Raises: TooLargeError for a table of `count` places that does not fit."""
    what = f"the table of {what}"
    check_memory(count * each, None, what=what, instead="take smaller sizes", fixed=True)


def check_indices(sizes: Iterable[int], what: str) -> None:
    """Raises: TooLargeError for places that no 64 bits can count."""
    largest = max(map(abs, sizes), default=0)
    if largest > LARGEST_INTEGER:
        raise TooLargeError(
            f"{what} counts places up to {largest:.3g}, beyond 64 bits: take smaller sizes"
        )


def adaptive(in_size: int, out_size: int) -> Iterator[range]:
    """The window of each output of an adaptive pooling: floor(o n / m) to ceil((o + 1) n / m).

    Source: PyTorch, AdaptiveAvgPool.

    >>> [list(window) for window in adaptive(5, 3)]
    [[0, 1], [1, 2, 3], [3, 4]]
    """
    for output in range(out_size):
        yield range(output * in_size // out_size, -(-(output + 1) * in_size // out_size))


def hull(found: list[range], in_size: int) -> Axis:
    """The shortest axis of whole stride, that of the windows on average, that covers each window.

    >>> hull(list(adaptive(13, 6)), 13)
    Axis(in_size=13, out_size=6, taps=3, stride=2, dilation=1, padding=0, boundary='zeros')
    """
    stride = max(round(Fraction(in_size, len(found))), 1)
    before = max(stride * output - window.start for output, window in enumerate(found))
    behind = max(window.stop - stride * output for output, window in enumerate(found))
    return Axis(in_size, len(found), taps=before + behind, stride=stride, padding=before)


def region(first: Any, last: Any, scale: Any, in_size: int, out_size: int) -> Iterator[range]:
    """The window of each output of a pooling over first .. last, in pixels, `scale` samples each.

    Rule: both ends go to the nearest sample, halves up; of h samples from a, output o covers
    a + floor(o h / m) to a + ceil((o + 1) h / m), cut off at the border: it may be empty.
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
    """Where an output of a resizing lies on the input, in samples; exact.

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


def nearest(place: Fraction, in_size: int, rounding: Rounding) -> int:
    """The sample next to a position, inside the input.

    >>> nearest(Fraction(1, 2), 3, "round_prefer_floor"), nearest(Fraction(1, 2), 3, "ceil")
    (0, 1)
    """
    match one_of(rounding, ROUNDINGS, "rounding"):
        case "floor":
            found = math.floor(place)
        case "ceil":
            found = math.ceil(place)
        case "round_prefer_floor":
            found = math.ceil(place - Fraction(1, 2))
        case _:
            found = math.floor(place + Fraction(1, 2))
    return min(max(found, 0), in_size - 1)


def linear(place: Fraction, in_size: int) -> dict[int, Fraction]:
    """The samples on both sides of a position with their weights; the border sample goes on.

    >>> linear(Fraction(1, 4), 3)
    {0: Fraction(3, 4), 1: Fraction(1, 4)}
    """
    place = min(max(place, Fraction(0)), Fraction(in_size - 1))
    low = math.floor(place)
    share = place - low
    return {low: 1 - share, low + 1: share} if share else {low: Fraction(1)}

"""Windows of adaptive pooling and of resizing, whose step may be a fraction."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal

from convalg.axis import Axis
from convalg.operators import windows
from convalg.operators.windows import Coordinates, Rounding


@dataclass(frozen=True)
class Windows(ABC):
    """The window of inputs that each output reads along one axis, computed on demand.

    Output o reads only inputs from `start + step * o` to `end + step * o`, where `start` and `end`
    are `bounds`.
    """

    in_size: int
    out_size: int

    @abstractmethod
    def window(self, output: int) -> range:
        """Return the inputs that an output reads."""

    @property
    @abstractmethod
    def step(self) -> Fraction:
        """The mean distance between the windows of successive outputs, in inputs."""

    @property
    @abstractmethod
    def bounds(self) -> tuple[Fraction, Fraction]:
        """The bounds (start, end) of the window of output 0."""

    def __len__(self) -> int:
        return self.out_size

    def __iter__(self) -> Iterator[range]:
        return map(self.window, range(self.out_size))

    @cached_property
    def hull(self) -> Axis:
        """An axis with an integer stride whose windows contain the windows of all outputs."""
        stride = max(round(self.step), 1)
        (start, end), last = self.bounds, self.out_size - 1
        drift = (self.step - stride) * last
        before = math.floor(max(-start, -start - drift))
        after = math.floor(max(end, end + drift)) + 1
        return Axis(
            self.in_size,
            self.out_size,
            taps=max(before + after, 1),
            stride=stride,
            padding=before,
        )


@dataclass(frozen=True)
class AdaptiveParts(Windows):
    """The windows of an adaptive pooling, which divide the input into `out_size` parts.

    >>> list(AdaptiveParts(5, 3))
    [range(0, 2), range(1, 4), range(3, 5)]
    """

    def window(self, output: int) -> range:
        n, m = self.in_size, self.out_size
        return range(output * n // m, -(-(output + 1) * n // m))

    @property
    def step(self) -> Fraction:
        return Fraction(self.in_size, self.out_size)

    @property
    def bounds(self) -> tuple[Fraction, Fraction]:
        # Rounding changes a bound by less than 1, by a multiple of 1 / denominator.
        most = 1 - Fraction(1, self.step.denominator)
        return -most, self.step - 1 + most


@dataclass(frozen=True)
class Grid(Windows):
    """The samples from which a resizing interpolates each output; samples of weight 0 are left out.

    >>> list(Grid(3, 6, "linear"))
    [range(0, 1), range(0, 2), range(0, 2), range(1, 3), range(1, 3), range(2, 3)]
    """

    mode: Literal["nearest", "linear"] = "nearest"
    coordinates: Coordinates = "half_pixel"
    rounding: Rounding = "round_prefer_floor"
    scale: Fraction | None = None

    def _position(self, output: int) -> Fraction:
        scale = Fraction(self.out_size, self.in_size) if self.scale is None else self.scale
        return windows.position(output, self.in_size, self.out_size, scale, self.coordinates)

    def window(self, output: int) -> range:
        position = self._position(output)
        if self.mode == "nearest":
            sample = windows.nearest(position, self.in_size, self.rounding)
            return range(sample, sample + 1)
        read = windows.linear(position, self.in_size)
        return range(min(read), max(read) + 1)

    @property
    def step(self) -> Fraction:
        # For every rule of coordinates, sampling positions are equidistant.
        return self._position(1) - self._position(0) if self.out_size > 1 else Fraction(1)

    @property
    def bounds(self) -> tuple[Fraction, Fraction]:
        first, last = self._position(0), self.out_size - 1
        fraction = math.lcm(first.denominator, self.step.denominator)
        most = 1 - Fraction(1, fraction)
        if self.mode == "linear":
            low, high = first - most, first + most
        else:
            half = Fraction(1, 2)
            low, high = {
                "floor": (first - most, first),
                "ceil": (first, first + most),
            }.get(self.rounding, (first - half, first + half))
        # Positions beyond the border read the sample at the border.
        low = min(low, self.window(last).start - self.step * last)
        return low, max(high, Fraction(self.window(0)[-1]))

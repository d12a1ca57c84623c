"""The layers as nested loops straight from their definitions: exact, and without convalg.

One channel is an array of any number of axes; `by_channel` goes over the channels. Windows are
found by walking over the padded input, not by formulas of sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

Place = tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """The arguments of a pooling, one per axis; `padding` as (before, after)."""

    shape: Place
    size: Place
    stride: Place
    padding: tuple[tuple[int, int], ...]
    dilation: Place
    ceil_mode: bool = False

    def starts(self, axis: int) -> list[int]:
        """The first sample of each window on an axis, negative in the padding."""
        n, (before, after) = self.shape[axis], self.padding[axis]
        reach = self.dilation[axis] * (self.size[axis] - 1)
        found, start = [], -before
        while start + reach < n + after:
            found.append(start)
            start += self.stride[axis]
        if self.ceil_mode and found:
            # Samples left behind the last window, of the padding too, get one more; then the
            # last window goes if it starts behind the input.
            if found[-1] + reach < n + after - 1:
                found.append(start)
            if found[-1] >= n:
                found.pop()
        return found

    @property
    def out_shape(self) -> Place:
        return tuple(len(self.starts(axis)) for axis in range(len(self.shape)))

    def places(self) -> Iterator[tuple[Place, list[Place | None], int]]:
        """Each output, what each of its taps reads (None: padding), and the taps that count.

        What counts with the padding is all but what ceil_mode reaches beyond it.
        """
        dims = range(len(self.shape))
        starts = [self.starts(axis) for axis in dims]
        for output in np.ndindex(*self.out_shape):
            taps: list[Place | None] = []
            counted = 0
            for tap in product(*map(range, self.size)):
                place = tuple(starts[k][output[k]] + self.dilation[k] * tap[k] for k in dims)
                counted += all(place[k] < self.shape[k] + self.padding[k][1] for k in dims)
                taps.append(place if all(0 <= place[k] < self.shape[k] for k in dims) else None)
            yield output, taps, counted

    def inside(self) -> dict[Place, list[Place]]:
        """The samples of the input in each window."""
        return {output: [t for t in taps if t is not None] for output, taps, _ in self.places()}

    def pooled(self, image: np.ndarray, rule: Callable[[list[Any], int], Any]) -> np.ndarray:
        """rule(samples, how many places count) of every window."""
        found = np.empty(self.out_shape, dtype=object)
        for output, taps, counted in self.places():
            found[output] = rule([image[t] for t in taps if t is not None], counted)
        return found

    def winners(self, image: np.ndarray, better: Callable[[Any, Any], bool]) -> np.ndarray:
        """The flat place of the first sample that no other one beats; -1 where there is none."""
        found = np.full(self.out_shape, -1)
        for output, places in self.inside().items():
            if places:
                best = places[0]
                for place in places[1:]:
                    if better(image[place], image[best]):
                        best = place
                found[output] = flat(best, self.shape)
        return found

    def unfolded(self, image: np.ndarray) -> np.ndarray:
        """(taps, windows): what every tap of every window reads, zero in the padding."""
        columns = [
            [0 if place is None else image[place] for place in taps] for _, taps, _ in self.places()
        ]
        return np.array(columns, dtype=object).T

    def folded(self, columns: np.ndarray) -> np.ndarray:
        """Every entry of (taps, windows) added where its tap reads."""
        image = np.zeros(self.shape, dtype=object)
        for window, (_, taps, _) in enumerate(self.places()):
            for tap, place in enumerate(taps):
                if place is not None:
                    image[place] += columns[tap, window]
        return image


def flat(place: Place, shape: Place) -> int:
    """The row-major place."""
    found = 0
    for index, size in zip(place, shape, strict=True):
        found = found * size + index
    return found


def mean(values: list[Any], count: int) -> Fraction:
    """The exact mean over so many places."""
    return Fraction(int(sum(values)), count)


def by_channel(x: np.ndarray, dims: int, step: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """`step` on the last `dims` axes, for each index of those in front."""
    lead = x.shape[: x.ndim - dims]
    images = [step(image) for image in x.reshape(-1, *x.shape[len(lead) :])]
    return np.array(images).reshape(*lead, *images[0].shape)


def adaptive_windows(n: int, m: int) -> list[list[int]]:
    """The samples of each part: those that overlap [o n / m, (o + 1) n / m)."""
    return [[i for i in range(n) if i * m < (o + 1) * n and (i + 1) * m > o * n] for o in range(m)]


def adaptive(image: np.ndarray, sizes: Place, rule: Callable[[list[Place]], Any]) -> np.ndarray:
    """rule(places) of every part of an image."""
    cuts = [adaptive_windows(n, m) for n, m in zip(image.shape, sizes, strict=True)]
    found = np.empty(sizes, dtype=object)
    for output in np.ndindex(*sizes):
        found[output] = rule(list(product(*(cuts[k][o] for k, o in enumerate(output)))))
    return found


def source(output: int, n: int, m: int, scale: Fraction, coordinates: str) -> Fraction:
    """Where an output of a resizing lies, as the table of ONNX's Resize says."""
    centre = Fraction(2 * output + 1, 2) / scale - Fraction(1, 2)
    match coordinates:
        case "half_pixel":
            return centre
        case "pytorch_half_pixel":
            return centre if m > 1 else Fraction(0)
        case "align_corners":
            return Fraction(0) if m == 1 else Fraction(output * (n - 1), m - 1)
        case "asymmetric":
            return output / scale
        case "half_pixel_symmetric":
            adjustment = Fraction(m) / (n * scale)
            return Fraction(n, 2) * (1 - adjustment) + centre
    raise ValueError(coordinates)


def nearest(place: Fraction, n: int, rounding: str) -> int:
    """The nearest sample, the border one outside; halves as the rounding says."""
    below = place.numerator // place.denominator
    rest = place - below
    up = {
        "floor": False,
        "ceil": rest > 0,
        "round_prefer_floor": rest > Fraction(1, 2),
        "round_prefer_ceil": rest >= Fraction(1, 2),
    }[rounding]
    return sorted((0, below + up, n - 1))[1]


def line_weights(
    n: int, m: int, scale: Fraction, mode: str, coordinates: str, rounding: str
) -> np.ndarray:
    """The matrix (m, n) of a resizing of one axis, of fractions."""
    matrix = np.full((m, n), Fraction(0), dtype=object)
    for output in range(m):
        place = source(output, n, m, scale, coordinates)
        if mode == "nearest":
            matrix[output, nearest(place, n, rounding)] += 1
            continue
        # Each sample is a hat of width one; beyond the border the border sample goes on.
        place = sorted((Fraction(0), place, Fraction(n - 1)))[1]
        for sample in range(n):
            matrix[output, sample] = max(Fraction(0), 1 - abs(place - sample))
    return matrix


def along(matrix: np.ndarray, x: np.ndarray, axis: int) -> np.ndarray:
    """A matrix applied to every line along an axis, entry by entry."""
    lines = np.moveaxis(x.astype(object), axis, 0)
    found = [sum(w * line for w, line in zip(row, lines, strict=True)) for row in matrix]
    return np.moveaxis(np.array(found, dtype=object), 0, axis)


def shuffled(x: np.ndarray, factors: Place, order: str) -> np.ndarray:
    """Channels laid out in space: the channel of a sample counts its place in the block."""
    block = int(np.prod(factors))
    inner = len(x) // block
    after = (inner, *(n * r for n, r in zip(x.shape[1:], factors, strict=True)))
    found = np.empty(after, dtype=x.dtype)
    for channel, *place in np.ndindex(*after):
        offset = flat(tuple(o % r for o, r in zip(place, factors, strict=True)), factors)
        cell = tuple(o // r for o, r in zip(place, factors, strict=True))
        number = channel * block + offset if order == "CRD" else offset * inner + channel
        found[(channel, *place)] = x[(number, *cell)]
    return found


def squares_around(x: np.ndarray, size: int, extra: str) -> np.ndarray:
    """The sum of squares over a window of channels around each entry."""
    before = size // 2 if extra == "before" else (size - 1) // 2
    found = np.zeros(x.shape, dtype=object)
    for place in np.ndindex(*x.shape):
        channel, *rest = place
        for other in range(channel - before, channel - before + size):
            if 0 <= other < len(x):
                found[place] += x[(other, *rest)] ** 2
    return found


def inner(first: Any, second: Any) -> Any:
    """<a, b>, as Python numbers, which cannot wrap."""
    pairs = zip(np.ravel(first).tolist(), np.ravel(second).tolist(), strict=True)
    return sum(a * b for a, b in pairs)

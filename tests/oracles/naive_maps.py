"""The layers as their definitions say, one output at a time, exact with fractions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

Index = tuple[int, ...]


def outputs(
    n: int, k: int, stride: int, pad: tuple[int, int], dilation: int, ceil_mode: bool
) -> int:
    """How many windows there are: PyTorch's pooling_output_shape."""
    room = n + sum(pad) - dilation * (k - 1) - 1
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (count - 1) * stride >= n + pad[0]:
        count -= 1
    return count


def windows(
    shape: Index, size: Index, options: dict[str, Any]
) -> Iterator[tuple[Index, list[Index], int]]:
    """Each output with the samples of its window, and how many places the padded input has."""
    dims = range(len(shape))
    pads, strides = options["padding"], options["stride"]
    dilations, ceil_mode = options["dilation"], options["ceil_mode"]
    counts = [
        outputs(shape[k], size[k], strides[k], pads[k], dilations[k], ceil_mode) for k in dims
    ]
    for output in product(*map(range, counts)):
        inside, padded = [], 0
        for tap in product(*map(range, size)):
            place = tuple(strides[k] * output[k] + dilations[k] * tap[k] - pads[k][0] for k in dims)
            if all(-pads[k][0] <= place[k] < shape[k] + pads[k][1] for k in dims):
                padded += 1
            if all(0 <= place[k] < shape[k] for k in dims):
                inside.append(place)
        yield output, inside, padded


def pooled(
    x: np.ndarray, size: Index, options: dict[str, Any], rule: Callable[[list[Any], int], Any]
) -> np.ndarray:
    """rule(values, padded count) of every window, channel by channel."""
    channels = []
    for image in x:
        found = {
            output: rule([image[place] for place in inside], padded)
            for output, inside, padded in windows(image.shape, size, options)
        }
        after = tuple(max(axis) + 1 for axis in zip(*found, strict=True))
        values = np.empty(after, dtype=object)
        for output, value in found.items():
            values[output] = value
        channels.append(values)
    return np.stack(channels)


def first_winner(image: np.ndarray, inside: list[Index]) -> int:
    """The flat place of the largest sample of a window, the first of equal ones."""
    best = inside[0]
    for place in inside[1:]:
        if image[place] > image[best]:
            best = place
    return int(np.ravel_multi_index(best, image.shape))


def adaptive(x: np.ndarray, sizes: Index, rule: Callable[[list[Any]], Any]) -> np.ndarray:
    """rule(values) over windows floor(o n / m) to ceil((o + 1) n / m)."""
    found = np.empty((len(x), *sizes), dtype=object)
    for place in np.ndindex(*found.shape):
        ranges = [
            range(math.floor(Fraction(o * n, m)), math.ceil(Fraction((o + 1) * n, m)))
            for o, n, m in zip(place[1:], x.shape[1:], sizes, strict=True)
        ]
        found[place] = rule([x[(place[0], *index)] for index in product(*ranges)])
    return found


def interpolated(x: np.ndarray, size: int, place: Callable[[int], Fraction]) -> list[Fraction]:
    """Linear interpolation along one axis at exact places, the border sample going on."""
    found = []
    for output in range(size):
        at = min(max(place(output), Fraction(0)), Fraction(len(x) - 1))
        low = math.floor(at)
        high = min(low + 1, len(x) - 1)
        found.append((1 - (at - low)) * int(x[low]) + (at - low) * int(x[high]))
    return found

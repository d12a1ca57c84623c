"""Two rows of a matrix that show it to be no correlation: neither is the other one shifted."""

from __future__ import annotations

from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.recognise.entries import Entries
from convalg.recognise.identification import Identification

MOST_PAIRS = 200
"""Pairs of neighbouring rows that are looked at on an axis."""

SHOWN = 8


def unshifted(found: Entries, before: tuple[int, ...], after: tuple[int, ...]) -> Identification:
    """Linear, and no layer known here: two rows that say so."""
    whole = found
    if len(before) == len(after):
        inputs, outputs = before, after
    else:
        inputs, outputs = (whole.exact.shape[1],), (whole.exact.shape[0],)
    blocks = whole.stand.reshape(*outputs, *inputs)
    witness: dict[str, Any] = {}
    words = "linear, and no shift along one axis fits all rows"
    for axis in reversed(range(len(inputs))):
        pair = _pair(blocks, axis, len(inputs), whole.slack)
        if pair is not None:
            words = "linear, and no shift of one row gives the other"
            first, second = (int(np.ravel_multi_index(place, outputs)) for place in pair)
            break
    else:
        first, second = _two_rows(whole)
    places = [tuple(int(k) for k in np.unravel_index(row, after)) for row in (first, second)]
    witness["rows"] = places
    for row, place in zip((first, second), places, strict=True):
        witness[f"row {place}"] = _entries(whole.exact[row], whole.used[row], before)
    return Identification("not shift-invariant", before, after, witness=witness, words=words)


def _pair(
    blocks: Array, axis: int, dims: int, slack: float
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Two rows, neighbours on an axis, that no shift along it makes alike where they overlap."""
    moved = np.moveaxis(blocks, (axis, dims + axis), (0, -1))
    outputs, inputs = moved.shape[0], moved.shape[-1]
    rest = moved.shape[1:dims]
    if inputs < 2:
        return None
    for first in range(min(outputs - 1, MOST_PAIRS)):
        above, below = moved[first], moved[first + 1]
        conflict = np.ones(rest, dtype=bool)
        for stride in range(1, inputs):
            apart = np.abs(above[..., : inputs - stride] - below[..., stride:]) > slack
            conflict &= apart.any(axis=tuple(range(len(rest), apart.ndim)))
            if not conflict.any():
                break
        if conflict.any():
            others = [int(k) for k in np.argwhere(conflict)[0]]
            return (
                (*others[:axis], first, *others[axis:]),
                (*others[:axis], first + 1, *others[axis:]),
            )
    return None


def _two_rows(found: Entries) -> tuple[int, int]:
    """The row with the most entries, and the first one with others than it."""
    counts = found.used.sum(axis=1)
    widest = int(np.argmax(counts))
    values = [sorted(row[used].tolist()) for row, used in zip(found.stand, found.used, strict=True)]
    other = next((k for k, row in enumerate(values) if row != values[widest]), None)
    if other is None:
        other = 1 if widest == 0 and len(values) > 1 else 0
    return widest, other


def _entries(row: Array, used: Array, shape: tuple[int, ...]) -> str:
    """The entries of a row by the place that they read."""
    places = np.flatnonzero(used)
    found = [
        f"{row[k]} x{[int(i) for i in np.unravel_index(int(k), shape)]}" for k in places[:SHOWN]
    ]
    return " + ".join([*found, "..."] if len(places) > SHOWN else found) or "0"

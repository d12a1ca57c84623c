"""Find two rows that prove that a matrix is not a correlation: neither is a shift of the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.recognise.entries import Entries
from convalg.recognise.identification import Identification

MOST_PAIRS = 200
"""Most pairs of neighbouring rows that are compared on an axis."""

SHOWN = 8
"""Most entries of a row that are printed."""


def unshifted(
    matrix: Entries, in_shape: tuple[int, ...], out_shape: tuple[int, ...]
) -> Identification:
    """Return the answer for a matrix of no recognised layer, with two of its rows as proof."""
    if len(in_shape) == len(out_shape):
        inputs, outputs = in_shape, out_shape
    else:
        inputs, outputs = (matrix.exact.shape[1],), (matrix.exact.shape[0],)
    blocks = matrix.numbers.reshape(*outputs, *inputs)
    witness: dict[str, Any] = {}
    text = "linear, but no shift along one axis relates all rows"
    for axis in reversed(range(len(inputs))):
        pair = _pair(blocks, axis, len(inputs), matrix.slack)
        if pair is not None:
            text = "linear, but no shift of one row gives the other"
            first, second = (int(np.ravel_multi_index(index, outputs)) for index in pair)
            break
    else:
        first, second = _two_rows(matrix)
    indices = [tuple(int(k) for k in np.unravel_index(row, out_shape)) for row in (first, second)]
    witness["rows"] = indices
    for row, index in zip((first, second), indices, strict=True):
        witness[f"row {index}"] = _entries(matrix.exact[row], matrix.used[row], in_shape)
    return Identification("not shift-invariant", in_shape, out_shape, witness=witness, words=text)


def _pair(
    blocks: Array, axis: int, dims: int, slack: float
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Return two neighbouring rows that differ, where they overlap, for every shift along an axis.

    Shape: blocks `(*outputs, *inputs)`, each with `dims` axes. The rows are output indices.
    """
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


def _two_rows(matrix: Entries) -> tuple[int, int]:
    """Return the row with the most non-zeros, and the first row with different entries."""
    counts = matrix.used.sum(axis=1)
    widest = int(np.argmax(counts))
    values = [
        sorted(row[used].tolist()) for row, used in zip(matrix.numbers, matrix.used, strict=True)
    ]
    other = next((k for k, row in enumerate(values) if row != values[widest]), None)
    if other is None:
        other = 1 if widest == 0 and len(values) > 1 else 0
    return widest, other


def _entries(row: Array, used: Array, shape: tuple[int, ...]) -> str:
    """Return the non-zeros of a row as text, with the index of the input that each reads."""
    columns = np.flatnonzero(used)
    terms = [
        f"{row[k]} x{[int(i) for i in np.unravel_index(int(k), shape)]}" for k in columns[:SHOWN]
    ]
    return " + ".join([*terms, "..."] if len(columns) > SHOWN else terms) or "0"

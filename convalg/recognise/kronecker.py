"""Recognise Kronecker products: with one row for each block, the rearranged matrix has rank one.

Source: Van Loan and Pitsianis, "Approximation with Kronecker products" (1993).
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.faces.zero import is_zero
from convalg.recognise.codes import EntryCodes, divisors, exactly

Sizes = tuple[tuple[int, int], tuple[int, int]]


def kronecker_factors(entries: EntryCodes) -> Sizes | None:
    """Return the sizes of the smallest two matrices whose Kronecker product has these entries.

    None if the matrix is no Kronecker product, or is zero. Rule: the entries M[B, b], at position b
    in block B, are a product when M[B, b] M[P, p] = M[B, p] M[P, b] for one non-zero entry M[P, p].
    Neither factor is a single number.
    """
    rows, columns = entries.shape
    if not len(entries.codes):
        return None
    cells = list(product(divisors(rows), divisors(columns)))[1:-1]
    cells.sort(key=lambda cell: (rows * columns // (cell[0] * cell[1]) + cell[0] * cell[1], cell))
    exact = [exactly(value) for value in entries.values] if cells else []
    for height, width in cells:
        if _is_product(entries, height, width, exact):
            return (rows // height, columns // width), (height, width)
    return None


def _is_product(entries: EntryCodes, height: int, width: int, exact: list[Any]) -> bool:
    """Whether the entries are a Kronecker product with blocks of height x width."""
    rows, columns, codes = entries.rows, entries.columns, entries.codes
    top, left = rows[0] // height * height, columns[0] // width * width
    down, right = rows[0] - top, columns[0] - left
    for which in (entries.sample, slice(None)):
        own, at = rows[which], columns[which]
        same_block = entries.at(top + own % height, left + at % width)
        same_position = entries.at(own // height * height + down, at // width * width + right)
        if not _minors_vanish(entries, codes[which], same_block, same_position, exact):
            return False
    # Each non-zero entry is a product. No other product of factors may be non-zero.
    block = (rows // height == top // height) & (columns // width == left // width)
    position = (rows % height == down) & (columns % width == right)
    return bool(np.count_nonzero(block) * np.count_nonzero(position) == len(codes))


def _minors_vanish(
    entries: EntryCodes, own: Array, same_block: Array, same_position: Array, exact: list[Any]
) -> bool:
    """Whether own * pivot = same_block * same_position for all codes, each case tested once."""
    pivot = exact[int(entries.codes[0])]
    slack = exactly(entries.tolerance) * max(map(abs, exact)) ** 2 if entries.tolerance else 0
    cases = set(zip(own.tolist(), same_block.tolist(), same_position.tolist(), strict=True))
    for value, first, second in cases:
        minor = exact[value] * pivot - exact[first] * exact[second]
        if not (abs(minor) <= slack if slack else is_zero(minor)):
            return False
    return True

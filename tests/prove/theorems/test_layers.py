"""Theorems about network layers at numbers: dice, receptive fields and counted parameters."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.size import substituted


@pytest.mark.parametrize(
    ("name", "sign"), [("sum-of-random-variables", 1), ("difference-of-random-variables", -1)]
)
def test_two_dice_have_the_distribution_of_the_layer(name: str, sign: int) -> None:
    part: Any = ca.theorems[name].parts[0]
    (k,) = ca.sizes("k")
    layer = part.layer().at(n=6, K=4).refill([Fraction(1, 4)] * 4)
    found = layer([Fraction(1, 6)] * 6)
    rolled = Counter(i + sign * j for i, j in product(range(6), range(4)))
    (taps,) = ca.sizes("K")
    values = [int(substituted(part.value(k), {k: row, taps: 4})) for row in range(len(found))]
    assert dict(zip(values, found, strict=True)) == {
        value: Fraction(count, 24) for value, count in rolled.items()
    }


@pytest.mark.parametrize("sizes", [(3, 2, 1, 1, 0, 0), (3, 3, 2, 3, 1, 1), (2, 4, 3, 1, 2, 1)])
def test_the_field_of_two_layers_is_what_their_product_reads(sizes: tuple[int, ...]) -> None:
    part: Any = ca.theorems["receptive-field"].parts[0]
    taps, above, s, r, p, q = sizes
    numbers = {"K": taps, "L": above, "s": s, "r": r, "p": p, "q": q}
    first = ca.correlation(40, [1] * taps, stride=s, padding=p)
    second = ca.correlation(first.out_shape, [1] * above, stride=r, padding=q)
    matrix = (second @ first).to_numpy()
    row = len(matrix) // 2
    reads = np.flatnonzero(matrix[row])
    (u,) = ca.sizes("u")
    start = part.start(u).subs(
        {symbol: numbers.get(symbol.name, row) for symbol in part.start(u).free_symbols}
    )
    width = part.width.subs({symbol: numbers[symbol.name] for symbol in part.width.free_symbols})
    assert (reads[0], reads[-1] - reads[0] + 1) == (start, width)


def test_the_parameters_of_a_layer_are_its_weights_and_biases() -> None:
    part: Any = ca.theorems["parameters"].parts[0]
    numbers = {"C": 6, "D": 3, "K": 5, "L": 4}
    count = part.count.subs({symbol: numbers[symbol.name] for symbol in part.count.free_symbols})
    weights = np.ones((6, 3, 5, 4))
    assert count == weights.size + 6

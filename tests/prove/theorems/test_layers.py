"""Theorems about network layers at numbers: dice."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import product
from typing import Any

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

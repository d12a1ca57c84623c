"""Theorems about counts at numbers: weights, non-zeros and multiplications are counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convalg.prove.theorems.counting import THEOREMS
from convalg.prove.theorems.counts import Multiplications, NonZeros, Parameters
from convalg.size import substituted

PARTS = [(theorem.name, part) for theorem in THEOREMS for part in theorem.parts]
NUMBERS = [
    {"n": 9, "m": 8, "K": 3, "L": 2, "s": 1, "d": 1, "h": 1, "C": 2, "D": 3, "E": 4, "G": 2},
    {"n": 11, "m": 9, "K": 2, "L": 3, "s": 2, "d": 3, "h": 3, "C": 3, "D": 1, "E": 2, "G": 3},
]


def _at(layer: Any, numbers: dict[str, int]) -> Any:
    return layer.at(**{symbol.name: numbers[symbol.name] for symbol in layer.symbols})


@pytest.mark.parametrize("numbers", NUMBERS, ids=str)
@pytest.mark.parametrize(("name", "part"), PARTS, ids=lambda v: v if isinstance(v, str) else "")
def test_a_count_is_counted(name: str, part: Any, numbers: dict[str, int]) -> None:
    claimed = substituted(part.count, numbers)
    match part:
        case Parameters():
            layers = [_at(layer, numbers) for layer in part.layers()]
            counted = sum(np.size(layer.kernel) for layer in layers)
            counted += part.biases * sum(layer.out_shape[0] for layer in layers)
        case Multiplications():
            layers = [_at(layer, numbers) for layer in part.layers()]
            counted = sum(layer.counts.multiplications for layer in layers)
        case NonZeros():
            layer = _at(part.layer(), numbers)
            counted = int(
                np.count_nonzero(layer.refill(np.ones(layer.kernel.shape, int)).to_numpy())
            )
    assert counted == claimed

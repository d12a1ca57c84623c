"""Theorems about receptive fields at numbers: the samples that a product of matrices reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.prove.theorems.counts import FieldOfLayers
from convalg.size import substituted

FIELDS = [
    (theorem.name, part)
    for theorem in ca.theorems
    for part in theorem.parts
    if isinstance(part, FieldOfLayers)
]
NUMBERS = [
    {"K": 3, "L": 2, "M": 2, "s": 1, "r": 1, "d": 1, "e": 1, "p": 0, "q": 0, "R": 3, "J": 1},
    {"K": 3, "L": 3, "M": 2, "s": 2, "r": 3, "d": 1, "e": 2, "p": 1, "q": 1, "R": 2, "J": 2},
    {"K": 2, "L": 4, "M": 3, "s": 3, "r": 1, "d": 2, "e": 1, "p": 2, "q": 1, "R": 4, "J": 1},
]


@pytest.mark.parametrize("numbers", NUMBERS, ids=str)
@pytest.mark.parametrize(("name", "part"), FIELDS, ids=lambda v: v if isinstance(v, str) else "")
def test_the_field_is_what_the_product_of_the_layers_reads(
    name: str, part: FieldOfLayers, numbers: dict[str, int]
) -> None:
    matrix: Any = None
    for layer in part.layers():
        (axis,) = layer.geometry.axes
        taps, stride, dilation, padding = (
            int(substituted(v, numbers))
            for v in (axis.taps, axis.stride, axis.dilation, axis.padding)
        )
        size = 300 if matrix is None else matrix.shape[0]
        own = ca.correlation(size, [1] * taps, stride=stride, dilation=dilation, padding=padding)
        matrix = own.to_numpy() if matrix is None else own.to_numpy() @ matrix
    row = len(matrix) // 2
    reads = np.flatnonzero(matrix[row])
    (u,) = ca.sizes("u")
    start = substituted(part.start(u), {**numbers, "u": row})
    assert (reads[0], reads[-1] - reads[0] + 1) == (start, substituted(part.width, numbers))


def test_three_layers_of_three_taps_see_seven_samples() -> None:
    (part,) = [p for name, p in FIELDS if name == "stacked-layers" and p.claim.startswith("3 ")]
    assert substituted(part.width, {"K": 3}) == 7

"""Theorems about norms and ranks at numbers, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.prove.theorems.bounds import Rank
from convalg.prove.theorems.matrices import THEOREMS
from convalg.size import substituted

KERNELS = st.lists(st.integers(-3, 3), min_size=1, max_size=4)
STEPS = st.integers(1, 3)


@given(KERNELS, st.integers(1, 8), STEPS, STEPS, st.integers(0, 3))
def test_all_norms_are_at_most_the_sum_of_the_weights(
    kernel: list[int], size: int, stride: int, dilation: int, padding: int
) -> None:
    if size + 2 * padding <= dilation * (len(kernel) - 1):
        return
    layer = ca.correlation(size, kernel, stride=stride, dilation=dilation, padding=padding)
    matrix = layer.to_numpy().astype(float)
    total = sum(map(abs, kernel))
    for order in (1, 2, np.inf):
        assert np.linalg.norm(matrix, order) <= total + 1e-9


RANKS = [
    (theorem.name, part) for theorem in THEOREMS for part in theorem.parts if isinstance(part, Rank)
]


@pytest.mark.parametrize(("name", "part"), RANKS)
@given(kernel=KERNELS.filter(any), size=st.integers(1, 9), stride=STEPS, dilation=STEPS)
def test_the_rank_is_that_of_the_matrix(
    name: str, part: Rank, kernel: list[int], size: int, stride: int, dilation: int
) -> None:
    numbers = {"n": size, "K": len(kernel), "s": stride, "d": dilation}
    own = {symbol.name: numbers[symbol.name] for symbol in part.layer().symbols}
    if not part.domain.holds_at({v: numbers[v.name] for v in part.domain.symbols}):
        return
    layer: Any = part.layer().at(**own)
    matrix = layer.refill(np.array(kernel)).to_numpy()
    rank = int(substituted(part.rank, numbers))
    assert np.linalg.matrix_rank(matrix.astype(float)) == rank
    assert name.startswith("full-rank")

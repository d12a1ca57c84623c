"""Theorems about ReLU and max pooling at numbers, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from convalg.prove.theorems.activations import THEOREMS
from convalg.prove.theorems.reals import SameWindows
from convalg.prove.theorems.theorem import Theorem

SIGNALS = st.lists(st.integers(-9, 9), min_size=1, max_size=9).map(np.array)
SIZES = st.integers(1, 3)


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def pooled(x: np.ndarray, size: int, stride: int) -> np.ndarray:
    windows = range(0, len(x) - size + 1, stride)
    return np.array([x[o : o + size].max() for o in windows])


@given(SIGNALS, st.integers(0, 9))
def test_relu_of_parts_and_multiples(x: np.ndarray, factor: int) -> None:
    assert (relu(factor * x) == factor * relu(x)).all()
    assert (relu(x) - relu(-x) == x).all()
    assert (relu(x) + relu(-x) == abs(x)).all()
    assert (np.maximum(x, x[::-1]) == x[::-1] + relu(x - x[::-1])).all()


@given(SIGNALS, SIZES, SIZES, st.integers(0, 9))
def test_monotone_functions_commute(x: np.ndarray, size: int, stride: int, factor: int) -> None:
    assume(len(x) >= size)
    for function in (relu, lambda v: v - factor, lambda v: factor * v):
        assert (pooled(function(x), size, stride) == function(pooled(x, size, stride))).all()


@given(SIGNALS, SIZES, SIZES, st.integers(0, 2))
def test_a_delay_by_strides_delays_the_maxima(
    x: np.ndarray, size: int, stride: int, steps: int
) -> None:
    assume(len(x) >= size + steps * stride)
    delayed = np.concatenate([np.zeros(steps * stride, dtype=int), x])[: len(x)]
    before, after = pooled(delayed, size, stride), pooled(x, size, stride)
    assert before[steps:].tolist() == after[: len(after) - steps].tolist()
    assert after.tolist() == pooled(x, size, 1)[::stride].tolist()


@pytest.mark.parametrize("theorem", THEOREMS, ids=lambda theorem: theorem.name)
def test_windows_are_compared_with_weights(theorem: Theorem) -> None:
    """The two sides of each claim about windows have the same triples at numbers."""
    for part in theorem.parts:
        if isinstance(part, SameWindows):
            numbers = {"n": 9, "K": 2, "s": 2, "k": 1}
            first, second = (
                side.at(**{v.name: numbers[v.name] for v in side.symbols})
                for side in part._compared
            )
            assert first.to_sympy() == second.to_sympy()

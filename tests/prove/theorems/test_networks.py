"""Theorems about networks at numbers: every claim for one input, and patches by NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.prove.theorems.networks import THEOREMS

SIZES = {"n": 7, "m": 6, "K": 3, "L": 2, "p": 1, "s": 2, "d": 2, "h": 1, "q": 2, "c": 2}
SIZES |= {"C": 2, "D": 3, "E": 2}


@pytest.mark.parametrize("theorem", THEOREMS, ids=lambda theorem: theorem.name)
def test_every_claim_holds_for_an_input(theorem: Any) -> None:
    rng = np.random.default_rng(0)
    for claim in theorem.claims():
        first, second = (
            side.at(**{s.name: SIZES[s.name] for s in side.symbols}) for side in claim.sides()
        )
        x = rng.integers(-9, 9, first.in_shape)
        difference = np.ravel(np.asarray(first(x), object) - np.asarray(second(x), object))
        assert all(_is_zero(value) for value in difference)


def _is_zero(value: Any) -> bool:
    return bool((value.expand() if hasattr(value, "expand") else value) == 0)


def test_a_patch_embedding_multiplies_each_patch() -> None:
    signal, weights = np.arange(12) ** 2, np.array([2, -1, 3])
    layer = ca.correlation(12, weights, stride=3)
    assert layer(signal).tolist() == (signal.reshape(4, 3) @ weights).tolist()

"""Theorems about pooling at numbers: means and sums of slices."""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
import pytest

import convalg as ca

SIGNAL = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8])


@pytest.mark.parametrize(("windows", "above"), [(2, 3), (3, 2), (3, 4), (1, 5)])
def test_pooling_twice_sums_the_larger_windows(windows: int, above: int) -> None:
    (claim, _) = ca.theorems["pooling-composition"].claims()
    first, second = (side.at(n=12, K=windows, L=above) for side in claim.sides())
    size = windows * above
    expected = [SIGNAL[k : k + size].sum() for k in range(0, 12 - size + 1, size)]
    assert first(SIGNAL).tolist() == second(SIGNAL).tolist() == expected


def test_a_running_sum_adds_and_removes_one_sample() -> None:
    (claim,) = ca.theorems["running-sum"].claims()
    first, second = (side.at(n=12, K=4) for side in claim.sides())
    sums = [SIGNAL[k : k + 4].sum() for k in range(9)]
    assert first(SIGNAL).tolist() == second(SIGNAL).tolist() == np.diff(sums).tolist()


def test_poolings_over_two_samples_have_binomial_weights() -> None:
    for taps, claim in zip((3, 4, 5), ca.theorems["binomial-pooling"].claims(), strict=True):
        blurred: Any = claim.sides()[0].at(n=taps)
        assert blurred.to_numpy().tolist() == [[comb(taps - 1, k) for k in range(taps)]]


def test_nearest_neighbour_upsampling_repeats_samples() -> None:
    for taps, claim in zip((2, 3, 4), ca.theorems["nearest-upsampling"].claims(), strict=True):
        pool, *rest = claim.sides()[0].at(n=5).factors  # type: ignore[attr-defined] # a product
        del pool
        nearest = rest[-2] @ rest[-1]
        assert nearest(SIGNAL[:5]).tolist() == np.repeat(SIGNAL[:5], taps).tolist()

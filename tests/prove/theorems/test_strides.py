"""Sampling at numbers, against slices of NumPy arrays."""

from __future__ import annotations

import numbered
import numpy as np
import pytest

import convalg as ca
from convalg.prove.theorems import strides
from convalg.prove.theorems.theorem import Equality

CLAIMS = numbered.claims(strides.THEOREMS)
X = np.arange(24) ** 2 % 17


@pytest.mark.parametrize("case", CLAIMS, ids=numbered.named)
def test_both_sides_return_the_same_numbers(case: tuple[str, Equality]) -> None:
    numbered.check_applied(case[1])


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_the_noble_identity_of_slices(step: int) -> None:
    w = [2, -3, 5]
    dilated = np.zeros(2 * step + 1, dtype=int)
    dilated[::step] = w
    low = np.correlate(X[::step], w)
    assert low.tolist() == np.correlate(X, dilated)[::step].tolist()
    assert ca.correlation(len(X[::step]), w)(X[::step]).tolist() == low.tolist()


@pytest.mark.parametrize("step", [2, 3, 4])
def test_a_strided_layer_is_the_sum_of_its_phases(step: int) -> None:
    w = (np.arange(2 * step) * 5 % 7 - 3).tolist()
    layer = ca.correlation(24, w, stride=step)
    terms = np.array([np.correlate(X[c::step], w[c::step]) for c in range(step)])
    assert layer(X).tolist() == terms.sum(axis=0).tolist()


@pytest.mark.parametrize("step", [2, 3, 4])
def test_a_transposed_layer_interleaves_convolutions(step: int) -> None:
    w = (np.arange(3 * step) * 5 % 7 - 3).tolist()
    y = ca.transposed_correlation(6, w, stride=step)(X[:6])
    for phase in range(step):
        assert y[phase::step].tolist() == np.convolve(X[:6], w[phase::step]).tolist()


def test_two_factors_with_a_common_divisor_cannot_be_exchanged() -> None:
    assert not ca.prove.equal(
        ca.downsample(24, 4) @ ca.upsample(4, 6, size=24),
        ca.upsample(1, 6, size=6) @ ca.downsample(4, 4),
    )
    assert ca.prove.equal(
        ca.downsample(24, 4) @ ca.upsample(8, 3, size=24),
        ca.upsample(2, 3, size=6) @ ca.downsample(8, 4),
    )

"""Lp norms where powers leave what floats hold: the norm is there all the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca

POWERS = [2, 3, 7, 100, 1001, 10**6, 10**18, 10**18 + 1]


def norm(window: list[float], p: int) -> float:
    """By logarithms: m (sum (|x| / m)^p)^(1/p)."""
    largest = max(map(abs, window))
    if largest == 0:
        return 0.0
    power = float(p) if p < 10**300 else math.inf
    terms = [abs(x) / largest for x in window]
    total = sum(1.0 if term == 1 else math.exp(power * math.log(term)) for term in terms if term)
    return largest * math.exp(math.log(total) / power)


samples = st.sampled_from([0.0, 1.0, -1.0, 3.0, -4.0, 1e200, -1e200, 1e-200, 3e-200, 5e-324])


@pytest.mark.parametrize("p", POWERS, ids=lambda p: f"{min(p, 10**7)}")
@given(x=st.lists(samples, min_size=4, max_size=4))
def test_norms_of_any_power(p: int, x: list[float]) -> None:
    pool = ca.lp_pool(4, 2, p, stride=1)
    wanted = [norm(x[k : k + 2], p) for k in range(3)]
    np.testing.assert_allclose(pool(x), wanted, rtol=1e-12)
    both = ca.lp_pool(4, 2, p, stride=1, channels=2)([x, [1.0, 2.0, 3.0, 4.0]])
    np.testing.assert_allclose(both[0], wanted, rtol=1e-12)


@pytest.mark.parametrize("p", [2, 3, 100, 1001, 10**18], ids=lambda p: f"{min(p, 10**7)}")
@given(x=st.lists(st.sampled_from([1.0, -1.5, 2.5, -3.0, 1e160, 2e160, 1e-160]), min_size=3))
def test_slopes_of_any_power(p: int, x: list[float]) -> None:
    """(|x| / y)^(p - 1), with the sign of x: at most 1, and 1 where a sample stands alone."""
    pool = ca.lp_pool(len(x), 2, p, stride=1)
    found = pool.at(x).to_numpy()
    for o, row in enumerate(found):
        y = norm(x[o : o + 2], p)
        for i in (o, o + 1):
            gap = math.log(min(abs(x[i]) / y, 1.0))
            slope = math.exp((float(p) if p < 10**300 else math.inf) * gap - gap) if gap else 1.0
            assert row[i] == pytest.approx(math.copysign(slope, x[i]), rel=1e-9, abs=1e-280)


def test_signed_powers_cancel_where_they_are_too_large_as_well() -> None:
    pool = ca.lp_pool(3, 2, 301, stride=1, absolute=False)
    assert pool([-1e10, 1e10, 2e10]).tolist() == [0.0, 2e10]
    assert math.isnan(pool([-2e10, 1e10, 1e10])[0])


def test_infinity_and_nan_stay() -> None:
    found = ca.lp_pool(6, 2, 900)([math.inf, 1.0, math.nan, 2.0, 5.0, -math.inf])
    assert found.tolist()[::2] == [math.inf, math.inf]
    assert math.isnan(found[1])


@pytest.mark.parametrize("kind", ["float16", "float32"])
def test_small_floats_keep_their_type(kind: Any) -> None:
    found = ca.lp_pool(2, 2, 500)(np.array([3, -3], dtype=kind))
    assert (found.dtype, found.tolist()) == (np.dtype(kind), pytest.approx([3.0041], rel=1e-3))

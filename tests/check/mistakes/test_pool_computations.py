"""Wrong computations of poolings, against results that are worked out by hand or by loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convalg.check.mistakes import pool_computations as pools
from convalg.check.problem import Problem

Compute = Callable[[Problem], np.ndarray]


def posed(x: Any, g: Any = None, size: int = 2, stride: int = 1, **options: Any) -> Problem:
    """A pooling of one axis and one channel."""
    padding = options.pop("padding", 0)
    return Problem(
        np.array(x, dtype=float).reshape(1, 1, -1),
        None,
        None if g is None else np.array(g, dtype=float).reshape(1, 1, -1),
        size=(size,),
        stride=(stride,),
        padding=((padding, padding),),
        dilation=(1,),
        **options,
    )


@pytest.mark.parametrize(
    ("compute", "p", "expected"),
    [
        # The last window of ceil_mode covers one sample.
        (pools.whole_divisor, posed([2, 4, 6], stride=2, ceil_mode=True), [3, 3]),
        (pools.whole_divisor, posed([0] * 3, [2, 4], stride=2, ceil_mode=True), [1, 1, 2]),
        (pools.summed, posed([2, 4, 6]), [6, 10]),
        (pools.summed, posed([0] * 3, [1, 2]), [1, 3, 2]),
        (pools.zero_padding, posed([-1, -2], padding=1), [0, -1, 0]),
        (pools.padding_of_minus_one, posed([-3, -2], padding=1), [-1, -2, -1]),
        (pools.from_zero, posed([-3, -2, 5]), [0, 5]),
        (pools.mean_instead, posed([2, 4, 6]), [3, 5]),
        (pools.smallest, posed([2, 4, 6]), [2, 4]),
        (pools.largest_magnitude, posed([-7, 4, 6]), [7, 6]),
        (pools.index_of_winner, posed([2, 4, 4, 1]), [1, 0, 0]),
        (pools.to_whole_window, posed([2, 4, 6], [1, 10]), [1, 11, 10]),
        (pools.overwritten_winners, posed([1, 9, 1], [1, 10]), [0, 10, 0]),
        (pools.zero_padding_gradient, posed([-1, 2], [1, 10, 100], padding=1), [0, 110]),
        (pools.windows_only, posed([0] * 5, [2, 4], stride=2), [1, 1, 2, 2]),
        (pools.winners_of_windows_only, posed([1, 2, 4, 3, 9], [1, 10], stride=2), [0, 1, 10, 0]),
        (pools.overwritten_average, posed([0] * 3, [2, 4]), [1, 2, 2]),
        # Tap 1 is written after tap 0: the sample in the middle keeps the share of window 0.
        (pools.overwritten_average_by_taps, posed([0] * 3, [2, 4]), [1, 1, 2]),
        # g has one value too many, or one too few.
        (pools.lattice_average_gradient, posed([0] * 3, [2, 4, 9]), [1, 3, 2]),
        (pools.lattice_maximum_gradient, posed([1, 2, 3], [5]), [0, 5, 0]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_results_are_those_worked_out_by_hand(
    compute: Compute, p: Problem, expected: list[float]
) -> None:
    assert compute(p).ravel().tolist() == expected


@pytest.mark.parametrize("compute", [pools.extra_average, pools.extra_maximum])
def test_a_window_that_starts_in_the_padding_is_left_open(compute: Compute) -> None:
    # 3 + 2 padded samples, size 1 and stride 2: the window at sample 4 is all padding.
    p = Problem(
        np.ones((1, 1, 3)),
        None,
        size=(1,),
        stride=(4,),
        padding=((0, 1),),
        dilation=(1,),
        ceil_mode=True,
    )
    result = compute(p).ravel()
    assert result[0] == 1
    assert np.isnan(result[1:]).all()
    assert len(result) == 2


@given(st.lists(st.integers(-2, 2), min_size=3, max_size=7), st.integers(1, 3), st.integers(1, 3))
def test_ties_get_the_gradient_by_their_rule(x: list[int], size: int, stride: int) -> None:
    starts = range(0, len(x) - size + 1, stride)
    g = [2.0 * 3**k for k in range(len(starts))]
    every, split, last = (np.zeros(len(x)) for _ in range(3))
    for start, value in zip(starts, g, strict=True):
        window = range(start, start + size)
        ties = [k for k in window if x[k] == max(x[i] for i in window)]
        for k in ties:
            every[k] += value
            split[k] += value / len(ties)
        last[ties[-1]] += value
    p = posed(x, g, size, stride)
    assert np.array_equal(pools.to_all_ties(p).ravel(), every)
    assert np.allclose(pools.split_ties(p).ravel(), split, rtol=1e-12)
    assert np.array_equal(pools.to_last_tie(p).ravel(), last)

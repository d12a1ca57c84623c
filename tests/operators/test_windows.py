"""Windows that are no progression: the parts of adaptive pooling, and places of interpolation."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import naive_layers as naive
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convalg.axis import Axis
from convalg.errors import ArgumentError, TooLargeError
from convalg.operators import windows

places = st.fractions(min_value=-3, max_value=12, max_denominator=6)
scales = st.builds(Fraction, st.integers(1, 9), st.integers(1, 9))
numbers = st.integers(1, 40)


@given(numbers, numbers)
def test_adaptive_windows_are_the_overlapping_samples(n: int, m: int) -> None:
    found = [list(window) for window in windows.adaptive(n, m)]
    assert found == naive.adaptive_windows(n, m)
    assert sorted({sample for window in found for sample in window}) == list(range(n))
    if n % m == 0:
        assert {len(window) for window in found} == {n // m}


@given(st.integers(1, 10**15), st.integers(1, 30))
def test_adaptive_windows_of_huge_axes_are_exact(n: int, m: int) -> None:
    """Where floats would round."""
    for o, window in enumerate(windows.adaptive(n, m)):
        assert window.start * m <= o * n < (window.start + 1) * m
        assert (window.stop - 1) * m < (o + 1) * n <= window.stop * m


@given(numbers, numbers)
def test_the_hull_is_the_shortest_at_its_stride(n: int, m: int) -> None:
    found = list(windows.adaptive(n, m))
    axis = windows.hull(found, n)
    first, last = -int(axis.padding), int(axis.taps) - int(axis.padding)
    starts = [window.start - axis.stride * o for o, window in enumerate(found)]
    stops = [window.stop - axis.stride * o for o, window in enumerate(found)]
    assert (min(starts), max(stops)) == (first, last)
    assert abs(axis.stride - Fraction(n, m)) <= max(Fraction(1, 2), 1 - Fraction(n, m))
    if n % m == 0:
        assert axis == Axis(n, m, taps=n // m, stride=n // m)


@given(st.integers(-9, 40), st.integers(-9, 40), scales, numbers, numbers)
def test_regions_are_cut_window_by_window(
    first: int, last: int, scale: Fraction, n: int, m: int
) -> None:
    """Fast R-CNN's rule: a sample lies in a window where its part of the region overlaps it."""
    low, high = (math.floor(end * scale + Fraction(1, 2)) for end in (first, last))
    length = max(high - low + 1, 1)
    wanted = [
        [i for i in range(n) if (i - low) * m < (o + 1) * length and (i - low + 1) * m > o * length]
        for o in range(m)
    ]
    assert [list(window) for window in windows.region(first, last, scale, n, m)] == wanted


@given(numbers, numbers, scales, st.sampled_from(windows.COORDINATES), st.data())
def test_positions_are_those_of_the_table(
    n: int, m: int, scale: Fraction, coordinates: Any, data: st.DataObject
) -> None:
    output = data.draw(st.integers(0, m - 1))
    found = windows.position(output, n, m, scale, coordinates)
    assert found == naive.source(output, n, m, scale, coordinates)
    assert isinstance(found, Fraction)


@given(numbers, numbers)
def test_ends_and_centres_stay(n: int, m: int) -> None:
    """Corners on corners, and the middle of the grid on the middle of the input."""
    if m > 1:
        ends = [windows.position(o, n, m, Fraction(m, n), "align_corners") for o in (0, m - 1)]
        assert ends == [0, n - 1]
    for coordinates in ("half_pixel", "half_pixel_symmetric"):
        first, last = (
            windows.position(o, n, m, Fraction(m, n), coordinates)  # type: ignore[arg-type]
            for o in (0, m - 1)
        )
        assert first + last == n - 1
    # The symmetric grid is centred for any scale, also where the size is rounded down.
    scale = Fraction(m, n) * Fraction(7, 6)
    odd = [windows.position(o, n, m, scale, "half_pixel_symmetric") for o in (0, m - 1)]
    assert sum(odd) == n - 1


@given(places, st.integers(1, 9), st.sampled_from(windows.ROUNDINGS))
def test_nearest_samples(place: Fraction, n: int, rounding: Any) -> None:
    found = windows.nearest(place, n, rounding)
    assert found == naive.nearest(place, n, rounding)
    inside = min(max(place, Fraction(0)), Fraction(n - 1))
    limit = Fraction(1, 2) if rounding.startswith("round") else Fraction(1)
    assert abs(found - inside) <= limit


@pytest.mark.parametrize(
    ("rounding", "found"),
    [
        ("floor", [0, 0, 0, 1, 1, 1]),
        ("ceil", [0, 1, 1, 1, 2, 2]),
        ("round_prefer_floor", [0, 0, 1, 1, 1, 2]),
        ("round_prefer_ceil", [0, 1, 1, 1, 2, 2]),
    ],
)
def test_roundings_around_a_half(rounding: Any, found: list[int]) -> None:
    steps = [Fraction(k) for k in (0, Fraction(1, 2), Fraction(3, 4), 1, Fraction(3, 2))]
    steps.append(Fraction(8, 5))
    assert [windows.nearest(step, 3, rounding) for step in steps] == found


@given(places, st.integers(1, 9))
def test_linear_weights(place: Fraction, n: int) -> None:
    """They add up to one, are never zero, and their centre is the place inside the input."""
    found = windows.linear(place, n)
    inside = min(max(place, Fraction(0)), Fraction(n - 1))
    assert sum(found.values()) == 1
    assert sum(sample * weight for sample, weight in found.items()) == inside
    assert all(weight > 0 and 0 <= sample < n for sample, weight in found.items())
    assert len(found) == 1 + (inside.denominator > 1)


def test_words_that_there_are_not() -> None:
    with pytest.raises(ArgumentError, match=r"coordinates must be one of half_pixel, .*, not 'c'"):
        windows.position(0, 1, 1, Fraction(1), "c")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"rounding must be one of floor, .*, not None"):
        windows.nearest(Fraction(0), 1, None)  # type: ignore[arg-type]


def test_axes_that_are_too_long() -> None:
    windows.check_samples((1000, 1000), "a resizing")
    with pytest.raises(TooLargeError, match="a resizing between axes of 3, 1000000000000 samples"):
        windows.check_samples((3, 10**12), "a resizing")

"""How often transposed layers write their outputs: against nested loops, and the theorem."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import Drawn, layers

import convalg as ca
from convalg.errors import ConvalgError, KindError
from convalg.linalg.coverage import coverage


def written(size: int, taps: int, stride: int, dilation: int) -> np.ndarray:
    """How often each output is written, one product at a time."""
    found = np.zeros(stride * (size - 1) + dilation * (taps - 1) + 1, dtype=int)
    for i in range(size):
        for t in range(taps):
            found[stride * i + dilation * t] += 1
    return found


@given(layers())
def test_counts_are_those_of_a_kernel_of_ones(drawn: Drawn) -> None:
    found = coverage(drawn.operator)
    oracle = drawn.oracle
    ones = np.ones(oracle.kernel_shape, dtype=int)
    matrix = oracle.matrix(ones).astype(int)
    total = matrix.sum(axis=1).reshape(drawn.operator.out_shape)
    channels = 1
    if "groups" in drawn.options:
        lead, groups = drawn.weights.shape, drawn.options["groups"]
        turned = drawn.kind == "transposed_correlation"
        channels = lead[0] // groups if turned else lead[1]
    assert (found.counts * channels).tolist() == total.tolist()
    assert found.counts.shape == found.interior.shape == drawn.operator.out_shape


@st.composite
def large(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """Size, taps, stride and dilation of a layer that has a whole period inside."""
    taps, stride, dilation = (draw(st.integers(1, 6)) for _ in range(3))
    size = dilation * (taps - 1) // stride + 3 + draw(st.integers(0, 3))
    return size, taps, stride, dilation


@given(large())
def test_even_exactly_when_the_residues_of_the_taps_are(layer: tuple[int, int, int, int]) -> None:
    size, taps, stride, dilation = layer
    operator = ca.transposed_correlation(size, [1] * taps, stride=stride, dilation=dilation)
    found = coverage(operator)
    assert found.counts.tolist() == written(size, taps, stride, dilation).tolist()
    # A layer longer on both sides writes the interior as often, and only that.
    longer = written(size + 40, taps, stride, dilation)[20 * stride :][: found.counts.size]
    assert ((found.counts == longer) | ~found.interior).all()
    assert (found.counts[~found.interior] < longer[~found.interior]).all()
    theorem = taps % stride == 0 and math.gcd(stride, dilation) == 1
    assert found.even is theorem
    if dilation == 1:
        assert found.even is (taps % stride == 0)
        assert found.period == ((1,) if theorem else (stride,)) or found.interior.sum() < 2 * stride


@given(large(), large())
def test_two_axes_are_even_when_both_are(
    rows: tuple[int, int, int, int], columns: tuple[int, int, int, int]
) -> None:
    pairs = list(zip(rows, columns, strict=True))
    operator = ca.transposed_correlation(
        pairs[0], np.ones(pairs[1], dtype=int), stride=pairs[2], dilation=pairs[3]
    )
    found = coverage(operator)
    assert found.counts.tolist() == np.outer(written(*rows), written(*columns)).tolist()
    assert found.even is all(
        taps % stride == 0 and math.gcd(stride, dilation) == 1
        for _, taps, stride, dilation in (rows, columns)
    )


def test_the_picture_of_the_checkerboard() -> None:
    found = coverage(ca.transposed_correlation((4, 4), ca.kernel(3, 3), stride=2))
    assert found.interior[2:-2, 2:-2].all()
    assert found.interior.sum() == 49
    assert found.counts[2:5, 2:5].tolist() == [[4, 2, 4], [2, 1, 2], [4, 2, 4]]
    assert (found.even, found.period) == (False, (2, 2))
    assert found.explain() == (
        "uneven: outputs written 1, 2 or 4 times, with period 2 x 2; "
        "the stride 2 does not divide the 3 taps"
    )
    even = coverage(ca.transposed_correlation((4, 4), ca.kernel(4, 4), stride=2))
    assert even.explain() == "even: outputs written 4 times; the stride 2 divides the 4 taps"
    assert repr(even) == f"Coverage((10, 10), {even.explain()})"
    assert np.asarray(even).tolist() == even.counts.tolist()
    once = coverage(ca.transposed_correlation(4, [1, 2], stride=2))
    assert once.explain() == "even: outputs written 1 time; the stride 2 divides the 2 taps"


def test_a_stack_multiplies_and_is_judged_by_its_numbers() -> None:
    first = ca.transposed_correlation(6, [1, 2, 3], stride=2)
    second = ca.transposed_correlation(13, [1, 2, 3, 4], stride=2)
    third = ca.transposed_correlation(13, [1, 2, 3], stride=2)
    found = coverage(second @ first)
    matrix = np.array([np.roll(np.r_[1, 1, 1, 1, [0] * 24], 2 * i) for i in range(13)]).T
    assert found.counts.tolist() == (matrix @ written(6, 3, 2, 1)).tolist()
    # The even layer on top adds neighbours of 1, 2, 1, 2: it hides the checkerboard below.
    assert (found.even, found.explain()) == (True, "even: outputs written 3 times")
    worse = coverage(third @ first)
    assert worse.even is False
    assert worse.period == (4,)
    assert worse.explain() == "uneven: outputs written 1, 2 or 3 times, with period 4"


def test_resizing_first_and_then_a_padded_layer() -> None:
    stretch = ca.upsample(6, 2)
    assert coverage(stretch).explain() == "uneven: outputs written 0 or 1 times, with period 2"
    smooth = coverage(ca.correlation(11, [1, 2], padding=((1, 0),)) @ stretch)
    assert smooth.interior.tolist() == [False] + [True] * 10
    assert smooth.explain() == "even: outputs written 1 time"


@pytest.mark.parametrize("groups", [1, 2])
def test_counts_are_for_one_input_channel(groups: int) -> None:
    kernel = np.ones((4, 6 // groups, 3))
    operator = ca.transposed_correlation(5, kernel, stride=2, groups=groups)
    plain = coverage(ca.transposed_correlation(5, [1, 1, 1], stride=2))
    for found in (coverage(operator), coverage(-2 * operator)):
        assert found.counts.tolist() == [plain.counts.tolist()] * 6
        assert found.explain() == (
            "uneven: outputs written 1 or 2 times, with period 1 x 2; "
            "the stride 2 does not divide the 3 taps"
        )


def test_other_operators_are_counted_too() -> None:
    assert coverage(ca.dense([[1, 0], [2, 3], [0, 0]])).counts.tolist() == [2, 2, 2]
    both = ca.correlation(6, [1, 2, 3], padding=1) + ca.identity(6)
    assert coverage(both).counts.tolist() == [3, 4, 4, 4, 4, 3]
    assert coverage(both).interior.tolist() == [False, True, True, True, True, False]
    square = ca.correlation(4, [1, 2], padding=((1, 0),)).kron(ca.identity(2))
    assert coverage(square).counts.tolist() == [[1, 1], [2, 2], [2, 2], [2, 2]]
    circle = coverage(ca.correlation(5, [1, 2], padding=((1, 0),), boundary="circular").T)
    assert circle.interior.all()
    reflected = coverage(ca.correlation(6, [1, 2, 3], padding=1, boundary="reflect").T)
    assert reflected.counts.tolist() == [2, 4, 3, 3, 4, 2]
    assert reflected.interior.tolist() == [False, False, True, True, False, False]


@pytest.mark.parametrize(("size", "taps", "stride"), [(1, 5, 3), (1, 2, 1), (2, 3, 1)])
def test_no_verdict_from_a_layer_that_is_too_small(size: int, taps: int, stride: int) -> None:
    found = coverage(ca.transposed_correlation(size, [1] * taps, stride=stride))
    assert found.even is None
    assert (
        found.explain()
        == "unknown: the interior is too small to decide whether the coverage is even"
    )


def test_the_result_cannot_be_changed() -> None:
    found = coverage(ca.transposed_correlation(3, [1, 1], stride=2))
    with pytest.raises(ValueError, match="read-only"):
        found.counts[0] = 7


BAD: list[tuple[Callable[[], Any], type[ConvalgError], str]] = [
    (lambda: coverage(3), KindError, "coverage takes an operator, not int"),
    (lambda: coverage(ca.max_pool(4, 2)), KindError, "or replace a map f by its Jacobian f.at(x)"),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=[case[2] for case in BAD])
def test_bad_input(call: Callable[[], Any], error: type[ConvalgError], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        call()

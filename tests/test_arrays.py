"""Arrays from arguments: values are kept as they are, and batches are split off."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.arrays import (
    as_floats,
    as_numbers,
    batch_of,
    check_finite,
    check_real,
    is_foreign,
    largest,
    one_sample,
    swap_channels,
)
from convalg.errors import ConvalgError, KindError, ShapeError


@pytest.mark.parametrize(
    "values",
    [
        [1, 2],
        [[True, False]],
        [0.5, 1],
        [1j, 2],
        [Fraction(1, 3), 2],
        [sympy.Symbol("w"), sympy.Rational(1, 3)],
        [2**70, -(2**70)],
        np.float16([1, 2]),
        [],
    ],
    ids=repr,
)
def test_numbers_are_kept_exactly(values: Any) -> None:
    array = as_numbers(values, "values")
    assert array.shape == np.shape(values)
    assert all(
        a == b for a, b in zip(array.ravel(), np.ravel(np.array(values, object)), strict=True)
    )


@pytest.mark.parametrize(
    "values",
    ["text", [None], [[1], [1, 2]], object(), ["1"], np.array(["2020"], "M8[Y]")],
    ids=["text", "None", "ragged", "object", "text in a list", "dates"],
)
def test_what_holds_no_numbers_is_refused(values: Any) -> None:
    with pytest.raises(ConvalgError) as caught:
        as_numbers(values, "values")
    assert "values" in str(caught.value)


@given(
    st.lists(st.integers(0, 3), max_size=2),
    st.lists(st.integers(1, 3), min_size=1, max_size=2),
)
def test_a_batch_is_what_comes_before_the_shape(batch: list[int], shape: list[int]) -> None:
    x = np.arange(int(np.prod([*batch, *shape]))).reshape(*batch, *shape)
    values, found = batch_of(x, tuple(shape), "x")
    assert found == tuple(batch)
    assert values.shape == (int(np.prod(batch)), *shape)
    assert (values.ravel() == x.ravel()).all()


def test_a_wrong_shape_is_named() -> None:
    with pytest.raises(ShapeError, match=r"x must have shape \(\*batch, 2, 3\), not \(3, 2\)"):
        batch_of(np.ones((3, 2)), (2, 3), "x")
    with pytest.raises(ShapeError, match="x must be one sample of shape"):
        one_sample(np.ones((1, 2, 3)), (2, 3))
    assert one_sample([[1, 2, 3]] * 2, (2, 3)).shape == (2, 3)


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 3),
    st.lists(st.integers(1, 3), max_size=2),
)
def test_channels_are_swapped_within_groups(
    groups: int, outputs: int, inputs: int, taps: list[int]
) -> None:
    shape = (groups * outputs, inputs, *taps)
    kernel = np.arange(int(np.prod(shape))).reshape(shape)
    swapped = swap_channels(kernel, groups)
    assert swapped.shape == (groups * inputs, outputs, *taps)
    for group in range(groups):
        for o in range(outputs):
            for i in range(inputs):
                ours, theirs = kernel[group * outputs + o, i], swapped[group * inputs + i, o]
                assert np.array_equal(ours, theirs)
    assert np.array_equal(swap_channels(swapped, groups), kernel)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, sympy.nan, sympy.zoo, sympy.oo])
def test_what_is_not_finite_is_refused(value: Any) -> None:
    check_finite(np.array([1, 2.0]), "kernel")
    with pytest.raises(ConvalgError, match="kernel"):
        check_finite(np.array([1, value], dtype=object), "kernel")


def test_complex_numbers_have_no_order() -> None:
    for real in (np.array([1.5]), np.array([sympy.Symbol("w"), 2], dtype=object)):
        check_real(real)
    for values in (np.array([1j]), np.array([sympy.I, 1], dtype=object)):
        with pytest.raises(KindError, match="x must be real"):
            check_real(values)


@pytest.mark.parametrize("kind", [bool, np.int8, np.uint64, np.float16, np.float64])
def test_integers_become_floats_and_floats_stay(kind: Any) -> None:
    result = as_floats(np.array([0, 1], dtype=kind))
    assert result.dtype == (kind if np.dtype(kind).kind == "f" else np.float64)


@pytest.mark.parametrize(
    ("values", "most"),
    [([0], 0), ([-(2**63), 1], 2**63), ([3, -2], 3), (np.int8([-128]), 128), ([], 0)],
)
def test_the_largest_magnitude_does_not_overflow(values: Any, most: int) -> None:
    assert largest(np.array(values, dtype=None if len(values) else int)) == most


def test_arrays_of_numpy_and_lists_are_not_foreign() -> None:
    assert not any(map(is_foreign, ([1, 2], np.ones(2), 3, "x", ca.kernel(2))))

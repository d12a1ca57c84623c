"""How arguments become a geometry: sizes, shapes, one number per axis, paddings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.signal
import sympy
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca


@pytest.mark.parametrize(
    "shape", [(6, 5), [6, 5], np.array([6, 5]), (np.int16(6), sympy.Integer(5))]
)
@pytest.mark.parametrize("stride", [(2, 1), [2, 1], np.array([2, 1])])
def test_every_spelling_of_the_options_makes_the_same_layer(shape: Any, stride: Any) -> None:
    found = ca.correlation(shape, np.ones((2, 2), dtype=int), stride=stride, padding=((1, 0), 1))
    plain = ca.correlation((6, 5), [[1, 1], [1, 1]], stride=(2, 1), padding=((1, 0), (1, 1)))
    assert found.geometry == plain.geometry
    assert hash(found.geometry) == hash(plain.geometry)
    assert found.in_shape == (6, 5)
    assert all(type(n) is int for n in found.in_shape + found.out_shape)


@pytest.mark.parametrize(
    ("word", "paddings"),
    [
        ("valid", (0, 0)),
        ("full", (2, 2)),
        ("same", (1, 1)),
        ("same_lower", (1, 1)),
        ("causal", (2, 0)),
    ],
)
def test_words_for_paddings(word: str, paddings: tuple[int, int]) -> None:
    named = ca.correlation(6, [1, 2, 3], padding=word)
    assert named.geometry == ca.correlation(6, [1, 2, 3], padding=(paddings,)).geometry


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_causal_outputs_read_no_later_input(
    size: int, taps: int, stride: int, dilation: int, is_flipped: bool
) -> None:
    make = ca.convolution if is_flipped else ca.correlation
    layer = make(size, [1] * taps, stride=stride, dilation=dilation, padding="causal")
    assert layer.out_shape == (-(-size // stride),)
    matrix = layer.to_numpy()
    for output, row in enumerate(matrix):
        reads = [stride * output - dilation * tap for tap in range(taps)]
        assert np.flatnonzero(row).tolist() == sorted(i for i in reads if i >= 0)


def test_a_causal_convolution_is_a_filter() -> None:
    x = np.array([3.0, 1, 4, 1, 5, 9, 2, 6])
    expected = scipy.signal.lfilter([2, -1, 7], 1, x)
    assert np.array_equal(ca.convolution(8, [2, -1, 7], padding="causal")(x), expected)


@pytest.mark.parametrize(("word", "size"), [("same", 8), ("same_lower", 8), ("valid", 9)])
def test_words_for_the_paddings_of_a_transposed_layer(word: str, size: int) -> None:
    # SAME gives stride * input, as TensorFlow and ONNX; VALID the shortest output.
    assert ca.transposed_correlation(4, [1, 2, 3], stride=2, padding=word).out_shape == (size,)

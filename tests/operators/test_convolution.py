"""The constructors of layers, each against its defining sum."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.errors import ArgumentError
from convalg.operators.leaves import Adjoint, Convolution

STEPS = st.integers(1, 3)


@given(
    st.integers(1, 8),
    st.lists(st.integers(-4, 4), min_size=1, max_size=4),
    STEPS,
    STEPS,
    st.integers(0, 4),
)
def test_one_axis_is_the_sum_of_its_definition(
    size: int, weights: list[int], stride: int, dilation: int, padding: int
) -> None:
    reach = dilation * (len(weights) - 1) + 1
    if size + 2 * padding < reach:
        return
    options = {"stride": stride, "dilation": dilation, "padding": padding}
    x = np.arange(1, size + 1)
    outputs = (size + 2 * padding - reach) // stride + 1

    def read(i: int) -> int:
        return int(x[i]) if 0 <= i < size else 0

    for make, kernel in ((ca.correlation, weights), (ca.convolution, weights[::-1])):
        layer = make(size, kernel, **options)
        assert isinstance(layer, Convolution)
        assert layer(x).tolist() == [
            sum(w * read(stride * o + dilation * t - padding) for t, w in enumerate(weights))
            for o in range(outputs)
        ]


@given(
    st.integers(1, 5),
    st.lists(st.integers(-4, 4), min_size=1, max_size=4),
    STEPS,
    STEPS,
    st.integers(0, 2),
    st.integers(0, 2),
)
def test_a_transposed_layer_adds_a_scaled_kernel_for_each_sample(
    size: int, weights: list[int], stride: int, dilation: int, padding: int, extra: int
) -> None:
    length = stride * (size - 1) + dilation * (len(weights) - 1) + 1 + extra
    if extra >= max(stride, dilation) or length <= 2 * padding:
        return
    layer = ca.transposed_correlation(
        size, weights, stride=stride, dilation=dilation, padding=padding, output_padding=extra
    )
    assert isinstance(layer, Adjoint)
    x, y = np.arange(1, size + 1), np.zeros(length, dtype=int)
    for (i, sample), (t, weight) in product(enumerate(x), enumerate(weights)):
        y[stride * i + dilation * t] += sample * weight
    assert layer(x).tolist() == y[padding : length - padding].tolist()


@pytest.mark.parametrize("taps", [(3,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize("channels", [(), (4, 3)])
def test_convolution_is_correlation_with_the_flipped_kernel(
    taps: tuple[int, ...], channels: tuple[int, ...]
) -> None:
    kernel = np.arange(1, 1 + np.prod(channels + taps, dtype=int)).reshape(channels + taps)
    shape, options = (5, 4, 3)[: len(taps)], {"padding": 1, "stride": 2}
    left = ca.convolution(shape, kernel, **options)
    right = ca.correlation(shape, ca.flip(kernel, dims=len(taps)), **options)
    assert (left.to_numpy() == right.to_numpy()).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"padding": "causal"}, "padding='causal' is not defined for a transposed layer"),
        ({"padding": "same", "output_padding": 1, "stride": 2}, "leave one of them out"),
        ({"output_padding": 2, "stride": 2}, "must be smaller than the stride 2 or the dilation 1"),
        ({"padding": 9}, "crops everything: the transposed output would have"),
    ],
)
def test_options_of_no_transposed_layer_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        ca.transposed_correlation(4, [1, 2, 3], **options)

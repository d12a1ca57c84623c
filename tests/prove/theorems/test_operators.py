"""Theorems about layers at numbers: their sides are multiplied out by NumPy."""

from __future__ import annotations

from typing import Any

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.prove.theorems.parts import Exponentials, Length, a, o
from convalg.size import substituted


@pytest.mark.parametrize("size", [4, 5, 8])
def test_exponentials_are_eigenvectors_of_a_circular_layer(size: int) -> None:
    part = ca.theorems["circular-dft"].parts[0]
    assert isinstance(part, Exponentials)
    layer: Any = part.layer().at(n=size, K=3, p=1)
    weights = np.array([2.0, -3.0, 5.0])
    matrix = layer.refill(weights).to_numpy().astype(float)
    t, p = ca.sizes("t p")
    for k in range(size):
        z = np.exp(2j * np.pi * k / size)
        exponents = [int(substituted(part.exponent(t, p), {t: tap, p: 1})) for tap in range(3)]
        value = sum(w * z**e for w, e in zip(weights, exponents, strict=True))
        vector = z ** np.arange(size)
        assert np.allclose(matrix @ vector, value * vector)


@given(
    outputs=st.integers(1, 5),
    taps=st.integers(1, 5),
    stride=st.integers(1, 4),
    padding=st.integers(0, 2),
    remainder=st.integers(0, 3),
)
def test_output_padding_is_the_remainder_in_the_size_of_a_transposed_layer(
    outputs: int, taps: int, stride: int, padding: int, remainder: int
) -> None:
    part = ca.theorems["transposed-output-padding"].parts[0]
    assert isinstance(part, Length)
    remainder %= stride
    layer = naive.transposed_correlation(
        outputs, (taps,), stride=stride, padding=padding, output_padding=remainder
    )
    numbers = {"K": taps, "s": stride, "p": padding, "o": outputs, "a": remainder}
    formula = part.claimed(o, a)
    chosen = {symbol: numbers[symbol.name] for symbol in formula.free_symbols}
    assert max(int(substituted(formula, chosen)), 0) == max(layer.out_shape[0], 0)

"""Theorems about layers at numbers: their sides are multiplied out by NumPy."""

from __future__ import annotations

import naive
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.prove.theorems.parts import Length, a, o
from convalg.size import substituted


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

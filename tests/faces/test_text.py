"""The printed call of an operator creates the operator again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from strategies import Drawn, layers

import convalg as ca
from convalg.faces.text import LONGEST_LINE, array_text, call, one_line

CALLS = {name: getattr(ca, name) for name in ca.__all__}


@given(layers())
def test_the_complete_call_creates_the_same_layer(drawn: Drawn) -> None:
    operator = drawn.operator
    text = call(operator, lambda array: repr(np.asarray(array).tolist()))
    again = eval(text, dict(CALLS))
    assert again.in_shape == operator.in_shape
    assert np.array_equal(again.to_numpy(), operator.to_numpy())


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.arange(9).reshape(3, 3), "[[0, 1, 2], [3, 4, 5], [6, 7, 8]]"),
        (np.zeros(10, dtype=np.float32), "<10 float32>"),
        (np.zeros((2, 5)), "<2x5 float64>"),
        (np.array([ca.sizes("n")[0]] * 10, dtype=object), "<10 symbolic>"),
    ],
)
def test_arrays_of_more_than_nine_entries_are_summarised(values: Any, text: str) -> None:
    assert array_text(values) == text


def test_a_long_sum_is_cut_in_the_middle() -> None:
    layer = ca.correlation(30, [1, 2])
    total = layer
    for _ in range(11):
        total = total + layer
    text = one_line(total)
    assert " + <5 more> + " in text
    assert text.count("correlation(30, [1, 2])") == 7


def test_a_long_line_keeps_its_ends() -> None:
    first, last = ca.diagonal([7, *[10**60] * 6]), ca.diagonal([*[10**60] * 6, 8])
    line = one_line(first @ last)
    assert len(line) < LONGEST_LINE
    assert line.startswith("diagonal([7, 1000")
    assert line.endswith(", 8])")
    assert " ... " in line


def test_an_asymmetric_padding_is_printed_for_a_symbolic_stride_too() -> None:
    n, s, p, q = ca.sizes("n s p q")
    layer = ca.correlation(n, ca.kernel(3), stride=s, padding=((q, p),))
    assert "padding=((q, p),)" in one_line(layer)
    assert "padding=p" in one_line(ca.correlation(n, ca.kernel(3), stride=s, padding=p))


@pytest.mark.parametrize("size", [1, 2, 11])
def test_a_transposed_layer_of_a_number_of_samples_and_a_symbolic_stride_prints(size: int) -> None:
    K, s = ca.sizes("K s")  # noqa: N806 - the letter of the field
    layer = ca.transposed_correlation(size, ca.kernel(K), stride=s)
    assert f"transposed_correlation({size}, kernel(K)" in repr(layer)
    assert "stride=s" in repr(layer.T)
    assert "Proved" in ca.prove.equal(layer.T, layer.T).explain()

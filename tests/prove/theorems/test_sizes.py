"""Sizes at numbers: windows are counted one after the other, and remainders by Python."""

from __future__ import annotations

from itertools import product
from typing import Any

import naive
import pytest

import convalg as ca
from convalg.errors import ArgumentError, ShapeError
from convalg.prove.theorems import sizes
from convalg.size import substituted

CASES = [(theorem.name, part) for theorem in sizes.THEOREMS for part in theorem.parts]
PARTS = [part for _, part in CASES]


def at(value: Any, numbers: dict[Any, int]) -> int:
    return int(substituted(value, numbers))


@pytest.mark.parametrize(
    "part",
    [part for part in PARTS if isinstance(part, sizes.CountedWindows)],
    ids=lambda part: part.claim,
)
def test_the_count_is_the_number_of_windows(part: sizes.CountedWindows) -> None:
    symbols = part.domain.symbols
    for values in product(range(4), repeat=len(symbols)):
        numbers = dict(zip(symbols, values, strict=True))
        if part.domain.holds_at(numbers):
            given = (part.size, part.before, part.after, part.taps, part.stride, part.dilation)
            windows = naive.fitting(*(at(value, numbers) for value in given))
            assert max(at(part.count, numbers), 0) == windows, numbers


@pytest.mark.parametrize(
    "part",
    [part for part in PARTS if isinstance(part, sizes.EqualSizes)],
    ids=lambda part: part.claim,
)
def test_both_formulas_have_the_same_value(part: sizes.EqualSizes) -> None:
    symbols = part.domain.symbols
    compared = 0
    for values in product(range(4), repeat=len(symbols)):
        numbers = dict(zip(symbols, values, strict=True))
        if part.domain.holds_at(numbers):
            given = {symbol: at(value, numbers) for symbol, value in part.given.items()}
            left, right = (at(side, numbers | given) for side in (part.left, part.right))
            assert left == right, numbers
            compared += 1
    assert compared > 20


def test_every_size_is_the_output_of_exactly_one_output_padding() -> None:
    """A strided layer with three taps and padding 1: sizes of its input, from 1 to 30."""
    produced = []
    for outputs in range(1, 11):
        for more in range(3):
            layer = ca.transposed_correlation(
                outputs, [1, 2, 3], stride=3, padding=1, output_padding=more
            )
            (size,) = layer.out_shape
            produced.append(size)
            assert ca.correlation(size, [1, 2, 3], stride=3, padding=1).out_shape == (outputs,)
    assert produced == list(range(1, 31))


@pytest.mark.parametrize("padding", ["same", "same_lower", "causal", "full"])
def test_modes_have_the_sizes_of_the_theorems(padding: Any) -> None:
    for size, taps, stride, dilation in product(range(1, 8), range(1, 4), range(1, 4), (1, 2)):
        layer = ca.correlation(size, [1] * taps, stride=stride, dilation=dilation, padding=padding)
        total = size + dilation * (taps - 1) if padding == "full" else size
        assert layer.out_shape == (len(range(0, total, stride)),)


def test_an_output_padding_as_large_as_the_stride_is_refused() -> None:
    with pytest.raises((ArgumentError, ShapeError), match="output_padding"):
        ca.transposed_correlation(3, [1, 2], stride=2, output_padding=2)

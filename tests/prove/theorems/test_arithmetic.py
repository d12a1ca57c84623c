"""The relationships of convolution arithmetic, at numbers: positions and sizes are counted."""

from __future__ import annotations

from typing import Any

import naive
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.prove.theorems.parts import Length, Positions, a, o
from convalg.size import substituted

POSITIONS = [
    (theorem.name, part)
    for theorem in ca.theorems
    for part in theorem.parts
    if isinstance(part, Positions)
]
LENGTHS = [
    (theorem.name, part)
    for theorem in ca.theorems
    for part in theorem.parts
    if isinstance(part, Length) and theorem.name.startswith("relationship")
]
NUMBERS = st.fixed_dictionaries(
    {name: st.integers(1, 7) for name in "nKsd"} | {"p": st.integers(0, 4), "h": st.integers(0, 3)}
)


def at(value: Any, numbers: dict[str, int]) -> int:
    chosen = {s: numbers[s.name] for s in getattr(value, "free_symbols", ()) if s.name in numbers}
    return int(substituted(value, chosen))


def fitting(part: Positions, numbers: dict[str, int]) -> int:
    """The number of positions of the kernel, counted one by one."""
    values = (part.taps, part.padding, part.stride, part.dilation)
    taps, padding, stride, dilation = (at(value, numbers) for value in values)
    return naive.fitting(numbers["n"], padding, padding, taps, stride, dilation)


def test_nine_relationships_count_and_five_measure() -> None:
    assert {name for name, _ in POSITIONS} == {f"relationship-{k}" for k in (*range(1, 8), 15)}
    assert {name for name, _ in LENGTHS} == {f"relationship-{k}" for k in (8, 9, 11, 12, 14)}


@pytest.mark.parametrize(("name", "part"), POSITIONS, ids=lambda v: v if isinstance(v, str) else "")
@given(numbers=NUMBERS)
def test_the_count_is_the_number_of_positions(
    name: str, part: Positions, numbers: dict[str, int]
) -> None:
    # A kernel that does not fit has no positions; its formula is then not positive.
    assert max(at(part.count, numbers), 0) == fitting(part, numbers)


@pytest.mark.parametrize(("name", "part"), LENGTHS, ids=lambda v: v if isinstance(v, str) else "")
@given(numbers=NUMBERS)
def test_the_formula_returns_the_size_of_the_input(
    name: str, part: Length, numbers: dict[str, int]
) -> None:
    stride, padding = at(part.stride, numbers), at(part.padding, numbers)
    n, taps = numbers["n"], numbers["K"]
    outputs = naive.fitting(n, padding, padding, taps, stride, 1)
    if outputs:
        rest = n + 2 * padding - taps - stride * (outputs - 1)
        formula = part.claimed(o, a)
        assert at(substituted(formula, {o: outputs, a: rest}), numbers) == n

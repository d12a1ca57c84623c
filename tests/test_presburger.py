"""Sizes for isl: their text, their names, and when they are equal."""

from __future__ import annotations

from itertools import product
from typing import Any

import islpy
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import convalg as ca
from convalg.errors import UndecidableError
from convalg.presburger import (
    is_implied,
    isl_name,
    parameter_set,
    parameters,
    same_shape,
    same_size,
    text,
)

n, m = ca.sizes("n m")


@st.composite
def sizes(draw: st.DrawFn, depth: int = 2) -> Any:
    """An affine size of n and m, with floors, maxima and minima."""
    size = draw(st.integers(-3, 3)) * n + draw(st.integers(-2, 2)) * m + draw(st.integers(-4, 4))
    if depth:
        kind = draw(st.sampled_from(["floor", "max", "min", "sum", "none"]))
        if kind == "floor":
            size = draw(sizes(depth - 1)) // draw(st.integers(2, 4))
        elif kind != "none":
            other = draw(sizes(depth - 1))
            size = {"max": sympy.Max, "min": sympy.Min, "sum": sympy.Add}[kind](size, other)
    return size


def value(size: Any, at_n: int, at_m: int) -> int:
    return int(sympy.sympify(size).subs({n: at_n, m: at_m}))


@settings(max_examples=60, deadline=None)
@given(sizes(), st.integers(0, 6), st.integers(0, 6))
def test_isl_reads_the_value_of_a_size(size: Any, at_n: int, at_m: int) -> None:
    equal = islpy.Set(
        f"[n, m] -> {{ : n = {at_n} and m = {at_m} and {text(size)} = {value(size, at_n, at_m)} }}"
    )
    assert not equal.is_empty()
    other = islpy.Set(
        f"[n, m] -> {{ : n = {at_n} and m = {at_m} and {text(size)} != {value(size, at_n, at_m)} }}"
    )
    assert other.is_empty()


@settings(max_examples=60, deadline=None)
@given(sizes(), sizes())
def test_equal_sizes_have_equal_values(first: Any, second: Any) -> None:
    if same_size(first, second):
        for at_n, at_m in product(range(5), repeat=2):
            assert value(first, at_n, at_m) == value(second, at_n, at_m)
    # Another form of the same size.
    assert same_size(first, sympy.expand(2 * first - first))


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ((n - 1) // 2 + 1, -(-n // 2), True),
        (n // 2, (n + 1) // 2, False),
        ((n // 2) // 3, n // 6, True),
        (sympy.Max(n, 0), n, True),
        (sympy.Max(n, 1), n, False),
        (n + m, m + n, True),
        # m cancels in the difference.
        (m, m + n, False),
        (m + n // 2, m + (n + 1) // 2, False),
        (m + -(-n // 2), m + (n + 1) // 2, True),
        (n * m, m * n, True),
        (n * m, n * m + 1, False),
        # Not affine: only the ceiling is written in another way.
        (n * m + -(-n // 2), n * m + (n - 1) // 2 + 1, True),
        (3, 3, True),
        (3, n, False),
    ],
)
def test_sizes_are_compared_for_all_values(first: Any, second: Any, is_same: bool) -> None:
    assert same_size(first, second) is is_same
    assert same_size(second, first) is is_same
    assert same_shape((2, first), (2, second)) is is_same
    assert not same_shape((first,), (first, second))


@pytest.mark.parametrize("size", [n * m, n**2, n / (m + 1), sympy.sqrt(n), (n * m) // 2])
def test_a_size_that_is_not_affine_is_refused(size: Any) -> None:
    with pytest.raises(UndecidableError, match="is not affine in its symbols"):
        text(size)


@pytest.mark.parametrize("name", ["o0", "i12", "g", "j", "mod", "floor", "and", "exists", "u"])
def test_a_name_that_isl_uses_gets_an_underscore(name: str) -> None:
    assert isl_name(name) == f"{name}_"
    assert isl_name(f"{name}_") == f"{name}__"
    symbol = sympy.Symbol(name, integer=True)
    bounds = f"{text(symbol)} >= 3 and {text(symbol)} < 5"
    # isl accepts the name as that of a parameter.
    assert not islpy.Set(f"{parameters(symbol)}{{ : {bounds} }}").is_empty()


def test_parameters_are_the_symbols_in_order_without_repetition() -> None:
    assert parameters(n + m, m, 4, sympy.Symbol("g", integer=True)) == "[g_, m, n] -> "
    assert parameters(3, "x") == ""


def test_premises_imply_a_size() -> None:
    assert is_implied(n - 1, [n - m, m - 1])
    assert not is_implied(n - 2, [n - m, m - 1])
    # A premise that is not affine is not used, and a size that is not affine is not decided.
    assert not is_implied(n - 1, [n * m - 1])
    assert not is_implied(n * m, [n, m])
    assert parameter_set([n - m, n * m]).is_equal(islpy.Set("[m, n] -> { : n >= m }"))

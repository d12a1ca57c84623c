"""Exact polynomials against SymPy, and what they refuse."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from convalg.prove.decisions.polynomials import Polynomial, UntraceableError, rational

X, Y = Polynomial.generator("x"), Polynomial.generator("y")
OPERATORS: list[Callable[[Any, Any], Any]] = [operator.add, operator.sub, operator.mul]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Polynomial, Any]:
    """A polynomial, and the SymPy expression that was built beside it."""
    symbols = sympy.symbols("x y z")
    leaf = st.one_of(
        st.sampled_from([(Polynomial.generator(s.name), s) for s in symbols]),
        st.integers(-3, 3).map(lambda k: (Polynomial.of(k), sympy.Integer(k))),
        st.fractions(-2, 2, max_denominator=6).map(
            lambda f: (Polynomial.of(f), sympy.Rational(f.numerator, f.denominator))
        ),
    )
    one, other = draw(leaf)
    for _ in range(draw(st.integers(0, 6))):
        step = draw(st.sampled_from(OPERATORS))
        more, expression = draw(leaf)
        one, other = step(one, more), step(other, expression)
    return one, other


@given(first=pairs(), second=pairs())
def test_as_sympy(first: tuple[Polynomial, Any], second: tuple[Polynomial, Any]) -> None:
    for step in OPERATORS:
        found, expected = step(first[0], second[0]), step(first[1], second[1])
        assert sympy.expand(found.to_sympy() - expected) == 0
        assert found == Polynomial.of(sympy.expand(expected))
    same = sympy.expand(first[1] - second[1]) == 0
    assert (first[0].terms == second[0].terms) == same
    numbers = {"x": 2, "y": Fraction(1, 3), "z": -5}
    values = {sympy.Symbol(k): sympy.Rational(Fraction(v)) for k, v in numbers.items()}
    own = {g: numbers[str(g)] for g in first[0].generators}
    assert sympy.Rational(Fraction(first[0].at(own))) == first[1].subs(values)


@given(first=pairs(), exponent=st.integers(0, 3))
def test_powers(first: tuple[Polynomial, Any], exponent: int) -> None:
    assert sympy.expand((first[0] ** exponent).to_sympy() - first[1] ** exponent) == 0


def test_numbers_on_either_side() -> None:
    assert 1 + X == X + 1
    assert 1 - X == -(X - 1)
    assert 2 * X == X + X
    assert X * Fraction(1, 2) == X / 2
    assert Polynomial.of(6) / 4 == Fraction(3, 2)
    assert 6 / Polynomial.of(4) == Fraction(3, 2)
    assert +X == X
    assert np.int64(2) * X == X + X
    assert X * np.float64(0.5) == X / 2
    assert X + sympy.Symbol("x") == 2 * X
    assert X != "x"


def test_in_arrays() -> None:
    row = np.array([X, Y], dtype=object)
    assert (row @ row) == X**2 + Y**2
    assert np.vdot(row, row) == X**2 + Y**2
    assert (row / 3)[0] == X / 3
    assert sum(row) == X + Y


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (1 / 6, Fraction(1, 6)),
        (1 / 24, Fraction(1, 24)),
        (0.1, Fraction(1, 10)),
        (np.float32(1 / 3), Fraction(1, 3)),
        (np.float64(2.0), 2),
        (np.int8(-3), -3),
        (True, 1),
        (sympy.Rational(2, 7), Fraction(2, 7)),
        (1e-9, Fraction(1e-9)),
        (0.1 + 0.2, Fraction(0.1 + 0.2)),
    ],
)
def test_numbers_as_fractions(value: Any, found: Any) -> None:
    assert rational(value) == found
    assert float(rational(value)) == pytest.approx(float(value), rel=1e-7)


def test_nearby_floats_stay_apart() -> None:
    assert rational(np.nextafter(1 / 3, 1)) != Fraction(1, 3)
    assert rational(0.3333333) != Fraction(1, 3)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "x", None, [1], 1j])
def test_what_is_no_number(value: Any) -> None:
    with pytest.raises(UntraceableError, match="expected a finite real number, not"):
        rational(value)


@pytest.mark.parametrize(
    "decide",
    [
        bool,
        float,
        int,
        abs,
        lambda v: v > 0,
        lambda v: v >= 1,
        lambda v: np.int64(2) < v,
        lambda v: v <= Y,
        lambda v: v and 1,
        lambda v: max(v, 0),
        lambda v: np.maximum(v, 0),
    ],
)
def test_decisions_are_refused(decide: Callable[[Any], Any]) -> None:
    with pytest.raises(UntraceableError, match="branches on or converts the value of "):
        decide(X)


def test_constants_decide_as_numbers() -> None:
    three = Polynomial.of(3)
    assert three > 2
    assert three >= 3
    assert not three < 3
    assert three <= 3
    assert (float(three), int(three), abs(-three), bool(three - 3)) == (3.0, 3, 3, False)
    assert not (X - X)


def test_divisions_and_powers_that_are_no_polynomials() -> None:
    for divisor in (X, Polynomial.of(0), 0):
        with pytest.raises(UntraceableError, match="a polynomial cannot be divided by"):
            _ = Y / divisor
    for exponent in (-1, 0.5, X):
        with pytest.raises(
            UntraceableError, match="is not a polynomial: use an integer of at least 0 as exponent"
        ):
            _ = X**exponent


def test_expressions_that_are_no_polynomials_become_unknowns() -> None:
    x = sympy.Symbol("x")
    root = Polynomial.of(sympy.sqrt(x))
    assert [str(g) for (g,) in root.terms] == ["sqrt(x)"]
    assert root.to_sympy() == sympy.sqrt(x)
    assert Polynomial.of(sympy.sqrt(x) + 2 * x) == root + 2 * X
    assert Polynomial.of(sympy.Float(0.5) * x) == X / 2


def test_words() -> None:
    assert repr(X * Y - 2 * X + 1) == "1 - 2*x + x*y"
    assert repr(X - X) == "0"
    assert (X**2 * Y + 3).degree_in(X.generators) == {0, 2}


def test_polynomials_are_no_keys() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(X)

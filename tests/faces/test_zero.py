"""Zero tests of exact entries against known identities, and equal values found among others."""

from __future__ import annotations

from typing import Any

import pytest
import sympy

from convalg.faces.zero import first_equal, is_equal, is_zero

w0, w1 = sympy.symbols("w0 w1")


COS = sympy.cos(1)


ROOT = sympy.sqrt(3 + 2 * sympy.sqrt(2))


POSITIVE = sympy.Symbol("w0", positive=True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (sympy.sqrt(2) * sympy.sqrt(3) - sympy.sqrt(6), True),
        (ROOT - 1 - sympy.sqrt(2), True),
        (ROOT - 1 - sympy.sqrt(3), False),
        (sympy.log(6) - sympy.log(2) - sympy.log(3), True),
        (sympy.pi - sympy.Rational(355, 113), False),
        (sympy.exp(-(10**10)), False),
        (sympy.sqrt(w0**2) - w0, False),
        (sympy.sqrt(POSITIVE**2) - POSITIVE, True),
        ((w0**2 - w1**2) / (w0 - w1) - w0 - w1, True),
        (sympy.sqrt(2) * w0 - sympy.sqrt(8) * w0 / 2, True),
        (sympy.exp(w0) * sympy.exp(w1) - sympy.exp(w0 + w1), True),
        (sympy.tan(1) - sympy.sin(1) / COS, True),
    ],
)
def test_zero_is_decided(value: Any, expected: bool) -> None:
    assert is_zero(value) is expected


def test_equal_values_become_the_first_of_them() -> None:
    cosine = sympy.cos(w0)
    half_angle = 2 * sympy.sin(w0) * cosine
    values = [sympy.sin(2 * w0), w1, half_angle, sympy.sin(w0) ** 2 + cosine**2, sympy.log(1)]
    assert first_equal(values) == [values[0], w1, values[0], 1, 0]
    assert first_equal([half_angle, values[0]]) == [half_angle, half_angle]


def test_numbers_and_expanded_polynomials_are_left_alone() -> None:
    values = [2, 2, w0 + w1, w1 + w0, w0**2]
    assert first_equal(values) is values


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(2, 2.0, True), (2, 3, False), ((w0 + 1) ** 2, w0**2 + 2 * w0 + 1, True), (w0, w1, False)],
)
def test_equality_is_decided(first: Any, second: Any, expected: bool) -> None:
    assert is_equal(first, second) is expected

"""Zero tests of exact entries against known identities, and equal values found among others."""

from __future__ import annotations

from typing import Any

import pytest
import sympy

from convalg.faces.zero import is_zero

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

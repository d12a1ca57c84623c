"""Symbols: how numbers enter, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import sympy

import convalg as ca
from convalg.prove import implements

IDENTITY = ca.identity(3)


HALF = ca.diagonal([sympy.Rational(1, 2)] * 3)


Function = Callable[..., Any]


@pytest.mark.parametrize(
    ("factor", "exact"),
    [(Decimal("0.5"), False), (np.longdouble("0.5"), True), (0.5, True), (np.float32(0.5), True)],
)
def test_numbers_enter_exactly(factor: Any, exact: bool) -> None:
    assert bool(implements(lambda x: x * factor, HALF)) == exact
    near = np.longdouble("0.50000000000000001")
    if near != 0.5:
        assert not implements(lambda x: x * near, HALF)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: [str(v) for v in x],
        lambda x: ["1", "2", "3"],
        lambda x: [v + 1j * v for v in x],
        lambda x: x * (1 + 0.5j),
    ],
)
def test_text_and_complex_numbers_are_refused(f: Function) -> None:
    assert implements(f, IDENTITY).status == "unknown"

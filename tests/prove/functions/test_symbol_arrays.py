"""Arrays of symbols with the dtypes of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy

import convalg as ca
from convalg.prove import implements

IDENTITY = ca.identity(3)


HALF = ca.diagonal([sympy.Rational(1, 2)] * 3)


Function = Callable[..., Any]


@pytest.mark.parametrize("make", [lambda x: np.zeros_like(x), lambda x: np.zeros(3, x.dtype)])
def test_integers_that_are_truncated_are_named_by_the_scope(make: Function) -> None:
    def f(x: Any) -> Any:
        y = make(x)
        for k in range(3):
            y[k] = x[k] / 2
        return y

    verdict = implements(f, HALF)
    assert verdict
    assert verdict.scope.endswith("only arrays of floats: arrays of integers are truncated")
    assert implements(lambda x: x * (x.dtype.kind == "f"), IDENTITY).status == "refuted"


def test_an_array_of_integers_takes_no_symbols() -> None:
    def f(x: Any) -> Any:
        y = np.zeros(3, dtype=int)
        y[:] = x
        return y

    found = implements(f, IDENTITY).counterexample
    assert found is not None
    claimed, actual = found.replay()
    assert claimed == int(actual) != actual

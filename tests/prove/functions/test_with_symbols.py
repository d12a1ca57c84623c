"""Functions that hold SymPy symbols of their own: as exact as those that hold numbers."""

from __future__ import annotations

from typing import Any

import pytest
import sympy

import convalg as ca

w = ca.kernel(2)
a = sympy.Symbol("a")
A = ca.correlation(3, w)


def left(x: Any) -> Any:
    return [w[0] * x[o] + w[1] * x[o + 1] for o in range(2)]


def right(x: Any) -> Any:
    return [x[o] * w[0] + x[o + 1] * w[1] for o in range(2)]


def product(x: Any) -> Any:
    return [w @ x[o : o + 2] for o in range(2)]


def turned(x: Any) -> Any:
    return [w[1] * x[o] + w[0] * x[o + 1] for o in range(2)]


def looking(x: Any) -> Any:
    if x[0] > 0:
        return right(x)
    return left(x)


@pytest.mark.parametrize("f", [left, right, product])
def test_symbols_on_either_side_of_an_unknown(f: Any) -> None:
    assert ca.prove.implements(f, A)
    assert ca.prove.linear(f, (3,))


def test_other_symbols_are_another_operator() -> None:
    verdict = ca.prove.implements(turned, A)
    assert verdict.status == "refuted"
    assert verdict.counterexample is not None
    assert verdict.counterexample.row == 0
    claimed, actual = verdict.counterexample.claimed, verdict.counterexample.actual
    assert claimed - actual == sympy.sympify("w1*x0 + w0*x1 - w0*x0 - w1*x1")
    assert not ca.prove.linear(lambda x: [a * x[0] + a], (3,))
    assert not ca.prove.linear(lambda x: [a * x[0] * x[1]], (3,))


def test_a_backward_pass_with_symbols() -> None:
    def back(x: Any, g: Any) -> Any:
        return [w[0] * g[0], w[1] * g[0] + w[0] * g[1], w[1] * g[1]]

    assert ca.prove.gradient(back, A)


def test_what_cannot_be_followed_is_unknown_and_says_why() -> None:
    """Nor do numbers help, where the operator or the function holds symbols."""
    verdict = ca.prove.implements(looking, A)
    assert verdict.status == "unknown"
    assert "the operator contains the symbols w0, w1, so numbers cannot decide" in verdict.reason
    verdict = ca.prove.linear(looking, (3,))
    assert verdict.status == "unknown"
    assert (
        "y is not an array of numbers: for numeric inputs, the function returns" in verdict.reason
    )
    verdict = ca.prove.implements(lambda x: [x[0] / a, x[1]], ca.correlation(3, [1, 2]))
    assert verdict.status == "unknown"
    assert "is not an array of numbers" in verdict.reason

"""Parts about real numbers and maxima: wrong ones are refuted or left open."""

from __future__ import annotations

from typing import Any

import pytest
import sympy

import convalg as ca
from convalg.errors import UndecidableError
from convalg.prove.theorems.reals import (
    AnyPooling,
    MonotoneMaximum,
    RealEquation,
    SameWindows,
    real,
    relu,
)

x, y, a = real("x"), real("y"), real("a")
n, K, k = ca.sizes("n K k")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (relu(x), x),
        (relu(x), sympy.Abs(x)),
        (relu(x + y), relu(x) + relu(y)),
        (2 * relu(x), relu(3 * x) / 2),
        (x * y, y),
    ],
)
def test_a_wrong_equation_is_refuted_at_small_numbers(left: Any, right: Any) -> None:
    verdict = RealEquation("wrong", lambda: (left, right)).decide()
    assert verdict.status == "refuted"
    assert verdict.counterexample is not None
    values = verdict.counterexample.sizes
    at = {symbol: values[symbol.name] for symbol in (left + right).free_symbols}
    assert left.subs(at) == verdict.counterexample.actual != verdict.counterexample.claimed
    assert right.subs(at) == verdict.counterexample.claimed


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (relu(x) * relu(-x), 0 * x),
        (sympy.Abs(x) * sympy.Abs(x), x * x),
        (relu(relu(x) - 3), relu(x - 3)),
        (relu(x) / 3, relu(x / 3)),
    ],
)
def test_an_equation_is_proved_for_all_real_numbers(left: Any, right: Any) -> None:
    assert RealEquation("right", lambda: (left, sympy.sympify(right))).decide()


def test_an_equation_that_fails_only_far_from_zero_is_not_proved() -> None:
    part = RealEquation("wrong beyond 5", lambda: (relu(x - 5), 0 * x + sympy.Integer(0)))
    assert part.decide().status == "unknown"


def test_other_functions_are_not_decided() -> None:
    with pytest.raises(UndecidableError, match=r"(sin|cos).* is not a combination of numbers"):
        RealEquation("sine", lambda: (sympy.sin(x) ** 2 + sympy.cos(x) ** 2, 0 * x + 1)).decide()


def test_conditions_are_needed() -> None:
    sides = (relu(a * x), a * relu(x))
    assert RealEquation("for a >= 0", lambda: sides, given=lambda: (a,)).decide()
    assert RealEquation("for all a", lambda: sides).decide().status == "refuted"


@pytest.mark.parametrize("function", [lambda v: -v, sympy.Abs, lambda v: v * v, lambda v: a * v])
def test_functions_that_are_not_monotone_do_not_commute(function: Any) -> None:
    verdict = MonotoneMaximum("wrong", function).decide()
    assert verdict.status == "refuted"
    assert verdict.counterexample is not None
    assert verdict.counterexample.actual > verdict.counterexample.claimed


def test_functions_that_decrease_far_from_zero_are_not_proved() -> None:
    assert MonotoneMaximum("wrong", lambda v: v - 2 * relu(v - 7)).decide().status == "unknown"
    assert MonotoneMaximum("cubes", lambda v: v * relu(v) + v).decide()


def test_windows_with_other_samples_are_refuted() -> None:
    def late(pool: AnyPooling) -> tuple[ca.Operator, ca.Operator]:
        every = pool(n, stride=1)
        first, last = (ca.crop(n - K + 1, (pair,)) for pair in ((1, 0), (0, 1)))
        return first @ every, last @ every

    verdict = SameWindows("wrong", late).decide()
    assert verdict.status == "refuted"
    assert "max" in SameWindows("wrong", late).formula
    assert verdict.evidence == ()

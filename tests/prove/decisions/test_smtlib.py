"""SMT-LIB scripts: each definition means what it says, held against Python's integers."""

from __future__ import annotations

import operator
from typing import Any

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import convalg as ca
from convalg.errors import UndecidableError
from convalg.prove.decisions.smtlib import Script, conjunction, disjunction, negation, solve

n, K, s, d = ca.sizes("n K s d")
UNITS = 2_000_000


def answer(script: Script, *assertions: str) -> str:
    return solve(script.written([], assertions), UNITS).answer


def has_value(value: sympy.Expr, numbers: dict[sympy.Symbol, int], wanted: int) -> None:
    """The expression is the wanted number at these numbers, and no other."""
    script = Script()
    is_wanted = script.equal(value, wanted)
    given_values = [script.equal(symbol, number) for symbol, number in numbers.items()]
    assert answer(script, *given_values, is_wanted) == "sat"
    assert answer(script, *given_values, negation(is_wanted)) == "unsat"


EXPRESSIONS: dict[str, tuple[sympy.Expr, Any]] = {
    "a quotient by a number": ((n - 3) // 2 + 1, lambda n, k, s: (n - 3) // 2 + 1),
    "a quotient by a symbol": ((n - K) // s, lambda n, k, s: (n - k) // s),
    "a negative quotient": (-(-n // s), lambda n, k, s: -(-n // s)),
    "a nested quotient": ((n // s + 1) // 2, lambda n, k, s: (n // s + 1) // 2),
    "a quotient with whole terms": ((s * n + K) // s, lambda n, k, s: (s * n + k) // s),
    "a quotient by a product": ((n - K) // (2 * s), lambda n, k, s: (n - k) // (2 * s)),
    "a remainder": (sympy.Mod(n - K, s), lambda n, k, s: (n - k) % s),
    "a maximum": (sympy.Max(n - K, s, 2), lambda n, k, s: max(n - k, s, 2)),
    "a minimum": (sympy.Min(n, K * s), lambda n, k, s: min(n, k * s)),
    "an exact fraction": (n * (n + 1) / 2, lambda n, k, s: n * (n + 1) // 2),
    "a power": (n**3 - K, lambda n, k, s: n**3 - k),
    "nothing but a number": (sympy.Integer(-7), lambda n, k, s: -7),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
@settings(max_examples=20)
@given(values=st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(1, 7)))
def test_an_expression_has_the_value_of_pythons_integers(
    name: str, values: tuple[int, int, int]
) -> None:
    value, wanted = EXPRESSIONS[name]
    has_value(value, dict(zip((n, K, s), values, strict=True)), wanted(*values))


@pytest.mark.parametrize("name", ["at_least", "above", "equal"])
@settings(max_examples=30)
@given(values=st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_comparisons(name: str, values: tuple[int, int]) -> None:
    script = Script()
    condition = getattr(script, name)(2 * n, K + 3)
    sides = 2 * values[0], values[1] + 3
    compare = {"at_least": operator.ge, "above": operator.gt, "equal": operator.eq}[name]
    fixed = [script.equal(n, values[0]), script.equal(K, values[1])]
    assert (answer(script, *fixed, condition) == "sat") == compare(*sides)


def test_comparisons_of_numbers_are_decided_at_once() -> None:
    script = Script()
    assert script.at_least(n - n, 0) == "true"
    assert script.above(n, n) == "false"
    assert script.equal(K + 1, K) == "false"
    assert script.within(2, 3) == ["true", "true"]


def test_equal_quotients_are_one_variable() -> None:
    script = Script()
    first, second = script.quotient(n - K, s), script.quotient(-K + n, s)
    assert first == second
    assert len(script.definitions) == 2


def test_divisors_that_are_symbols_are_listed() -> None:
    script = Script()
    script.text(n // s + n // 2 + K // (s + d))
    assert set(script.divisors) == {s, s + d}


def test_the_logic_says_whether_the_formula_is_linear() -> None:
    linear, product = Script(), Script()
    linear.at_least(2 * n, K // 3)
    product.at_least(n, K * s)
    assert "(set-logic QF_LIA)" in linear.written([], [])
    assert "(set-logic QF_NIA)" in product.written([], [])


def test_names_that_smt_lib_reserves_are_replaced() -> None:
    script = Script()
    for name in ("and", "Int", "let", "_", "a b", 'x" (check-sat)', "é"):
        symbol = sympy.Symbol(name, integer=True)
        assert script.text(symbol).startswith("size."), name
    assert script.text(sympy.Symbol("and_", integer=True)) == "and_"
    assert answer(script) == "sat"


REFUSED = {
    "a root": sympy.sqrt(n),
    "a symbol that is not an integer": sympy.Symbol("x"),
    "an exponential": sympy.Integer(2) ** n,
    "a sine": sympy.sin(n),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_expressions_are_refused(name: str) -> None:
    with pytest.raises(UndecidableError, match=r"not a combination of|is not an integer"):
        Script().text(REFUSED[name])


def test_connectives() -> None:
    assert conjunction(["(> a b)", "false"]) == "false"
    assert conjunction(["(> a b)", "(> c d)"]) == "(and (> a b) (> c d))"
    assert disjunction(["true", "(> a b)"]) == "true"
    assert disjunction(["(> a b)", "(> c d)", "(> a b)"]) == "(or (> a b) (> c d))"
    assert [negation(text) for text in ("true", "false", "(> a b)")] == [
        "false",
        "true",
        "(not (> a b))",
    ]


def test_a_solution_has_the_values_of_the_variables() -> None:
    script = Script()
    text = script.written([], [script.equal(n * s, 35), script.above(n, s), script.above(s, 1)])
    solution = solve(text, UNITS)
    assert solution.answer == "sat"
    assert {name: solution.values[name] for name in "ns"} == {"n": 7, "s": 5}


def test_a_spent_budget_is_unknown() -> None:
    script = Script()
    cubes = script.equal(n**3 + K**3, d**3)
    positive = [script.at_least(symbol, 1) for symbol in (n, K, d)]
    assert solve(script.written([], [cubes, *positive]), 10_000).answer == "unknown"


def test_answers_do_not_depend_on_earlier_questions() -> None:
    script = Script()
    text = script.written(
        [], [script.equal(n * n + K * K, d * d), *(script.at_least(v, 3) for v in (n, K, d))]
    )
    first = solve(text, UNITS)
    solve("(declare-const n Real) (assert (> n 1))", UNITS)
    assert solve(text, UNITS) == first


def test_values_that_are_not_integers_are_left_out() -> None:
    text = "(set-logic QF_NRA) (declare-const x Real) (declare-const y Real)"
    solution = solve(f"{text} (assert (= (* 2 x) 1.0)) (assert (= y 3.0)) (check-sat)", 100_000)
    assert solution.answer == "sat"
    assert "x" not in solution.values

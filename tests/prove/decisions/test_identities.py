"""Identities of polynomials as formulas: their meaning is that of SymPy, and z3 decides them."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from convalg.errors import UndecidableError
from convalg.prove.decisions import identities
from convalg.prove.decisions.identities import identity, is_variable, linearity
from convalg.prove.decisions.polynomials import Polynomial
from convalg.prove.solvers import ask_z3

x, y = map(Polynomial.generator, "xy")
UNITS = 1_000_000

coefficients = st.fractions(-3, 3, max_denominator=3)
polynomials = st.lists(
    st.tuples(coefficients, st.integers(0, 2), st.integers(0, 2)), max_size=4
).map(lambda terms: sum((c * x**a * y**b for c, a, b in terms), start=Polynomial({})))


def answer(*pairs: tuple[Polynomial, Polynomial]) -> str:
    return ask_z3(identity("name", "a sentence", pairs, []).text, UNITS)[0]


@given(polynomials, polynomials)
def test_the_answer_is_that_of_sympy(first: Polynomial, second: Polynomial) -> None:
    equal = sympy.expand(first.to_sympy() - second.to_sympy()) == 0
    assert answer((first, second)) == ("unsat" if equal else "sat")
    assert answer((first * second, second * first), (first, first)) == "unsat"


def test_one_pair_that_differs_is_enough() -> None:
    assert answer((x, x), (x, y), (y, y)) == "sat"
    assert answer() == "unsat"


def test_negative_fractions_are_terms() -> None:
    text = identity(
        "name", "a sentence", [(Fraction(-1, 2) * x, Polynomial({}))], ["claim: c"]
    ).text
    assert "(assert (not (= (* (- (/ 1.0 2.0)) v.0) 0.0)))" in text
    assert text.startswith("; claim: c\n; obligation: a sentence\n; expected: unsat\n; v.0 = x\n")


def test_unknowns_of_one_name_are_different_variables() -> None:
    one, other = Polynomial.unknown("x"), Polynomial.unknown("x")
    assert answer((one, other)) == "sat"
    assert answer((one, one)) == "unsat"


def test_words_stay_in_their_line() -> None:
    """A name with a line break cannot add a line to the script."""
    name = Polynomial.of(sympy.Symbol("a\n(check-sat)"))
    lines = identity("name", "a sentence", [(name, name)], []).text.splitlines()
    assert lines.count("(check-sat)") == 1


def test_roots_have_no_formula() -> None:
    root = Polynomial.of(sympy.sqrt(2))
    assert not is_variable(*root.generators)
    with pytest.raises(UndecidableError, match=r"sqrt\(2\) is not a rational number or a symbol"):
        answer((root, root))


def test_long_identities_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "MOST_TERMS", 1)
    with pytest.raises(UndecidableError, match="the polynomials have 2 terms, more than 1"):
        answer((x, x))


def test_a_sum_of_products_is_linear() -> None:
    obligations = linearity(["claim: c"])
    assert [ask_z3(one.text, UNITS)[0] for one in obligations] == ["unsat", "unsat"]
    assert all(one.text.startswith("; claim: c\n") for one in obligations)


def test_a_step_that_is_not_linear_would_be_seen() -> None:
    alpha, a, u = map(Polynomial.generator, ("alpha", "a", "u"))
    assert answer((alpha * a * u * u, a * (alpha * u) * (alpha * u))) == "sat"

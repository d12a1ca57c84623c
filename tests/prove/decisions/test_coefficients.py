"""Coefficients: one canonical form, poles, and what has no form; against SymPy and numbers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.errors import ArgumentError, UndecidableError
from convalg.prove import equal
from convalg.prove.decisions import coefficients
from convalg.prove.decisions.polynomials import Polynomial

n, m, K, L = ca.sizes("n m K L")
E, N, S, I, beta = ca.sizes("E N S I beta")  # noqa: E741 - the name is what is tested
a, b = sympy.symbols("a b")
root = sympy.sqrt(2)


def same(first: Any, second: Any) -> bool:
    return coefficients.is_zero(Polynomial.of(first) - Polynomial.of(second))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (root * sympy.sqrt(3), sympy.sqrt(6), True),
        (root * sympy.sqrt(3), sympy.sqrt(5), False),
        (sympy.sqrt(3 + 2 * root), 1 + root, True),
        (a * sympy.sqrt(3 + 2 * root), a + a * root, True),
        ((a**2 - 1) / (a - 1), a + 1, True),
        ((a**2 - 1) / (a - 1), a - 1, False),
        (1 / a + 1 / b, (a + b) / (a * b), True),
        (1 / (a + b), 1 / a + 1 / b, False),
        (sympy.GoldenRatio**2, sympy.GoldenRatio + 1, True),
        (2 ** sympy.Rational(1, 3), 2 ** sympy.Rational(1, 2), False),
    ],
)
def test_one_form(first: Any, second: Any, expected: bool) -> None:
    assert same(first, second) == expected


@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=3),
    st.integers(-3, 3),
)
def test_sums_of_fractions(parts: list[tuple[int, int]], more: int) -> None:
    """The sum of c / (a - k), in any order and over one denominator, is one coefficient."""
    terms = [c / (a - k) for c, k in parts]
    total = sum(terms, sympy.Integer(more))
    assert same(total, sympy.together(total))
    assert same(total, sum(reversed(terms), sympy.Integer(more)))
    assert not same(total, total + 1 / (a - 7))


@pytest.mark.parametrize(
    "value",
    [
        sympy.sin(1),
        sympy.pi,
        sympy.exp(a),
        sympy.sqrt(a),
        sympy.Abs(a),
        sympy.sin(a) ** 2 + sympy.cos(a) ** 2,
        sympy.Function("f")(a),
        1 / sympy.sin(1),
    ],
)
def test_no_form_decides_nothing(value: Any) -> None:
    with pytest.raises(UndecidableError, match="has no canonical form"):
        coefficients.check_canonical([value])
    layer = ca.correlation(3, [value, 1])
    for other in (layer, ca.correlation(3, [1, 1]), ca.correlation(3, [value, 2])):
        verdict = equal(layer, other)
        assert verdict.status == "unknown"
        assert "has no canonical form" in verdict.reason
    family = value * ca.correlation(n, ca.kernel(K))
    assert equal(family, family).status == "unknown"


def test_too_many_roots_to_tell() -> None:
    value = sum((sympy.sqrt(k) * a**k for k in (2, 3, 5, 7)), sympy.S.Zero)
    with pytest.raises(
        UndecidableError, match="4 different radicals, more than 3, takes too long to"
    ):
        same(value, a)


def test_symbols_that_do_not_commute_have_no_form() -> None:
    with pytest.raises(UndecidableError, match="the coefficient A has no canonical form"):
        coefficients.check_canonical([sympy.Symbol("A", commutative=False)])


# -- operators with factors -----------------------------------------------------------------


def test_a_pole_is_no_part_of_the_domain() -> None:
    family = (1 / (K - 1)) * ((K - 1) * ca.identity(K))
    verdict = equal(family, ca.identity(K))
    assert verdict
    assert verdict.scope == "all K >= 1, K != 1"
    assert family.at(K=3).to_numpy().tolist() == ca.identity(3).to_numpy().tolist()
    with pytest.raises(ArgumentError, match="must be finite and real"):
        family.at(K=1)


@pytest.mark.parametrize(
    ("first", "scope"),
    [
        ((1 / K) * ca.identity(K), "all K >= 1"),
        ((1 / (K - 3)) * ca.identity(K), "all K >= 1, K != 3"),
        ((1 / (2 * K - 3)) * ca.identity(K), "all K >= 1"),
        ((1 / (n - K)) * ca.correlation(n, ca.kernel(K)), "all n >= K >= 1, n != K"),
        ((1 / (n - K + 1)) * ca.correlation(n, ca.kernel(K)), "all n >= K >= 1"),
        ((1 / (a - 1)) * ca.identity(n), "all n >= 1, a != 1"),
        (ca.correlation(3, [1 / (a - 1)]), "this size, a != 1"),
        (ca.dense([[1 / a, 1 / b]]), "this size, a != 0, b != 0"),
    ],
)
def test_scopes_list_the_poles(first: ca.Operator, scope: str) -> None:
    assert equal(first, first).scope == scope


TRUE: dict[str, tuple[ca.Operator, ca.Operator]] = {
    "shares of one": (
        (1 / K) * ca.identity(K) + ((K - 1) / K) * ca.identity(K),
        ca.identity(K),
    ),
    "the mean times its size": (
        (K * ca.identity(n - K + 1)) @ ca.average_pool(n, K, stride=1),
        ca.sum_pool(n, K, stride=1),
    ),
    "roots": (ca.correlation(4, [root]) @ ca.correlation(4, [root]), ca.correlation(4, [2])),
    "roots in a family": (root * (root * ca.identity(n)), 2 * ca.identity(n)),
    "fractions of symbols": (
        ca.correlation(4, [(a**2 - 1) / (a - 1)]),
        ca.correlation(4, [a + 1]),
    ),
    "two means": (
        ca.average_pool(n - 1, 2, stride=1) @ ca.average_pool(n, 2, stride=1),
        sympy.Rational(1, 4) * ca.correlation(n, [1, 2, 1]),
    ),
    "a circular border before a sum": (
        ca.sum_pool(n + K, 2) @ ca.pad(n, ((K, 0),), boundary="circular"),
        ca.correlation(n, [1, 1], stride=2, padding=((K, 0),), boundary="circular"),
    ),
    "means commute": (
        ca.average_pool(n - K + 1, L, stride=1) @ ca.average_pool(n, K, stride=1),
        ca.average_pool(n - L + 1, K, stride=1) @ ca.average_pool(n, L, stride=1),
    ),
    "names of constants": (
        (E * N * S * I * beta) * ca.identity(n),
        (beta * I) * ((S * N * E) * ca.identity(n)),
    ),
}


@pytest.mark.parametrize("name", TRUE)
def test_true_claims(name: str) -> None:
    assert equal(*TRUE[name])


FALSE: dict[str, tuple[ca.Operator, ca.Operator, dict[str, int]]] = {
    "a product of factors": (
        (E - 1) * ca.identity((n, E)),
        0 * ca.identity((n, E)),
        {"n": 1, "E": 2},
    ),
    "a factor of two sizes": (
        ((n - 1) * (K - 2)) * ca.correlation(n, ca.kernel(K)),
        0 * ca.correlation(n, ca.kernel(K)),
        {"n": 2, "K": 1},
    ),
    "a factor of degree two": (
        (K**2 - 2 * K) * ca.identity(K),
        0 * ca.identity(K),
        {"K": 1},
    ),
    "an irreducible factor": (
        (K**2 - 4 * K + 5) * ca.identity(K),
        2 * ca.identity(K),
        {"K": 2},
    ),
    "a mean and a sum": (
        ca.average_pool(n, N, stride=1),
        ca.sum_pool(n, N, stride=1),
        {"n": 2, "N": 2},
    ),
    "a shape later than an entry": (ca.flip_axes(n), ca.crop(n, ((0, n // 10),)), {"n": 2}),
    "a shape before an entry": (
        ca.sum_pool(n, K, stride=2),
        ca.sum_pool(n, K + 1, stride=2),
        {"n": 2, "K": 1},
    ),
}


@pytest.mark.parametrize("name", FALSE)
def test_false_claims(name: str) -> None:
    """Refuted at the smallest sizes, with both values at those sizes, which replay."""
    first, second, sizes = FALSE[name]
    verdict = equal(first, second)
    assert verdict.status == "refuted"
    found = verdict.counterexample
    assert found is not None
    assert found.sizes == sizes
    claimed, actual = found.replay()
    assert claimed != actual
    assert found.claimed != found.actual
    if found.row_index is not None:
        assert not getattr(found.actual, "free_symbols", set()) & {n, K, E, N}


def test_symbols_of_one_name_are_told_apart() -> None:
    plain, positive = sympy.Symbol("a"), sympy.Symbol("a", positive=True)
    assert equal(ca.correlation(3, [plain]), ca.correlation(3, [positive])).status == "refuted"
    assert equal(ca.correlation(3, [sympy.Dummy("a")]), ca.correlation(3, [plain])).status == (
        "refuted"
    )
    # A weight named as a size is no size.
    weight = sympy.Symbol("n")
    family = ca.correlation(n, [weight, 1])
    assert equal(family, ca.correlation(n, [n, 1])).status == "refuted"
    assert family.at(n=3).to_sympy()[0, 0] == weight
    assert ca.correlation(n, [n, 1]).at(n=3).to_sympy()[0, 0] == 3


def test_text_of_a_symbol_is_never_evaluated(tmp_path: Any) -> None:
    folder = tmp_path / "made"
    hostile = sympy.Symbol(f"__import__('os').mkdir('{folder}')")
    first, second = ca.correlation(n, [hostile, 1]), ca.correlation(n, [1, hostile])
    assert equal(first, second).status == "refuted"
    assert equal(hostile * first, hostile * first)
    assert equal(ca.correlation(4, [hostile]), ca.correlation(4, [hostile]))
    assert not folder.exists()


@pytest.mark.parametrize("name", ["S", "N", "Q", "E", "I", "O", "beta", "zeta", "gamma", "pi"])
def test_any_name_of_a_symbol(name: str) -> None:
    weight, size = sympy.Symbol(name), ca.sizes(name)[0]
    for symbol in (weight, size):
        first, second = ca.correlation(n, [symbol, 1]), ca.correlation(n, [1, symbol])
        assert equal(first, second).status == "refuted"
        assert equal(symbol * first, (2 * symbol - symbol) * first)
    layer = ca.correlation(size, ca.kernel(2))
    assert equal(layer, layer).scope == f"all {name} >= 2"


def test_floats_that_are_read_as_fractions_are_named() -> None:
    verdict = equal(ca.correlation(3, [0.1]), Fraction(1, 10) * ca.correlation(3, [1]))
    assert verdict.scope == "this size; floats read as simple fractions, such as 0.1 as 1/10"
    assert equal(ca.correlation(3, [0.5]), ca.correlation(3, [0.5])).scope == "this size"

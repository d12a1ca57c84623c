"""Claims as formulas: obligations, what their answers mean, and the smallest sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import brute
import pytest
import sympy

import convalg as ca
from convalg.errors import UndecidableError
from convalg.prove.decisions import nonlinear
from convalg.prove.decisions.domain import Domain
from convalg.prove.decisions.nonlinear import decide, formulas, proof_formulas, smallest
from convalg.prove.decisions.smtlib import solve

n, K, L, p, s, d = ca.sizes("n K L p s d")
w = ca.kernel(K)
A = ca.correlation(n, w, stride=s)
DENSE = ca.downsample(n - K + 1, s) @ ca.correlation(n, w)
BUDGET = 5_000_000


def decided(first: ca.Operator, second: ca.Operator) -> Any:
    """The formulas of a claim, its domain and the answer."""
    domain = Domain.of(first, second)
    claim = formulas(first, second, domain)
    return claim, domain, decide(claim, domain, BUDGET)


def test_a_proof_has_obligations_that_come_out_as_expected() -> None:
    claim, _, answer = decided(A, DENSE)
    assert answer.status == "proved"
    obligations = list(claim.obligations(["claim: strided"]))
    assert [obligation.name for obligation in obligations] == [
        *("sizes", "divisors", "shapes", "entries-0", "entries-1"),
    ]
    for obligation in obligations:
        assert obligation.text.startswith("; claim: strided\n; obligation: ")
        assert solve(obligation.text, 4 * BUDGET).answer == obligation.expected


def test_every_claim_states_something_about_its_entries() -> None:
    claim, _, answer = decided(A, A)
    assert answer.status == "proved"
    assert "entries-0" in {obligation.name for obligation in claim.obligations()}


def test_coefficients_with_sizes_and_other_symbols() -> None:
    a = sympy.Symbol("a")
    first = (K - 1) * A + a * A + A / K
    assert decided(first, (K + a - 1) * DENSE + DENSE / K)[2].status == "proved"
    claim, domain, answer = decided(first, (K + a) * DENSE)
    assert answer.status == "refuted"
    assert smallest(claim, domain, answer.values, BUDGET) == {n: 2, K: 2, s: 1}


def test_roots_are_compared_by_cases() -> None:
    root = sympy.sqrt(2)
    assert decided(root * A + A, (1 + root) * DENSE)[2].status == "proved"
    assert decided(root * (root * A), 2 * DENSE)[2].status == "proved"
    assert decided(root * A, 2 * DENSE)[2].status == "refuted"


def test_products_of_a_kernel_with_itself_commute() -> None:
    """w0 w1 and w1 w0 are one product of weights."""
    first = ca.correlation(n - K + 1, w) @ ca.correlation(n, w)
    flipped = ca.correlation(n - K + 1, ca.flip(w)) @ ca.correlation(n, ca.flip(w))
    assert decided(first, first)[2].status == "proved"
    around = ca.flip_axes(first.out_shape) @ flipped @ ca.flip_axes(n)
    assert decided(first, around)[2].status == "proved"


def test_no_sizes_at_all() -> None:
    layer = ca.correlation(n, ca.kernel(s * n + 1), stride=s)
    assert decided(layer, layer)[2].status == "empty"


def test_a_divisor_that_may_vanish_is_left_open() -> None:
    """At s = 3 the quotient is not defined, and nothing is concluded from that."""
    size = n // (s - 3) + n
    first = ca.pad(size, 1)
    domain = Domain.of(first)
    claim = formulas(first, 2 * first, domain)
    answer = decide(claim, domain, BUDGET)
    assert answer.status == "unknown"
    assert answer.open == "every divisor of a quotient is positive"


def test_swept_values_are_a_condition() -> None:
    first, second = ca.downsample(n, s) @ ca.shift(n, s // 3), ca.downsample(n, s)
    domain = Domain.of(first, second)
    assert decide(formulas(first, second, domain), domain, BUDGET).status == "refuted"
    narrow = replace(domain, swept=((s, (1, 2)),))
    assert decide(formulas(first, second, narrow), narrow, BUDGET).status == "proved"


FALSE: dict[str, tuple[ca.Operator, ca.Operator]] = {
    "another stride": (A, ca.correlation(n, w, stride=s + 1)),
    "output_padding forgotten": (A.T, ca.transposed_correlation((n - K) // s + 1, w, stride=s)),
    "true up to s = 8": (ca.downsample(n, s) @ ca.shift(n, s // 9), ca.downsample(n, s)),
    "a flip": (A, ca.correlation(n, ca.flip(w), stride=s)),
    "dilated, not flipped": (
        ca.correlation(n, w, dilation=d).T,
        ca.correlation(n - d * (K - 1), w, dilation=d, padding="full"),
    ),
}


@pytest.mark.parametrize("name", FALSE)
def test_the_smallest_sizes_of_a_false_claim(name: str) -> None:
    claim, domain, answer = decided(*FALSE[name])
    assert answer.status == "refuted"
    found = smallest(claim, domain, answer.values, BUDGET)
    assert found is not None
    sizes = {symbol.name: value for symbol, value in found.items()}
    assert brute.differ(FALSE[name], sizes)
    assert brute.smaller(FALSE[name], sizes) is None


def test_a_spent_budget_leaves_a_claim_open() -> None:
    domain = Domain.of(A, DENSE)
    claim = formulas(A, DENSE, domain)
    answer = decide(claim, domain, 1)
    assert answer.status == "unknown"
    assert answer.open
    start = {n: 5, K: 2, s: 1}
    assert smallest(claim, domain, start, 1) is None


def test_windows_of_symbols_have_unknown_weights() -> None:
    first = ca.sum_pool(n - K + 1, L, stride=1) @ ca.sum_pool(n, K, stride=1)
    second = ca.sum_pool(n - L + 1, K, stride=1) @ ca.sum_pool(n, L, stride=1)
    domain = Domain.of(first, second)
    with pytest.raises(UndecidableError, match="reads several inputs"):
        formulas(first, second, domain)
    assert decide(proof_formulas(first, second, domain), domain, BUDGET).status == "proved"


def test_points_of_an_operator() -> None:
    """U_s has its entries at i = s o."""
    up = ca.upsample(n, s)
    domain = Domain.of(up)

    def right(script: Any, row: Any, column: Any, label: Any) -> list[str]:
        return [script.equal(row[0], s * column[0]), *script.within(column[0], n)]

    def wrong(script: Any, row: Any, column: Any, label: Any) -> list[str]:
        return [script.equal(row[0], s * column[0] + 1), *script.within(column[0], n)]

    for where, value, status in (
        (right, 1, "proved"),
        (right, 2, "refuted"),
        (wrong, 1, "refuted"),
    ):
        claim = nonlinear.point_formulas(up, domain, value, where)
        assert decide(claim, domain, BUDGET).status == status


def test_statements_about_sizes() -> None:
    domain = Domain.of(ca.downsample(n, s))

    def counter(script: Any) -> list[str]:
        return [f"(not {script.equal(-(-n // s), (n - 1) // s + 1)})"]

    claim = nonlinear.statement_formulas(domain, counter)
    assert decide(claim, domain, BUDGET).status == "proved"

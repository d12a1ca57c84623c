"""Domains: a family exists exactly where its conditions hold; scopes in words; the budget."""

from __future__ import annotations

from typing import Any

import islpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.axis import BOUNDARIES
from convalg.errors import ArgumentError
from convalg.faces.exact import exact_row, exact_rows
from convalg.prove import equal
from convalg.prove.decisions.domain import Domain, scope_of
from convalg.prove.decisions.polynomials import Polynomial

n, m, K, L, p, q, s, d, a, C, D = ca.sizes("n m K L p q s d a C D")
w = ca.kernel(K)

number = st.integers(0, 3)
small = st.integers(1, 3)


@st.composite
def sizes(draw: st.DrawFn, symbol: Any) -> Any:
    """A size around a symbol: itself, with something more or less, a multiple, or a half."""
    return draw(st.sampled_from([symbol, symbol + 1, symbol - 1, 2 * symbol, symbol // 2 + 1]))


@st.composite
def families(draw: st.DrawFn) -> ca.Operator:
    """One operator of any constructor, with symbols in any of its arguments."""
    size = draw(sizes(n))
    boundary = draw(st.sampled_from(BOUNDARIES))
    taps = draw(st.one_of(sizes(K), small))
    step = draw(small)
    amount = draw(st.one_of(sizes(p), number))
    match draw(st.integers(0, 11)):
        case 0 | 1:
            make = draw(st.sampled_from([ca.correlation, ca.convolution]))
            padding = draw(st.sampled_from([amount, ((amount, 0),), "full", "same", "valid"]))
            options = {"stride": step, "padding": padding, "dilation": draw(small)}
            return make(size, ca.kernel(taps), boundary=boundary, **options)
        case 2:
            options = {"stride": step, "padding": draw(st.sampled_from([0, p])), "dilation": 2}
            more = draw(st.sampled_from([0, 1, a, a - 1]))
            return ca.transposed_correlation(size, ca.kernel(taps), output_padding=more, **options)
        case 3:
            groups = draw(st.integers(1, 3))
            return ca.correlation(size, ca.kernel(draw(sizes(D)), C, 2), groups=groups)
        case 4:
            return ca.crop(size, ((amount, draw(sizes(q))),))
        case 5:
            return ca.pad(size, ((amount - 1, draw(st.sampled_from([q, -q]))),), boundary=boundary)
        case 6:
            return ca.shift(size, draw(st.sampled_from([p, -p, p - 1])), boundary=boundary)
        case 7:
            return ca.downsample(size, step, offset=amount)
        case 8:
            return ca.upsample(size, step, size=draw(st.sampled_from([None, m, m + 1])))
        case 9:
            pool = draw(st.sampled_from([ca.sum_pool, ca.average_pool]))
            return pool(size, taps, stride=step, padding=amount)
        case 10:
            return ca.flip_axes((size, 2), channels=draw(sizes(C)))
    factor = draw(st.sampled_from([1 / K, 1 / (K - 2), 1 / (n - K), K - 1]))
    return factor * ca.correlation(n, w)


@given(family=families(), values=st.lists(st.integers(0, 5), min_size=9, max_size=9))
def test_a_family_exists_exactly_in_its_domain(family: ca.Operator, values: list[int]) -> None:
    """`.at(...)` gives an operator, with a matrix, exactly where the domain holds."""
    domain = Domain.of(family)
    if not domain.symbols:
        return
    at = dict(zip(domain.symbols, values, strict=False))
    names = {letter.name: value for letter, value in at.items()}
    try:
        matrix = family.at(**names).to_sympy()
        assert all(matrix.shape)
        exists = True
    except ArgumentError:
        exists = False
    assert domain.holds_at(at) == exists
    point = " and ".join(f"{name} = {value}" for name, value in names.items())
    here = islpy.Set(f"[{', '.join(names)}] -> {{ : {point} }}")
    assert domain.points.intersect(here).is_empty() != exists


@given(
    size=st.integers(1, 6),
    taps=st.integers(1, 4),
    padding=st.integers(0, 3),
    stride=small,
    more=number,
    boundary=st.sampled_from(BOUNDARIES),
)
def test_the_constructor_and_the_family_refuse_alike(
    size: int, taps: int, padding: int, stride: int, more: int, boundary: Any
) -> None:
    """Numbers at once, and numbers for symbols later; a family folds its border once at most."""

    def exists(make: Any) -> bool:
        try:
            make()
        except ArgumentError:
            return False
        return True

    options = {"stride": stride, "padding": padding}
    given_at_once = exists(lambda: ca.transposed_correlation(size, [1] * taps, output_padding=more))
    family = ca.transposed_correlation(n, w, output_padding=a)
    assert exists(lambda: family.at(n=size, K=taps, a=more)) == given_at_once
    layer = ca.correlation(n, w, stride=stride, padding=p, boundary=boundary)
    later = exists(lambda: layer.at(n=size, K=taps, p=padding))
    at_once = exists(lambda: ca.correlation(size, [1] * taps, boundary=boundary, **options))
    folds_once = boundary in ("zeros", "edge") or padding < size
    assert later == at_once or (at_once and not folds_once)


@pytest.mark.parametrize(
    ("first", "second", "scope"),
    [
        (
            ca.correlation(n, ca.kernel(D, C, K), groups=2),
            None,
            "all D >= 1, C >= 1, n >= K >= 1, 2 divides D",
        ),
        (
            ca.downsample(n, s) @ ca.shift(n, 2, boundary="circular"),
            ca.downsample(n, s) @ (ca.shift(n, 2) + ca.shift(n, 2 - n)),
            "all s >= 1, n >= 2; the border folds at most once",
        ),
        (
            ca.correlation(n, w, stride=s),
            ca.transposed_correlation(
                (n - K) // s + 1,
                w,
                stride=s,
                output_padding=(n - K) - s * ((n - K) // s),
            ).T,
            "all s >= 1, n >= K >= 1",
        ),
        (
            ca.correlation((n - 1) // 2 + 1, w) @ ca.downsample(n, 2),
            ca.correlation(-(-n // 2), w) @ ca.downsample(n, 2),
            "all K >= 1, n + 1 >= 2K",
        ),
        (
            ca.correlation(n, w, padding=p, boundary="reflect"),
            ca.correlation(n + 2 * p, w) @ ca.pad(n, p, boundary="reflect"),
            "all n >= p + 1, n + 2p >= K >= 1, p >= 0",
        ),
    ],
)
def test_scopes(first: ca.Operator, second: ca.Operator | None, scope: str) -> None:
    verdict = equal(first, first if second is None else second)
    assert verdict.status == "proved"
    assert verdict.scope == scope


def test_quotients_in_scopes_have_the_parentheses_they_need() -> None:
    scope = scope_of((n // K + (n - K) // (s * K) - 3,), (n, K, s))
    assert scope.startswith("all floor(n/K) + floor((-K + n)/(K*s)) >= 3, n >= 0")


def test_output_padding_that_no_layer_has_is_outside() -> None:
    """At n = 2, K = 1, s = 1 the layer would have an output_padding of -1."""
    outputs = (n - K) // s + 1
    more = (n - K) - s * ((n - K + 1) // s)
    layer = ca.transposed_correlation(outputs, w, stride=s, output_padding=more)
    verdict = equal(ca.correlation(n, w, stride=s), layer.T)
    assert verdict.status != "refuted"
    with pytest.raises(ArgumentError, match="output_padding must be at least 0, not"):
        layer.at(n=2, K=1, s=1)


def test_a_claim_ends_within_its_budget() -> None:
    layer = ca.correlation(n, w, stride=2)
    border = {"padding": "full", "boundary": "reflect"}
    first = ca.correlation(layer.out_shape, w, **border) @ layer
    second = ca.correlation(layer.out_shape, ca.flip(w), **border) @ layer
    verdict = equal(first, second, budget=20_000)
    assert verdict.status == "refuted"  # by trying sizes, the smallest first
    assert verdict.counterexample is not None
    assert verdict.counterexample.sizes == {"n": 4, "K": 2}
    spent = equal(first, first, budget=1)
    assert spent.status == "unknown"
    assert "budget exceeded: the claim takes more than 1 isl operations" in spent.reason
    assert "which is not a proof" in spent.reason


@pytest.mark.parametrize("budget", [0, -1, 1.5, True, "many", None])
def test_budgets_that_are_none(budget: Any) -> None:
    layer = ca.correlation(n, w)
    with pytest.raises(ArgumentError, match=r"budget must be a positive integer \(isl oper"):
        equal(layer, layer, budget=budget)


def test_one_entry_of_a_matrix_of_a_billion_rows() -> None:
    first, second = ca.pad(n, 10**9), ca.pad(n, ((10**9 - 1, 10**9 + 1),))
    verdict = equal(first, second)
    assert verdict.counterexample is not None
    assert verdict.counterexample.sizes == {"n": 1}
    assert verdict.counterexample.replay() == (1, 0)
    large = ca.pad(3, 10**9)
    assert exact_row(large.T, 1) == {10**9 + 1: 1}
    assert equal(large, large).status == "proved"


@given(st.data())
def test_one_row_is_that_of_the_matrix(data: st.DataObject) -> None:
    """A single row, found by itself, of products, sums, Kronecker products and adjoints."""
    boundary = data.draw(st.sampled_from(BOUNDARIES))
    options = {"stride": data.draw(small), "padding": 2, "dilation": data.draw(small)}
    layer = ca.correlation((5, 4), ca.kernel(2, 1, 2, 2), boundary=boundary, **options)
    grouped = ca.convolution((3, 3), ca.kernel(4, 1, 2, 2), groups=2, padding=1)
    mixed = ca.dense([[1, 2], [3, 4]]).kron(ca.sum_pool(4, 2))
    patches = layer.by_kernel(ca.kernel(1, 5, 4, name="x"))
    operator = data.draw(
        st.sampled_from([layer, layer.T, layer.T @ layer, grouped + 2 * grouped, mixed, patches])
    )
    row = data.draw(st.integers(0, operator.shape[0] - 1))
    expected = {k: v for k, v in exact_rows(operator, Polynomial.of)[row].items() if v.terms}
    found = {k: v for k, v in exact_row(operator, row, Polynomial.of).items() if v.terms}
    assert {k: v.terms for k, v in found.items()} == {k: v.terms for k, v in expected.items()}


def test_a_pole_may_be_a_floor() -> None:
    """1 / floor(n / 2) is not defined at n = 1, where the pooling does not exist either."""
    pooled = ca.global_pool(n // 2) @ ca.average_pool(n, 2)
    verdict = equal(pooled, ca.global_pool(n))
    assert verdict.status == "refuted"
    assert verdict.counterexample is not None
    assert verdict.counterexample.sizes == {"n": 3}
    even = equal(ca.global_pool(n) @ ca.average_pool(2 * n, 2), ca.global_pool(2 * n))
    assert even.scope == "all n >= 1"

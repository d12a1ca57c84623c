"""Comparisons at numbers: the first entry that differs, and sizes from the smallest on."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.prove import comparison
from convalg.prove.comparison import (
    compare_small_sizes,
    counterexample,
    entry,
    entry_bound,
    first_difference,
    prime_values,
)
from convalg.prove.decisions.domain import Domain
from convalg.prove.decisions.polynomials import Polynomial

n, K, s = ca.sizes("n K s")


@given(
    first=st.lists(st.integers(-1, 1), min_size=6, max_size=6),
    second=st.lists(st.integers(-1, 1), min_size=6, max_size=6),
)
def test_the_first_difference_is_that_of_the_matrices(first: list[int], second: list[int]) -> None:
    left, right = (np.reshape(values, (2, 3)) for values in (first, second))
    found = first_difference(ca.dense(left), ca.dense(right))
    apart = np.argwhere(left != right)
    assert found == (tuple(int(k) for k in apart[0]) if len(apart) else None)


def test_other_shapes_differ_everywhere() -> None:
    assert first_difference(ca.identity(2), ca.identity(3)) == ()


def test_sizes_come_by_their_sum_then_in_order() -> None:
    domain = Domain.of(ca.correlation(n, ca.kernel(K), stride=s))
    sizes = [tuple(chosen.values()) for chosen in islice(comparison.small_sizes(domain), 40)]
    assert sizes == sorted(sizes, key=lambda values: (sum(values), values))
    assert len(set(sizes)) == 40


def test_the_search_stops_at_the_smallest_difference() -> None:
    first, second = ca.downsample(n, s) @ ca.shift(n, s // 3), ca.downsample(n, s)
    search = compare_small_sizes(first, second, Domain.of(first, second), 1000)
    assert search.sizes == {"n": 1, "s": 3}
    assert search.point == (0, 0)


def test_the_search_compares_as_many_sizes_as_it_may() -> None:
    layer = ca.identity(n)
    search = compare_small_sizes(layer, layer, Domain.of(layer), 7)
    assert (search.point, search.tried, search.sizes) == (None, 7, {"n": 7})


def test_a_bound_of_entries_and_rows() -> None:
    assert entry_bound(ca.identity(3), ca.correlation(5, [1, 2])) == 3 + 3 + 8 + 4


def test_a_counterexample_of_shapes_and_one_of_entries() -> None:
    first, second = ca.correlation(n, ca.kernel(K)), ca.correlation(n, ca.kernel(K), padding=1)
    domain = Domain.of(first, second)
    shapes = counterexample(first, second, domain, {"n": 2, "K": 1}, ())
    assert (shapes.row_index, shapes.replay()) == (None, (((2,), (4,)), ((2,), (2,))))
    flipped = ca.correlation(n, ca.flip(ca.kernel(K)))
    found = counterexample(first, flipped, domain, {"n": 2, "K": 2}, (0, 1))
    assert (str(found.claimed), str(found.actual)) == ("w0", "w1")
    assert found.replay() == (2, 3)


def test_an_entry_is_a_polynomial_in_the_weights() -> None:
    layer = ca.correlation(4, ca.kernel(2))
    twice = ca.correlation(3, ca.kernel(2)) @ layer
    assert entry(twice, (0,), (1,)).to_sympy() == 2 * sympy.Symbol("w0") * sympy.Symbol("w1")


@pytest.mark.parametrize("text", ["w0", "w0*w1 - 6", "w0 - w1 + 1"])
def test_different_polynomials_have_different_values(text: str) -> None:
    """The last two vanish at the first primes, 2 and 3."""
    value = Polynomial.of(sympy.sympify(text))
    one, other = prime_values(value, Polynomial({}))
    assert one != other

"""Families at numbers: the operators of these sizes, or an error."""

from __future__ import annotations

from typing import Any

import brute
import numpy as np
import pytest
import sympy

import convalg as ca
from convalg.errors import ArgumentError
from convalg.operators.families import conditions_of, replaced

n, K, p = ca.sizes("n K p")
A = ca.correlation(n, ca.kernel(K))


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"n": ca.sizes("m")[0]}, "n must be an integer, not the symbolic m"),
        ({"z": 3}, "z is not one: its symbols are n, K"),
        (
            {"n": 2, "K": 3},
            "not exist at n=2, K=3: axis 0: n samples with a kernel of K taps have no",
        ),
        ({"n": -1}, "n must be at least 0, not -1"),
        ({"n": 2.5}, "n must be an integer, not 2.5"),
        ({"n": 0, "K": 1}, "not exist at n=0, K=1: shape must be at least 1, not n"),
    ],
)
def test_sizes_that_are_none(sizes: dict[str, Any], words: str) -> None:
    with pytest.raises((ArgumentError, TypeError), match=words):
        A.at(**sizes)


def test_a_family_at_numbers_is_the_operator() -> None:
    found = A.at(n=5, K=3)
    assert found.is_concrete
    assert brute.matrix(found) == brute.matrix(ca.correlation(5, ca.kernel(3)))
    part = A.at(n=5)
    assert (part.in_shape, part.symbols) == ((5,), (K,))
    assert brute.matrix(part.at(K=3)) == brute.matrix(found)
    assert A.symbols == (n, K)
    assert A.out_shape == (n - K + 1,)


@pytest.mark.parametrize(
    ("family", "member"),
    [
        (lambda n: ca.pad(n, 1, boundary="reflect"), "pad(5, 1, boundary='reflect')"),
        (lambda n: ca.correlation(n, [1, 2], stride=2).T, "transposed_correlation(2, [1, 2]"),
        (lambda n: n * ca.identity(n), "5 * identity(5)"),
        (lambda n: ca.diagonal([n, 1]).kron(ca.identity(n)), "(diagonal([5, 1])).kron"),
        (lambda n: ca.dense([[n, n + 1]]).kron(ca.identity(n)), "(dense([[5, 6]])).kron"),
        (lambda n: ca.crop(n, 1) @ ca.flip_axes(n), "crop(5, 1) @ flip_axes(5)"),
        (lambda n: ca.identity(n).kron(ca.flip_axes(2)), "(identity(5)).kron(flip_axes(2))"),
        (lambda n: ca.identity(n) + ca.flip_axes(n), "identity(5) + flip_axes(5)"),
        (lambda n: ca.sum_pool(n, 2), "sum_pool(5, 2)"),
    ],
)
def test_a_member_prints_as_if_it_were_made_with_numbers(family: Any, member: str) -> None:
    assert repr(family(n).at(n=5)).startswith(member)
    assert np.array_equal(family(n).at(n=5).to_numpy(), family(5).to_numpy())


def test_an_entry_without_a_value_is_refused() -> None:
    scaled = ca.diagonal([1 / (K - 1), 2]).kron(ca.correlation(n, ca.kernel(K)))
    half = sympy.Rational(1, 2)
    member = ca.diagonal([half, 2]).kron(ca.correlation(4, ca.kernel(3)))
    assert scaled.at(n=4, K=3).to_sympy() == member.to_sympy()
    with pytest.raises(ArgumentError):
        scaled.at(n=4, K=1)


def test_a_condition_that_several_leaves_share_is_listed_once() -> None:
    layer = ca.correlation(n, [1, 2, 3])
    once = conditions_of(layer)
    assert once
    assert conditions_of(layer + layer) == conditions_of(layer.T) == once
    assert conditions_of(ca.correlation(5, [1, 2, 3])) == ()


def test_symbols_are_replaced_by_symbol_too() -> None:
    found = replaced(ca.correlation(n, [1, 2], padding=p), {n: 4, p: 1})
    assert repr(found) == "correlation(4, [1, 2], padding='full')"

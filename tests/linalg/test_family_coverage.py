"""The coverage of families: at every index and size, that of the operator with numbers."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import convalg as ca
from convalg.errors import ArgumentError, SymbolicError, UndecidableError
from convalg.linalg.family_coverage import axes_of, indices_of
from convalg.operators.tree import Operator

n, m, K, p, s, d, o = ca.sizes("n m K p s d o")
w = ca.kernel(K)

FAMILIES: dict[str, Operator] = {
    "layer": ca.correlation(n, w, stride=s, padding=p, dilation=d),
    "convolution": ca.convolution(n, w, padding=p),
    "reflected": ca.correlation(n, w, padding=p, boundary="reflect"),
    "transposed": ca.transposed_correlation(n, w, stride=s, padding=p),
    "adjoint of a layer": ca.correlation(n, w, stride=s, padding=p).T,
    "adjoint of a convolution": ca.convolution(n, w, padding=((p, 0),), dilation=2).T,
    "dilated by d": ca.correlation(n, w, padding=p, dilation=d).T,
    "dilated by the stride": ca.correlation(n, w, stride=s, dilation=s, padding=p).T,
    "dilated by twice the stride": ca.correlation(n, w, stride=s, dilation=2 * s).T,
    "stride 2, dilation 3": ca.transposed_correlation(n, w, stride=2, dilation=3, padding=p),
    "stride 6, dilation 4": ca.transposed_correlation(n, w, stride=6, dilation=4),
    "stride 4, dilation 2": ca.transposed_correlation(n, w, stride=4, dilation=2),
    "circular": ca.correlation(n, w, padding="same", boundary="circular").T,
    "upsampled": ca.upsample(n, s),
    "flipped": ca.flip_axes(n).T,
    "two axes with channels": ca.transposed_correlation((n, m), ca.kernel(2, 3, K, 2), stride=2),
    "Kronecker": (3 * ca.correlation(n, w, stride=2).T).kron(ca.correlation(m, w, padding=1)),
    "an index with the name of a size": ca.correlation(o, w, stride=2).T,
}
COVERAGE = {name: ca.coverage(family) for name, family in FAMILIES.items()}


def at(value: Any, numbers: dict[Any, int]) -> Any:
    """An expression or a condition at numbers, all replaced at once."""
    return sympy.sympify(value).subs(numbers, simultaneous=True)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(FAMILIES)),
    st.tuples(*[st.integers(1, 5)] * 3, st.integers(0, 4), *[st.integers(1, 4)] * 2),
    st.randoms(use_true_random=False),
)
def test_counts_and_interior(name: str, values: tuple[int, ...], random: Any) -> None:
    family, found = FAMILIES[name], COVERAGE[name]
    numbers: dict[Any, int] = dict(zip((n, m, K, p, s, d), values, strict=True))
    numbers[o] = values[0]
    try:
        member = family.at(**{symbol.name: numbers[symbol] for symbol in family.symbols})
    except ArgumentError:
        return
    expected = ca.coverage(member)
    every = list(product(*map(range, member.out_shape)))
    for index in random.sample(every, min(len(every), 3)):
        where = numbers | dict(zip(found.indices, index, strict=True))
        assert at(found.counts, where) == expected.counts[index]
        assert bool(at(found.interior, where)) == expected.interior[index]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(FAMILIES)), *[st.integers(1, 5)] * 3)
def test_even_and_period_of_a_large_layer(name: str, taps: int, stride: int, dilation: int) -> None:
    family, found = FAMILIES[name], COVERAGE[name]
    numbers = {n: 40, m: 12, K: taps, p: 0, s: stride, d: dilation, o: 40}
    try:
        member = family.at(**{symbol.name: numbers[symbol] for symbol in family.symbols})
    except ArgumentError:
        return
    expected = ca.coverage(member)
    if expected.even is None or expected.period is None:
        return
    assert bool(at(found.even, numbers)) == expected.even
    box = np.argwhere(expected.interior)
    lengths = box.max(axis=0) - box.min(axis=0) + 1
    period = tuple(int(at(value, numbers)) for value in found.period or ())
    if all(2 * q <= length or q == 1 for q, length in zip(period, lengths, strict=True)):
        assert period == expected.period


def test_the_theorem_on_checkerboards() -> None:
    found = ca.coverage(ca.transposed_correlation(n, w, stride=s))
    assert found.even == sympy.Eq(sympy.Mod(K, s), 0)
    assert found.explain().startswith("even where Eq(Mod(K, s), 0): output o is written Max(0, ")
    assert ca.coverage(ca.transposed_correlation(n, ca.kernel(4), stride=2)).even is True
    assert ca.coverage(ca.transposed_correlation(n, ca.kernel(3), stride=2)).even is False


def test_indices_do_not_have_the_name_of_a_size() -> None:
    assert [symbol.name for symbol in indices_of(FAMILIES["layer"])] == ["o"]
    assert [symbol.name for symbol in indices_of(ca.correlation(o, w))] == ["o_"]
    assert len(axes_of(FAMILIES["Kronecker"], indices_of(FAMILIES["Kronecker"]))) == 2


REFUSED: dict[str, tuple[Operator, str]] = {
    "a product": (ca.crop(n, 1) @ ca.correlation(n, w, padding="same"), "not for Compose"),
    "a folded border": (
        ca.correlation(n, w, padding=p, boundary="edge").T,
        "a transposed layer with the boundary 'edge'",
    ),
    "two steps": (ca.correlation(n, w, stride=s, dilation=d).T, "their greatest common divisor"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_families_without_closed_forms(name: str) -> None:
    family, words = REFUSED[name]
    with pytest.raises(UndecidableError, match=words):
        ca.coverage(family)


def test_expressions_are_neither_arrays_nor_figures() -> None:
    family = FAMILIES["transposed"]
    with pytest.raises(SymbolicError, match="the coverage of a family is an expression, not an"):
        np.asarray(ca.coverage(family))
    with pytest.raises(SymbolicError, match="draws numbers, and the coverage of a family"):
        ca.draw.coverage(family)

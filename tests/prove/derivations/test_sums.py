"""Expressions of derivations are printed as they are written by hand."""

from __future__ import annotations

import convalg as ca
from convalg.prove.derivations.indices import Index, variable
from convalg.prove.derivations.sums import Array, Entry, IndexSum, Plus, Times

x, y = Array("x", (4,)), Array("y", (4,))
BOTH = Plus((("a", Entry(x, (variable("i"),))), ("b", Entry(y, (variable("i"),)))))


def test_sums_and_products_are_printed_with_the_parentheses_they_need() -> None:
    inner = IndexSum(("j",), Entry(y, (variable("j"),)))
    assert BOTH.latex() == "a x_{i} + b y_{i}"
    assert Times((BOTH, inner)).latex() == r"(a x_{i} + b y_{i})\, \sum_{j} y_{j}"
    assert Times((inner, BOTH)).latex() == r"(\sum_{j} y_{j})\, (a x_{i} + b y_{i})"
    assert IndexSum(("i",), BOTH).latex() == r"\sum_{i} (a x_{i} + b y_{i})"
    assert IndexSum((), BOTH).latex() == "(a x_{i} + b y_{i})"


def test_the_conditions_and_ranges_of_a_sum_are_under_it() -> None:
    size = ca.sizes("K")[0]
    condition = (Index(((2, "o"), (1, "t"))), variable("i"))
    total = IndexSum(("o", "t"), Entry(x, (variable("o"),)), (condition,), (("t", size),))
    assert total.latex() == r"\sum_{o, t:\, 2 o + t = i,\, 0 \le t < K} x_{o}"

"""Products of sums: two expressions differ exactly where nested loops count differently."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convalg.errors import UndecidableError
from convalg.prove.decisions.smtlib import Script, solve
from convalg.prove.derivations.indices import Index, variable
from convalg.prove.derivations.products import differences
from convalg.prove.derivations.sums import Array, Entry, Expression, IndexSum, Plus, Times

BUDGET = 10_000_000
OUTPUTS = 4


def where_more(left: Expression, right: Expression, is_left: bool) -> set[tuple[int, ...]]:
    """The points at which some product occurs more often on one side."""
    script = Script()
    found: set[tuple[int, ...]] = set()
    for claim, point, own in differences(script, left, right, (("o", OUTPUTS),)):
        if own != is_left:
            continue
        seen: list[str] = []
        while (answer := solve(script.written([], [claim, *seen]), BUDGET)).answer == "sat":
            values = tuple(answer.values.get(name, 0) for name in point)
            found.add(values)
            same = " ".join(f"(= {n} {value(v)})" for n, v in zip(point, values, strict=True))
            seen.append(f"(not (and {same} true))")
        assert answer.answer == "unsat"
    return found


def value(number: int) -> str:
    return str(number) if number >= 0 else f"(- {-number})"


def layer(x: Array, w: Array, stride: int, padding: int) -> IndexSum:
    read = Index(((stride, "o"), (1, "t")), -padding)
    return IndexSum(("t",), Times((Entry(w, (variable("t"),)), Entry(x, (read,)))))


@given(
    size=st.integers(1, 6),
    taps=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.integers(-1, 3),
)
def test_the_products_of_a_layer_are_those_of_nested_loops(
    size: int, taps: int, stride: int, padding: int
) -> None:
    total = layer(Array("x", (size,)), Array("w", (taps,)), stride, padding)
    wanted = {
        (o, t, i)
        for o, t, i in product(range(OUTPUTS), range(taps), range(size))
        if i == stride * o + t - padding
    }
    nothing = IndexSum(("t",), total.body, ((variable("t"), Index((), -1)),))
    assert where_more(total, nothing, True) == wanted
    assert where_more(total, nothing, False) == set()
    assert where_more(nothing, total, False) == wanted


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(1, 3)), max_size=4))
def test_the_difference_counts_each_product(terms: list[tuple[bool, int, int]]) -> None:
    """Each term adds the entries x[first + step o] to the left or right side."""
    x = Array("x", (9,))
    sides: dict[bool, list[tuple[str, Expression]]] = {True: [], False: []}
    counts: Counter[tuple[int, ...]] = Counter()
    for is_left, first, step in terms:
        sides[is_left].append(("a", Entry(x, (Index(((step, "o"),), first),))))
        for o in range(OUTPUTS):
            if first + step * o < 9:
                counts[o, first + step * o] += 1 if is_left else -1
    left, right = (Plus(tuple(sides[is_left])) for is_left in (True, False))
    assert where_more(left, right, True) == {p for p, number in counts.items() if number > 0}
    assert where_more(left, right, False) == {p for p, number in counts.items() if number < 0}


def test_a_product_that_occurs_twice_in_one_sum_is_not_decided() -> None:
    x = Array("x", (4,))
    total = IndexSum(("i", "j"), Entry(x, (Index(((1, "i"), (1, "j"))),)))
    with pytest.raises(UndecidableError, match="contains the same product of x several times"):
        differences(Script(), total, total, ())
    once = IndexSum(("i", "j"), total.body, ((variable("j"), Index((), 1)),))
    assert differences(Script(), once, total.body, (("i", 3), ("j", 1)))

"""Sums as sets of products: as many points as nested loops find products."""

from __future__ import annotations

from collections import Counter
from itertools import product

import islpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convalg.errors import UndecidableError
from convalg.prove.derivations.indices import Index, variable
from convalg.prove.derivations.sums import Array, Entry, IndexSum, Plus, Reader, Times, difference

ALL = islpy.Set("{ : }")


def reader() -> Reader:
    return Reader("", ALL)


def points_of(points: islpy.Set) -> set[tuple[int, ...]]:
    found: set[tuple[int, ...]] = set()
    width = points.dim(islpy.dim_type.set)
    points.foreach_point(
        lambda point: found.add(
            tuple(
                int(point.get_coordinate_val(islpy.dim_type.set, k).to_python())
                for k in range(width)
            )
        )
    )
    return found


@given(
    size=st.integers(1, 6),
    taps=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.integers(-1, 3),
)
def test_the_products_of_a_layer_are_those_of_nested_loops(
    size: int, taps: int, stride: int, padding: int
) -> None:
    x, w = Array("x", (size,)), Array("w", (taps,))
    read = Index(((stride, "o"), (1, "t")), -padding)
    total = IndexSum(("t",), Times((Entry(w, (variable("t"),)), Entry(x, (read,)))))
    found = reader().points(total, (("o", 4),))
    wanted = {
        (o, t, i)
        for o, t, i in product(range(4), range(taps), range(size))
        if i == stride * o + t - padding
    }
    assert set(found) <= {((), ("w", "x"))}
    assert {point for sets in found.values() for s in sets for point in points_of(s)} == wanted


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 3)), max_size=4))
def test_the_difference_counts_each_product(terms: list[tuple[bool, int, int]]) -> None:
    """Each term adds the entries x[first], ..., x[first + length] to the left or right side."""
    x = Array("x", (9,))
    sides: dict[bool, dict[object, list[islpy.Set]]] = {True: {}, False: {}}
    counts: Counter[tuple[int, ...]] = Counter()
    for is_left, first, length in terms:
        entry = Entry(x, (Index(((1, "o"),), first),))
        for key, sets in reader().points(entry, (("o", length),)).items():
            shifted = [s.apply(islpy.Map("{ [o, i] -> [i] }")) for s in sets]
            sides[is_left].setdefault(key, []).extend(shifted)
        for o in range(length):
            counts[(first + o,)] += 1 if is_left else -1
    found: Counter[tuple[int, ...]] = Counter()
    for _, points, value in difference(sides[True], sides[False]):  # type: ignore[arg-type]
        for point in points_of(points):
            found[point] += value
    assert found == Counter({point: value for point, value in counts.items() if value})


def test_a_product_that_occurs_twice_in_one_sum_is_not_decided() -> None:
    x = Array("x", (4,))
    total = IndexSum(("i", "j"), Entry(x, (Index(((1, "i"), (1, "j"))),)))
    with pytest.raises(UndecidableError, match="contains the same product of x several times"):
        reader().points(total, ())
    once = IndexSum(("i", "j"), total.body, ((variable("j"), Index((), 1)),))
    ((points,),) = reader().points(once, ()).values()
    assert points_of(points) == {(0,), (1,), (2,), (3,)}


def test_sums_and_products_are_printed_with_the_parentheses_they_need() -> None:
    x, y = Array("x", (4,)), Array("y", (4,))
    both = Plus((("a", Entry(x, (variable("i"),))), ("b", Entry(y, (variable("i"),)))))
    inner = IndexSum(("j",), Entry(y, (variable("j"),)))
    assert both.latex() == "a x_{i} + b y_{i}"
    assert Times((both, inner)).latex() == r"(a x_{i} + b y_{i})\, \sum_{j} y_{j}"
    assert Times((inner, both)).latex() == r"(\sum_{j} y_{j})\, (a x_{i} + b y_{i})"

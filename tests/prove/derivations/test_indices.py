"""Index expressions: their values are those of the formula, borders as in a naive walk."""

from __future__ import annotations

import naive
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.axis import BOUNDARIES, Axis, Boundary
from convalg.prove.derivations.conditions import Condition
from convalg.prove.derivations.indices import (
    Border,
    Floor,
    Index,
    affine,
    expanded,
    shape_latex,
    size_latex,
)

INTEGERS = st.integers(-9, 9)
V = sympy.Symbol("v", integer=True)


def only_value(condition: Condition, target: sympy.Symbol) -> int:
    """The only value of a variable that satisfies a condition."""
    values = {
        value
        for value in range(-60, 60)
        for each in condition
        if all(
            int(sympy.sympify(relation.value).subs(target, value)) == 0
            if relation.is_zero
            else int(sympy.sympify(relation.value).subs(target, value)) >= 0
            for relation in each
        )
    }
    (value,) = values
    return value


@pytest.mark.parametrize("boundary", [rule for rule in BOUNDARIES if rule != "zeros"])
@pytest.mark.parametrize("size", [2, 3, 5])
def test_a_border_reads_the_sample_of_a_naive_walk(boundary: Boundary, size: int) -> None:
    wide, narrow = (Border("rho", boundary, size, wraps) for wraps in (True, False))
    # Minima and maxima are valid within one size of the border, without the mirrored sample.
    reach = size - int(boundary == "reflect")
    for index in range(-3 * size, 4 * size):
        wanted = naive.inside(index, size, boundary)
        assert only_value(wide.condition(sympy.Integer(index), V), V) == wanted
        if -reach <= index < size + reach:
            assert only_value(narrow.condition(sympy.Integer(index), V), V) == wanted


def test_a_border_wraps_where_a_layer_reads_beyond_one_size() -> None:
    def border(padding: int) -> Border:
        outputs = 4 + 2 * padding - 2
        return Border.of(Axis(4, outputs, 3, padding=padding, boundary="reflect"), "rho")

    assert [border(padding).wraps for padding in (1, 3, 4, 5)] == [False, False, True, True]
    assert border(1).latex() == r"rho(u) = \min(r, 6 - r),\ r = \max(u, -u)"
    assert border(4).latex() == r"rho(u) = \min(r, 6 - r),\ r = u \bmod 6"


@given(st.lists(INTEGERS, min_size=3, max_size=3), INTEGERS, INTEGERS, st.integers(1, 4))
def test_an_index_has_the_value_of_its_formula(
    factors: list[int], i: int, j: int, divisor: int
) -> None:
    index = Index(((factors[0], "i"), (factors[1], Floor("j", divisor))), factors[2])
    wanted = factors[0] * i + factors[1] * (j // divisor) + factors[2]
    assert index.value({"i": i, "j": j}) == wanted
    assert index.moved(5).value({"i": i, "j": j}) == wanted + 5


@pytest.mark.parametrize(
    ("terms", "constant", "formula"),
    [
        ([], 0, "0"),
        ([(0, "o"), (1, "t")], 0, "t"),
        ([(2, "o"), (-1, "t")], 3, "2 o - t + 3"),
        ([(-1, "t")], 3, "3 - t"),
        ([(-1, "t")], -3, "-t - 3"),
    ],
)
def test_a_sum_is_printed_as_it_is_written_by_hand(
    terms: list[tuple[int, str]], constant: int, formula: str
) -> None:
    assert affine(terms, constant) == formula


def test_sizes_are_printed_with_brackets_and_products_with_parentheses() -> None:
    n, K, p = ca.sizes("n K p")  # noqa: N806 - the letter of the field
    assert affine([(K - 1, "t")], n) == "(K - 1) t + n"
    assert size_latex((n + 2 * p - K) // 2 + 1) == (
        r"\left\lfloor \frac{n - K}{2} \right\rfloor + p + 1"
    )
    d = ca.sizes("d")[0]
    assert size_latex(n - d * (K - 1)) == "d + n - K d"
    assert size_latex(sympy.Max(n, K)) == r"\max(n, K)"
    # The sign in front of a product with a sum is that of the whole product.
    assert size_latex(n - p * (K - 1)) == "n + p - K p"
    assert shape_latex((n + 1, 3)) == r"\mathbf{R}^{(n + 1) \times 3}"


def test_a_size_that_is_a_number_is_an_int_again() -> None:
    (n,) = ca.sizes("n")
    assert type(expanded((n + 1) ** 2 - n**2 - 2 * n)) is int
    assert expanded(n * (n + 1)) == n**2 + n

"""Sizes, shapes and options per axis, from integers of any library and from symbols."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy

import convalg as ca
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.size import as_shape, as_size, padding_pairs, per_axis, size_product

FIVES = [
    pytest.param(5, id="int"),
    pytest.param(np.int8(5), id="int8"),
    pytest.param(np.uint64(5), id="uint64"),
    pytest.param(np.intp(5), id="intp"),
    pytest.param(sympy.Integer(5), id="sympy"),
    pytest.param(sympy.Rational(10, 2), id="sympy-quotient"),
]


@pytest.mark.parametrize("value", FIVES)
def test_integers_of_any_library_are_sizes(value: Any) -> None:
    for found in (as_size(value, "n"), as_shape(value)[0], per_axis(value, "n", 1)[0]):
        assert type(found) is int
        assert found == 5
    assert padding_pairs(value, 2) == ((5, 5), (5, 5))


@pytest.mark.parametrize("value", [5.0, np.float32(5), True, np.False_, "5", None, 5j, [5], b"5"])
def test_nothing_else_is_a_size(value: Any) -> None:
    with pytest.raises(KindError, match="n must be an integer, not "):
        as_size(value, "n")


def test_sizes_beyond_64_bits() -> None:
    with pytest.raises(ArgumentError, match="n must be a 64-bit integer, not"):
        as_size(10**30, "n")
    assert as_size(2**63 - 1, "n") == 2**63 - 1
    assert size_product((10**12, 10**12, 10**12)) == 10**36
    assert size_product(()) == 1


@pytest.mark.parametrize(("least", "value"), [(1, 1), (0, 0), (-3, -3), (None, -(10**18))])
def test_the_least_size_is_allowed(least: int | None, value: int) -> None:
    assert as_size(value, "n", least=least) == value


@pytest.mark.parametrize(("least", "value"), [(1, 0), (0, -1), (-3, -4)])
def test_one_below_the_least_size_is_not(least: int, value: int) -> None:
    with pytest.raises(ArgumentError, match=f"n must be at least {least}, not {value}"):
        as_size(value, "n", least=least)


def test_letters_are_sizes() -> None:
    (n,) = ca.sizes("n")
    assert as_size(n, "n") is n
    assert as_shape((n, 3)) == (n, 3)


SHAPES = [
    pytest.param((2, 3), id="tuple"),
    pytest.param([2, 3], id="list"),
    pytest.param(np.array([2, 3]), id="array"),
    pytest.param(np.array([2, 3], dtype=np.uint8), id="bytes"),
    pytest.param((np.int64(2), sympy.Integer(3)), id="mixed"),
]


@pytest.mark.parametrize("value", SHAPES)
def test_sequences_are_shapes(value: Any) -> None:
    for found in (as_shape(value), per_axis(value, "stride", 2)):
        assert found == (2, 3)
        assert [type(n) for n in found] == [int, int]
    assert padding_pairs(value, 2) == ((2, 2), (3, 3))


def test_a_shape_names_the_axis_at_fault() -> None:
    with pytest.raises(ArgumentError, match=r"size\[1\] must be at least 1, not 0"):
        as_shape((2, 0), "size")
    with pytest.raises(KindError, match=r"shape\[2\] must be an integer, not 1\.5"):
        as_shape((2, 3, 1.5))
    with pytest.raises(ShapeError, match="shape must have at least one axis, not"):
        as_shape(np.array([], dtype=int))


def test_one_number_serves_every_axis() -> None:
    assert per_axis(2, "stride", 3) == (2, 2, 2)
    assert per_axis([2], "stride", 1) == (2,)
    assert per_axis(-2, "offset", 1, least=None) == (-2,)


@pytest.mark.parametrize("value", [(), (1,), (1, 1, 1), np.array([1])])
def test_as_many_numbers_as_axes(value: Any) -> None:
    with pytest.raises(ShapeError, match=r"stride must be one integer or 2 of them \(one per axis"):
        per_axis(value, "stride", 2)
    with pytest.raises(ShapeError, match=r"padding must be one integer, or one integer or pair"):
        padding_pairs(value, 2)


@pytest.mark.parametrize(
    ("padding", "pairs"),
    [
        (1, ((1, 1), (1, 1))),
        (0, ((0, 0), (0, 0))),
        ((1, 2), ((1, 1), (2, 2))),
        (((1, 2), (3, 4)), ((1, 2), (3, 4))),
        ([[1, 2], [3, 4]], ((1, 2), (3, 4))),
        (((1, 2), 3), ((1, 2), (3, 3))),
        ([np.array([1, 2]), np.int16(3)], ((1, 2), (3, 3))),
    ],
)
def test_paddings(padding: Any, pairs: tuple[tuple[int, int], ...]) -> None:
    found = padding_pairs(padding, 2)
    assert found == pairs
    assert all(type(side) is int for pair in found for side in pair)


def test_paddings_below_zero_crop_only_where_that_is_allowed() -> None:
    assert padding_pairs(((-1, 2),), 1, least=None) == ((-1, 2),)
    with pytest.raises(ArgumentError, match=r"padding\[0\] must be at least 0, not -1"):
        padding_pairs(((-1, 2),), 1)


@pytest.mark.parametrize("entry", [(), (1,), (1, 2, 3)])
def test_a_side_of_padding_is_one_number_or_two(entry: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"padding\[1\] must be one integer or \(before, after\)"):
        padding_pairs((1, entry), 2)


def test_a_division_by_zero_is_not_a_size() -> None:
    (n,) = ca.sizes("n")
    with pytest.raises(KindError, match="must be an integer, but"):
        ca.identity(n // 0)

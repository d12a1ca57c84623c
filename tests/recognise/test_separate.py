"""Separable kernels: the outer product of the factors is the kernel; rank over the rationals."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from strategies import integers

import convalg as ca
from convalg.errors import ArgumentError, ConvalgError, KindError, ShapeError
from convalg.recognise.separate import separate


def outer(factors: list[Any]) -> Any:
    return reduce(np.multiply.outer, factors)


def rank(kernel: Any) -> int:
    """Over the rationals, by SymPy."""
    return sympy.Matrix(np.vectorize(sympy.Rational, otypes=[object])(kernel)).rank()


@pytest.mark.parametrize("name", sorted(set(ca.kernels.NAMES) - {"channel_average"}))
def test_named_kernels(name: str) -> None:
    kernel = ca.kernels.named(name)
    factors = separate(kernel)
    assert (factors is not None) == (rank(kernel) == 1)
    if factors is not None:
        assert np.array_equal(outer(factors), kernel)


@pytest.mark.parametrize(
    ("kernel", "factors"),
    [
        (ca.kernels.sobel_x, [[1, 2, 1], [-1, 0, 1]]),
        (ca.kernels.sobel_y, [[-1, 0, 1], [1, 2, 1]]),
        (ca.kernels.prewitt_x, [[1, 1, 1], [-1, 0, 1]]),
        (ca.kernels.prewitt_y, [[-1, 0, 1], [1, 1, 1]]),
        (ca.kernels.box, [[1, 1, 1], [1 / 9, 1 / 9, 1 / 9]]),
        (ca.kernels.gaussian, [[1, 2, 1], [1 / 16, 1 / 8, 1 / 16]]),
        (-ca.kernels.sobel_x, [[1, 2, 1], [1, 0, -1]]),
        (ca.kernels.channel_average, [[1], [1, 1, 1], [1], [1 / 3]]),
        ([[0, 0], [0, 6]], [[0, 1], [0, 6]]),
        ([[0, 0], [0, 0]], [[0, 0], [0, 0]]),
        ([[5, -10]], [[1], [5, -10]]),
    ],
)
def test_factors_are_small_whole_numbers_and_the_last_has_the_scale(
    kernel: Any, factors: list[list[Any]]
) -> None:
    found = separate(kernel)
    assert found is not None
    assert [line.tolist() for line in found] == factors
    assert all(line.dtype == np.int64 for line in found[:-1])


def test_laplacians_are_not_separable() -> None:
    for name in ("laplace", "laplace_9", "laplacian_of_gaussian"):
        assert separate(ca.kernels.named(name)) is None


def test_fractions_stay_fractions() -> None:
    found = separate(sympy.Matrix([[1, 2], [2, 4]]) / 3)
    assert found is not None
    assert found[1].tolist() == [Fraction(1, 3), Fraction(2, 3)]
    assert all(type(value) is Fraction for value in found[1])


def test_integers_beyond_64_bits() -> None:
    kernel = np.multiply.outer([1, 2**70], [3, 2**80])
    found = separate(kernel)
    assert found is not None
    assert np.array_equal(outer([line.astype(object) for line in found]), kernel)
    kernel[1, 1] += 1
    assert separate(kernel) is None


@given(st.data())
def test_outer_products_come_apart_and_mutants_do_not(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    lines = [data.draw(integers((size,))) for size in sizes]
    denominator = data.draw(st.sampled_from([1, 2, 8, Fraction(3, 7)]))
    kernel = outer(lines)
    kernel = kernel / denominator if denominator != 1 else kernel
    found = separate(kernel)
    assert found is not None
    assert [len(line) for line in found] == sizes
    assert np.array_equal(outer(found), kernel)
    for line in found[:-1]:
        assert line.dtype == np.int64
        assert math.gcd(*line.tolist()) == (1 if kernel.any() else 0)
        nonzero = line[line != 0]
        assert not kernel.any() or line.sum() > 0 or (line.sum() == 0 and nonzero[-1] > 0)
    place = tuple(data.draw(st.integers(0, size - 1)) for size in sizes)
    mutant = kernel.copy()
    mutant[place] += 1
    found = separate(mutant)
    # Every unfolding of a tensor of rank one has rank one.
    unfolded = [np.moveaxis(mutant, axis, 0).reshape(size, -1) for axis, size in enumerate(sizes)]
    assert (found is not None) == all(rank(table) <= 1 for table in unfolded)
    if found is not None:
        assert np.array_equal(outer(found), mutant)


@given(integers((3, 3), 2))
def test_small_kernels_by_their_rank(kernel: np.ndarray) -> None:
    assert (separate(kernel) is not None) == (rank(kernel) <= 1)


def test_symbols() -> None:
    a, b = ca.kernel(3, name="a"), ca.kernel(2, name="b")
    kernel = np.multiply.outer(a, b)
    found = separate(kernel)
    assert found is not None
    assert [line.tolist() for line in found] == [a.tolist(), b.tolist()]
    assert separate(ca.kernel(2, 2)) is None
    shifted = np.multiply.outer(a, b)
    shifted[2, 1] += 1
    assert separate(shifted) is None
    x = sympy.Symbol("x")
    expanded = [[x**2 - 1, 2 * x + 2], [x**2 - x, 2 * x]]
    found = separate(expanded)
    assert found is not None
    assert sympy.Matrix(outer(found) - np.array(expanded)).expand().is_zero_matrix


def test_floats_are_the_fractions_they_are_or_near_enough() -> None:
    kernel = np.outer([0.1, 0.2, 0.7], [0.5, 0.3])
    assert separate(kernel) is None
    found = separate(kernel, tolerance=1e-12)
    assert found is not None
    assert np.abs(outer(found) - kernel).max() <= 1e-12
    assert found[0].max() == 1
    assert separate(ca.kernels.laplace, tolerance=1e-3) is None
    # What is exact is found without rounding, whatever the tolerance.
    assert np.array_equal(separate(ca.kernels.sobel_x, tolerance=0.1), separate(ca.kernels.sobel_x))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: separate([1, 2]), ShapeError, "two axes or more to be separated"),
        (lambda: separate([[1, math.nan]]), ArgumentError, "kernel must be finite"),
        (lambda: separate([[1], [1, 2]]), KindError, "kernel is not a rectangular array"),
        (
            lambda: separate([[1]], tolerance=2),
            ArgumentError,
            "a fraction of the largest entry, at least 0 and below 1, not 2",
        ),
        (
            lambda: separate(ca.kernel(2, 2), tolerance=0.1),
            KindError,
            "tolerance must be 0, not 0.1, for a kernel with symbols",
        ),
    ],
)
def test_bad_input(call: Callable[[], Any], error: type[ConvalgError], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        call()

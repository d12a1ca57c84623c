"""Least squares against NumPy's, for layers and trees."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from cases import Case, trees
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from strategies import integers

import convalg as ca
from convalg.errors import ArgumentError, ConvalgError, KindError, ShapeError, SymbolicError
from convalg.linalg.solve import solve

BLUR = ca.correlation((6, 7), [[1, 2, 1], [2, 5, 2], [1, 2, 1]], padding=1)


@given(trees(), st.sampled_from([0.0, 0.5, 3]), st.data())
def test_the_shortest_least_squares_solution(
    case: Case, weight: float, data: st.DataObject
) -> None:
    operator, matrix = case.operator, case.matrix.astype(float)
    y = data.draw(integers((2, *operator.out_shape)))
    found = solve(operator, y, regularise=weight)
    assert found.shape == (2, *operator.in_shape)
    columns = operator.shape[1]
    stacked = np.vstack([matrix, math.sqrt(weight) * np.eye(columns)])
    target = np.hstack([y.reshape(2, -1), np.zeros((2, columns))]).T
    expected, *_ = np.linalg.lstsq(stacked, target, rcond=1e-10)
    largest = max(np.abs(expected).max(), 1e-9)
    assert_allclose(found.reshape(2, -1).T, expected, rtol=0, atol=1e-5 * largest)


def test_a_blur_is_undone_and_the_adjoint_does_not() -> None:
    x = np.arange(42).reshape(6, 7) % 5
    y = BLUR(x)
    assert_allclose(solve(BLUR, y), x, atol=1e-8)
    assert np.abs(BLUR.T(y) - x).min() > 1


def test_regularising_shortens() -> None:
    y = BLUR(np.arange(42).reshape(6, 7) % 5)
    lengths = [np.linalg.norm(solve(BLUR, y, regularise=weight)) for weight in (0, 1, 10, 100)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > 1.5 * lengths[-1]


def test_no_equation_and_no_sample() -> None:
    assert solve(ca.dense(np.zeros((2, 3))), [1, 2]).tolist() == [0, 0, 0]
    assert solve(BLUR, np.zeros((0, 6, 7))).shape == (0, 6, 7)
    assert solve(BLUR, np.ones((2, 3, 6, 7))).shape == (2, 3, 6, 7)


def test_exact_entries_are_rounded() -> None:
    operator = Fraction(1, 2) * ca.correlation(2, [[Fraction(1, 3)]][0])
    found = solve(operator, [Fraction(1, 6), sympy.Rational(1, 3)])
    assert found.dtype == np.float64
    assert_allclose(found, [1, 2])


Y = np.ones((6, 7))
BAD: list[tuple[Callable[[], Any], type[ConvalgError], str]] = [
    (lambda: solve(np.eye(2), [1, 2]), KindError, "solve takes an operator, not ndarray"),
    (lambda: solve(BLUR, Y, regularise=-1), ArgumentError, "regularise must be a finite number"),
    (
        lambda: solve(BLUR, Y, regularise=math.nan),
        ArgumentError,
        "a finite number of at least 0, not nan",
    ),
    (lambda: solve(BLUR, Y, regularise="1"), KindError, "regularise must be a real number"),  # type: ignore[arg-type]
    (lambda: solve(BLUR, Y, tolerance=0), ArgumentError, "tolerance must be between 0 and 1"),
    (lambda: solve(BLUR, Y, tolerance=True), KindError, "tolerance must be a real number"),
    (lambda: solve(BLUR, np.ones(7)), ShapeError, "y must have shape (*batch, 6, 7), not (7,)"),
    (lambda: solve(BLUR, Y * math.nan), ArgumentError, "y must be finite and real"),
    (lambda: solve(BLUR, "no"), KindError, "y must hold numbers"),
    (
        lambda: solve(ca.identity(1), [sympy.Symbol("x")]),
        SymbolicError,
        "y must hold real numbers, not x",
    ),
    (lambda: solve(ca.identity(1), [1j]), KindError, "y must be real, not complex128: solve for"),
    (
        lambda: solve(ca.correlation(3, ca.kernel(2)), [1, 2]),
        SymbolicError,
        "has symbols as entries: replace",
    ),
    (
        lambda: solve(ca.correlation(ca.sizes("n")[0], [1]), [1]),
        SymbolicError,
        "solve needs numbers for sizes",
    ),
    (
        lambda: solve(ca.diagonal(np.logspace(0, -9, 60)), np.ones(60)),
        ArgumentError,
        "least squares did not converge to tolerance=",
    ),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=[case[2] for case in BAD])
def test_bad_input(call: Callable[[], Any], error: type[ConvalgError], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        call()

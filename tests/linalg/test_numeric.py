"""Operators in double precision against their dense matrices, and the checks before that."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from cases import Case, trees
from hypothesis import given

import convalg as ca
from convalg.errors import ArgumentError, ConvalgError, ExactnessError, KindError, SymbolicError
from convalg.linalg.numeric import as_float, check_overflow, checked, dense, mapped
from convalg.operators.leaves import Convolution, Diagonal, Matrix, SparseMatrix
from convalg.operators.tree import leaves


@given(trees())
def test_a_tree_in_double_precision_has_the_same_matrix(case: Case) -> None:
    found = as_float(case.operator, "test")
    assert np.array_equal(dense(found), case.matrix.astype(float))
    for leaf in leaves(found):
        if isinstance(leaf, Convolution):
            assert leaf.weights.dtype == np.float64
        elif isinstance(leaf, (Diagonal, Matrix, SparseMatrix)):
            assert leaf.values.dtype == np.float64


def test_fractions_become_floats() -> None:
    found = as_float(Fraction(1, 4) * ca.correlation(3, [Fraction(1, 2), 3]), "test")
    assert found.to_numpy().tolist() == [[0.125, 0.75, 0], [0, 0.125, 0.75]]


def test_every_array_and_factor_is_mapped() -> None:
    operator = 3 * ca.diagonal([1, 2]) @ ca.correlation(3, [4, 5]) + ca.dense(np.ones((2, 3)))
    doubled = mapped(operator, lambda values: 2 * values)
    # Twice the factor, the diagonal and the kernel, and twice the matrix.
    first = 8 * (3 * ca.diagonal([1, 2]) @ ca.correlation(3, [4, 5])).to_numpy()
    assert doubled.to_numpy().tolist() == (first + 2).tolist()


BAD: list[tuple[Callable[[], Any], type[ConvalgError], str]] = [
    (lambda: checked(np.eye(2), "f"), KindError, "f takes an operator, not ndarray: convert a"),
    (
        lambda: checked(ca.correlation(*ca.sizes("n"), [1, 2]), "f"),
        SymbolicError,
        "f needs numbers",
    ),
    (lambda: as_float(ca.correlation(3, ca.kernel(2)), "f"), SymbolicError, "symbols as entries"),
    (lambda: as_float(ca.diagonal([10**400, 1]), "f"), ExactnessError, "does not fit into float64"),
    (lambda: check_overflow(np.inf, ca.identity(2)), ArgumentError, "overflow double precision"),
]


@pytest.mark.parametrize(("call", "error", "text"), BAD, ids=[text for *_, text in BAD])
def test_bad_input(call: Callable[[], Any], error: type[ConvalgError], text: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)

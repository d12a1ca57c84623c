"""The exact face against SymPy's own algebra, entry by entry, and against dense integers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from cases import Case, trees
from hypothesis import given
from hypothesis import strategies as st
from strategies import Drawn, layers

import convalg as ca
from convalg.faces import exact
from convalg.faces.exact import exact_image, exact_rows, to_sympy

A, B, C = sympy.symbols("a b c")


def dense(rows: exact.Rows, shape: tuple[int, int]) -> np.ndarray:
    found = np.zeros(shape, dtype=object)
    for row, line in enumerate(rows):
        for column, value in line.items():
            found[row, column] = value
    return found


@given(trees(), st.sampled_from([0, 1, 3, exact.MOST_KEPT]))
def test_trees_are_dense_algebra_whatever_is_remembered(case: Case, kept: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "MOST_KEPT", kept)
        found = exact_rows(case.operator)
    assert np.array_equal(dense(found, case.operator.shape), case.matrix)
    assert all(type(value) is int for line in found for value in line.values())


WEIGHTS: dict[str, list[Any]] = {
    "symbols": [A, B, C],
    "one symbol": [A, 2 * A, -A],
    "sums and products": [A + B, A * B, (A - B) ** 2],
    "roots": [sympy.sqrt(2), sympy.sqrt(3), sympy.sqrt(2) * A],
    "fractions": [Fraction(1, 2), Fraction(-1, 3), 4],
    "integers": [3, 0, 10**30],
    "floats": [0.1, 0.2, 0.0],
    "mixed": [A, Fraction(1, 2), 7],
    "zeros": [0, 0, 0],
}


def toeplitz(weights: list[Any], n: int) -> sympy.Matrix:
    """The valid correlation, by SymPy alone."""
    k = len(weights)
    return sympy.Matrix(
        [[weights[j - i] if 0 <= j - i < k else 0 for j in range(n)] for i in range(n - k + 1)]
    )


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
def test_matrices_are_those_of_sympy(weights: list[Any]) -> None:
    operator, matrix = ca.correlation(7, weights), toeplitz(weights, 7)
    found = operator.to_sympy()
    assert found == matrix
    assert type(found) is type(matrix)
    # What SymPy can do fast with whole numbers and with fractions is not lost.
    assert found.to_DM().domain == matrix.to_DM().domain
    assert operator.to_sympy(order="F") == matrix


@pytest.mark.parametrize("name", [name for name in WEIGHTS if name != "floats"])
def test_products_and_sums_are_those_of_sympy(name: str) -> None:
    weights = WEIGHTS[name]
    operator, matrix = ca.correlation(7, weights), toeplitz(weights, 7)
    assert (operator.T @ operator).to_sympy() == matrix.T * matrix
    assert (operator @ operator.T).to_sympy() == matrix * matrix.T
    last = ca.correlation(5, [5, -1])
    chain = last @ operator @ operator.T
    expected = toeplitz([5, -1], 5) * (matrix * matrix.T)
    assert (chain.to_sympy() - expected).expand() == sympy.zeros(*expected.shape)
    total = (operator + 2 * operator - operator).to_sympy()
    assert (total - 2 * matrix).expand() == sympy.zeros(*matrix.shape)


def test_a_matrix_may_be_changed_and_no_other_changes() -> None:
    operator = ca.correlation(4, ca.kernel(2))
    first = operator.to_sympy()
    first[0, 0] = 99
    assert operator.to_sympy()[0, 0] == sympy.Symbol("w0")
    rows = exact_rows(operator)
    rows[0].clear()
    assert exact_rows(operator)[0]
    assert ca.correlation(4, ca.kernel(2, name="v")).to_sympy()[2, 3] == sympy.Symbol("v1")


def test_each_value_is_computed_once() -> None:
    multiplied = 0

    class Counted:
        def __init__(self, value: int) -> None:
            self.value = value

        def __mul__(self, other: Any) -> Counted:
            nonlocal multiplied
            multiplied += 1
            return Counted(self.value * other.value)

        def __add__(self, other: Any) -> Counted:
            return Counted(self.value + other.value)

    operator = ca.correlation(50, [1, 2, 3])
    gram = exact_image(operator.T @ operator, Counted)
    assert multiplied == 9
    places = {column: gram.values[k].value for column, k in gram.rows[20].items()}
    assert places == {18: 3, 19: 8, 20: 14, 21: 8, 22: 3}


@given(layers(dims=(1, 1, 2)))
def test_the_rows_of_a_layer_are_those_of_its_pattern(drawn: Drawn) -> None:
    w = ca.kernel(*drawn.oracle.kernel_shape)
    found = dense(exact_rows(drawn.operator.refill(w)), drawn.operator.shape)
    expected = drawn.oracle.matrix(w)
    assert all(sympy.expand(a - b) == 0 for a, b in zip(found.flat, expected.flat, strict=True))


def test_the_bytes_are_announced() -> None:
    with pytest.raises(ca.errors.TooLargeError, match="the exact 98 x 100 matrix"):
        to_sympy(ca.correlation(100, [1, 2, 3]), max_bytes=1000)

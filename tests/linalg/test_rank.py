"""Rank and null space against SymPy's elimination, NumPy, and closed forms."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import sympy
from cases import Case, trees
from hypothesis import given
from hypothesis import strategies as st
from strategies import Drawn, layers

import convalg as ca
from convalg.errors import (
    ArgumentError,
    ConvalgError,
    KindError,
    ShapeError,
    SymbolicError,
    TooLargeError,
    UndecidableError,
)
from convalg.linalg.rank import PRIME, null_space, rank

w0, w1 = sympy.symbols("w0 w1")
CIRCULANT = {"padding": ((0, 1),), "boundary": "circular"}


def exact(matrix: Any) -> int:
    """The rank by SymPy's own elimination."""
    return int(sympy.Matrix(matrix).rank())


@given(layers(dims=(1, 1, 2)))
def test_rank_of_layers_is_exact(drawn: Drawn) -> None:
    assert rank(drawn.operator) == exact(drawn.oracle.matrix(drawn.weights).astype(int))


@given(trees())
def test_rank_and_null_space_of_trees(case: Case) -> None:
    operator = case.operator
    basis = null_space(operator)
    assert rank(operator) == np.linalg.matrix_rank(case.matrix.astype(float))
    assert basis.shape == (operator.shape[1] - rank(operator), *operator.in_shape)
    flat = basis.reshape(len(basis), operator.shape[1])
    assert not (case.matrix.astype(object) @ flat.T).any()
    assert not len(flat) or rank(flat) == len(flat)
    for vector in flat.tolist():
        assert all(type(value) is int for value in vector)
        assert reduce(math.gcd, vector) == 1
        assert next(value for value in vector if value) > 0


@given(layers(dims=(1, 1, 2)))
def test_null_space_of_floats_is_orthonormal(drawn: Drawn) -> None:
    kernel = np.array(drawn.kernel, dtype=float)
    operator = getattr(ca, drawn.kind)(drawn.shape, kernel, **drawn.options)
    basis = null_space(operator)
    flat = basis.reshape(len(basis), operator.shape[1])
    assert len(basis) == operator.shape[1] - rank(operator)
    assert rank(operator) == rank(drawn.operator)
    np.testing.assert_allclose(flat @ flat.T, np.eye(len(basis)), atol=1e-12)
    np.testing.assert_allclose(operator(basis), 0, atol=1e-10)


COS = sympy.cos(1)
ONE = sympy.sin(1) ** 2 + COS**2
ROOT = sympy.sqrt(3 + 2 * sympy.sqrt(2))
POSITIVE = sympy.Symbol("w0", positive=True)
QUINTIC = sympy.CRootOf(w0**5 - w0 + 1, 0)

RANKS: dict[str, tuple[Callable[[], Any], int]] = {
    "differences round a circle": (lambda: ca.correlation(6, [1, -1], **CIRCULANT), 5),
    "the same with floats": (lambda: ca.correlation(6, [1.0, -1.0], **CIRCULANT), 5),
    "average pooling": (lambda: ca.average_pool((6, 6), 2), 9),
    "fractions": (lambda: Fraction(1, 3) * ca.correlation(4, [Fraction(1, 2), 1]), 3),
    "zero": (lambda: np.zeros((3, 4), dtype=int), 0),
    "zero floats": (lambda: np.zeros((3, 4)), 0),
    "symbols": (lambda: ca.correlation((6, 6), ca.kernel(3, 3)), 16),
    "symbols, circular": (lambda: ca.correlation(4, ca.kernel(2), **CIRCULANT), 4),
    "symbols, deficient": (lambda: sympy.Matrix([[w0, w1], [2 * w0, 2 * w1]]), 1),
    "a quotient of symbols": (lambda: [[w0 / w1, 1], [w0, w1]], 1),
    "average of symbols": (lambda: Fraction(1, 2) * ca.correlation(3, ca.kernel(2)), 2),
    "roots": (lambda: [[sympy.sqrt(2), 2], [1, sympy.sqrt(2)]], 1),
    "pi": (lambda: [[sympy.pi, 1], [1, sympy.pi]], 2),
    "zero by an identity": (lambda: sympy.Matrix([[ONE - 1]]), 0),
    "one by an identity": (lambda: [[ONE, 1], [1, ONE]], 1),
    "a root written twice": (lambda: [[ROOT, 1 + sympy.sqrt(2)], [1, 1]], 1),
    "a rotation": (lambda: [[COS, -sympy.sin(1)], [sympy.sin(1), COS]], 2),
    "sines of a symbol": (lambda: [[sympy.sin(w0), sympy.cos(w0)]] * 2, 1),
    "the root of a symbol": (lambda: [[w0, sympy.sqrt(w0)], [sympy.sqrt(w0), 1]], 1),
    "exponentials": (lambda: [[sympy.E, sympy.exp(2)], [1, sympy.E]], 1),
    "e and pi": (lambda: [[sympy.E, sympy.pi], [sympy.pi, sympy.E]], 2),
    "logarithms": (lambda: [[sympy.log(2), sympy.log(4)], [1, 2]], 1),
    "one name, other assumptions": (lambda: [[w0, POSITIVE], [1, 1]], 2),
    "an absolute value": (lambda: [[abs(POSITIVE), POSITIVE], [1, 1]], 1),
    "a pole": (lambda: [[1 / (w0 - w1), 1], [1, w0 - w1]], 1),
    "roots of a quintic": (lambda: [[QUINTIC, 1], [1, 1 / QUINTIC]], 1),
    "a layer of sines": (lambda: ca.correlation(5, [sympy.sin(1), sympy.cos(1)]), 4),
    "multiples of the prime": (lambda: [[PRIME, 0], [0, 1]], 2),
    "beyond 64 bits": (lambda: [[10**30, 1], [10**30 + 1, 1]], 2),
    "products beyond 64 bits": (lambda: ca.diagonal([10**12, 1]) @ ca.diagonal([10**12, 1]), 2),
    "a difference below the digits of floats": (lambda: [[10**17, 10**17 + 1], [1, 1]], 2),
    "the same as floats": (lambda: np.array([[1e17, 1e17 + 1], [1, 1]]), 1),
    "single precision": (lambda: np.outer([1, 1 / 3], [1, 1 / 7]).astype(np.float32), 1),
    "a layer in single precision": (
        lambda: ca.dense(np.outer([1, 1 / 3], [1, 1 / 7]).astype(np.float32)),
        1,
    ),
    "long doubles": (lambda: np.outer([1, 1 / 3], [1, 1 / 7]).astype(np.longdouble), 1),
    "booleans": (lambda: np.array([[True, True], [True, False]]), 2),
    "a sparse matrix": (lambda: scipy.sparse.eye_array(5, dtype=int), 5),
    "floats among objects": (lambda: [[Fraction(1, 2), 0.5], [1, 1]], 1),
    "sympy floats": (lambda: sympy.Matrix([[sympy.Float(0.5), 1], [1, 2]]), 1),
}


@pytest.mark.parametrize("name", RANKS)
def test_ranks(name: str) -> None:
    make, expected = RANKS[name]
    matrix = make()
    assert rank(matrix) == expected
    columns = matrix.shape[1] if hasattr(matrix, "shape") else len(matrix[0])
    assert len(null_space(matrix)) == columns - expected


@given(st.integers(2, 7), st.integers(1, 5), st.data())
def test_deficient_integers(size: int, inner: int, data: st.DataObject) -> None:
    numbers = st.lists(st.integers(-9, 9), min_size=size * inner, max_size=size * inner)
    left = np.array(data.draw(numbers)).reshape(size, inner)
    right = np.array(data.draw(numbers)).reshape(inner, size)
    product = left @ right
    assert rank(product) == exact(product)
    assert rank(product / 8) == exact(product)


def test_null_space_in_symbols_is_whole_and_cancels() -> None:
    operator = ca.correlation(4, ca.kernel(2))
    (vector,) = null_space(operator)
    assert [sympy.expand(value) for value in operator(vector)] == [0, 0, 0]
    assert all(value.is_polynomial() for value in vector)


def test_null_space_of_a_larger_layer_is_the_constant() -> None:
    basis = null_space(ca.correlation((9, 9), ca.kernels.laplace, padding=1, boundary="circular"))
    assert basis.tolist() == np.ones((1, 9, 9), dtype=int).tolist()


SIN = sympy.sin(w0)
ATAN = sympy.atan
# Zero, by Machin's formula, which no simplification here uses.
MACHIN = 4 * ATAN(sympy.Rational(1, 5)) - ATAN(sympy.Rational(1, 239)) - sympy.pi / 4
BAD: list[tuple[Callable[[], Any], type[ConvalgError], str]] = [
    (
        lambda: rank([1, 2]),
        ShapeError,
        "takes an operator or a non-empty matrix of shape (rows, columns), not an array of",
    ),
    (lambda: rank(np.zeros((0, 2))), ShapeError, "not an array of shape (0, 2)"),
    (lambda: null_space(3), ShapeError, "null_space takes an operator or a non-empty matrix"),
    (lambda: rank("ab"), KindError, "the matrix must hold numbers"),
    (lambda: rank([[1, math.nan]]), ArgumentError, "the matrix must be finite and real"),
    (lambda: rank([[1j, 0]]), KindError, "rank takes a real matrix, not one of dtype complex128"),
    (lambda: rank([[MACHIN]]), UndecidableError, "cannot decide whether -pi/4 - atan(1/239)"),
    (
        lambda: rank(ca.correlation(20, [SIN, 1])),
        ArgumentError,
        "limited to matrices of at most 16 rows or columns, but the matrix is 19 x 20",
    ),
    (lambda: rank([[1 / (w0 - w0), 1]]), ArgumentError, "the matrix must be finite and real"),
    (
        lambda: rank([[w0, 0.5], [1, 2]]),
        SymbolicError,
        "rank takes a matrix of floats or of symbols, but",
    ),
    (lambda: rank(ca.diagonal([0.5, w0])), SymbolicError, "rank needs numbers, but diagonal"),
    (
        lambda: null_space(ca.correlation(ca.sizes("n")[0], [1, 2])),
        SymbolicError,
        "this is a family",
    ),
    (lambda: rank(scipy.sparse.eye_array(10**6)), TooLargeError, "matrix needs 8 TB"),
    (lambda: rank(ca.identity(10**6)), TooLargeError, "the dense 1000000 x 1000000 matrix needs"),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=[case[2] for case in BAD])
def test_bad_input(call: Callable[[], Any], error: type[ConvalgError], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        call()

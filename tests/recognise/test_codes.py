"""Entries as codes: equal values have equal codes, whatever their types."""

from __future__ import annotations

from fractions import Fraction

import scipy.linalg
import scipy.sparse
import sympy

import convalg as ca
from convalg.recognise.classify import classify


def test_sparse_duplicates_are_summed_and_the_matrix_stays() -> None:
    places = ([0, 0, 1, 0], [0, 0, 1, 1])
    matrix = scipy.sparse.coo_array(([1, 1, 2, 0], places), shape=(2, 2))
    assert classify(matrix).kinds[:2] == ("diagonal", "circulant")
    assert matrix.nnz == 4


def test_symbols_are_compared_expanded() -> None:
    a, b = sympy.symbols("a b")
    assert classify([[a * (a + b), 1], [2, a**2 + a * b]]).kind == "Toeplitz"
    assert classify([[a, b], [b, a - b]]).kind == "none"
    assert classify([[(a + b) ** 2 - a**2 - 2 * a * b - b**2, 0]]).kind == "zero"


def test_products_with_symbols_are_exact() -> None:
    operator = ca.correlation(4, ca.kernel(2, name="a")) @ ca.correlation(5, ca.kernel(2, name="b"))
    assert classify(operator).kind == "Toeplitz"


def test_integers_beyond_64_bits() -> None:
    assert classify([[2**70, 1], [3, 2**70]]).kind == "Toeplitz"
    assert classify([[2**70, 1], [3, 2**70 + 1]]).kind == "none"


def test_numbers_of_different_types_are_equal() -> None:
    half = [[0.5, 1], [sympy.Rational(1, 2), Fraction(1, 2)]]
    assert classify([*half, [sympy.Float(0.5), 0.5]]).kind == "Toeplitz"
    assert classify([[0.5, 1], [2, sympy.Float(0.5)]]).kind == "Toeplitz"
    assert classify([[0.1, 1], [2, sympy.Float("0.1", 40)]]).kind == "none"

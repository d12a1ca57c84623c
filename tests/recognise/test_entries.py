"""Entries of a matrix: exact ones, symbols, and floats up to their rounding."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from same_matrix import has_matrix
from strategies import Drawn, layers

import convalg as ca
from convalg.recognise.identify import identify


@given(layers(dims=(1, 2), words=("same", "valid")))
@settings(max_examples=30, deadline=None)
def test_symbols_stay_symbols(drawn: Drawn) -> None:
    operator = drawn.operator.refill(ca.kernel(*drawn.weights.shape))
    matrix = operator.to_sympy()
    found = identify(matrix, (operator.in_shape, operator.out_shape))
    if found.kind == "not shift-invariant":
        assert len(set(map(tuple, found.witness["rows"]))) == 2
        return
    different = found.operator.to_sympy() - matrix
    assert different.expand() == sympy.zeros(*matrix.shape)


def test_exact_entries_stay_exact() -> None:
    for kernel in (
        [Fraction(1, 3), Fraction(2, 7)],
        [2**80, 3],
        [sympy.sqrt(2), sympy.Symbol("a")],
    ):
        layer = ca.correlation(5, kernel, padding=1)
        found = identify(layer.to_numpy(), 5)
        assert found.kernel.tolist() == kernel
        assert found.basis == "every entry of the matrix"
    almost = ca.correlation(5, [2**53, 2**53 + 1]).to_numpy()
    almost[0, 0] += 1
    assert identify(almost, 5).kind == "not shift-invariant"


@pytest.mark.parametrize("entry", [2**31, 2**31 - 1, Fraction(1, 2**31 - 1), 2**62])
def test_entries_that_computations_take_modulo_a_prime(entry: Any) -> None:
    kind = object if isinstance(entry, Fraction) else np.int64
    diagonal = np.zeros((3, 3), dtype=kind) + np.eye(3, dtype=int) * entry
    found = identify(diagonal, 3)
    assert (found.kind, found.kernel.tolist()) == ("correlation", [entry])
    equal = np.full((3, 3), entry, dtype=kind)
    assert identify(equal, 3).kind == "correlation"
    assert has_matrix(identify(equal, 3), equal)


def test_entries_written_in_two_ways_are_equal() -> None:
    one = sympy.sin(1) ** 2 + sympy.cos(1) ** 2
    assert identify(sympy.Matrix([[one, 0], [0, 1]]), 2).kind == "identity"
    assert identify(sympy.Matrix([[one - 1, 0], [0, 0]]), 2).kind == "zero"
    a, b = sympy.symbols("a b")
    found = identify(sympy.Matrix([[a + b, 1], [0, (a**2 - b**2) / (a - b)]]), 2)
    assert found.kind == "correlation"


def test_entries_of_floats_agree_up_to_their_rounding() -> None:
    random = np.random.default_rng(4)
    layer = ca.correlation((6, 6), random.standard_normal((3, 3)), padding=1)
    noise = 1 + 1e-14 * random.standard_normal(layer.shape)
    found = identify(layer.to_numpy() * noise, (6, 6))
    assert found.kind == "correlation"
    assert ", which differ by up to" in found.basis
    assert "up to a rounding" in identify(layer.to_numpy() * (1 + 100 * (noise - 1)), (6, 6)).basis
    rough = layer.to_numpy() * (1 + 1e8 * (noise - 1))
    assert identify(rough, (6, 6)).kind == "not shift-invariant"

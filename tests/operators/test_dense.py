"""Dense and diagonal layers and dropout, compared with products of NumPy."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import convalg as ca

INTEGERS = st.integers(-9, 9)


@given(weights=arrays(int, (4, 6), elements=INTEGERS), x=arrays(int, (3, 2, 3), elements=INTEGERS))
def test_a_dense_layer_is_a_matrix_product(weights: np.ndarray, x: np.ndarray) -> None:
    layer = ca.dense(weights, (2, 3), out_shape=(2, 2))
    assert layer(x).tolist() == (x.reshape(3, 6) @ weights.T).reshape(3, 2, 2).tolist()
    assert (layer.to_numpy() == weights).all()
    assert (layer.T.to_numpy() == weights.T).all()


@given(factors=arrays(int, (2, 3), elements=INTEGERS), x=arrays(int, (2, 3), elements=INTEGERS))
def test_a_diagonal_multiplies_entry_by_entry(factors: np.ndarray, x: np.ndarray) -> None:
    layer = ca.diagonal(factors)
    assert layer(x).tolist() == (factors * x).tolist()
    assert (layer.to_numpy() == np.diag(factors.ravel())).all()


@given(mask=arrays(int, 5, elements=st.integers(0, 1)), rate=st.fractions(0, Fraction(99, 100)))
def test_dropout_scales_what_it_keeps_exactly(mask: np.ndarray, rate: Fraction) -> None:
    x = np.arange(1, 6)
    kept = [Fraction(int(m * value)) / (1 - rate) for m, value in zip(mask, x, strict=True)]
    assert ca.dropout(mask, rate)(x).tolist() == kept


def test_the_identity_changes_nothing() -> None:
    x = np.arange(12).reshape(2, 2, 3)
    assert ca.identity((2, 3), channels=2)(x).tolist() == x.tolist()
    assert (ca.identity((2, 3), channels=2).to_numpy() == np.eye(12, dtype=int)).all()

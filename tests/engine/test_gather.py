"""The engine "gather" against the dense matrix of the definition, and its two adjoint steps."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from strategies import Drawn, layers

from convalg.engine import gather


def integers(*shape: int) -> np.ndarray:
    return np.arange(int(np.prod(shape))).reshape(shape) * 37 % 11 - 5


@given(layers(dims=(1, 2)))
def test_it_applies_the_matrix_of_the_definition(drawn: Drawn) -> None:
    operator, matrix = drawn.operator, drawn.oracle.matrix(drawn.weights).astype(int)
    if drawn.kind == "transposed_correlation":
        operator, matrix = operator.T, matrix.T
    geometry, weights = operator.geometry, operator.weights
    x, g = integers(2, *geometry.in_shape), integers(2, *geometry.out_shape)
    weights = weights.reshape(1, *geometry.kernel_shape)
    y = gather.correlate(geometry, weights, x)
    assert y.reshape(2, -1).tolist() == (x.reshape(2, -1) @ matrix.T).tolist()
    back = gather.correlate_adjoint(geometry, weights, g)
    assert back.reshape(2, -1).tolist() == (g.reshape(2, -1) @ matrix).tolist()
    # <g, A(w) x> = <w, dL/dw>: A is linear in the kernel.
    slopes = gather.kernel_gradients(geometry, x, g)
    assert (g * y).sum() == (slopes * weights).sum()


@given(layers(dims=(1, 2)))
def test_folding_is_the_adjoint_of_unfolding(drawn: Drawn) -> None:
    operator = drawn.operator.T if drawn.kind == "transposed_correlation" else drawn.operator
    axes = operator.geometry.axes
    x = integers(*(int(axis.in_size) for axis in axes))
    read = gather.unfold(axes, x)
    other = integers(*read.shape)
    assert (read * other).sum() == (x * gather.fold(axes, other)).sum()
    table, has_gaps = gather.table(axes)
    assert has_gaps == bool((table < 0).any())
    assert read.tolist() == np.where(table < 0, 0, x.ravel()[table]).tolist()
    uses = np.bincount(table[table >= 0], minlength=1)
    assert uses.max(initial=0) <= gather.most_readers(axes)


@given(layers(dims=(1,)))
def test_fractions_stay_exact(drawn: Drawn) -> None:
    operator = drawn.operator.T if drawn.kind == "transposed_correlation" else drawn.operator
    geometry = operator.geometry
    x, third = integers(1, *geometry.in_shape), Fraction(1, 3)
    weights = operator.weights.reshape(1, *geometry.kernel_shape)
    exact = gather.correlate(geometry, weights, x * third)
    assert (exact * 3).tolist() == gather.correlate(geometry, weights, x).tolist()

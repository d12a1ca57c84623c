"""The engine "csr" against the dense matrix of the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from strategies import Drawn, layers

import convalg as ca
from convalg import limits
from convalg.engine import stored
from convalg.errors import TooLargeError


@given(layers(dims=(1, 2)))
def test_the_stored_matrix_and_its_transpose_are_applied(drawn: Drawn) -> None:
    matrix = drawn.oracle.matrix(drawn.weights).astype(float)
    operator = drawn.operator
    if drawn.kind == "transposed_correlation":
        operator, matrix = operator.T, matrix.T
    weights = operator.weights.astype(float)
    x = np.arange(2.0 * matrix.shape[1]).reshape(2, *operator.in_shape) % 7 - 3
    g = np.arange(2.0 * matrix.shape[0]).reshape(2, *operator.out_shape) % 5 - 2
    y = stored.apply(operator.geometry, weights, x, adjoint=False)
    np.testing.assert_array_equal(y, x.reshape(2, -1) @ matrix.T)
    back = stored.apply(operator.geometry, weights, g, adjoint=True)
    np.testing.assert_array_equal(back, g.reshape(2, -1) @ matrix)


def test_a_matrix_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MEMORY_LIMIT", 10_000)
    layer = ca.correlation((64, 64), np.ones((3, 3)))
    with pytest.raises(TooLargeError, match="the stored matrix") as caught:
        stored.matrix(layer.geometry, layer.kernel)
    assert "engine='auto'" in str(caught.value)

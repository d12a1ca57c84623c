"""The methods of operators that are attached to their classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.errors import SymbolicError
from convalg.operators import methods
from convalg.operators.tree import Map, Operator

n, K = ca.sizes("n K")
A = ca.correlation(n, ca.kernel(K))


@pytest.mark.parametrize(("owner", "names"), [(Map, methods._MAP), (Operator, methods._OPERATOR)])
def test_each_method_is_attached_under_its_name(owner: type, names: dict[str, Any]) -> None:
    for name, method in names.items():
        assert vars(owner)[name] is method


@pytest.mark.parametrize(
    "face",
    ["to_scipy", "to_sympy", "to_numpy", "to_linear_operator", "pattern", "simplify"],
)
def test_faces_that_need_numbers_say_so(face: str) -> None:
    words = r"needs numbers for sizes, but this is a family: use A.at\(n=..., K=...\)"
    with pytest.raises(SymbolicError, match=words):
        getattr(A, face)()
    with pytest.raises(SymbolicError, match=words):
        A([1, 2, 3])


@pytest.mark.parametrize(
    ("weights", "dtype"),
    [([1, 2], np.int64), ([1.0, 2.0], np.float64), (np.ones(2, np.float32), np.float32)],
)
def test_scipy_is_told_the_type(weights: Any, dtype: Any) -> None:
    lazy = ca.correlation(4, weights).to_linear_operator()
    assert lazy.dtype == dtype
    assert ca.correlation(4, weights).to_scipy().dtype == dtype
    assert ca.correlation(4, weights).to_scipy(dtype=np.float64).dtype == np.float64


def test_sums_products_and_multiples_of_maps_act_on_the_outputs() -> None:
    relu, layer = ca.relu(3), ca.correlation(4, [1, -2])
    x = np.array([3, 1, 0, -2])
    y = np.array([1, 1, 4])
    assert layer(x).tolist() == y.tolist()
    assert (relu @ (-1 * layer))(x).tolist() == [0, 0, 0]
    assert (3 * relu)(y).tolist() == (relu * 3)(y).tolist() == [3, 3, 12]
    assert (relu + ca.flip_axes(3))(y).tolist() == [5, 2, 5]


def test_a_refilled_layer_overwrites_the_matrix() -> None:
    layer = ca.correlation((4, 5), ca.kernel(2, 3), padding=1)
    matrix = layer.refill(np.ones((2, 3))).to_scipy()
    again = layer.refill(np.arange(6.0).reshape(2, 3))
    assert again.to_scipy(out=matrix) is matrix
    assert np.array_equal(matrix.toarray(), again.to_numpy())
    assert (
        again.by_kernel(np.ones((4, 5)))(again.kernel).tolist() == again(np.ones((4, 5))).tolist()
    )

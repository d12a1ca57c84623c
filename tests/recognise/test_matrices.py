"""Matrices of all libraries, and the shapes that their rows and columns represent."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import scipy.sparse
import sympy
from same_matrix import has_matrix

import convalg as ca
from convalg.errors import ConvalgError, KindError, ShapeError
from convalg.recognise.identify import identify

BLUR = np.array([[1, 2], [3, 5]])


@pytest.mark.parametrize(
    "form",
    [
        lambda layer: layer.to_numpy(),
        lambda layer: layer.to_numpy().astype(np.uint8),
        lambda layer: layer.to_numpy().tolist(),
        lambda layer: layer.to_scipy(),
        lambda layer: scipy.sparse.coo_array(layer.to_scipy()),
        lambda layer: layer.to_linear_operator(),
        lambda layer: layer.to_sympy(),
        lambda layer: layer.to_numpy().astype(object),
        lambda layer: layer.to_numpy().astype(np.float32),
    ],
)
@pytest.mark.parametrize("shape", [(4, 5), ((4, 5), (3, 4)), [[4, 5], [3, 4]]])
def test_matrices_of_all_libraries(form: Callable[[Any], Any], shape: Any) -> None:
    layer = ca.correlation((4, 5), BLUR)
    found = identify(form(layer), shape)
    assert (found.kind, found.out_shape, found.kernel.tolist()) == (
        "correlation",
        (3, 4),
        BLUR.tolist(),
    )


def test_without_shapes_a_matrix_is_a_signal() -> None:
    assert identify(ca.correlation(7, [1, 2, 3]).to_numpy()).kernel.tolist() == [1, 2, 3]
    image = identify(ca.correlation((4, 5), BLUR).to_numpy())
    assert image.kind == "not shift-invariant"
    assert "pass in_shape if it has channels" in image.words


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_output_shape_of_a_layer_with_channels_is_found(stride: int, padding: int) -> None:
    weights = np.arange(1, 4 * 3 * 9 + 1).reshape(4, 3, 3, 3)
    layer = ca.correlation((8, 8), weights, stride=stride, padding=padding)
    found = identify(layer.to_scipy(), (3, 8, 8))
    assert (found.out_shape, found.stride) == (layer.out_shape, (stride, stride))
    assert has_matrix(found, layer.to_numpy())


def test_matrices_of_all_kinds() -> None:
    layer = ca.correlation((4, 4), [[1, 2], [3, 4]], padding=1)
    for matrix in (layer.to_scipy(), layer.to_numpy(), layer.to_sympy()):
        found = ca.identify(matrix, (4, 4))
        assert found.kind == "correlation"
        assert np.array_equal(found.kernel, [[1, 2], [3, 4]])
    letters = ca.identify(ca.correlation(5, ca.kernel(3)).to_sympy())
    assert list(map(str, letters.kernel)) == ["w0", "w1", "w2"]  # type: ignore[arg-type]
    pair = ca.identify(ca.correlation((4, 4), [[1, 2]]).to_scipy(), ((4, 4), (4, 3)))
    assert pair.kind == "correlation"


def test_a_linear_operator_of_scipy_is_only_called() -> None:
    found = ca.identify(ca.correlation(4, [1, 2]).to_linear_operator(), 4)
    assert found.sampled
    assert found.basis.startswith("f of every unit vector: its linearity is assumed, not tested")


BAD_MATRICES: list[tuple[Any, Any, type[Exception], str]] = [
    (np.eye(4), 3, ShapeError, "in_shape (3,) has 3 entries, but the matrix has 4 columns"),
    (np.eye(4), ((4,), (3,)), ShapeError, "out_shape (3,) has 3 entries, but the matrix has 4"),
    (np.eye(4), ((4,), (4,), 1), ShapeError, "must be a shape, or the pair (in_shape, out_shape)"),
    (np.eye(4) * 1j, 4, KindError, "matrix must be real, not complex128: identify its real and"),
    (np.zeros((0, 3)), None, ConvalgError, "matrix must have two axes and at least one entry"),
    (np.eye(4) * np.nan, 4, ConvalgError, "matrix"),
    (np.eye(4), (sympy.Symbol("n"),), ConvalgError, "in_shape"),
]


@pytest.mark.parametrize(
    ("matrix", "shape", "error", "message"), BAD_MATRICES, ids=[row[3] for row in BAD_MATRICES]
)
def test_bad_matrices(matrix: Any, shape: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        ca.identify(matrix, shape)


def test_symbolic_sizes_must_be_numbers() -> None:
    n = sympy.Symbol("n", positive=True, integer=True)
    with pytest.raises(KindError, match=r"in_shape\[0\] must be a number, not the symbolic size n"):
        ca.identify(ca.correlation(n, [1, 2, 3]))

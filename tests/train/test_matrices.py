"""Stages that multiply by the sparse matrix of a layer, against the matrix of the operator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from transposes import fill

import convalg as ca
from convalg.train.matrices import (
    SparseDropoutStage,
    SparseLayerStage,
    SparseMaxPoolStage,
    SparseReLUStage,
    diagonal,
)
from convalg.train.plan import TrainingPlan

L = ca.layers
LAYERS: list[tuple[tuple[int, ...], Any]] = [
    ((2, 9), L.Conv(3, 4, stride=2, padding=2, bias=False)),
    ((4, 5, 6), L.Conv(6, (3, 2), dilation=(1, 2), padding=1, groups=2, bias=False)),
    ((2, 5, 4), L.Conv(2, 3, padding=1, boundary="circular", bias=False)),
    ((4, 4, 3), L.ConvTranspose(6, (3, 2), stride=(1, 2), padding=1, groups=2, bias=False)),
]


def stage_of(layer: Any, shape: tuple[int, ...], batch: int, seed: int) -> Any:
    net = fill(ca.sequential(shape, [L.Identity(), layer]), np.random.default_rng(seed))
    plan = TrainingPlan(net, engine="sparse", dtype=np.float64)
    return net, plan, plan.program(batch).steps[-1][2]


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=9))
def test_the_diagonal_multiplies_entry_by_entry(values: list[int]) -> None:
    assert np.array_equal(diagonal(np.array(values)).toarray(), np.diag(values))


@pytest.mark.parametrize(("shape", "layer"), LAYERS, ids=str)
def test_the_matrix_is_refilled_with_each_new_kernel(shape: tuple[int, ...], layer: Any) -> None:
    net, plan, stage = stage_of(layer, shape, 2, 0)
    assert isinstance(stage, SparseLayerStage)
    matrix = stage.matrix
    for seed in (1, 2):
        fill(net, np.random.default_rng(seed))
        plan.load()
        x = np.random.default_rng(seed).integers(-3, 4, size=(*shape, 2)).astype(np.float64)
        y = stage.forward(x)
        dense = net.map(net.output).to_numpy()
        own = stage.matrix.T if stage.is_transposed else stage.matrix
        assert np.array_equal(own.toarray(), dense)
        assert np.array_equal(y.reshape(-1, 2), dense @ x.reshape(-1, 2))
    assert stage.matrix is matrix


@pytest.mark.parametrize(("shape", "layer"), LAYERS[:3], ids=str)
def test_the_kernel_times_the_unfolding_matrix_is_the_layer(
    shape: tuple[int, ...], layer: Any
) -> None:
    net, _, stage = stage_of(layer, shape, 1, 3)
    x = np.random.default_rng(4).integers(-3, 4, size=shape).astype(np.float64)
    kernel = net.weights[net.output]["kernel"]
    groups = layer.groups
    read = (stage.windows @ x.ravel()).reshape(groups, kernel[0].size, -1)
    y = kernel.reshape(groups, -1, kernel[0].size) @ read
    assert np.array_equal(y.reshape(net.out_shape), net(x))
    # Each row reads one sample of x, or none where it reads the padding.
    assert set(np.diff(stage.windows.indptr)) <= {0, 1}
    assert set(stage.windows.data) == {1.0}


@pytest.mark.parametrize("pool", [L.MaxPool(2), L.MaxPool(3, stride=2, padding=1)], ids=str)
def test_a_max_pooling_selects_one_entry_for_each_output(pool: Any) -> None:
    net, _, stage = stage_of(pool, (2, 6, 6), 3, 0)
    assert isinstance(stage, SparseMaxPoolStage)
    x = np.random.default_rng(1).integers(-9, 0, size=(2, 6, 6, 3)).astype(np.float64)
    y = stage.forward(x)
    assert np.array_equal(np.moveaxis(y, -1, 0), net(np.moveaxis(x, -1, 0)))
    matrix = stage.matrix.toarray()
    assert np.array_equal(matrix.sum(axis=1), np.ones(y.size))
    assert set(np.unique(matrix)) == {0.0, 1.0}
    g = np.arange(1.0, y.size + 1).reshape(y.shape)
    (back,) = stage.backward(g)
    # The adjoint of a selection adds each gradient to the entry that was selected.
    assert np.array_equal(back.ravel(), matrix.T @ g.ravel())
    assert back.sum() == g.sum()


def test_a_relu_is_a_diagonal_of_zeros_and_ones() -> None:
    _, _, stage = stage_of(L.ReLU(), (5,), 1, 0)
    assert isinstance(stage, SparseReLUStage)
    x = np.array([[-2.0], [0.0], [3.0], [-1.0], [4.0]])
    assert stage.forward(x).ravel().tolist() == [0, 0, 3, 0, 4]
    assert np.array_equal(stage.matrix.toarray(), np.diag([0.0, 0, 1, 0, 1]))
    assert stage.backward(np.ones((5, 1)))[0].ravel().tolist() == [0, 0, 1, 0, 1]


def test_a_dropout_is_the_diagonal_of_its_factors() -> None:
    _, _, stage = stage_of(L.Dropout(0.75), (50,), 2, 0)
    assert isinstance(stage, SparseDropoutStage)
    x = np.arange(1.0, 101).reshape(50, 2)
    stage.begin(np.random.default_rng(0))
    y = stage.forward(x)
    factors = stage.matrix.diagonal()
    assert set(factors) == {0.0, 4.0}
    assert np.array_equal(y.ravel(), factors * x.ravel())
    stage.begin(None)
    assert np.array_equal(stage.forward(x), x)
    assert np.array_equal(stage.matrix.toarray(), scipy.sparse.identity(100).toarray())

"""Convolutions as dense tiles, alone or merged with a max-pooling and a ReLU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from transposes import exactly, fill

import convalg as ca
from convalg.train import tiles
from convalg.train.plan import TrainingPlan
from convalg.train.tiles import TilesStage

L = ca.layers


MERGED: list[tuple[tuple[int, ...], list[Any], int]] = [
    # With the number of stages that are left.
    ((1, 8, 8), [L.Conv(2, 5, padding=2), L.ReLU(), L.MaxPool(2), L.Dense(2)], 2),
    ((1, 9, 9), [L.Conv(2, 4), L.MaxPool(2), L.ReLU(), L.Dense(2)], 2),
    ((1, 9, 11), [L.Conv(2, 3, stride=2), L.MaxPool(2), L.ReLU()], 1),
    ((2, 9, 9), [L.Conv(2, 3), L.MaxPool(3, stride=3), L.ReLU()], 1),
    ((2, 17), [L.Conv(3, 5), L.ReLU(), L.MaxPool(3)], 1),
    ((4, 17), [L.Conv(4, 3, groups=2, dilation=2), L.ReLU(), L.MaxPool(4)], 1),
    ((1, 6, 6, 6), [L.Conv(2, 3, padding=1), L.MaxPool(2), L.ReLU()], 1),
    ((1, 7, 8), [L.Conv(2, 5, padding=2), L.ReLU()], 1),
    ((1, 9, 9), [L.Conv(2, 2), L.MaxPool((1, 2)), L.MaxPool(2)], 2),
    ((1, 8, 8), [L.Conv(2, 3), L.ReLU(), L.ReLU()], 2),
    ((1, 9, 9), [L.Conv(2, 2), L.MaxPool(3, stride=2)], 2),
    ((1, 10, 10), [L.Conv(2, 3), L.MaxPool(4)], 2),
    ((1, 8, 8), [L.Conv(2, 3), L.Dropout(0.5), L.ReLU()], 3),
]


@pytest.mark.parametrize("most", [tiles.MOST_COLUMNS, 300])
@pytest.mark.parametrize(("shape", "layers", "stages"), MERGED, ids=str)
def test_a_pooling_and_a_relu_are_done_with_their_convolution(
    monkeypatch: pytest.MonkeyPatch,
    shape: tuple[int, ...],
    layers: list[Any],
    stages: int,
    most: int,
) -> None:
    monkeypatch.setattr(tiles, "MOST_COLUMNS", most)
    for first in (False, True):
        net = ca.sequential(shape, [*([] if first else [L.Shift(shape)]), *layers])
        exactly(net, 2, 4, "blas", training=False)
        plan = TrainingPlan(net, engine="blas", dtype=np.float64)
        assert len(plan.program(2).steps) == stages + (not first)


def test_what_two_read_is_not_merged() -> None:
    net = ca.Network((1, 8, 8))
    a = net.add(L.Conv(2, 3, padding=1))
    b = net.add(L.ReLU(), a)
    net.add(L.Concat(), [a, b])
    exactly(net, 2, 1, "blas", training=False)
    assert len(TrainingPlan(fill(net, np.random.default_rng(0))).program(1).steps) == 3
    # What nobody reads is not run at all.
    net.add(L.Dense(2), a)
    net.add(L.MaxPool(2), a)
    exactly(net, 2, 1, "blas", training=False)
    assert len(TrainingPlan(fill(net, np.random.default_rng(0))).program(1).steps) == 1


@pytest.mark.parametrize(
    ("kernel", "out", "stride", "tile"),
    [
        ((6, 1, 5, 5), (28, 28), 1, [2, 2]),
        ((16, 6, 5, 5), (10, 10), 1, [2, 2]),
        ((6, 1, 5, 5), (1, 10), 1, [1, 2]),
        ((6, 1, 5, 5), (10, 10), 2, [1, 1]),
        ((64, 6, 5, 5), (10, 10), 1, [1, 1]),
        ((6, 30, 5, 5), (10, 10), 1, [1, 1]),
        ((6, 1, 3, 3), (28, 28), 1, [1, 1]),
        ((6, 1, 5), (28,), 1, [2]),
        ((6, 1, 4, 4, 4), (5, 5, 5), 1, [1, 2, 2]),
    ],
)
def test_a_thin_layer_has_tiles_of_several_outputs(
    kernel: tuple[int, ...], out: tuple[int, ...], stride: int, tile: list[int]
) -> None:
    size = kernel[2]
    shape = (kernel[1], *((n - 1) * stride + size for n in out))
    net = ca.sequential(shape, [L.Conv(kernel[0], size, stride=stride)]).initialise(0)
    (stage,) = (stage for _, _, stage in TrainingPlan(net).program(1).steps)
    assert isinstance(stage, TilesStage)
    # A single axis has another in front.
    assert stage.tiling.tile[-len(tile) :] == tuple(tile)

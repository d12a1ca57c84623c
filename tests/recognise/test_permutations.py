"""Matrices with a name: moves of samples, resampling, and average poolings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import move
from hypothesis import given, settings
from hypothesis import strategies as st
from same_matrix import has_matrix, matrix_of

import convalg as ca
from convalg.recognise.identify import identify


def shuffled(x: np.ndarray) -> np.ndarray:
    return x[[2, 0, 1]]


MOVES: dict[str, tuple[Callable[[np.ndarray], Any], tuple[int, ...], str]] = {
    "identity": (lambda x: x, (3, 4), "identity"),
    "flatten": (lambda x: x.reshape(-1), (3, 4), "reshape"),
    "transpose": (lambda x: x.transpose(2, 0, 1), (2, 3, 4), "permutation of axes"),
    "flip": (lambda x: np.flip(x, (0, 1)), (3, 4), "reversal of axes"),
    "flip one": (lambda x: x[..., ::-1], (2, 3, 4), "reversal of axes"),
    "channels": (shuffled, (3, 2, 4), "permutation of channels"),
    "roll": (lambda x: np.roll(x, (1, -2), (0, 1)), (4, 5), "circular shift"),
    "any": (lambda x: x[[0, 3, 1, 2, 4]], (5,), "permutation"),
    "nearest": (lambda x: x.repeat(2, 0).repeat(3, 1), (3, 3), "transposed correlation"),
    "nearest, other sizes": (
        lambda x: x[np.arange(4) * 3 // 4],
        (3,),
        "nearest resampling",
    ),
    "wraps with a stride": (lambda x: x[np.arange(5) * 2 % 5], (5,), "correlation"),
}


@pytest.mark.parametrize("name", MOVES)
def test_moves_of_samples(name: str) -> None:
    f, shape, kind = MOVES[name]
    found = identify(f, shape)
    assert found.kind == kind
    assert has_matrix(found, matrix_of(f, shape))


@pytest.mark.parametrize("order", [(4, 1, 0, 5, 2, 3), (3, 0, 4, 1, 5, 2, 6), (2, 0, 3, 1)])
def test_a_permutation_is_no_layer_with_more_taps_than_samples(order: tuple[int, ...]) -> None:
    found = identify(np.eye(len(order), dtype=int)[list(order)])
    assert found.kind == "permutation" or found.kernel.size <= len(order)


@given(st.permutations(range(12)))
@settings(max_examples=30, deadline=None)
def test_any_permutation_is_one(order: list[int]) -> None:
    case = move(ca.identity(12), 12, lambda x: x[order])
    found = identify(case.matrix, ((3, 4), (3, 4)))
    assert has_matrix(found, case.matrix)
    assert found.kind != "not shift-invariant"


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("count_include_pad", [False, True])
@pytest.mark.parametrize("padding", [0, 1])
def test_average_poolings(padding: int, count_include_pad: bool, ceil_mode: bool) -> None:
    torch = pytest.importorskip("torch")
    pool = torch.nn.AvgPool2d(3, 2, padding, ceil_mode, count_include_pad)
    found = ca.identify(pool, (2, 6, 6))
    assert (found.kind, found.size, found.stride) == ("average pooling", (3, 3), (2, 2))
    assert f"padding {((padding, padding),) * 2}" in repr(found)
    x = np.random.default_rng(0).integers(-9, 10, (2, 6, 6)).astype(float)
    assert found.operator is not None
    expected = pool(torch.tensor(x)).numpy()
    assert np.allclose(found.operator(x), expected)


RESAMPLINGS = [
    (ca.pixel_shuffle((3, 3), 2, channels=4), "pixel shuffle"),
    (ca.pixel_unshuffle((4, 6), 2, channels=2), "pixel unshuffle"),
    (ca.resize((4, 4), (8, 8), mode="linear", channels=2), "linear resampling"),
    (ca.resize((4, 4), (7, 5), mode="linear"), "linear resampling"),
    (ca.resize((5, 5), (3, 7), mode="nearest"), "nearest resampling"),
    (ca.adaptive_pool((7, 8), (3, 3), channels=2), "average pooling"),
]


@pytest.mark.parametrize(("operator", "kind"), RESAMPLINGS, ids=repr)
def test_resamplings(operator: Any, kind: str) -> None:
    found = ca.identify(lambda x: operator(x), operator.in_shape)
    assert found.kind == kind
    x = np.arange(2.0, 2 + np.prod(operator.in_shape)).reshape(operator.in_shape)
    assert found.operator is not None
    assert np.allclose(found.operator(x), operator(x))

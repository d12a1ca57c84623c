"""Layers that rearrange samples, against NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from filled_networks import filled, integers
from scipy import special

import convalg as ca
from convalg.network.layers.rearrange import Expand, Permute, Resize, Slice

L = ca.layers


def test_a_slice_needs_its_end() -> None:
    with pytest.raises(ca.errors.ArgumentError, match="must satisfy 0 <= start < stop <= 4 and"):
        L.Slice(1, 1, None).out_shape((2, 4))


WRONG: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: Expand((4, 2)).out_shape((3, 2)), ca.errors.ShapeError, "cannot be expanded to"),
    (
        lambda: Slice(2, 0, 1).out_shape((3, 2)),
        ca.errors.ShapeError,
        "axis must be from 0 to 1 for an input",
    ),
    (lambda: Slice(0, 2, 5).out_shape((3, 2)), ca.errors.ArgumentError, "must satisfy 0 <= start"),
    (
        lambda: Permute((0, 0)).out_shape((3, 2)),
        ca.errors.ArgumentError,
        "must contain each axis of",
    ),
    (
        lambda: Resize((2, 2)).out_shape((3, 2)),
        ca.errors.ShapeError,
        "must have one integer for each",
    ),
]


@pytest.mark.parametrize(("make", "error", "message"), WRONG)
def test_arguments_that_do_not_fit_are_refused(
    make: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make()


MOVES: list[tuple[Any, tuple[int, ...], Callable[[Any], Any]]] = [
    (L.Slice(0, 1, 4, 2), (4, 5), lambda x: x[1:4:2]),
    (L.Slice(1, 2, 5), (4, 5), lambda x: x[:, 2:5]),
    (L.Permute((2, 0, 1)), (2, 3, 4), lambda x: x.transpose(2, 0, 1)),
    (L.Expand((3, 2, 4)), (2, 1), lambda x: np.broadcast_to(x, (3, 2, 4))),
    (L.Expand((6, 4)), (1, 4), lambda x: np.broadcast_to(x, (6, 4))),
    (
        L.Resize((2, 4), coordinates="asymmetric", rounding="floor"),
        (2, 4, 8),
        lambda x: x[:, ::2, ::2],
    ),
]


@pytest.mark.parametrize(
    ("layer", "shape", "wanted"), MOVES, ids=[str(layer)[:30] for layer, _, _ in MOVES]
)
def test_entries_move_as_in_numpy(
    layer: Any, shape: tuple[int, ...], wanted: Callable[[Any], Any]
) -> None:
    x = np.random.default_rng(0).permutation(math.prod(shape)).reshape(shape)
    net = ca.sequential(shape, [layer])
    assert net.out_shape == wanted(x).shape
    assert (net(x) == wanted(x)).all()
    # The entries that are read by each output channel, against the matrix.
    matrix = net.jacobian(x).to_numpy().reshape(net.out_shape[0], -1, math.prod(shape)) != 0
    for channel, row in enumerate(matrix.any(axis=1)):
        units = (np.array([channel]), *map(np.arange, net.out_shape[1:]))
        read = np.zeros(shape, dtype=bool)
        for part in layer.reads(units, (shape,)):
            read[np.ix_(*part)] = True
        assert (read.ravel() == row).all()


def test_one_matrix_is_applied_to_each_row() -> None:
    net = filled(L.Project(3), (4, 5))
    x = integers(1, 4, 5)
    assert (net(x) == x @ net.weights["project1"]["weights"].T).all()
    assert (net.parameters, net.counts.nonzeros) == (15, 60)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_softmax_sums_to_one_along_its_axis(axis: int) -> None:
    x = np.random.default_rng(axis).standard_normal((3, 4))
    y, log = (ca.sequential((3, 4), [L.SoftmaxAlong(axis, log=k)])(x) for k in (False, True))
    np.testing.assert_allclose(y, special.softmax(x, axis=axis), rtol=1e-12)
    np.testing.assert_allclose(log, np.log(y), rtol=1e-9)

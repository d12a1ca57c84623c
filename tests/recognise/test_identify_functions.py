"""`identify` on functions: layers of all libraries, what is no layer, and what cannot be asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from strategies import Drawn, layers

import convalg as ca


@settings(max_examples=150)
@given(layers(boundaries=("zeros", "circular")))
def test_what_is_found_has_the_same_matrix(drawn: Drawn) -> None:
    operator = drawn.operator
    found = ca.identify(operator)
    if found.operator is not None:
        assert found.operator.in_shape == operator.in_shape
        assert np.array_equal(found.operator.to_numpy(), operator.to_numpy())  # type: ignore[attr-defined]
    else:
        assert found.kind in ("zero", "identity", "permutation", "permutation of channels") or (
            found.kind == "not shift-invariant"
        )


WEIGHTS = np.random.default_rng(0).integers(1, 9, (4, 2, 3, 2))


@pytest.mark.parametrize("groups", [1, 2])
def test_a_layer_with_all_options(groups: int) -> None:
    kernel = WEIGHTS[:, : 2 // groups]
    options: dict[str, Any] = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)}
    layer = ca.correlation((7, 6), kernel, groups=groups, **options)
    found = ca.identify(lambda x: layer(x), (2, 7, 6))
    assert found.kind == "correlation"
    assert np.array_equal(found.kernel, kernel)
    assert (found.stride, found.dilation, found.groups) == ((2, 1), (1, 2), groups)
    assert found.padding == ((1, 1), (0, 0))


def test_transposed_layers() -> None:
    kernel = np.arange(1, 19).reshape(2, 1, 3, 3)
    layer = ca.transposed_correlation((4, 4), kernel, stride=2, padding=1, output_padding=1)
    found = ca.identify(lambda x: layer(x), (2, 4, 4))
    assert found.kind == "transposed correlation"
    assert (found.stride, found.output_padding) == ((2, 2), (1, 1))
    assert np.array_equal(found.kernel, kernel)


@pytest.mark.parametrize("boundary", ["circular", "reflect", "symmetric", "edge"])
def test_boundaries(boundary: Any) -> None:
    kernel = np.arange(1, 26).reshape(5, 5)
    layer = ca.correlation((9, 8), kernel, padding=2, boundary=boundary)
    found = ca.identify(layer)
    assert (found.kind, found.boundary) == ("correlation", boundary)
    assert np.array_equal(found.kernel, kernel)


def test_flips_are_told() -> None:
    kernel = np.array([[1, 2], [3, 4]])
    flipped = ca.identify(
        lambda x: scipy.signal.convolve2d(x, kernel, mode="valid"), (4, 5), kernel=kernel
    )
    assert flipped.flip is True
    plain = ca.identify(
        lambda x: scipy.signal.correlate2d(x, kernel, mode="valid"), (4, 5), kernel=kernel
    )
    assert plain.flip is False


KINDS = [
    (lambda x: x[..., ::-1], (5,), "reversal of axes"),
    (lambda x: x.swapaxes(-1, -2), (3, 4), "permutation of axes"),
    (lambda x: x[..., [2, 0, 1], :, :], (3, 4, 4), "permutation of channels"),
    (lambda x: x, (3, 4), "identity"),
    (lambda x: 0 * x, (3,), "zero"),
    (lambda x: 2 * x + 1, (3,), "affine"),
    (lambda x: np.maximum(x, 0), (3,), "not linear"),
    (lambda x: np.arange(4) * x, (4,), "diagonal"),
    (lambda x: np.array([[1, 2, 3], [4, 5, 6], [9, 8, 1]]) @ x, (3,), "not shift-invariant"),
    (lambda x: ca.max_pool((7, 7), 3, stride=2, channels=2)(x), (2, 7, 7), "max pooling"),
    (lambda x: ca.min_pool((6, 6), 2, channels=2)(x), (2, 6, 6), "min pooling"),
    (lambda x: ca.average_pool((6, 6), 2, channels=2)(x), (2, 6, 6), "average pooling"),
    (lambda x: ca.sum_pool((6, 6), 2, channels=2)(x), (2, 6, 6), "sum pooling"),
]


@pytest.mark.parametrize(("f", "shape", "kind"), KINDS, ids=[kind for _, _, kind in KINDS])
def test_kinds(f: Any, shape: tuple[int, ...], kind: str) -> None:
    found = ca.identify(f, shape)
    assert found.kind == kind
    assert found.explain().startswith(kind)
    if kind == "not linear":
        x, y = np.array(found.witness["x"]), np.array(found.witness["y"])
        at = found.witness["at"]
        assert (f(x + y) + f(0 * x))[at] != (f(x) + f(y))[at]


# Small inputs: the plainest geometry.


@pytest.mark.parametrize("boundary", ["circular", "reflect", "symmetric", "edge"])
@pytest.mark.parametrize("size", [3, 4, 5, 6])
def test_the_plainest_geometry_of_tiny_inputs(boundary: Any, size: int) -> None:
    layer = ca.correlation(size, [1, 2, 4], padding=1, boundary=boundary)
    found = ca.identify(layer)
    assert found.kernel is not None
    assert found.kernel.tolist() == [1, 2, 4]
    assert (found.stride, found.padding, found.dilation) == ((1,), ((1, 1),), (1,))


@pytest.mark.parametrize("mode", ["reflect", "symmetric", "edge"])
@pytest.mark.parametrize("shape", [(3, 3), (4, 5)])
def test_padding_is_not_taken_for_a_transposed_layer(mode: Any, shape: tuple[int, ...]) -> None:
    found = ca.identify(lambda x: np.pad(x, 1, mode=mode), shape)
    assert (found.kind, found.padding) == ("correlation", ((1, 1), (1, 1)))
    assert found.kernel is not None
    assert found.kernel.tolist() == [[1]]


def test_equal_weights_are_channels_and_not_a_third_axis() -> None:
    layer = ca.correlation((6, 6), np.ones((3, 3, 3, 3), int), padding=1)
    found = ca.identify(layer)
    assert (found.kind, found.padding) == ("correlation", ((1, 1), (1, 1)))
    assert np.array_equal(found.kernel, np.ones((3, 3, 3, 3)))


# Poolings, with their borders.


@pytest.mark.parametrize("place", range(5))
def test_one_sample_alone_is_no_circle(place: int) -> None:
    found = ca.identify(lambda x: x[place : place + 1], 5)
    assert (found.kind, found.boundary) == ("correlation", "zeros")

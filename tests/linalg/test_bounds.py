"""Every number called an upper bound is one, for every geometry; and the one that is not."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose
from strategies import Drawn, layers

import convalg as ca
from convalg.errors import ConvalgError, KindError, SymbolicError
from convalg.linalg.bounds import norm_bounds

ROUNDING = 1 + 1e-12


def largest(drawn: Drawn) -> float:
    """The norm, from nested loops and NumPy's SVD."""
    return float(np.linalg.norm(drawn.oracle.matrix(drawn.weights).astype(float), 2))


@given(layers())
def test_upper_bounds_are_above_the_norm(drawn: Drawn) -> None:
    found, norm = norm_bounds(drawn.operator), largest(drawn)
    for name in ("circular", "absolute_sum", "gram", "reshaped_bound", "upper"):
        assert norm <= getattr(found, name) * ROUNDING, name
    rank = min(drawn.operator.shape)
    assert found.circular <= found.gram * ROUNDING
    assert found.gram <= found.circular * rank ** (1 / 128) * ROUNDING


@given(layers())
def test_adjoints_and_multiples_scale(drawn: Drawn) -> None:
    operator = drawn.operator
    one, three = norm_bounds(operator), norm_bounds(-3 * operator.T)
    for name in ("circular", "absolute_sum", "gram", "reshaped", "reshaped_bound"):
        assert_allclose(getattr(three, name), 3 * getattr(one, name), rtol=1e-14)


@given(layers(boundaries=("circular",), words=("same",), numbers=False))
def test_circular_is_the_norm_of_a_circular_layer(drawn: Drawn) -> None:
    axes = drawn.operator.pattern.axes if drawn.kind != "transposed_correlation" else ()
    steps = [(axis.stride, axis.boundary == "circular" or axis.taps == 1) for axis in axes]
    if axes and all(step == (1, True) for step in steps):
        assert_allclose(norm_bounds(drawn.operator).circular, largest(drawn), rtol=1e-12, atol=1e-9)


@given(layers())
def test_reshaped_is_the_norm_of_the_kernel_as_a_matrix(drawn: Drawn) -> None:
    kernel = drawn.weights.astype(float)
    has_channels = "groups" in drawn.options
    rows = kernel.shape[0] if has_channels else 1
    expected = np.linalg.norm(kernel.reshape(rows, -1), 2)
    assert_allclose(norm_bounds(drawn.operator).reshaped, expected, rtol=1e-12, atol=1e-12)


def test_torch_calls_the_reshaped_one_the_spectral_norm() -> None:
    torch = pytest.importorskip("torch")
    weight = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    matrix = torch.linalg.matrix_norm(weight.flatten(1).double(), 2).item()
    found = norm_bounds(ca.correlation((6, 6), weight.numpy(), padding=1))
    assert_allclose(found.reshaped, matrix, rtol=1e-7)


def test_the_reshaped_norm_is_no_bound() -> None:
    # A box of ones on a large image reaches 9; its reshaped norm is 3.
    operator = ca.correlation((20, 20), np.ones((3, 3)), padding=1)
    found = norm_bounds(operator)
    norm = np.linalg.norm(operator.to_numpy(), 2)
    assert_allclose([found.reshaped, found.reshaped_bound], [3, 9])
    assert found.reshaped < norm / 2.8
    assert norm < found.upper
    assert_allclose([found.circular, found.absolute_sum], [9, 9])


def test_a_zero_kernel_is_bounded_by_zero() -> None:
    found = norm_bounds(ca.correlation((4, 4), np.zeros((2, 2, 3, 3)), padding=1))
    assert (found.circular, found.absolute_sum, found.gram, found.upper) == (0, 0, 0, 0)


def test_kernels_far_from_one_do_not_overflow() -> None:
    for scale in (1e-200, 1e200):
        found = norm_bounds(ca.correlation(8, np.array([1, 2, 1]) * scale, padding=1))
        assert_allclose([found.circular, found.absolute_sum], 4 * scale)
        assert math.isclose(found.gram, 4 * scale, rel_tol=1e-2)


BAD: list[tuple[Callable[[], Any], type[ConvalgError], str]] = [
    (lambda: norm_bounds([1]), KindError, "norm_bounds takes an operator, not list"),
    (
        lambda: norm_bounds(ca.identity(3)),
        KindError,
        "norm_bounds accepts one convolution layer, its adjoint or a scalar multiple, not",
    ),
    (
        lambda: norm_bounds(ca.downsample(4, 2) @ ca.correlation(5, [1, 2])),
        KindError,
        "try A.simplify(), or multiply the bounds of its factors",
    ),
    (
        lambda: norm_bounds(ca.correlation(5, ca.kernel(3))),
        SymbolicError,
        "has symbols as entries: replace",
    ),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=[case[2] for case in BAD])
def test_bad_input(call: Callable[[], Any], error: type[ConvalgError], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        call()

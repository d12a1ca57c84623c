"""Theorems about equivariance at numbers: signals are moved with NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import convalg as ca

SIGNAL = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3])


def _delayed(signal: np.ndarray, steps: int) -> np.ndarray:
    return np.concatenate([np.zeros(steps, int), signal[: len(signal) - steps]])


@pytest.mark.parametrize(("stride", "steps"), [(1, 2), (2, 1), (2, 2), (3, 1)])
def test_a_delay_by_a_multiple_of_the_stride_delays_the_output(stride: int, steps: int) -> None:
    layer = ca.correlation(10, [2, -3, 5], stride=stride)
    moved = layer(_delayed(SIGNAL, stride * steps))
    assert moved[steps:].tolist() == layer(SIGNAL)[: len(moved) - steps].tolist()


def test_a_delay_by_one_is_no_delay_of_a_layer_of_stride_2() -> None:
    layer = ca.correlation(10, [2, -3, 5], stride=2)
    assert layer(_delayed(SIGNAL, 1))[1:].tolist() != layer(SIGNAL)[:-1].tolist()


def test_the_mean_of_a_circular_layer_is_invariant() -> None:
    layer = ca.correlation(10, [2, -3, 5], padding=1, boundary="circular")
    sums = {int(layer(np.roll(SIGNAL, steps)).sum()) for steps in range(10)}
    assert sums == {4 * SIGNAL.sum()}


def test_a_transposed_layer_delays_by_its_stride() -> None:
    layer = ca.transposed_correlation(10, [2, -3, 5], stride=3)
    moved = layer(_delayed(SIGNAL, 1))
    assert moved[3:30].tolist() == layer(SIGNAL)[:27].tolist()

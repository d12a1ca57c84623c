"""Theorems about the discrete Fourier transform at numbers, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.prove.theorems.parts import Exponentials
from convalg.prove.theorems.transforms import THEOREMS
from convalg.size import substituted

WEIGHTS = np.array([2.0, -3.0, 5.0])


def _at(name: str, size: int) -> tuple[np.ndarray, list[int]]:
    """The matrix of the layer of a theorem, and the exponents of its taps."""
    part = ca.theorems[name].parts[0]
    assert isinstance(part, Exponentials)
    layer: Any = part.layer().at(n=size, K=3, p=1)
    t, p = ca.sizes("t p")
    exponents = [int(substituted(part.exponent(t, p), {t: k, p: 1})) for k in range(3)]
    return layer.refill(WEIGHTS).to_numpy().astype(float), exponents


@pytest.mark.parametrize("size", [3, 4, 5, 8])
def test_the_eigenvalues_are_the_transform_of_the_kernel(size: int) -> None:
    matrix, exponents = _at("circulant-eigenvalues", size)
    z = np.exp(2j * np.pi / size)
    values = [
        sum(w * z ** (k * e) for w, e in zip(WEIGHTS, exponents, strict=True)) for k in range(size)
    ]
    polynomial = np.poly(matrix)
    assert np.allclose(np.poly(values), polynomial)


@pytest.mark.parametrize("size", [3, 4, 5, 8])
def test_a_circular_layer_multiplies_transforms(size: int) -> None:
    matrix, exponents = _at("convolution-theorem", size)
    x = np.arange(size) ** 2 % 7
    row = np.zeros(size)
    for weight, exponent in zip(WEIGHTS, exponents, strict=True):
        row[-exponent % size] += weight
    assert np.allclose(np.fft.fft(matrix @ x), np.fft.fft(row) * np.fft.fft(x))


def test_two_transforms_of_half_the_size_are_enough() -> None:
    x = np.array([3, 1, 4, 1, 5, 9, 2, 6])
    even, odd = np.fft.fft(x[::2]), np.fft.fft(x[1::2])
    rotated = np.exp(-2j * np.pi / 8) ** np.arange(4) * odd
    assert np.allclose(np.concatenate([even + rotated, even - rotated]), np.fft.fft(x))


@pytest.mark.parametrize("theorem", THEOREMS, ids=lambda theorem: theorem.name)
def test_the_counter_is_refuted_by_numbers(theorem: Any) -> None:
    verdict = theorem.outside()
    assert verdict.status == "refuted"
    claimed, actual = verdict.counterexample.replay()
    assert claimed != actual

"""Circular layers by frequency against dense matrices, NumPy and PyTorch transforms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from strategies import integers

import convalg as ca
from convalg.linalg import circulant
from convalg.linalg.spectrum import norm, spectrum

RNG = np.random.default_rng(20)


DEEP = RNG.standard_normal((4, 3, 3, 3))


FFT, KRON = "exact per frequency (FFT)", "Kronecker product"


def dense(operator: ca.Operator) -> np.ndarray:
    """Singular values by NumPy, of the dense matrix."""
    return np.linalg.svd(operator.to_numpy().astype(float), compute_uv=False)


def agrees(found: Any, expected: np.ndarray, tolerance: float = 1e-11) -> None:
    """Equal to a small part of the largest value."""
    assert_allclose(found, expected, rtol=0, atol=tolerance * max(float(np.max(expected)), 1e-300))


@st.composite
def circular(draw: st.DrawFn) -> ca.Operator:
    """A layer of which every s-th row of a circulant one is kept."""
    dims = draw(st.integers(1, 2))
    strides = [draw(st.integers(1, 3)) for _ in range(dims)]
    sizes = tuple(s * draw(st.integers(1, 3)) for s in strides)
    taps = tuple(draw(st.integers(1, 3)) for _ in range(dims))
    dilation = draw(st.integers(1, 2))
    groups = draw(st.integers(1, 2))
    lead = (groups * draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    # Padding that leaves n / s windows, turned round the circle by some samples.
    total = [
        max((k - 1) * dilation + 1 - n + (n // s - 1) * s, (k - 1) * dilation + 1 - s)
        for n, s, k in zip(sizes, strides, taps, strict=True)
    ]
    pads = tuple((max(t, 0) - max(t, 0) // 2, max(t, 0) // 2) for t in total)
    make = draw(st.sampled_from([ca.correlation, ca.convolution]))
    return make(
        sizes,
        draw(integers((*lead, *taps))),
        stride=tuple(strides),
        padding=pads,
        dilation=dilation,
        groups=groups,
        boundary="circular",
    )


@given(circular())
def test_circular_layers_are_exact_by_frequency(operator: ca.Operator) -> None:
    assert spectrum(operator).method == FFT
    agrees(spectrum(operator), dense(operator))
    agrees(spectrum(operator.T), dense(operator))
    agrees(norm(operator), dense(operator)[0])


def test_circulant_values_are_the_fourier_transform() -> None:
    kernel = np.array([4.0, -1, 2, 0.5])
    found = spectrum(ca.convolution(9, kernel, padding=((3, 0),), boundary="circular"))
    agrees(found, np.sort(np.abs(np.fft.fft(kernel, 9)))[::-1], 1e-14)


@pytest.mark.parametrize("taps", [(1, 1), (3, 3), (2, 5), (5, 5), (7, 7)])
@pytest.mark.parametrize("lead", [(2, 3), (3, 2), (4, 4)])
def test_blocks_of_few_and_of_many_taps(taps: tuple[int, int], lead: tuple[int, int]) -> None:
    # Beside the definition: 7 x 7 taps on 7 x 7 samples take the Fourier transform.
    kernel = RNG.standard_normal((*lead, *taps))
    pads = tuple((k - 1, 0) for k in taps)
    operator = ca.correlation((7, 7), kernel, padding=pads, boundary="circular")
    blocks = np.fft.fft2(kernel, (7, 7))
    expected = np.linalg.svd(np.moveaxis(blocks, (0, 1), (-2, -1)), compute_uv=False)
    assert circulant.few_lags(operator.geometry, [7, 7]) == (math.prod(taps) <= 14)
    agrees(spectrum(operator), np.sort(expected, axis=None)[::-1], 1e-13)


@pytest.mark.parametrize(
    "operator",
    [
        ca.correlation((12, 12), DEEP, padding=1),
        ca.correlation((16, 9), DEEP, stride=2),
        ca.convolution((12, 12), DEEP, dilation=2, padding=2),
        ca.correlation((5, 5), RNG.standard_normal((3, 4, 5, 5)), padding=2),
        ca.correlation(30, np.stack([DEEP[:, 0, 0], -DEEP[:, 0, 0]], axis=1), padding=1),
    ],
    ids=str,
)
def test_the_start_of_the_iteration_is_a_good_guess(operator: Any) -> None:
    start = circulant.wave(operator)
    assert start is not None
    assert_allclose(np.linalg.norm(start), 1)
    assert np.linalg.norm(operator(start)) > 0.6 * dense(operator)[0]


def test_torch_finds_the_same_fourier_blocks() -> None:
    torch = pytest.importorskip("torch")
    waves = torch.fft.fft2(torch.from_numpy(DEEP), (8, 6)).permute(2, 3, 0, 1)
    expected = torch.linalg.svdvals(waves).flatten().sort(descending=True).values.numpy()
    agrees(spectrum(ca.correlation((8, 6), DEEP, padding=1, boundary="circular")), expected)

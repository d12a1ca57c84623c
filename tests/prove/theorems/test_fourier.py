"""Theorems about borders at numbers: NumPy pads and transforms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.prove.theorems.fourier import THEOREMS
from convalg.prove.theorems.parts import Exponentials
from convalg.prove.theorems.theorem import Equality
from convalg.size import substituted

MODES = {"zeros": "constant", "circular": "wrap", "reflect": "reflect", "edge": "edge"}
SIGNAL = np.array([3, 1, 4, 1, 5, 9, 2])


@pytest.mark.parametrize("size", [4, 5, 8])
def test_exponentials_are_eigenvectors_of_a_circular_layer(size: int) -> None:
    part = ca.theorems["circular-dft"].parts[0]
    assert isinstance(part, Exponentials)
    layer: Any = part.layer().at(n=size, K=3, p=1)
    weights = np.array([2.0, -3.0, 5.0])
    matrix = layer.refill(weights).to_numpy().astype(float)
    t, p = ca.sizes("t p")
    for k in range(size):
        z = np.exp(2j * np.pi * k / size)
        exponents = [int(substituted(part.exponent(t, p), {t: tap, p: 1})) for tap in range(3)]
        value = sum(w * z**e for w, e in zip(weights, exponents, strict=True))
        vector = z ** np.arange(size)
        assert np.allclose(matrix @ vector, value * vector)


@pytest.mark.parametrize("boundary", [*MODES, "symmetric"])
def test_a_padded_layer_pads_as_numpy_does(boundary: Any) -> None:
    padded = np.pad(SIGNAL, 2, mode=MODES.get(boundary, boundary))
    layer = ca.correlation(7, [2, -3, 5], padding=2, boundary=boundary)
    expected = np.correlate(padded, [2, -3, 5], "valid")
    assert layer(SIGNAL).tolist() == expected.tolist()
    assert layer(SIGNAL)[2:-2].tolist() == np.correlate(SIGNAL, [2, -3, 5], "valid").tolist()


def test_a_full_layer_is_a_product_of_spectra() -> None:
    size = len(SIGNAL) + 3 - 1
    spectra = np.fft.fft(SIGNAL, size) * np.fft.fft([5, -3, 2], size)
    full = ca.correlation(7, [2, -3, 5], padding="full")(SIGNAL)
    assert np.allclose(np.fft.ifft(spectra).real, full)


def test_a_causal_layer_ignores_later_samples() -> None:
    layer = ca.correlation(7, [2, -3, 5], padding="causal", dilation=2)
    later = SIGNAL.copy()
    later[4:] = 100
    assert layer(SIGNAL)[:4].tolist() == layer(later)[:4].tolist()
    assert layer(SIGNAL)[4:].tolist() != layer(later)[4:].tolist()


@pytest.mark.parametrize("theorem", THEOREMS, ids=lambda theorem: theorem.name)
def test_every_claim_holds_for_an_input(theorem: Any) -> None:
    sizes = {"n": 9, "m": 2, "K": 3, "p": 1, "d": 2, "q": 1, "h": 2}
    for claim in theorem.claims():
        assert isinstance(claim, Equality)
        first, second = (
            side.at(**{s.name: sizes[s.name] for s in side.symbols}) for side in claim.sides()
        )
        rng = np.random.default_rng(0)
        x = rng.integers(-9, 9, first.in_shape)
        difference = np.asarray(first(x)) - np.asarray(second(x))
        assert not difference.any() or all(v == 0 for v in _expanded(difference))


def _expanded(values: Any) -> list[Any]:
    return [v.expand() if hasattr(v, "expand") else v for v in np.ravel(values)]

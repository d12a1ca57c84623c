"""Trials on numbers: they refute, and never prove."""

from __future__ import annotations

from typing import Any

import numpy as np

import convalg as ca
from convalg.prove import implements, linear

THREE = ca.correlation(4, ca.kernel(3))


def test_a_function_that_branches_and_is_wrong_is_refuted_by_numbers() -> None:
    verdict = implements(lambda x, w: np.correlate(abs(x), w, "valid"), THREE)
    assert verdict.status == "refuted"
    assert verdict.method.startswith("comparison on numbers")
    found = verdict.counterexample
    assert found is not None
    x, w = (np.array(found.inputs[f"argument {k}"]) for k in (0, 1))
    assert found.row_index is not None
    assert np.correlate(abs(x), w, "valid")[found.row_index] == found.claimed
    assert THREE.refill(w)(x)[found.row_index] == found.actual


def by_fft(x: Any, w: Any) -> Any:
    return np.fft.irfft(np.fft.rfft(x, 6) * np.fft.rfft(w[::-1], 6), 6)[2:4]


def test_an_fft_is_unknown_and_never_proved() -> None:
    verdict = implements(by_fft, THREE)
    assert verdict.status == "unknown"
    assert "cannot run on symbols" in verdict.reason
    assert implements(lambda x, w: by_fft(x, w[::-1]), THREE).status == "refuted"
    assert linear(lambda x: np.fft.rfft(x).real, 3).status == "unknown"

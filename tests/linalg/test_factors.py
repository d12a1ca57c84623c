"""The certified largest eigenvalue against the dense norm."""

from __future__ import annotations

import numpy as np
import pytest

import convalg as ca
from convalg.linalg.factors import certified_top


def test_a_largest_eigenvalue_between_two_bounds() -> None:
    layer = ca.correlation((30, 30), np.random.default_rng(1).standard_normal((3, 3)), padding=1)
    exact = np.linalg.norm(layer.to_numpy().astype(float), 2) ** 2
    for lower in (exact * (1 - 1e-9), exact * (1 - 1e-4), exact / 1.5):
        top, settled = certified_top(layer, 1.0, lower, 1e-10)
        assert settled
        assert top == pytest.approx(exact, rel=1e-11)
    # A lower bound that is none is not called settled at its own number.
    top, settled = certified_top(layer, 1.0, exact / 1e6, 1e-10)
    assert not settled or top == pytest.approx(exact, rel=1e-11)

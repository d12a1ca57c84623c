"""The counting formula by brute force, and symbols of samples that differ from weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.sheet import verify_layer


@pytest.mark.parametrize("boundary", ["zeros", "circular", "reflect", "symmetric", "edge"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 2, 4])
def test_the_counting_formula_counts(boundary: Any, stride: int, padding: int) -> None:
    layer = ca.correlation(
        (6, 7), np.ones((4, 1, 2, 3)), groups=2, stride=stride, padding=padding, boundary=boundary
    )
    # Brute force: with an input of ones and no bias every product adds a one to some output.
    ones = np.ones((2, 6, 7), dtype=int)
    products = int(layer.refill(np.ones((4, 1, 2, 3), dtype=int))(ones).sum())
    assert verify_layer.counting_formula(layer.geometry)[1] == products


def test_letters_of_samples_never_meet_letters_of_weights() -> None:
    layer = ca.correlation(3, ca.kernel(2, name="x"))
    assert not set(verify_layer.new_symbols((3,))) & set(layer.kernel)
    assert ca.explain(layer).failed == ()

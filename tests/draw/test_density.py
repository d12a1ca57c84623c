"""Densities of matrices are exact counts of entries, by brute force."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from read_figures import BOTH
from strategies import layers

import convalg as ca
from convalg.draw.density import density
from convalg.errors import TooLargeError
from convalg.faces.support import nonzero_bound
from convalg.operators.tree import Operator


def test_a_matrix_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    total = ca.correlation((300, 300), np.ones((3, 3)), padding=1) + ca.identity((300, 300))
    entries = nonzero_bound(total)
    # The function of this name hides the module of this name.
    room = sys.modules["convalg.draw.density"]
    monkeypatch.setattr(room, "MOST_ENTRIES", entries)
    assert ca.draw.matrix(total).axes[0].images
    monkeypatch.setattr(room, "MOST_ENTRIES", entries - 1)
    with pytest.raises(TooLargeError, match=rf"matrix with {entries} entries is too large to draw"):
        ca.draw.matrix(total)


def test_layers_of_any_size_are_counted_axis_by_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = ca.correlation((224, 224), np.ones((64, 64, 3, 3)), padding=1)
    title = ca.draw.matrix(layer).axes[0].get_title(loc="left")
    assert title.startswith(f"3,211,264 x 3,211,264, {layer.counts.nonzeros:,} non-zeros")
    room = sys.modules["convalg.draw.density"]
    monkeypatch.setattr(room, "MOST_ENTRIES", 998 * 3)
    assert ca.draw.matrix(ca.correlation(1000, [1, 1, 1])).axes
    with pytest.raises(TooLargeError, match="2997 entries on one axis are too many to count"):
        ca.draw.matrix(ca.correlation(1001, [1, 1, 1]))


@pytest.mark.parametrize("step", [1, 2, 3, 7])
@pytest.mark.parametrize("operator", BOTH.values(), ids=BOTH)
def test_densities_are_counts_of_entries(operator: Operator, step: int) -> None:
    filled = (np.asarray(operator.to_numpy()) != 0).astype(int)
    rows, columns = filled.shape
    padded = np.pad(filled, ((0, -rows % step), (0, -columns % step)))
    high, wide = (size // step for size in padded.shape)
    wanted = padded.reshape(high, step, wide, step).sum(axis=(1, 3))
    assert density(operator, step).tolist() == wanted.tolist()


@given(layers(), st.integers(1, 9))
def test_densities_of_any_layer(drawn: Any, step: int) -> None:
    pattern = drawn.operator
    ones = pattern.refill(np.ones(pattern.kernel.shape, dtype=int))
    filled = (np.asarray(ones.to_numpy()) != 0).astype(int)
    counts = density(pattern, step)
    assert counts.sum() == filled.sum()
    for place in np.ndindex(*counts.shape):
        part = filled[tuple(slice(k * step, (k + 1) * step) for k in place)]
        assert counts[place] == part.sum()

"""Layers that rearrange samples, against NumPy."""

from __future__ import annotations

import pytest

import convalg as ca

L = ca.layers


def test_a_slice_needs_its_end() -> None:
    with pytest.raises(ca.errors.ArgumentError, match="must satisfy 0 <= start < stop <= 4 and"):
        L.Slice(1, 1, None).out_shape((2, 4))

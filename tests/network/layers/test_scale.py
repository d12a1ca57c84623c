"""Layers that standardise, scale and shift, against NumPy."""

from __future__ import annotations

import pytest

import convalg as ca


def test_a_table_of_channels_that_would_not_fit_is_refused() -> None:
    with pytest.raises(ca.errors.TooLargeError, match="a table of 1000000 by 2000000 channels"):
        ca.layers.Product().channels((2 * 10**6, 1))

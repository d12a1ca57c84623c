"""Layers that change shapes or join branches."""

from __future__ import annotations

import pytest

import convalg as ca
from convalg.errors import ArgumentError, ShapeError
from convalg.network import layers


def test_a_padding_that_no_input_can_have_is_refused() -> None:
    with pytest.raises(ShapeError, match="removes all 4 samples of the input on axis 0: remove"):
        ca.sequential((1, 4), [layers.Pad(-2)])
    with pytest.raises(ArgumentError, match="is too wide for boundary='reflect'"):
        ca.sequential((1, 4), [layers.Pad(4, "reflect")])

"""The call that a sheet prints makes the layer that the sheet is about."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.sheet.pictures import source

LAYERS = [
    (size, taps, stride, dilation, padding, extra)
    for size, taps, stride, dilation, padding, extra in product(
        (3, 4), (1, 2, 3), (1, 2, 3), (1, 2, 3), (0, 1), (0, 1, 2)
    )
    if extra < max(stride, dilation) and 2 * padding <= dilation * (taps - 1) + extra
]


def test_the_printed_call_makes_the_transposed_layer_and_its_adjoint() -> None:
    for size, taps, stride, dilation, padding, extra in LAYERS:
        layer = ca.transposed_correlation(
            size,
            np.arange(1, taps + 1),
            stride=stride,
            dilation=dilation,
            padding=padding,
            output_padding=extra,
        )
        for wanted in (layer, layer.T):
            names: dict[str, Any] = {}
            exec(source(wanted), names)
            made = names["A"]
            assert (made.in_shape, made.out_shape) == (wanted.in_shape, wanted.out_shape)
            assert (made.to_numpy() == wanted.to_numpy()).all()


@pytest.mark.parametrize("extra", [1, 2])
def test_output_padding_beyond_the_window_is_explained(extra: int) -> None:
    layer = ca.transposed_correlation(4, ca.kernel(1), dilation=3, output_padding=extra)
    assert f"output_padding={extra}" in ca.explain(layer).markdown()

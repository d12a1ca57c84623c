"""The padding value and the offset of a padded layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from blurred import blurred

import convalg as ca
from convalg.recognise.identification import Identification
from convalg.recognise.offsets import constants

PADDINGS = [
    (50, -200, 50, -200),
    (0, -200, 0, -200),
    (50, 0, 50, 0),
    (-1.5, 0.25, -1.5, 0.25),
    (1e6, 1e-3, 1e6, 1e-3),
]


@pytest.mark.parametrize(("value", "offset", "padding_value", "added"), PADDINGS)
def test_the_padding_value_and_the_offset(
    value: float, offset: float, padding_value: float, added: float
) -> None:
    def f(x: Any) -> Any:
        return blurred(np.pad(x, 1, constant_values=value)) + offset

    found = ca.identify(f, (4, 5))
    assert found.kind == "affine"
    assert found.padding_value == pytest.approx(padding_value)
    assert found.offset == pytest.approx(added, rel=1e-6)
    assert "the padding value" in repr(found)
    assert found.linear is not None
    assert found.linear.padding == ((1, 1), (1, 1))
    x = np.arange(20.0).reshape(4, 5)
    assert found.operator is not None
    assert np.allclose(found.operator(x), f(x))


def test_offsets_of_channels_and_offsets_that_are_not_known_apart() -> None:
    layer = ca.correlation((4, 4), np.arange(1, 17).reshape(2, 2, 2, 2), padding=1)
    biased = ca.affine(layer, np.broadcast_to(np.array([[[3]], [[-4]]]), layer.out_shape))
    found = ca.identify(lambda x: biased(x), layer.in_shape)
    assert found.offset is not None
    assert found.offset.tolist() == [3, -4]
    assert found.padding_value == 0
    plain = ca.identify(lambda x: x - 7, 5)
    assert (plain.padding_value, plain.offset) == (None, -7)
    # Of two samples, every output reads as much of the padding as the other.
    layer = ca.correlation(2, [1, 2, 1], padding=1)
    both = Identification("correlation", (2,), (2,), layer, kernel=np.array([1, 2, 1]))
    found = constants(both, layer.to_numpy(), np.array([7.0, 7.0]), 1e-11)
    assert (found.padding_value, found.offset) == (None, None)
    assert "cannot be separated" in found.label
    assert ca.identify(lambda x: x + np.arange(4), 4).offset is None

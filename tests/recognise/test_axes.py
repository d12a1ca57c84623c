"""The geometry of one axis, where little of it can be seen."""

from __future__ import annotations

import numpy as np
import pytest
from same_matrix import has_matrix

import convalg as ca
from convalg.recognise.identify import identify

DEGENERATE = {
    "one sample": (ca.correlation(1, [3]), "correlation"),
    "one sample of channels": (ca.correlation((1, 1), [[[[2]], [[3]]]]), "correlation"),
    "one output": (ca.correlation((3, 4), np.arange(2, 14).reshape(3, 4)), "correlation"),
    "as large as the input": (ca.correlation(4, [5, 0, 2, 3], padding=2), "correlation"),
    "zero": (0 * ca.correlation(5, [1, 2]), "zero"),
    "zero between sizes": (ca.dense(np.zeros((2, 6), int), (2, 3), out_shape=(2, 1)), "zero"),
    "one to many": (ca.correlation(1, [1, 2, 3], padding="full"), "correlation"),
    "crop": (ca.crop(6, ((1, 2),)), "correlation"),
    "shift back": (ca.shift(6, -2), "correlation"),
    "pad": (ca.pad((2, 3), 1), "correlation"),
    "downsample": (ca.downsample(9, 3), "correlation"),
    "upsample": (ca.upsample(4, 3), "transposed correlation"),
    "nothing is read twice": (ca.diagonal([2, 3, 4]), "diagonal"),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_layers(name: str) -> None:
    operator, kind = DEGENERATE[name]
    found = identify(operator)
    assert found.kind == kind
    assert has_matrix(found, operator.to_numpy())

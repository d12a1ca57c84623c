"""Sets of entries as unions of products of indices."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from convalg.network import dependence
from convalg.network.layers.base import products, regrouped


@settings(max_examples=15)
@given(st.data())
def test_products_make_up_a_mask(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    flat = data.draw(st.lists(st.booleans(), min_size=math.prod(shape), max_size=math.prod(shape)))
    mask = np.array(flat).reshape(shape)
    parts = products(mask)
    again = np.zeros(shape, dtype=int)
    for part in parts:
        again[np.ix_(*part)] += 1
    assert np.array_equal(again, mask)
    (whole,) = regrouped(tuple(map(np.arange, shape)), shape, (math.prod(shape),))
    assert whole[0].tolist() == list(range(math.prod(shape)))
    kept = dependence.united([*parts, *parts], "it")
    assert sum(math.prod(map(len, part)) for part in kept) >= mask.sum()
    assert len(kept) <= max(len(parts), 1)

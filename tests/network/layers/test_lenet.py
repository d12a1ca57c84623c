"""The layers of LeNet-5 by their definitions: tables, sub-sampling, radial units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from filled_networks import filled, integers
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca

L = ca.layers


tables = st.lists(
    st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True).map(tuple),
    min_size=1,
    max_size=4,
).map(tuple)


@given(table=tables, size=st.integers(1, 3), stride=st.integers(1, 2), padding=st.integers(0, 1))
def test_a_table_is_a_kernel_with_zeros(
    table: tuple[tuple[int, ...], ...], size: int, stride: int, padding: int
) -> None:
    layer = L.TableConv(table, size, stride=stride, padding=padding)
    net = filled(layer, (3, 5, 6))
    arrays = net.weights[net.output]
    kernel = np.zeros((len(table), 3, size, size), dtype=int)
    planes = iter(arrays["kernel"])
    for o, row in enumerate(table):
        for c in row:
            kernel[o, c] = next(planes)
    whole = ca.affine(
        ca.correlation((5, 6), kernel, stride=stride, padding=padding), arrays["bias"]
    )
    x = integers(9, 3, 5, 6)
    assert (net(x) == whole(x)).all()
    g = integers(8, *net.out_shape)
    found = net.map(net.output).parameter_gradients(x, g)
    wanted = whole.parameter_gradients(x, g)
    pairs = [(o, c) for o, row in enumerate(table) for c in row]
    assert (found["kernel"] == [wanted["kernel"][pair] for pair in pairs]).all()
    assert (found["bias"] == wanted["bias"]).all()
    assert net.counts.parameters == arrays["kernel"].size + len(table)
    dense = ca.correlation((5, 6), np.where(kernel == 0, 0, 1), stride=stride, padding=padding)
    if (arrays["kernel"] != 0).all():
        assert net.counts.nonzeros == dense.to_scipy().count_nonzero()


@given(size=st.integers(1, 3), stride=st.integers(1, 3))
def test_subsampling_is_a_sum_with_a_weight(size: int, stride: int) -> None:
    net = filled(L.Subsample(size, stride), (2, 6, 7))
    arrays = net.weights[net.output]
    x = integers(5, 2, 6, 7)
    sums = ca.sum_pool((6, 7), size, stride=stride, channels=2)(x)
    spread = (slice(None), None, None)
    assert (net(x) == sums * arrays["scale"][spread] + arrays["bias"][spread]).all()
    g = integers(6, *net.out_shape)
    found = net.map(net.output).parameter_gradients(x, g)
    assert (found["scale"] == (sums * g).sum(axis=(1, 2))).all()
    assert (found["bias"] == g.sum(axis=(1, 2))).all()
    assert net.counts.nonzeros == sums.size * size**2


def test_radial_units_are_squared_distances() -> None:
    net = filled(L.Radial(3), (4,))
    points, x = net.weights[net.output]["points"], integers(3, 5, 4)
    assert (net(x) == [[((p - one) ** 2).sum() for p in points] for one in x]).all()
    assert (net.jacobian(x[0]).to_numpy() == 2 * (x[0] - points)).all()


BAD: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: filled(L.TableConv(((0, 3),), 2), (3, 5)),
        "must contain at least one input channel from 0 to 2, each",
    ),
    (
        lambda: filled(L.TableConv(((0, 0),), 2), (3, 5)),
        "must contain at least one input channel from 0 to 2, each",
    ),
    (
        lambda: filled(L.TableConv(((),), 2), (3, 5)),
        "must contain at least one input channel from 0 to 2, each",
    ),
    (lambda: filled(L.Radial(3), (3, 5)), "the input of a Radial must be a vector"),
]


@pytest.mark.parametrize(("call", "words"), BAD)
def test_bad_input(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ca.errors.ConvalgError, match=words):
        call()

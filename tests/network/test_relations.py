"""Receptive fields as relations of isl, against the sets of positions."""

from __future__ import annotations

from typing import Any

import islpy
import numpy as np
import pytest
from filled_networks import support
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import networks

import convalg as ca
from convalg.errors import SymbolicError, TooLargeError
from convalg.network import layers


@pytest.mark.parametrize(("size", "out"), [(8, 5), (5, 3), (7, 4), (6, 4), (9, 9), (11, 7)])
def test_the_relation_of_unequal_windows_is_what_they_read(size: int, out: int) -> None:
    """Not their hull: 8 samples to 5 have windows of 2 and of 3."""
    layers = [ca.layers.Conv(1, 3, padding=1), ca.layers.AdaptiveAvgPool(out)]
    for net in (ca.sequential((1, size), layers[1:]), ca.sequential((1, size), layers)):
        field = net.receptive_field()
        read = {(u, c) for u in range(out) for c in field.positions(u)[0]}
        assert pairs(field.relation()) == read


def pairs(relation: Any) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    relation.wrap().foreach_point(
        lambda point: found.add(
            tuple(  # type: ignore[arg-type]
                int(point.get_coordinate_val(islpy.dim_type.set, k).to_str()) for k in range(2)
            )
        )
    )
    return found


@settings(max_examples=50)
@given(networks(dims=1), st.data())
def test_relations_are_the_sets_of_all_outputs(net: ca.Network, data: st.DataObject) -> None:
    node = data.draw(st.sampled_from(list(net)))
    relation = net.receptive_field(node).relation()
    found = support(net, node)
    points: list[Any] = []
    relation.wrap().foreach_point(points.append)
    pairs = [
        tuple(point.get_coordinate_val(islpy.dim_type.set, k).to_python() for k in range(2))
        for point in points
    ]
    assert sorted(pairs) == [tuple(map(int, place)) for place in np.argwhere(found)]


def test_fields_in_letters() -> None:
    (n,) = ca.sizes("n")
    net = ca.sequential((1, n), [layers.Conv(1, 3, padding=1), layers.Conv(1, 3, stride=2)])
    field = net.receptive_field()
    assert field.size == (5,)
    assert str(field.relation()).startswith("[n] -> ")
    for size in (5, 8, 13):
        small = ca.sequential((1, size), [net["conv1"], net["conv2"]]).receptive_field()
        fixed = field.relation().fix_val(
            islpy.dim_type.param, 0, islpy.Val.int_from_si(islpy.DEFAULT_CONTEXT, size)
        )
        assert fixed.project_out(islpy.dim_type.param, 0, 1).is_equal(small.relation())
    with pytest.raises(
        SymbolicError, match="sets of positions are computed only for integer sizes"
    ):
        field.positions(0)


def test_a_relation_lists_a_limited_number_of_windows() -> None:
    field = ca.sequential((1, 30_001), [layers.AdaptiveAvgPool(20_000)]).receptive_field()
    words = "a relation may list up to 10000 windows of unequal sizes, not 20000: use positions"
    with pytest.raises(TooLargeError, match=words):
        field.relation()

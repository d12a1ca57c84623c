"""The sets that outputs read against boolean matrices, over networks that branch at will."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import branching_networks

import convalg as ca
from convalg.errors import KindError, TooLargeError
from convalg.network import dependence, layers


def supports(net: ca.Network) -> dict[str, np.ndarray]:
    """For each node a matrix of booleans: which entries of the input its entries depend on.

    An oracle of its own: each layer's matrix with positive weights, as the layer is run, and
    their products; nothing of the links that the receptive fields are made from.
    """
    net.initialise(0)
    for name, arrays in list(net.weights.items()):
        net.set_weights(name, **{k: np.ones(v.shape, dtype=int) for k, v in arrays.items()})
    found = {"input": np.eye(math.prod(net.in_shape), dtype=int)}
    for node, layer in net.layers():
        sources, shapes = net.sources(node), net.input_shapes(node)
        if isinstance(layer, layers.Add):
            found[node] = sum(found[source] for source in sources)
        elif isinstance(layer, layers.Concat):
            found[node] = np.concatenate([found[source] for source in sources])
        else:
            jacobian = net.map(node).at(np.zeros(shapes[0], dtype=int))
            matrix = jacobian.to_scipy(dtype=float).toarray() != 0
            found[node] = matrix.astype(int) @ found[sources[0]]
        found[node] = (found[node] > 0).astype(int)
    return found


def hull(positions: list[int]) -> tuple[int, int]:
    return (positions[0], positions[-1]) if positions else (0, -1)


def check(net: ca.Network, data: st.DataObject) -> None:
    known, dims = supports(net), len(net.in_shape) - 1
    node = data.draw(st.sampled_from(list(net)))
    field, shape = net.receptive_field(node), net.shapes[node]
    unit = tuple(data.draw(st.integers(0, n - 1)) for n in shape[1:])
    rows = known[node].reshape(*shape, *net.in_shape)
    if len(shape) == 1:
        unit = data.draw(st.integers(0, shape[0] - 1))
        wanted = rows[unit].any(axis=0)
    else:
        wanted = rows[(slice(None), *unit)].any(axis=(0, 1))
    assert field.reach.determined
    assert np.array_equal(field.mask(unit), wanted), (node, unit)
    for axis in range(dims):
        others = tuple(k for k in range(dims) if k != axis)
        seen = np.flatnonzero(wanted.any(axis=others)).tolist()
        assert field.positions(unit)[axis] == seen
        assert field.box(unit, clip=True)[axis] == hull(seen)
        assert field.holes(unit)[axis] == sorted(set(range(*hull(seen))) - set(seen))
        low, high = field.box(unit)[axis]
        if seen and not field.reach.borders:
            assert low <= seen[0] <= seen[-1] <= high
        if field.reach.is_regular:
            assert high - low + 1 <= field.size[axis]
            assert field.reach.sizes_at_most == field.size
        else:
            assert high - low + 1 <= field.reach.sizes_at_most[axis]
            with pytest.raises(KindError, match="meet at or before"):
                _ = field.size
    bound = field.reach.is_bound and dims > 0
    assert ("at most" in repr(field)) == bound
    row = next((row for row in net.summary().rows if row.node == node), None)
    assert row is None or ("at most" in row.field) == bound
    if field.reach.kind == "lattice":
        pixel = tuple(data.draw(st.integers(0, n - 1)) for n in net.in_shape[1:])
        read = rows[(slice(None),) * (dims + 2) + pixel].any(axis=(0, dims + 1))
        others = [tuple(k for k in range(dims) if k != axis) for axis in range(dims)]
        by_axis = tuple(np.flatnonzero(read.any(axis=other)).tolist() for other in others)
        assert field.readers(pixel) == by_axis, [net[n] for n, _ in net.layers()]


@settings(max_examples=12)
@given(branching_networks(), st.data())
def test_sets_are_what_outputs_depend_on(net: ca.Network, data: st.DataObject) -> None:
    check(net, data)


@pytest.mark.thorough
@settings(max_examples=2500)
@given(branching_networks(), st.data())
def test_sets_are_what_outputs_depend_on_at_length(net: ca.Network, data: st.DataObject) -> None:
    check(net, data)


def taps_that_write(layer: Any, shape: tuple[int, ...]) -> np.ndarray:
    """How many taps of a transposed layer fall on each output, were the input endless.

    Tap t writes output o where s divides o + p - d t.
    """
    sizes = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    size, stride, padding, dilation = (int(v) for v in sizes)
    total = np.ones(1, dtype=int)
    for length in shape[1:]:
        counts = [
            sum((o + padding - dilation * t) % stride == 0 for t in range(size))
            for o in range(length)
        ]
        total = np.multiply.outer(total, counts).ravel()
    return np.tile(total, shape[0])


def free_of_padding(net: ca.Network, known: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """For each node, which of its entries are computed without any padding on the way."""
    found = {"input": np.ones(math.prod(net.in_shape), dtype=bool)}
    for node, layer in net.layers():
        sources, shapes = net.sources(node), net.input_shapes(node)
        if isinstance(layer, layers.Add):
            found[node] = np.logical_and.reduce([found[source] for source in sources])
        elif isinstance(layer, layers.Concat):
            found[node] = np.concatenate([found[source] for source in sources])
        else:
            jacobian = net.map(node).at(np.zeros(shapes[0], dtype=int))
            matrix = jacobian.to_scipy(dtype=float).toarray() != 0
            dims = len(shapes[0]) - 1
            if isinstance(layer, layers.Conv):
                full = layer.kernel_size**dims * shapes[0][0] // layer.groups
            elif isinstance(layer, layers.AvgPool | layers.Subsample):
                full = layer.kernel_size**dims
            elif isinstance(layer, layers.ConvTranspose):
                full = taps_that_write(layer, net.shapes[node]) * shapes[0][0] // layer.groups
            else:
                full = 1 if isinstance(layer, layers.Pad) else matrix.sum(axis=1).max()
            found[node] = (matrix.sum(axis=1) == full) & ~(matrix & ~found[sources[0]]).any(axis=1)
    return found


def check_exact(net: ca.Network) -> int:
    """Both ends of an exact box are read where there is no padding; how many were looked at."""
    known, looked_at = supports(net), 0
    free, dims = free_of_padding(net, known), len(net.in_shape) - 1
    for node in net:
        field, shape = net.receptive_field(node), net.shapes[node]
        if not field.exact or field.reach.borders or len(shape) == 1:
            continue
        rows = known[node].reshape(*shape, *net.in_shape).any(axis=(0, len(shape)))
        without = free[node].reshape(shape).all(axis=0)
        for unit in map(tuple, np.argwhere(without).tolist()):
            looked_at += 1
            for axis in range(dims):
                others = tuple(k for k in range(dims) if k != axis)
                seen = np.flatnonzero(rows[unit].any(axis=others)).tolist()
                assert field.box(unit)[axis] == hull(seen), (node, unit)
    return looked_at


@settings(max_examples=8)
@given(branching_networks())
def test_exact_boxes_are_the_hull_away_from_padding(net: ca.Network) -> None:
    check_exact(net)


@pytest.mark.thorough
@settings(max_examples=2000)
@given(branching_networks())
def test_exact_boxes_are_the_hull_at_length(net: ca.Network) -> None:
    check_exact(net)


def reversed_sums(net: ca.Network) -> ca.Network:
    """The same network with the inputs of each sum in the other order."""
    other = ca.Network(net.in_shape)
    for node, layer in net.layers():
        sources = net.sources(node)
        other.add(layer, sources[::-1] if isinstance(layer, layers.Add) else sources, name=node)
    return other


@settings(max_examples=12)
@given(branching_networks())
def test_the_order_of_branches_changes_nothing(net: ca.Network) -> None:
    other = reversed_sums(net)
    for node in net:
        first, second = net.receptive_field(node), other.receptive_field(node)
        assert repr(first) == repr(second)
        assert first.box() == second.box()
        assert first.reach == second.reach


# Cases.


def joined(order: int) -> ca.Network:
    net = ca.Network((1, 8))
    ends = [net.add(layers.Conv(1, 1, stride=2), "input"), net.add(layers.Conv(1, 5), "input")]
    net.add(layers.Add(), ends[::order])
    return net


@pytest.mark.parametrize("order", [1, -1])
def test_branches_with_different_strides(order: int) -> None:
    field = joined(order).receptive_field()
    assert np.flatnonzero(field.mask(1)).tolist() == [1, 2, 3, 4, 5]
    # Over these four outputs one branch is always inside the other one.
    assert (field.box(1), field.size, field.stride) == (((1, 5),), (5,), (1,))
    assert field.exact


def test_channels_that_go_separate_ways() -> None:
    net = ca.Network((1, 9))
    wide, own = net.add(layers.Conv(1, 5, padding=2), "input"), "input"
    both = net.add(layers.Concat(), [wide, own])
    net.add(layers.Slice(0, 1, 2), both)
    field = net.receptive_field()
    assert field.positions(4) == ([4],)
    assert not field.exact
    assert "at most 5" in repr(field)
    with pytest.raises(KindError, match="holds for all channels, but the channels of concat1 have"):
        field.relation()


def test_flattened_branches_of_other_lattices() -> None:
    net = ca.Network((2, 4))
    first = net.add(layers.Flatten(), "input")
    second = net.add(layers.Flatten(), net.add(layers.Reshape((4, 2)), "input"))
    net.add(layers.Concat(), [first, second])
    assert [np.flatnonzero(net.receptive_field().mask(k)).tolist() for k in (1, 6, 9, 15)] == [
        [1],
        [2],
        [1],
        [3],
    ]


def test_too_many_products_are_refused() -> None:
    parts = [(np.array([k]), np.array([k])) for k in range(5000)]
    with pytest.raises(
        TooLargeError, match="may be a union of up to 4096 products, not 5000: pass"
    ):
        dependence.united(parts, "conv1")

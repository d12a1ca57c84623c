"""Entries of operators as conditions: exactly the points of the layer by nested loops."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import sympy
from hypothesis import given
from strategies import Drawn, layers

import convalg as ca
from convalg.operators.leaves import Convolution
from convalg.prove.derivations.conditions import (
    Condition,
    Relation,
    entries_of,
    equal,
    pool_entries,
    pool_taps,
    put,
    quotient,
    within,
)

n, t = sympy.symbols("n t", integer=True)


def holds(conditions: list[Condition]) -> bool:
    """Whether conditions without variables hold."""
    return all(any(map(all_hold, condition)) for condition in conditions)


def all_hold(relations: tuple[Relation, ...]) -> bool:
    return all(
        int(relation.value) == 0 if relation.is_zero else int(relation.value) >= 0
        for relation in relations
    )


@given(layers())
def test_a_layer_has_entries_where_its_pattern_has(drawn: Drawn) -> None:
    layer = drawn.operator
    if not isinstance(layer, Convolution):
        layer = layer.T
    assert isinstance(layer, Convolution)
    geometry, pattern = layer.geometry, layer.pattern
    entries = entries_of(geometry)
    shapes = geometry.out_shape, geometry.in_shape, geometry.kernel_shape
    parts = [
        np.array(np.unravel_index(flat, shape)).T.tolist()
        for flat, shape in zip(pattern.triples().T, shapes, strict=True)
    ]
    have = {tuple(map(tuple, point)) for point in zip(*parts, strict=True)}
    rng = np.random.default_rng(len(have))
    for row, column, label in list(have)[:40]:
        assert holds(entries((*row, *column, *label)))
        k = int(rng.integers(3))
        moved = [list(row), list(column), list(label)]
        moved[k][int(rng.integers(len(moved[k])))] += int(rng.choice([-1, 1]))
        point = tuple(map(tuple, moved))
        assert holds(entries((*moved[0], *moved[1], *moved[2]))) == (point in have)


@pytest.mark.parametrize(
    "pool", [ca.sum_pool(7, 3, stride=2, padding=1), ca.sum_pool((3, 4), (1, 2))]
)
def test_a_pooling_has_an_entry_for_each_tap(pool: ca.Operator) -> None:
    geometry = pool.geometry  # type: ignore[attr-defined]
    entries, matrix = pool_entries(geometry), pool.to_numpy()
    assert pool_taps(geometry) == 1
    rows, columns = (list(product(*map(range, s))) for s in (pool.out_shape, pool.in_shape))
    for a, row in enumerate(rows):
        for b, column in enumerate(columns):
            count = sum(holds(entries((*row, *column, tap))) for tap in range(-1, 5))
            assert count == matrix[a, b]


def test_conditions_are_statements_about_integers() -> None:
    assert holds([equal(3, 3), within(0, 1)])
    assert not holds([within(1, 1)])
    assert not holds([within(-1, 4)])
    assert quotient(7, 1) == 7
    assert put(n + t, {t: sympy.Integer(2)}) == n + 2
    assert put(3, {t: sympy.Integer(2)}) == 3

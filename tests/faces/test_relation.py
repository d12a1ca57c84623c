"""Relations of isl against the support of dense matrices, point by point."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import NAMED
from hypothesis import given, settings
from strategies import Drawn, layers

import convalg as ca
from convalg.errors import UndecidableError
from convalg.faces import relation
from convalg.faces.relation import reshaped, to_isl
from convalg.operators.leaves import gathering

islpy = pytest.importorskip("islpy")


def points(values: Any) -> set[tuple[int, ...]]:
    """All points of a set of isl, as tuples of integers."""
    found: set[tuple[int, ...]] = set()

    def add(point: Any) -> None:
        kind, count = islpy.dim_type.set, values.dim(islpy.dim_type.set)
        found.add(tuple(point.get_coordinate_val(kind, k).to_python() for k in range(count)))

    values.foreach_point(add)
    return found


def support(matrix: np.ndarray, *shapes: tuple[int, ...]) -> set[tuple[int, ...]]:
    """The indices of the non-zeros of a matrix between arrays of these shapes."""
    return set(map(tuple, np.argwhere(matrix.reshape(sum(shapes, ())).astype(bool)).tolist()))


@settings(max_examples=25)
@given(layers(dims=(1, 1, 2)))
def test_the_relation_of_a_layer_is_its_support(drawn: Drawn) -> None:
    operator = drawn.operator
    ones = drawn.oracle.matrix(np.ones_like(drawn.weights))
    found = points(to_isl(operator).wrap().flatten())
    assert found == support(ones, operator.out_shape, operator.in_shape)


@settings(max_examples=15)
@given(layers(kinds=("correlation", "convolution"), dims=(1, 2)))
def test_the_triples_of_a_layer_have_a_weight_each(drawn: Drawn) -> None:
    geometry = drawn.operator.geometry
    found = points(relation.triples(geometry))
    sizes = geometry.out_shape, geometry.in_shape, geometry.kernel_shape
    rows, columns, labels = drawn.operator.pattern.triples().T
    parts = [np.unravel_index(k, n) for k, n in zip((rows, columns, labels), sizes, strict=True)]
    assert found == set(zip(*(index.tolist() for part in parts for index in part), strict=True))


@pytest.mark.parametrize("name", NAMED)
def test_the_relation_of_an_operator_is_its_support(name: str) -> None:
    case = NAMED[name]()
    operator = case.operator
    found = points(to_isl(operator).wrap().flatten())
    needed = support(case.matrix, operator.out_shape, operator.in_shape)
    # A weight of zero is an entry of the pattern as well.
    assert needed <= found
    assert len(found) == operator.counts.nonzeros


def test_a_reshape_of_numbers_keeps_the_flat_index() -> None:
    square = to_isl(ca.identity(6))
    found = points(reshaped(square, ((6,), (2, 3)), ((6,), (3, 2))).wrap().flatten())
    assert found == {(*divmod(k, 3), *divmod(k, 2)) for k in range(6)}


def test_a_long_sparse_matrix_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = gathering(np.array([1, 0, 2]), (3,), (3,))
    assert points(to_isl(operator).wrap().flatten()) == {(0, 1), (1, 0), (2, 2)}
    monkeypatch.setattr(relation, "MOST_ENTRIES", 2)
    with pytest.raises(UndecidableError, match="has 3 entries, more than the 2 that can be listed"):
        to_isl(operator)

"""Bounds on the number of non-zeros against the matrices themselves."""

from __future__ import annotations

import numpy as np
from cases import Case, trees
from hypothesis import given
from strategies import Drawn, layers

from convalg.faces.support import leaf_nonzeros, nonzero_bound


@given(trees())
def test_the_bound_holds_for_every_tree(case: Case) -> None:
    bound = nonzero_bound(case.operator)
    assert np.count_nonzero(case.matrix) <= bound <= case.matrix.size


@given(layers())
def test_the_bound_of_a_layer_is_the_number_of_its_entries(drawn: Drawn) -> None:
    ones = drawn.oracle.matrix(np.ones_like(drawn.weights))
    assert nonzero_bound(drawn.operator) == np.count_nonzero(ones)
    leaf = drawn.operator.T if drawn.kind == "transposed_correlation" else drawn.operator
    assert leaf_nonzeros(leaf) == np.count_nonzero(ones)

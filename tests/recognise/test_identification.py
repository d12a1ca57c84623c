"""The result of an identification, in words and in fields."""

from __future__ import annotations

import numpy as np

import convalg as ca


def test_the_linear_part_of_an_affine_function() -> None:
    layer = ca.affine(ca.correlation(6, [1, 2, 3]), [5, 5, 5, 6])
    found = ca.identify(lambda x: layer(x), 6)
    assert found.bias is not None
    assert found.bias.tolist() == [5, 5, 5, 6]
    assert found.linear is not None
    assert found.linear.kernel is not None
    assert found.linear.kernel.tolist() == [1, 2, 3]


def test_what_was_only_tried_says_so() -> None:
    found = ca.identify(lambda x: x, 4)
    assert repr(found) == "<identity on the inputs tried: every output is its input>"
    assert found.sampled
    assert "tried, not proved" in found.explain()
    assert "fractions between -1 and 1" in found.basis
    assert "numbers of the sizes 1e-09, 1e-08, ..., 1e+09" in found.basis
    exact = ca.identify(np.eye(4))
    assert repr(exact) == "<identity: every output is its input>"
    assert not exact.sampled

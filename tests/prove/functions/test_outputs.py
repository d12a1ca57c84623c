"""The outputs that are selected from the result of a function."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.prove import gradient, implements

THREE = ca.correlation(4, ca.kernel(3))


def test_a_cache_that_is_returned_is_not_compared_and_the_scope_says_so() -> None:
    def f(x: Any, w: Any) -> Any:
        return np.correlate(x, w, "valid"), (x, w)

    verdict = implements(f, THREE)
    assert verdict
    assert verdict.scope.endswith("only the first of the 2 returned values is compared")
    assert not implements(lambda x, w: {"a": x, "b": w}, THREE)


def test_wrong_shapes_are_refuted_with_both() -> None:
    verdict = implements(lambda x, w: x, THREE)
    assert verdict.status == "refuted"
    assert verdict.counterexample is not None
    assert verdict.counterexample.claimed == "y of shape (4,)"
    assert verdict.counterexample.actual == "shape (2,)"
    assert implements(lambda x, w: x[0] * w[0], THREE).counterexample.claimed == "y of shape ()"


@pytest.mark.parametrize("result", [None, "words", 3, [[1], 2]])
def test_something_that_is_no_output_is_not_proved(result: Any) -> None:
    assert not implements(lambda x, w: result, THREE)


STRIDED = ca.correlation(8, ca.kernel(3), stride=2, padding=1)


def backward(x: Any, w: Any, g: Any) -> tuple[Any, Any]:
    """The transposed loops of a layer of stride 2 and padding 1."""
    dx, dw = np.zeros(8), np.zeros(3)
    for o in range(4):
        for t in range(3):
            i = 2 * o + t - 1
            if 0 <= i < 8:
                dx[i] += w[t] * g[o]
                dw[t] += x[i] * g[o]
    return dx, dw


def _not_dilated(x: Any, w: Any, g: Any) -> Any:
    padded = np.pad(x, 1)
    return backward(x, w, g)[0], np.correlate(padded[:6], g, "valid")


def test_a_list_of_two_gradients_counts_as_both() -> None:
    assert not gradient(lambda x, w, g: list(_not_dilated(x, w, g)), STRIDED)

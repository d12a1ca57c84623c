"""A x + b recovered from impulses, or the input that contradicts it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.signal
from blurred import BLUR

import convalg as ca
from convalg.errors import TooLargeError


def remembering(calls: int) -> Any:
    """The identity for some calls, and something else after them."""
    count = [0]

    def f(x: Any) -> Any:
        count[0] += 1
        return x if count[0] < calls else x + 1

    return f


def constant_after_one() -> Any:
    seen: dict[Any, Any] = {}
    return lambda x: seen.setdefault(x.shape, x.copy())


def drifting() -> Any:
    total = [0.0]

    def f(x: Any) -> Any:
        total[0] += 1e-6
        return x + total[0]

    return f


@pytest.mark.parametrize("f", [remembering(10), remembering(40), drifting()])
def test_memory_is_not_the_same_answer_twice(f: Any) -> None:
    assert ca.identify(f, 4).kind == "not deterministic"


def test_a_function_that_remembers_by_shape_is_not_the_identity() -> None:
    assert ca.identify(constant_after_one(), 4).kind != "identity"


def test_the_type_of_the_input() -> None:
    single = ca.identify(lambda x: x if x.dtype == float else np.round(x / 2) * 2, 4)
    assert single.kind == "depends on the dtype"
    assert "float32" in single.words
    assert single.linear is not None
    assert single.linear.kind == "identity"
    integers = ca.identify(lambda x: x if x.dtype.kind == "f" else 2 * x, 4)
    assert integers.words.endswith("on arrays of int64 f returns other numbers than on float64")


def test_what_is_raised_and_what_replaces_nan_is_said() -> None:
    assert "a NaN in x does not reach every output" in ca.identify(np.nan_to_num, 4).words

    def bounded(x: Any) -> Any:
        if abs(x).max() > 1e5:
            raise ValueError("too large")
        return x

    words = ca.identify(bounded, 4).words
    assert "numbers of the sizes 100000, 1e+06, ..., 1e+09 f raises ValueError (too large)" in words


def test_single_precision_is_a_relative_difference() -> None:
    weights = (BLUR / 7).astype(np.float32)

    def f(x: Any) -> Any:
        single = x.astype(np.float32)
        return scipy.signal.correlate2d(single, weights, mode="valid").astype(float)

    found = ca.identify(f, (4, 5))
    assert found.kind == "correlation"
    assert "up to a relative difference of" in found.words


def test_chance_is_told_with_a_witness() -> None:
    random = np.random.default_rng(0)
    found = ca.identify(lambda x: x + random.random(), (3,))
    assert found.kind == "not deterministic"
    assert found.witness["f(x)"] != found.witness["f(x) again"]


def test_an_output_that_is_not_finite_is_a_witness() -> None:
    found = ca.identify(lambda x: 1 / x, (3,))
    assert (found.kind, found.words) == ("not linear", "f(x) is not finite")


def test_large_ones_are_refused_before_the_impulses() -> None:
    with pytest.raises(TooLargeError, match="matrix from 10000 impulses"):
        ca.identify(lambda x: x, (100, 100), max_bytes=10**6)
    with pytest.raises(TooLargeError, match="identify a smaller layer"):
        ca.identify(ca.identity(10**4).to_scipy(), max_bytes=10**6)

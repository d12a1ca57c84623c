"""Running somebody's function on symbols: what it is handed, and what is left as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy

import convalg as ca
from convalg.errors import KindError
from convalg.prove import implements, linear
from convalg.prove.decisions.polynomials import UntraceableError
from convalg.prove.functions.trace import arity, traced, unknowns


def test_unknowns_are_named_as_kernels_are() -> None:
    assert [str(x) for x in unknowns((2, 2), "x").ravel()] == ["x00", "x01", "x10", "x11"]


def test_index_arrays_stay_numbers() -> None:
    def picks(x: Any) -> Any:
        order = np.zeros(2, dtype=int)
        order[0] = 1
        return x[order]

    assert [str(y) for y in traced(picks, unknowns((2,), "x"))] == ["x1", "x0"]


def test_the_input_is_a_copy() -> None:
    x = unknowns((2,), "x")

    def careless(x: Any) -> Any:
        x[:] = 0
        return x

    traced(careless, x)
    assert str(x[0]) == "x0"


def test_what_depends_on_a_value_cannot_be_traced() -> None:
    with pytest.raises(UntraceableError, match="branches on or converts the value of x0"):
        traced(lambda x: x if x[0] > 0 else -x, unknowns((1,), "x"))


@pytest.mark.parametrize(
    ("f", "count"),
    [
        (lambda x, w: x, 2),
        (lambda x: x, 1),
        (lambda x, w=None: x, 1),
        (lambda *arrays: arrays[0], 2),
        (np.sin, 1),
    ],
)
def test_arity(f: Any, count: int) -> None:
    assert arity(f, (2, 1), "f(x) or f(x, w)") == count


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda: 0, r"expected a function f\(x\), but this function needs 0 arguments"),
        (lambda a, b, c: a, r"expected a function f\(x\), but this function needs 3 arguments"),
        (5, r"expected a function f\(x\), not 5"),
    ],
)
def test_functions_of_other_arguments(f: Any, words: str) -> None:
    with pytest.raises(KindError, match=words):
        arity(f, (1,), "f(x)")


def swallows(x: Any) -> Any:
    try:
        return np.maximum(x, 0)
    except TypeError:
        return x


def looks(x: Any) -> Any:
    return [v if isinstance(v, (int, float)) else v + 1 for v in x]


def test_a_refusal_that_is_swallowed_is_no_trace() -> None:
    with pytest.raises(UntraceableError, match="and continues after the error"):
        traced(swallows, unknowns((2,), "x"))
    assert linear(swallows, 3).status == "refuted"


def test_a_function_that_looks_what_it_is_given_is_judged_by_numbers() -> None:
    """Entries of an array of integers are no floats to it."""
    found = implements(looks, ca.identity(3)).counterexample
    assert found is not None
    assert found.inputs["dtype"] == "int64"
    claimed, actual = found.replay()
    assert claimed == actual + 1


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_rounding_is_named_by_the_scope(kind: type) -> None:
    def pool(x: Any) -> Any:
        return np.asarray(x, dtype=kind).reshape(2, 3).mean(axis=1, dtype=kind)

    verdict = implements(pool, ca.average_pool(6, 3))
    name = np.dtype(kind).name
    assert verdict, verdict.explain()
    assert (
        verdict.scope == f"inputs of shape (6,); over exact numbers; writes into arrays of {name}"
    )
    assert verdict
    assert linear(pool, 6)
    assert implements(lambda x: 2 * pool(x), ca.average_pool(6, 3)).status == "refuted"


def test_exact_objects_in_the_operator_are_kept() -> None:
    half = ca.diagonal([sympy.Rational(1, 2)] * 3)
    assert implements(lambda x: x / 2, half)
    assert implements(lambda x: np.asarray(x, float) / 2, half)

"""What a trace rests on: the same instructions, no refusal swallowed, purity, values; budgets."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy

import convalg as ca
from convalg.prove import gradient, implements, linear
from convalg.prove.functions import frames, instructions

IDENTITY = ca.identity(3)
THREE = ca.correlation(4, ca.kernel(3))
HALF = ca.diagonal([sympy.Rational(1, 2)] * 3)
Function = Callable[..., Any]


def rint(x: Any) -> Any:
    try:
        return np.rint(x)
    except TypeError:
        return x


def remembering() -> Function:
    kept: dict[Any, Any] = {}

    def g(x: Any) -> Any:
        if x.shape not in kept:
            kept[x.shape] = x.copy()
        return kept[x.shape]

    return g


def objects_only(x: Any) -> Any:
    if x.dtype != object:
        raise TypeError
    return x


@pytest.mark.parametrize(
    ("f", "status"),
    [
        (rint, "refuted"),
        (lambda x: np.round(x, 3) if x.dtype.kind == "f" else x, "refuted"),
        (lambda x: np.clip(x, -100, 100) if x.dtype == float else x, "refuted"),
        (lambda x: x if np.random.rand() > 1e-3 else 0 * x, "unknown"),
        (remembering(), "refuted"),
        (objects_only, "unknown"),
        (lambda x: [v * np.complex128(1 + 2j) for v in x], "unknown"),
    ],
)
def test_functions_that_are_not_what_they_seem(f: Function, status: str) -> None:
    verdict = implements(f, IDENTITY)
    assert verdict.status == status
    assert linear(f, 3).status != "proved"
    if verdict.counterexample is not None:
        claimed, actual = verdict.counterexample.replay()
        assert claimed != actual


def test_half_precision_is_named_by_the_scope() -> None:
    def b(x: Any) -> Any:
        y = np.zeros(x.shape, np.float16)
        y[:] = x
        return y

    verdict = implements(b, IDENTITY)
    assert (
        verdict.scope == "inputs of shape (3,); over exact numbers; writes into arrays of float16"
    )
    assert verdict


def test_a_symbol_of_the_users_is_not_an_input_of_the_same_name() -> None:
    x0 = sympy.Symbol("x0")
    operator = ca.diagonal([x0] * 3) @ ca.correlation(4, ca.kernel(2))

    def f(x: Any, w: Any) -> Any:
        return [x[0] * (x[o] * w[0] + x[o + 1] * w[1]) for o in range(3)]

    assert implements(f, operator).status == "refuted"
    assert implements(lambda x: [x0 * v for v in x], ca.diagonal([x0] * 3))
    real = sympy.Symbol("x0", real=True)
    assert not implements(lambda x: [real * v for v in x], ca.diagonal([x0] * 3))


def other_code(x: Any) -> Any:
    if isinstance(x[0], np.int64):
        return 0 * x
    return x


def chosen(x: Any) -> Any:
    return x if x.dtype == np.float64 else x + 1


@pytest.mark.parametrize("f", [other_code, chosen])
def test_another_way_through_the_code_is_named_by_its_line(f: Function) -> None:
    verdict = linear(f, 3)
    assert verdict.status != "proved"
    assert verdict.status == "refuted" or "line" in verdict.reason or "int64" in verdict.reason


def test_the_line_where_symbols_and_numbers_part() -> None:
    names = {"real": np.zeros}

    def f(x: Any) -> Any:
        if np.zeros is names["real"]:
            return 0 + x
        return x

    verdict = implements(f, IDENTITY)
    line = f.__code__.co_firstlineno + 1
    assert verdict.status == "unknown"
    assert "executes different code on symbols than on arrays of float64" in verdict.reason
    assert f"(line {line})" in verdict.reason


def test_a_dtype_that_is_asked_for_may_lead_to_the_same_polynomials() -> None:
    def f(x: Any) -> Any:
        if x.dtype != np.float64:
            x = x.astype(np.float64)
        return x / 2

    assert implements(f, HALF)


def test_what_runs_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions, "MOST_INSTRUCTIONS", 20_000)
    monkeypatch.setattr(frames, "MOST_WORK", 20_000)

    def endless(x: Any) -> Any:
        while True:
            x = x + 0

    def long(x: Any) -> Any:
        for k in range(5000):
            x = x + k * 0
        return x

    def large(x: Any) -> Any:
        return x.sum() ** 40 * x

    for f in (endless, long, large):
        verdict = implements(f, IDENTITY)
        assert verdict.status != "proved"
    assert (
        "budget exceeded: the function executes too many ins"
        in implements(endless, IDENTITY).reason
    )


def test_clocks_and_the_like_are_named() -> None:
    import random
    import time

    reasons = {
        "reads a clock": lambda x: x if time.time() else 0 * x,
        "draws random numbers": lambda x: x + 0 * random.random(),
        "keeps state": _counting(),
    }
    for words, f in reasons.items():
        verdict = implements(f, IDENTITY)
        assert verdict.status == "unknown"
        assert words in verdict.reason


def _counting() -> Function:
    calls = [0]

    def f(x: Any) -> Any:
        calls[0] += 1
        return x

    return f


def test_an_exception_that_only_numbers_raise_is_no_proof() -> None:
    def f(x: Any) -> Any:
        if x.dtype.kind in "iuf" and not isinstance(x.tolist()[0], np.float64):
            raise ValueError("numbers")
        return x

    assert implements(f, IDENTITY).status == "unknown"


def test_another_trace_function_goes_on_after_a_run() -> None:
    seen: list[str] = []

    def watch(frame: Any, event: str, arg: Any) -> Any:
        seen.append(frame.f_code.co_name)
        return None

    def called_after() -> None:
        return None

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        assert implements(lambda x: x, IDENTITY)
        called_after()
    finally:
        sys.settrace(before)
    assert seen[-1] == "called_after"


def triple(x: Any, w: Any, g: Any) -> Any:
    dx, dw = np.zeros(4), np.zeros(3)
    for o in range(2):
        dx[o : o + 3] += w * g[o]
        dw += x[o : o + 3] * g[o]
    return dx, dw, g.sum()


def test_the_gradient_of_a_bias_is_the_sum_of_g() -> None:
    verdict = gradient(triple, THREE)
    assert verdict
    assert verdict.scope.endswith("over exact numbers; db is the sum of g over the positions")
    wrong = gradient(lambda x, w, g: (*triple(x, w, g)[:2], g.mean()), THREE)
    assert wrong.counterexample is not None
    assert wrong.counterexample.inputs["output"] == "db"
    claimed, actual = wrong.counterexample.replay()
    assert claimed != actual
    assert gradient(lambda x, w, g: {"db": g.sum(), "dx": triple(x, w, g)[0]}, THREE)
    assert not gradient(lambda x, w, g: {"dw": triple(x, w, g)[1]}, THREE)


def test_changes_in_place_count_as_what_they_are() -> None:
    def doubled(x: Any) -> Any:
        x *= 2
        return x

    assert implements(doubled, ca.diagonal([2, 2, 2]))
    assert implements(lambda x: (doubled(x), x / 2)[1], IDENTITY)
    assert implements(doubled, IDENTITY).status == "refuted"


VIEWS: dict[str, Function] = {
    "slice": lambda x: x[:],
    "reshape": lambda x: x.reshape(3, 1)[:, 0],
    "asarray": np.asarray,
    "ravel": np.ravel,
    "T": lambda x: x.T,
    "view": lambda x: x.view(),
    "real": lambda x: x.real,
    "flat": lambda x: x.flat,
    "windows": lambda x: np.lib.stride_tricks.sliding_window_view(x, 3)[0],
    "broadcast": lambda x: np.broadcast_to(x, (3,)),
    "copy": np.copy,
    "array": np.array,
    "flatten": lambda x: x.flatten(),
    "indices": lambda x: x[[0, 1, 2]],
    "list": list,
    "positive": np.positive,
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_of_an_input_that_is_changed_later_is_what_it_shows(name: str) -> None:
    """The claim is about what is returned: symbols share memory where numbers do."""
    make = VIEWS[name]

    def f(x: Any) -> Any:
        kept = make(x)
        x *= 2
        return np.array(kept) if name == "flat" else kept

    returned = np.array(f(np.array([0.5, -3.0, 7.0])))
    is_view = bool(np.array_equal(returned, [1.0, -6.0, 14.0]))
    assert is_view or np.array_equal(returned, [0.5, -3.0, 7.0])
    assert bool(implements(f, ca.diagonal([2, 2, 2]))) == is_view
    assert bool(implements(f, IDENTITY)) == (not is_view)


class Finalised:
    """Garbage that only a collection finds, with code of its own that runs then."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        with open(os.devnull) as nothing:
            assert not nothing.read()


def test_garbage_that_is_collected_meanwhile_is_not_the_function() -> None:
    def many(x: Any) -> Any:
        # Enough containers to start a garbage collection here, and not before.
        assert list(map(list, [()] * 30_000))
        return 2 * x

    def observed(count: int) -> instructions.Observed:
        garbage = [Finalised() for _ in range(count)]
        del garbage
        return instructions.observe(many, [np.arange(4)], codes, symbolic=False)

    codes = instructions.Codes()
    observed(0)
    thresholds = gc.get_threshold()
    gc.collect()
    gc.set_threshold(25_000, 1000, 1000)
    try:
        seen, alone = observed(3), observed(0)
    finally:
        gc.set_threshold(*thresholds)
    assert seen.executed
    assert instructions.difference(seen, alone) is None
    assert seen.run.effects == []


def test_callbacks_of_others_at_a_collection_are_not_the_function() -> None:
    def clock(phase: str, info: dict[str, int]) -> None:
        times.append((phase, time.perf_counter()))

    def many(x: Any) -> Any:
        assert list(map(list, [()] * 3000))
        return 2 * x

    times: list[tuple[str, float]] = []
    before, thresholds = list(gc.callbacks), gc.get_threshold()
    gc.callbacks.append(clock)
    gc.set_threshold(700, 10, 10)
    try:
        verdict = linear(many, 4)
        within = linear(lambda x: many(x) if linear(many, 3) else x, 4)
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(clock)
    assert times
    assert verdict, verdict.explain()
    assert "clock" not in within.explain()
    assert gc.callbacks == before


class Looking:
    """Garbage of a function's own, whose finalizer changes the result for some values."""

    def __init__(self, out: Any) -> None:
        self.me, self.out = self, out

    def __del__(self) -> None:
        if np.asarray(self.out).dtype != object and self.out[0] == 246.5:
            self.out[0] = 0


# Python tells of an exception in a finalizer, and goes on.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_finalizer_of_the_function_itself_is_watched() -> None:
    def f(x: Any) -> Any:
        out = 2 * x
        Looking(out)
        assert list(map(list, [()] * 3000))
        return out

    thresholds = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    try:
        verdict = linear(f, 3)
    finally:
        gc.set_threshold(*thresholds)
    assert verdict.status == "unknown"
    assert "which is a symbol here" in verdict.explain()

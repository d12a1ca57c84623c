"""The state of a function between calls."""

from __future__ import annotations

import contextvars
import ctypes
import functools
import hashlib
import queue
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.prove.functions.state import fingerprint


def _in_a_queue() -> Any:
    kept = queue.SimpleQueue[int]()

    def count(x: Any) -> Any:
        kept.put(0)
        return x if kept.qsize() < 2000 else 2 * x

    return count


def _in_a_hash() -> Any:
    kept = hashlib.md5()

    def count(x: Any) -> Any:
        kept.update(b"1")
        return x if kept.digest()[0] else 2 * x

    return count


def _in_c() -> Any:
    kept = ctypes.c_int()

    def count(x: Any) -> Any:
        kept.value += 1
        return x if kept.value < 2000 else 2 * x

    return count


def _in_a_context() -> Any:
    kept = contextvars.ContextVar("kept", default=0)

    def count(x: Any) -> Any:
        kept.set(kept.get() + 1)
        return x if kept.get() < 2000 else 2 * x

    return count


@pytest.mark.parametrize("make", [_in_a_queue, _in_a_hash, _in_c, _in_a_context])
def test_a_state_that_cannot_be_read_proves_nothing(make: Any) -> None:
    assert ca.prove.implements(make(), ca.identity(2)).status == "unknown"
    assert ca.prove.linear(make(), 2).status == "unknown"


def _counter() -> Any:
    held = {"calls": 0}

    def count() -> None:
        held["calls"] += 1

    return count


def _generator() -> Any:
    items = iter([1, 2, 3])
    return lambda: next(items)


def _random() -> Any:
    generator = np.random.default_rng(0)
    return lambda: generator.random()


def _cache() -> Any:
    return functools.cache(lambda: 3)


@pytest.mark.parametrize("make", [_counter, _generator, _random, _cache])
def test_a_call_that_changes_state_changes_the_fingerprint(make: Any) -> None:
    f = make()
    before = fingerprint(f, [], set())
    assert fingerprint(f, [], set()) == before
    f()
    assert fingerprint(f, [], set()) != before


def test_the_fingerprint_of_a_pure_function_stays() -> None:
    table = {"weights": np.arange(3.0), "names": ["a", {"b"}], "missing": float("nan")}
    f = functools.partial(lambda table, x: x + table["weights"], table)
    before = fingerprint(f, [], set())
    f(1)
    assert fingerprint(f, [], set()) == before
    table["weights"][0] = 7
    assert fingerprint(f, [], set()) != before


def test_only_the_names_that_are_used_count_in_a_module() -> None:
    module: dict[str, object] = {"used": [1], "unused": [1]}
    before = fingerprint(len, [module], {"used"})
    module["unused"] = [2]
    assert fingerprint(len, [module], {"used"}) == before
    module["used"] = [2]
    assert fingerprint(len, [module], {"used"}) != before

"""Stand-ins for NumPy functions: who gets them, and that they are removed."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.prove import implements
from convalg.prove.functions.stand_ins import stand_ins
from convalg.prove.functions.trace import traced, unknowns

IDENTITY = ca.identity(3)


def test_other_threads_get_their_own_arrays() -> None:
    """np.zeros makes arrays of floats in a thread that traces nothing."""
    found: list[Any] = []

    def in_another_thread() -> None:
        found.append(np.zeros(2).dtype)

    def f(x: Any) -> Any:
        return np.zeros(3) + x

    with stand_ins():
        thread = threading.Thread(target=in_another_thread)
        thread.start()
        thread.join()
    assert found == [np.dtype(float)]
    assert implements(f, IDENTITY)


THREE = ca.correlation(4, ca.kernel(3))


def test_what_np_empty_holds_is_not_taken_for_zero() -> None:
    """An entry that is never written is whatever the memory held, often zero."""

    def unwritten(x: Any, w: Any) -> Any:
        used = np.full(37, 1e-9)
        used[:] = 0
        del used
        y = np.empty(37)
        y[0] = x[0] * w[0]
        return y

    assert not implements(unwritten, ca.correlation(1, ca.kernel(1), padding=((0, 36),)))


def test_numpy_itself_gets_its_own_arrays_and_indices_stay_integers() -> None:
    def indexing(x: Any, w: Any) -> Any:
        places = np.zeros(2, dtype=int)
        places[1] = 1
        mask = np.ones(4, dtype=bool)
        return [x[mask][o : o + 3] @ w for o in places]

    assert implements(indexing, THREE)


@pytest.mark.parametrize("name", ["zeros", "ones", "empty", "full", "zeros_like"])
def test_numpy_is_as_before_when_a_function_raises(name: str) -> None:
    before = getattr(np, name)
    seen = []

    def broken(x: Any) -> Any:
        seen.append(getattr(np, name))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        traced(broken, unknowns((2,), "x"))
    assert seen[0] is not before
    assert getattr(np, name) is before

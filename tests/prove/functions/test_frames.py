"""Runs of user functions: which code belongs to the user, and what a run records."""

from __future__ import annotations

import fractions
import json
import sys
import threading
from types import FrameType
from typing import Any

import numpy as np
import pytest

from convalg.prove.decisions.polynomials import UntraceableError
from convalg.prove.functions import frames
from convalg.prove.functions.frames import (
    WatchedRun,
    active,
    owner,
    recorded,
    running,
    sees_numbers,
    symbolic_run,
)


def frame_of(source: str, names: dict[str, Any], file: str) -> FrameType:
    """The frame in which compiled source calls `look`."""
    found: list[FrameType] = []
    names = {**names, "look": lambda: found.append(sys._getframe(1))}
    exec(compile(source, file, "exec"), names)
    return found[0]


def test_code_belongs_to_the_user_unless_its_module_is_a_librarys() -> None:
    assert owner(sys._getframe()) == "user"
    # Source that is compiled under the name of a library's file is still the user's.
    assert owner(frame_of("look()", {"__name__": "numpy"}, str(np.__file__))) == "user"
    kinds: dict[str, str] = {}

    class Key(str):
        def __lt__(self, other: str) -> bool:
            frame: FrameType | None = sys._getframe(1)
            while frame is not None:
                kinds.setdefault(str(frame.f_globals["__name__"]), owner(frame))
                frame = frame.f_back
            return str.__lt__(self, other)

    class Encoded(json.JSONEncoder):
        def default(self, value: object) -> object:
            kinds["json.encoder"] = owner(sys._getframe(1))
            return 0

    json.dumps(object(), cls=Encoded)
    np.apply_along_axis(lambda row: kinds.update(numpy=owner(sys._getframe(1))) or row, 0, [1.0])
    assert kinds == {"json.encoder": "standard", "numpy": "library"}


def test_the_innermost_run_of_a_thread_is_active() -> None:
    outer, inner = WatchedRun(True), WatchedRun(False)
    seen: list[WatchedRun | None] = []
    with running(outer):
        with running(inner):
            assert active() is inner
            assert symbolic_run() is None
        assert symbolic_run() is outer
        thread = threading.Thread(target=lambda: seen.append(active()))
        thread.start()
        thread.join()
    assert active() is None
    assert seen == [None]


def test_only_the_users_code_in_a_run_on_symbols_sees_numbers() -> None:
    def look() -> bool:
        return sees_numbers(1)

    def user() -> bool:
        return look()

    assert not user()
    with running(WatchedRun(False)):
        assert not user()
    with running(WatchedRun(True)):
        assert user()


def test_a_refusal_is_recorded_even_if_it_is_caught() -> None:
    error = UntraceableError("refused")
    assert recorded(error) is error
    with running(WatchedRun(True)) as run:
        assert recorded(error) is error
    assert run.refused == ["refused"]


def test_a_run_has_a_budget_of_products() -> None:
    run = WatchedRun(True)
    run.spend(frames.MOST_WORK)
    with pytest.raises(UntraceableError, match="budget exceeded: the polynomials of the function"):
        run.spend(1)


def test_the_owner_of_fractions_is_the_standard_library() -> None:
    assert frames._kind(str(fractions.__file__)) == "standard"
    assert frames._kind(str(pytest.__file__)) == "user"

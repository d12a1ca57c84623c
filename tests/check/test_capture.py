"""The text that a function prints is counted, discarded, and kept apart by thread."""

from __future__ import annotations

import sys
import threading
import warnings

import pytest

from convalg.check import capture
from convalg.check.capture import PrintsTooMuchError, quietly


def test_prints_are_counted_and_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with quietly() as printed:
        assert not printed
        print("abc")
        sys.stderr.write("de")
    assert printed
    assert printed.count == len("abc\nde")
    print("afterwards")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("afterwards\n", "")


def test_streams_and_warnings_are_restored_after_the_last_of_nested_calls() -> None:
    streams, filters = (sys.stdout, sys.stderr), list(warnings.filters)
    with quietly() as outer:
        with quietly() as inner:
            print("in")
        print("outer")
        warnings.warn("not shown", UserWarning, stacklevel=1)
    assert (inner.count, outer.count) == (3, 6)
    assert (sys.stdout, sys.stderr) == streams
    assert list(warnings.filters) == filters


def test_each_thread_counts_its_own_characters() -> None:
    barrier, counts = threading.Barrier(3), dict.fromkeys(range(3), 0)

    def call(number: int) -> None:
        with quietly() as printed:
            # All threads are inside before one prints.
            barrier.wait(10)
            sys.stdout.write("x" * 10**number)
            barrier.wait(10)
        counts[number] = printed.count

    threads = [threading.Thread(target=call, args=(number,)) for number in counts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert counts == {0: 1, 1: 10, 2: 100}


def test_a_stream_that_a_function_closes_is_closed_for_its_call_alone() -> None:
    with quietly() as printed:
        sys.stdout.close()
        with pytest.raises(ValueError, match="closed file"):
            print("x")
    assert printed
    with quietly() as later:
        print("x")
    assert later.count == 2


def test_too_much_text_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "MOST_PRINTED", 1000)
    with quietly():
        sys.stdout.write("x" * 600)
        with pytest.raises(PrintsTooMuchError, match=r"more than 1,000 characters in one call"):
            sys.stdout.write("x" * 600)

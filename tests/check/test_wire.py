"""Messages of a process that is not trusted."""

from __future__ import annotations

import io
import threading

import pytest

from convalg.check.problem import KINDS
from convalg.check.remote import EndedError, Process
from convalg.check.wire import LENGTH, BrokenMessageError, received

TABLES = [
    "",
    "no JSON",
    "[]",
    "3",
    "null",
    "{}",
    '{"passed": true, "arrays": {}}',
    '{"code": "", "words": "", "arrays": {}}',
    '{"code": 3, "words": 4, "arrays": {"y": [1]}}',
    '{"code": "passed", "words": "", "arrays": {}}',
    '{"code": "", "arrays": {"y": [1, 99999999999999999999]}}',
    '{"code": "", "arrays": {"y": [4294967296]}}',
    '{"code": "", "arrays": {"y": [-1]}}',
    '{"code": "", "arrays": {"y": [true]}}',
    '{"code": "", "arrays": {"z": [0]}}',
    '{"code": "", "arrays": {"y": [0], "z": [0]}}',
    '{"code": "", "arrays": [[0]]}',
    '{"code": [], "arrays": {"y": [0]}}',
    "[" * 60_000,
    "\udcff",
]


@pytest.mark.parametrize("table", TABLES, ids=range(len(TABLES)))
def test_a_message_that_is_none_is_a_crash(table: str) -> None:
    data = table.encode(errors="surrogateescape")
    stream = io.BytesIO(LENGTH.pack(len(data)) + data)
    try:
        found, arrays = received(lambda count: stream.read(count).ljust(count, b"\0"))
    except BrokenMessageError:
        return
    process = object.__new__(Process)
    process._lock = threading.Lock()
    process._send = lambda message: None  # type: ignore[method-assign]
    process._received = lambda: (found, arrays)  # type: ignore[method-assign]
    with pytest.raises(EndedError) as error:
        process.call(KINDS["forward"], {}, {})
    assert error.value.message == "it left no readable answer"


@pytest.mark.parametrize("length", [2**16 + 1, 2**40, 2**64 - 1])
def test_a_message_that_is_too_long_is_not_read(length: int) -> None:
    with pytest.raises(BrokenMessageError):
        received(io.BytesIO(LENGTH.pack(length)).read)

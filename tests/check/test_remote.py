"""A function in a process of its own: its limits, its end, and what it cannot reach."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from textwrap import dedent

import pytest
from graded import FLIPPED, RIGHT, assert_written, body, cases, first, graded


def alive(pid: int) -> bool:
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


@pytest.mark.parametrize(
    "ends",
    cases(
        {"": "", "endless": "while True: pass", "ended": "__import__('os')._exit(0)"},
        "ended",
    ),
)
def test_no_process_is_left(tmp_path: Path, ends: str) -> None:
    note = tmp_path / "pid"
    text = f"""
    import subprocess, sys
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    open({str(note)!r}, "w").write(str(child.pid))
    """
    found = graded(tmp_path, dedent(text) + (body(ends) if ends else RIGHT), timeout=4)
    assert bool(found) == (not ends)
    pid = int(note.read_text())
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid)


SEND = """
import os, struct, sys
def send(text):
    data = text.encode(errors="surrogateescape")
    os.write(int(sys.argv[3]), struct.pack("<Q", len(data)) + data)
"""


FORGED: dict[str, tuple[str, str]] = {
    "an empty one": (SEND + "send('{}'); os._exit(0)", "it left no readable answer"),
    "no text": (
        SEND + "os.write(int(sys.argv[3]), b'\\xff' * 99); os._exit(0)",
        "no readable answer",
    ),
    "none": (
        SEND + "os.close(int(sys.argv[3]))" + RIGHT,
        "it ended the interpreter with status 1",
    ),
    "no files": (SEND + "os.closerange(0, 99)" + RIGHT, "it ended the interpreter with status 1"),
    "a greeting, and an answer with a verdict of its own": (
        SEND + 'send(\'{"name": "conv", "options": [], "arrays": {}}\')\n'
        'send(\'{"passed": true, "code": "passed", "arrays": {}}\'); os._exit(0)',
        # It may be gone when it is called, or when its answer is read.
        "it left no readable answer|it ended the interpreter with status 0",
    ),
}


@pytest.mark.parametrize(
    ("text", "words"), cases(FORGED, "a greeting, and an answer with a verdict of its own")
)
def test_a_forged_message_does_not_pass(tmp_path: Path, text: str, words: str) -> None:
    found = graded(tmp_path, text)
    assert not found
    assert first(found)[0] == "crashes"
    assert any(word in first(found)[1] for word in words.split("|"))
    assert_written(found)


def test_the_checker_is_out_of_reach(tmp_path: Path) -> None:
    text = """
    import sys
    import convalg.check.candidate, convalg.check.run, convalg.check.report, convalg.check.grade
    convalg.check.run.is_wrong = lambda got, expected: False
    convalg.check.run.judged = convalg.check.run.run = None
    convalg.check.report.Report.passed = True
    convalg.check.grade.Grade.passed = True
    import numpy as np
    np.array_equal = lambda *_, **__: True
    """
    found = graded(tmp_path, dedent(text) + FLIPPED)
    assert not found
    assert first(found)[0] == "flipped-kernel"


HOSTILE: dict[str, tuple[str, str, str]] = {
    "prints for ever": (
        body("while True: print('x' * 2**20)"),
        "prints-too-much",
        "it prints more than 67,108,864 characters in one call",
    ),
    "writes for ever to its output": (
        body("import os", "while True: os.write(1, b'x' * 2**20)"),
        "prints-too-much",
        "it wrote more than 67,108,864 bytes to its output, at the first configuration",
    ),
    "writes for ever while it is loaded": (
        "while True: print('x' * 2**20)",
        "prints-too-much",
        "it wrote more than 67,108,864 bytes to its output",
    ),
    "a huge file": (
        body("with open('huge', 'wb') as file: file.truncate(2**40)"),
        "raises",
        "it raises OSError: [Errno 27] File too large",
    ),
    "many processes": (
        body(
            "import os, time",
            "for _ in range(99):",
            "    if not os.fork(): time.sleep(60); os._exit(0)",
            "time.sleep(60)",
        ),
        # A system that limits them raises, others end it.
        "too-many-processes|raises",
        "processes at a time, but may have at most 64|Resource temporarily unavailable",
    ),
    "a huge answer": (
        body("return np.broadcast_to(1.0, (2**20, 2**10))"),
        "wrong-shape",
        "y has shape (1048576, 1024), with more than 8,388,608 numbers",
    ),
    "an answer that cannot be pickled": (
        body("return lambda: 0"),
        "wrong-type",
        "y is a function, not an array",
    ),
    "an answer with a type of its own": (
        body("return type('A', (), {'__array__': lambda *_, **__: 1 / 0})()"),
        "raises",
        "it raises ZeroDivisionError",
    ),
    "an exception without text": (
        body("raise type('E', (Exception,), {'__str__': lambda self: 1 / 0})()"),
        "raises",
        "it raises checked.E: <exception str() failed>",
    ),
    "an exception without text while it is loaded": (
        "raise type('E', (Exception,), {'__str__': lambda self: 1 / 0})()",
        "raises",
        "the file raises E, which cannot be printed",
    ),
    "lone surrogates": (body("raise ValueError('\\udcff')"), "raises", "ValueError: \\udcff"),
}


@pytest.mark.parametrize(
    ("text", "code", "words"),
    cases(HOSTILE, "a huge file", "a huge answer", "an exception without text"),
)
def test_limits_end_what_is_beyond_them(tmp_path: Path, text: str, code: str, words: str) -> None:
    found = graded(tmp_path, text, memory=3 * 2**29)
    assert not found
    assert re.fullmatch(code, first(found)[0]), found.explain()
    assert any(word in first(found)[1] for word in words.split("|")), found.explain()
    assert_written(found)


@pytest.mark.thorough
def test_calls_are_shared_among_processes(tmp_path: Path) -> None:
    wrong = graded(tmp_path, FLIPPED, cases=20)
    shared = graded(tmp_path, FLIPPED, cases=20, jobs=2)
    assert shared.result == wrong.result
    ended = graded(tmp_path, body("while True: pass"), jobs=2, timeout=2)
    assert first(ended)[0] == "hangs"

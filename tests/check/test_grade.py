"""Checking somebody's file: whatever it does, a report comes back and nothing stays behind."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from textwrap import dedent
from typing import Any
from xml.etree import ElementTree

import pytest

from convalg.check.grade import Grade, grade
from convalg.check.problem import KINDS
from convalg.check.remote import EndedError, Process
from convalg.check.wire import LENGTH, BrokenMessageError, received
from convalg.errors import ArgumentError

CASES = 4
RIGHT = """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

def conv(x, w):
    return np.einsum("nchwab,ocab->nohw", sliding_window_view(x, w.shape[2:], axis=(2, 3)), w)
"""
FLIPPED = RIGHT.replace("axis=(2, 3)), w)", "axis=(2, 3)), w[:, :, ::-1, ::-1])")


def graded(folder: Path, text: str, name: str = "homework.py", **options: Any) -> Grade:
    path = folder / name
    path.write_text(dedent(text), encoding="utf-8")
    function = options.pop("function", "conv")
    return grade(f"{path}:{function}", **{"cases": CASES, "timeout": 40, **options})


def first(found: Grade) -> tuple[str, str]:
    diagnosis = found.result["diagnosis"][0]
    return diagnosis["code"], diagnosis["message"]


def body(*lines: str) -> str:
    """A right layer whose function begins with other lines."""
    inside = "".join(f"    {line}\n" for line in lines)
    return RIGHT.replace("def conv(x, w):\n", f"def conv(x, w):\n{inside}")


def cases(table: dict[str, Any], *usual: str) -> list[Any]:
    """The cases of a table; each starts a process, so all but the `usual` ones are thorough."""
    assert set(usual) <= set(table)
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            id=name,
            marks=[] if name in usual else [pytest.mark.thorough],
        )
        for name, case in table.items()
    ]


# What passes.


PASSING = {
    "plain": RIGHT,
    "prints megabytes": body("print('x' * 10**6)"),
    "prints bytes past Python": body("import os; os.write(1, b'\\xff' * 10**6)"),
    "reads from nothing": "import sys\nassert sys.stdin.read() == ''" + RIGHT,
    "forgets its argument": body("y = x.copy(); del x; x = y"),
    "has options of its own": RIGHT.replace("(x, w)", "(x, w, *, verbose=False)"),
    "made by another function": RIGHT + "conv = (lambda f: lambda x, w: f(x, w))(conv)\n",
    "warns": "import warnings; warnings.simplefilter('error')"
    + body("warnings.warn('old')")[0:0]
    + body("import warnings; warnings.warn('old')"),
    "named main": "if __name__ == '__main__':\n    raise SystemExit(1)" + RIGHT,
    "data class": "from dataclasses import dataclass\n@dataclass\nclass Pair:\n    k: int = 1"
    + RIGHT,
    "changes the folder": "import os, tempfile; os.chdir(tempfile.gettempdir())" + RIGHT,
    "closes the output": "import sys; sys.stdout.close()" + RIGHT,
    "empties the arguments": "import sys; sys.argv.clear()" + RIGHT,
}


@pytest.mark.parametrize("text", cases(PASSING, "prints megabytes", "closes the output"))
def test_what_is_right_passes(tmp_path: Path, text: str) -> None:
    found = graded(tmp_path, text)
    assert found, found.explain()
    assert found.passed
    assert found.result["cases"] == CASES
    assert f"All {CASES} configurations pass." in found.explain()


@pytest.mark.thorough
def test_files_beside_it_are_imported(tmp_path: Path) -> None:
    (tmp_path / "layers.py").write_text(RIGHT)
    assert graded(tmp_path, "from layers import conv")
    # From another folder as well, by a path of its own.
    assert graded(tmp_path, "import layers\ndef conv(x, w): return layers.conv(x, w)")


def test_files_named_as_libraries_do_not_come_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("random", "token", "select", "signal", "convalg", "scipy", "queue"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('homework')")
    assert graded(tmp_path, RIGHT)
    monkeypatch.chdir(tmp_path)
    assert graded(tmp_path, RIGHT)


NAMES = ["Faltung ü.py", "畳み込み.py", "a b'c\"d.py", "a:b.py", "-x.py"]


@pytest.mark.parametrize("name", cases({name: name for name in NAMES}, NAMES[2]))
def test_any_name_of_a_file_is_taken(tmp_path: Path, name: str) -> None:
    found = graded(tmp_path, RIGHT.replace("conv", "gefältelt"), name, function="gefältelt")
    assert found, found.explain()
    assert json.loads(found.to_json())["target"].endswith(f"{name}:gefältelt")
    assert ElementTree.fromstring(found.to_junit()) is not None


@pytest.mark.parametrize("name", cases({name: name for name in KINDS}, "average_pool_backward"))
def test_every_kind_is_graded(tmp_path: Path, name: str) -> None:
    kind = KINDS[name]
    text = f"""
    import numpy as np
    def conv({", ".join(kind.arrays)}, **options):
        return {"np.zeros(1), np.zeros(1)" if len(kind.parts) > 1 else "np.zeros(1)"}
    """
    found = graded(tmp_path, text, kind=name, dims=1)
    assert not found
    assert found.result["kind"] == name
    assert found.result["cases"] == CASES
    assert first(found)[0] == "wrong-shape"


# What fails, and is told.

FAILING: dict[str, tuple[str, str, str]] = {
    "flipped": (FLIPPED, "flipped-kernel", "the kernel is flipped along all axes"),
    "syntax": ("def conv(x, w)\n", "raises", "the file raises SyntaxError"),
    "null bytes": ("\0", "raises", "the file raises SyntaxError"),
    "no text": ("# -*- coding: nonsense -*-", "raises", "the file raises SyntaxError"),
    "import": ("import nothing_of_this_name", "raises", "the file raises ModuleNotFoundError"),
    "at once": ("1 / 0", "raises", "the file raises ZeroDivisionError: division by zero"),
    "exit 0": ("raise SystemExit", "raises", "the file raises SystemExit"),
    "exit 3": ("import sys; sys.exit(3)", "raises", "the file raises SystemExit: 3"),
    "no function": (
        "def convolve(x, w): ...\ndef other(): ...\n_x = 1",
        "no-function",
        "homework.py has no function conv; choose one of its functions (convolve, other)",
    ),
    "nothing": (
        "",
        "no-function",
        "homework.py has no function conv, and no other function: define conv in it",
    ),
    "no function but a number": ("conv = 3", "wrong-signature", "f must be a function f(x, w"),
    "arrays": ("def conv(x): ...", "wrong-signature", "conv must accept 2 arrays to be"),
    "options": (
        "def conv(x, w, bias): ...",
        "wrong-signature",
        "conv requires bias, but the options for a correlation layer are stride",
    ),
    "raises": (body("raise KeyError('no')"), "raises", "it raises KeyError: 'no'"),
    "input": (body("input('which? ')"), "raises", "it raises EOFError"),
    "exits in a call": (body("raise SystemExit(0)"), "raises", "it raises SystemExit"),
    "quits": (body("import os; os._exit(0)"), "crashes", "it ended the interpreter with status 0"),
    "quits with 7": (
        body("import os; os.write(2, b'bye \\x1b[31m'); os._exit(7)"),
        "crashes",
        "it ended the interpreter with status 7: bye \\x1b[31m, at the first configuration",
    ),
    "aborts": (body("import os; os.abort()"), "crashes", "it crashed the interpreter (SIGABRT)"),
    "reads where nothing is": (
        body("import ctypes; ctypes.string_at(0)"),
        "crashes",
        "it crashed the interpreter (SIGSEGV)",
    ),
    "kills itself": (
        body("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"),
        "crashes",
        "it crashed the interpreter (SIGKILL)",
    ),
    "recursion": (body("return conv(x, w)"), "raises", "it raises RecursionError"),
    "memory": (
        body("y = np.ones((2**31, 8))"),
        "raises",
        "it raises numpy._core._exceptions._ArrayMemoryError: Unable to allocate",
    ),
    "memory bit by bit": (
        body("kept = []", "while True: kept.append(np.empty(2**22))"),
        "raises",
        "Error: Unable to allocate 32.0 MiB",
    ),
    "an interruption": (
        "raise KeyboardInterrupt",
        "crashes",
        "it crashed the interpreter (SIGINT)",
    ),
    "prints to nowhere": (
        body("import sys; sys.stderr.write('e' * 10**7); raise ValueError('e' * 10**6)"),
        "raises",
        "it raises ValueError: eeee",
    ),
}


@pytest.mark.parametrize(
    ("text", "code", "words"),
    cases(FAILING, "import", "exits in a call", "aborts", "no function"),
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, code: str, words: str) -> None:
    found = graded(tmp_path, text, memory=3 * 2**29)
    assert not found
    assert first(found)[0] == code, found.explain()
    assert words in first(found)[1]
    assert len(first(found)[1]) < 800
    assert_written(found)


def assert_written(found: Grade) -> None:
    """The report as JSON and as JUnit XML holds what was found, whatever its characters."""
    again = json.loads(found.to_json())
    assert again == {"target": found.target, **found.result}
    suite = ElementTree.fromstring(found.to_junit())
    assert (suite.get("tests"), suite.get("failures")) == ("1", "0" if found else "1")
    (case,) = suite
    assert case.get("classname") == found.result["kind"]
    assert (case.get("name") or "").endswith(":conv")
    assert len(case) == (0 if found else 1)


ENDLESS: dict[str, tuple[str, bool]] = {
    "while it is loaded": ("while True: pass", False),
    "in a call": (body("while True: pass"), True),
    "without work": (body("import signal; signal.pause()"), True),
}


@pytest.mark.parametrize(("text", "at"), cases(ENDLESS, "without work"))
def test_what_does_not_end_is_ended(tmp_path: Path, text: str, at: bool) -> None:
    start = time.perf_counter()
    found = graded(tmp_path, text, timeout=3)
    assert 3 <= time.perf_counter() - start < 20
    code, message = first(found)
    assert code == "hangs"
    assert message.startswith("it did not finish within 3 seconds")
    assert message.endswith(", at the first configuration") == at
    assert_written(found)


@pytest.mark.thorough
def test_it_is_said_at_which_configuration(tmp_path: Path) -> None:
    text = "calls = []" + body("calls.append(1)", "if len(calls) > 20: __import__('os').abort()")
    message = first(graded(tmp_path, text, cases=30))[1]
    assert message.startswith("it crashed the interpreter (SIGABRT), at configuration ")
    assert message.endswith(" of 30")


# Nothing stays behind.


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


@pytest.mark.thorough
def test_no_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    for text in (RIGHT, body("__import__('os').abort()")):
        graded(tmp_path, text)
        assert list(scratch.iterdir()) == []


@pytest.mark.thorough
def test_the_file_stays_as_it_is(tmp_path: Path) -> None:
    graded(tmp_path, FLIPPED)
    assert (tmp_path / "homework.py").read_text() == FLIPPED


# Messages that a file writes in the place of the process that runs it.

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
SEND = """
import os, struct, sys
def send(text):
    data = text.encode(errors="surrogateescape")
    os.write(int(sys.argv[3]), struct.pack("<Q", len(data)) + data)
"""


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


# Limits.

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


def test_the_working_directory_is_empty_and_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch, note = tmp_path / "scratch", tmp_path / "note"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.chdir(tmp_path)
    text = f"""
    import os, tempfile
    assert os.listdir() == []
    assert os.path.samefile(tempfile.gettempdir(), ".")
    open({str(note)!r}, "w").write(os.getcwd())
    os.mkdir("closed"); open("closed/file", "w").close(); os.chmod("closed", 0)
    os.symlink({str(tmp_path)!r}, "up"); os.mkfifo("fifo")
    here = os.getcwd()
    for _ in range(900):
        os.mkdir("deep"); os.chdir("deep")
    os.chdir(here)
    """
    assert graded(Path(), dedent(text) + RIGHT)
    assert not Path(note.read_text()).exists()
    assert list(scratch.iterdir()) == []
    assert (tmp_path / "homework.py").exists()


@pytest.mark.thorough
def test_limits_cannot_be_raised_by_a_usual_user(tmp_path: Path) -> None:
    text = """
    import resource
    for name in ("AS", "FSIZE", "NPROC", "CORE"):
        soft, hard = resource.getrlimit(getattr(resource, "RLIMIT_" + name))
        assert soft == hard != resource.RLIM_INFINITY, name
    """
    assert graded(tmp_path, dedent(text) + RIGHT)


def test_memory_that_is_too_little_for_python_is_no_fault_of_the_function(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"memory must be at least .* which Python and its"):
        graded(tmp_path, RIGHT, memory=2**20)
    with pytest.raises(ArgumentError, match="memory must be at most 1,152,921,504,606,846,976"):
        graded(tmp_path, RIGHT, memory=2**62)


@pytest.mark.thorough
def test_calls_are_shared_among_processes(tmp_path: Path) -> None:
    wrong = graded(tmp_path, FLIPPED, cases=20)
    shared = graded(tmp_path, FLIPPED, cases=20, jobs=2)
    assert shared.result == wrong.result
    ended = graded(tmp_path, body("while True: pass"), jobs=2, timeout=2)
    assert first(ended)[0] == "hangs"


# Markup in names and messages.


def test_markup_in_messages_is_escaped(tmp_path: Path) -> None:
    nasty = '<b>&amp;"]]>\x00\x1b[2J\u202e\ufffe'
    found = graded(tmp_path, body(f"raise ValueError({nasty!r})"))
    suite = ElementTree.fromstring(found.to_junit())
    failure = suite[0][0]
    assert '<b>&amp;"]]>' in (failure.get("message") or "")
    assert "<b>" not in found.to_junit()
    for text in (failure.get("message"), failure.text, found.to_junit()):
        assert text is not None
        assert not set(text) & set("\x00\x1b\u202e\ufffe")
    assert_written(found)


@pytest.mark.thorough
def test_a_name_with_control_characters_is_printed_without(tmp_path: Path) -> None:
    found = graded(tmp_path, RIGHT, "a\x1b[31m<&.py")
    assert found
    assert "a\\x1b[31m" in (ElementTree.fromstring(found.to_junit())[0].get("name") or "")


# The report of a file is the report of the function.


def test_the_grade_says_what_the_check_says(tmp_path: Path) -> None:
    from convalg import check

    scope: dict[str, Any] = {}
    exec(FLIPPED, scope)
    report = check.forward(scope["conv"], cases=20)
    found = graded(tmp_path, FLIPPED, cases=20)
    assert found.result == {
        "kind": "forward",
        **json.loads(json.dumps(report.to_dict())),
        "explanation": report.explain(),
    }
    assert found.explain() == report.explain()
    suite = ElementTree.fromstring(found.to_junit())
    assert suite[0][0].text == report.explain()


@pytest.mark.thorough
def test_the_default_is_the_default_of_the_check(tmp_path: Path) -> None:
    found = graded(tmp_path, RIGHT, cases=None)
    assert found.result["cases"] == 160


def test_the_limit_of_memory_is_one_of_the_process_alone(tmp_path: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    text = "import resource\nprint(resource.getrlimit(resource.RLIMIT_AS))" + body(
        "import resource",
        "assert resource.getrlimit(resource.RLIMIT_AS)[0] == 3 * 2**30",
    )
    assert graded(tmp_path, text, memory=3 * 2**30)
    assert resource.getrlimit(resource.RLIMIT_AS) == before


@pytest.mark.thorough
def test_it_runs_with_the_same_python(tmp_path: Path) -> None:
    text = f"import sys\nassert sys.executable == {sys.executable!r}" + RIGHT
    assert graded(tmp_path, text)
    text = f"import os\nassert os.getpid() != {os.getpid()}" + RIGHT
    assert graded(tmp_path, text)

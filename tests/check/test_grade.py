"""Checking somebody's file: whatever it does, a report comes back and nothing stays behind."""

from __future__ import annotations

import json
import time
from pathlib import Path
from textwrap import dedent
from typing import Any
from xml.etree import ElementTree

import pytest
from graded import CASES, FLIPPED, RIGHT, assert_written, body, cases, first, graded

from convalg.check.problem import KINDS

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
    "arrays": ("def conv(x): ...", "wrong-signature", "conv must accept 2 arrays, not 1, to be"),
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


# Limits.


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

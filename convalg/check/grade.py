"""Checking a function in somebody's file, in a process of its own with limits.

The file is run by another Python, which may hang, crash or print: what it has to say comes
back as JSON in a file, and nothing of it is ever unpickled.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from convalg.check.problem import KINDS
from convalg.check.sweep import counts
from convalg.errors import ArgumentError, FileError
from convalg.jobs import checked, each
from convalg.spec import as_size

TIMEOUT = 60.0
"""Seconds that the whole check may take."""
MEMORY = 4 * 2**30
"""Bytes of address space that the function's process may take."""
LONGEST_REPORT = 10 * 2**20


@dataclass(frozen=True)
class Grade:
    """The report on a function in a file; true when it passed."""

    target: str
    result: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether every configuration passed."""
        return bool(self.result["passed"])

    def __bool__(self) -> bool:
        return self.passed

    def explain(self) -> str:
        """The report in plain words."""
        return str(self.result["explanation"])

    def to_json(self) -> str:
        """The report as JSON, for a grader's program."""
        return json.dumps({"target": self.target, **self.result}, indent=2, sort_keys=True)

    def to_junit(self) -> str:
        """The report as JUnit XML, for a build server."""
        failures = 0 if self.passed else 1
        suite = ElementTree.Element(
            "testsuite", name="convalg check", tests="1", failures=str(failures)
        )
        case = ElementTree.SubElement(
            suite, "testcase", name=_printable(self.target), classname=str(self.result["kind"])
        )
        if failures:
            found = self.result["diagnosis"]
            message = f"{found[0]['code']}: {found[0]['message']}" if found else "failed"
            failure = ElementTree.SubElement(case, "failure", message=_printable(message))
            failure.text = _printable(self.explain())
        return ElementTree.tostring(suite, encoding="unicode")


def grade(
    target: str,
    kind: str = "forward",
    *,
    dims: int = 2,
    cases: int | None = None,
    timeout: float = TIMEOUT,
    memory: int = MEMORY,
    jobs: int | None = None,
) -> Grade:
    """Check a function in a file: `target` is "FILE.py:function".

    `kind`: the name of a check, such as "backward" or "max_pool". The file runs in a process
    of its own, for at most `timeout` seconds with at most `memory` bytes; `jobs` more of them,
    each with as much memory, share the configurations.
    Raises: ArgumentError for another kind or a target without a function, FileError where
    there is no such file.

    >>> grade("nowhere.py:conv")
    Traceback (most recent call last):
    convalg.errors.FileError: no file nowhere.py to check
    """
    path, colon, function = target.rpartition(":")
    if not colon or not path or not function.isidentifier():
        raise ArgumentError(f"target must be FILE.py:function, not {target!r}")
    if kind not in KINDS:
        raise ArgumentError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    if not Path(path).is_file():
        raise FileError(f"no file {path} to check")
    counts(dims, 1 if cases is None else cases)
    as_size(memory, "memory")
    if not isinstance(timeout, (int, float)) or not timeout > 0:
        raise ArgumentError(f"timeout must be a number of seconds above 0, not {timeout!r}")
    checked(jobs)
    job = {"path": path, "function": function, "kind": kind, "dims": dims, "cases": cases}
    job["jobs"] = jobs
    with tempfile.TemporaryDirectory() as folder:
        result = _run({**job, "memory": memory}, Path(folder), timeout)
    return Grade(target, {**result, "kind": kind})


def grade_all(
    targets: Iterable[str], kind: str = "forward", *, jobs: int | None = None, **options: Any
) -> list[Grade]:
    """The grade of each target, in their order; options as those of `grade`.

    `jobs`: workers of joblib that share the targets, as in `ca.check.forward`. Each file still
    runs in a process of its own, so threads are enough:
    `joblib.parallel_config(backend="threading")`.

    >>> grade_all(["nowhere.py:conv"])
    Traceback (most recent call last):
    convalg.errors.FileError: no file nowhere.py to check
    """
    return list(each(partial(_graded, kind, options), list(targets), jobs))


def _graded(kind: str, options: dict[str, Any], target: str) -> Grade:
    return grade(target, kind, **options)


def _run(job: dict[str, Any], folder: Path, timeout: float) -> dict[str, Any]:
    """The result that the process leaves, or what became of it."""
    answer, log = folder / "report.json", folder / "log.txt"
    # -P: files in the current folder that are named as libraries do not come between.
    command = [sys.executable, "-P", "-m", "convalg.check.worker", json.dumps(job), str(answer)]
    own = str(Path(__file__).parents[2])
    places = os.pathsep.join(filter(None, (own, os.environ.get("PYTHONPATH"))))
    # A session of its own, so that whatever it starts ends with it.
    with log.open("wb") as heard:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=heard,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": places},
        )
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            _end(process)
    progress = _tail(folder / "report.json.at")
    if status is None:
        return _abnormal("hangs", f"it did not finish within {timeout:g} seconds", progress)
    if status < 0:
        words = f"it crashed the interpreter ({_signal_name(-status)})"
        return _abnormal("crashes", words, progress)
    if status or not answer.is_file() or answer.stat().st_size > LONGEST_REPORT:
        words = f"it ended the interpreter with status {status}: {_tail(log)}"
        return _abnormal("crashes", words, progress)
    found = _read(answer)
    return found or _abnormal("crashes", "it left no report that can be read", progress)


def _read(path: Path) -> dict[str, Any]:
    """The report, or nothing where it is none: the file that was run could write it as well."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return {}
    sound = isinstance(found, dict) and isinstance(found.get("diagnosis"), list)
    kinds = {"passed": bool, "explanation": str}
    if not sound or not all(isinstance(found.get(k), v) for k, v in kinds.items()):
        return {}
    named = [d for d in found["diagnosis"] if isinstance(d, dict) and {"code", "message"} <= set(d)]
    return found if named == found["diagnosis"] else {}


def _end(process: subprocess.Popen[bytes]) -> None:
    """No process of the session is left."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # It is gone already.
        return
    finally:
        process.wait()


def _abnormal(code: str, words: str, progress: str) -> dict[str, Any]:
    where = f", at {progress}" if progress else ""
    return {
        "passed": False,
        "cases": 0,
        "failures": 1,
        "name": "",
        "diagnosis": [{"code": code, "message": words + where, "confidence": 1.0}],
        "smallest": None,
        "notes": [],
        "explanation": f"{code}: {words}{where}",
    }


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _tail(path: Path) -> str:
    """The end of a text that a stranger wrote."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 400, 0))
        text = file.read().decode("utf-8", errors="replace")
    return _printable(text).strip()


def _printable(text: str) -> str:
    """Text without control characters, which XML and terminals act on."""
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)

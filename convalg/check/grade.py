"""Checking a function in somebody's file, in a process of its own with limits: see `remote`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypedDict
from xml.etree import ElementTree

from joblib import effective_n_jobs, parallel_config

from convalg.check.problem import KINDS, Kind
from convalg.check.processes import LimitError
from convalg.check.remote import EndedError, remote
from convalg.check.run import Sweep
from convalg.check.sweep import CASES, counts
from convalg.check.whole import report_on
from convalg.errors import ArgumentError, FileError
from convalg.escape import terminal
from convalg.parallel import checked, each
from convalg.size import as_size

TIMEOUT = 60.0
"""Seconds that all calls of the function, and loading its file, may take."""
MEMORY = 4 * 2**30
"""Bytes of address space that the function's process may take."""
MOST_MEMORY = 2**60


class Limits(TypedDict):
    """Limits of the function's process."""

    timeout: float
    memory: int


@dataclass(frozen=True)
class Grade:
    """The report on a function in a file; true when it passed."""

    target: str
    result: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether every configuration passed."""
        return bool(self.result["passed"])

    @property
    def exists(self) -> bool:
        """Whether the file has a function of that name."""
        return not any(one["code"] == "no-function" for one in self.result["diagnosis"])

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
            suite, "testcase", name=_xml(self.target), classname=str(self.result["kind"])
        )
        if failures:
            found = self.result["diagnosis"]
            message = f"{found[0]['code']}: {found[0]['message']}" if found else "failed"
            failure = ElementTree.SubElement(case, "failure", message=_xml(message))
            failure.text = _xml(self.explain())
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
    of its own, in an empty folder, for at most `timeout` seconds with at most `memory` bytes;
    `jobs` of them, each with as much time and memory, share the configurations. That process
    answers calls and nothing else: the report is made here, where it cannot write. What it
    still can do is told in `convalg.check.remote`.
    Raises: ArgumentError for another kind, a target without a function, or less memory than
    Python needs; FileError where there is no such file.

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
    sizes = counts(dims, CASES if cases is None else cases)
    as_size(memory, "memory")
    if memory > MOST_MEMORY:
        raise ArgumentError(f"memory must be at most {MOST_MEMORY:,} bytes, not {memory:,}")
    if not isinstance(timeout, (int, float)) or not timeout > 0:
        raise ArgumentError(f"timeout must be a number of seconds above 0, not {timeout!r}")
    checked(jobs)
    # More processes than configurations would wait.
    count = 1 if jobs is None else min(effective_n_jobs(jobs), sizes[1])
    limits = Limits(timeout=timeout, memory=memory)
    result = _result(Path(path), function, KINDS[kind], sizes, limits, count)
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


def _result(
    path: Path, function: str, kind: Kind, sizes: tuple[int, int], limits: Limits, jobs: int
) -> dict[str, Any]:
    """The report on the function, or what became of its process."""
    dims, cases = sizes
    place = ["", 0]

    def progress(done: int, count: int) -> None:
        place[:] = [f"configuration {done + 1} of {count}" if done < count else "the last calls", 1]

    try:
        with remote(path, function, kind, count=jobs, **limits) as tested:
            place[0] = "the first configuration"
            sweep = Sweep(progress, None if jobs == 1 else jobs, None)
            with parallel_config(backend="threading"):
                report = report_on(tested, dims, cases, sweep)
    except LimitError as error:
        final = isinstance(error, EndedError) and error.final
        at = f", at {place[0]}" if place[0] and not final else ""
        return _refused(error.code, f"{error.words}{at}")
    return {**report.to_dict(), "explanation": report.explain()}


def _refused(code: str, words: str) -> dict[str, Any]:
    return {
        "passed": False,
        "cases": 0,
        "failures": 1,
        "name": "",
        "diagnosis": [{"code": code, "message": words, "confidence": 1.0}],
        "smallest": None,
        "notes": [],
        "explanation": f"{code}: {words}",
    }


def _xml(text: str) -> str:
    """Text for an XML tree, which escapes markup itself: without what XML does not allow."""
    return terminal(text, lines=True)

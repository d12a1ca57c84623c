"""Check a function in a user file, in a separate process with limits (see `remote`)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, Unpack
from xml.etree import ElementTree

from joblib import effective_n_jobs, parallel_config

from convalg.check.pipeline import report_on
from convalg.check.problem import KINDS, Kind
from convalg.check.processes import LimitError
from convalg.check.remote import EndedError, remote
from convalg.check.run import Sweep
from convalg.check.sweep import CASES, counts
from convalg.errors import ArgumentError, FileError
from convalg.escape import terminal
from convalg.parallel import checked, each
from convalg.size import as_size

TIMEOUT = 60.0
"""Most seconds for loading the file and for all calls of the function."""
MEMORY = 4 * 2**30
"""Most bytes of address space for the process that runs the function."""
MOST_MEMORY = 2**60
"""Largest limit that may be requested."""


class GradeOptions(TypedDict, total=False):
    """The options that all targets of `grade_all` share."""

    dims: int
    cases: int | None
    timeout: float
    memory: int


class Limits(TypedDict):
    """Limits of the process that runs the function: seconds, and bytes of address space."""

    timeout: float
    memory: int


@dataclass(frozen=True)
class Grade:
    """The report on a function in a file; true if it passed.

    Attributes:
        target: the file and the function, "FILE.py:function".
        result: the report as a dictionary, as `Report.to_dict` returns it, with the text of
            `Report.explain` under "explanation".
    """

    target: str
    result: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether every configuration passed."""
        return bool(self.result["passed"])

    @property
    def exists(self) -> bool:
        """Whether the file has a function of the requested name."""
        return not any(one["code"] == "no-function" for one in self.result["diagnosis"])

    def __bool__(self) -> bool:
        return self.passed

    def explain(self) -> str:
        """Return the report as plain text."""
        return str(self.result["explanation"])

    def to_json(self) -> str:
        """Return the report as a JSON object, for automatic grading."""
        return json.dumps({"target": self.target, **self.result}, indent=2, sort_keys=True)

    def to_junit(self) -> str:
        """Return the report as a JUnit XML test suite of one test, for a build server."""
        failures = 0 if self.passed else 1
        suite = ElementTree.Element(
            "testsuite", name="convalg check", tests="1", failures=str(failures)
        )
        case = ElementTree.SubElement(
            suite, "testcase", name=_xml(self.target), classname=str(self.result["kind"])
        )
        if failures:
            diagnosis = self.result["diagnosis"]
            message = (
                f"{diagnosis[0]['code']}: {diagnosis[0]['message']}" if diagnosis else "failed"
            )
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
    """Return the grade of a function in a file.

    The file runs in a separate process, in an empty folder. That process only answers calls; the
    report is made in the calling process, which the file cannot write to.
    `convalg.check.remote` lists the resources that are not limited.

    Args:
        target: the file and the function, "FILE.py:function".
        kind: the name of a check, such as "backward" or "max_pool".
        dims: the number of spatial axes, 1 to 4.
        cases: the number of configurations; 160 by default.
        timeout: the maximum time in seconds for loading the file and for all calls of the function.
        memory: the maximum address space of the process in bytes.
        jobs: the number of processes that share the configurations, each with these limits.

    Raises:
        ArgumentError: when `kind` is not the name of a check, `target` names no function, a number
            is out of range, or `memory` is less than Python itself needs.
        KindError: when `dims`, `cases` or `memory` is not an integer.
        FileError: when the file does not exist.

    >>> from convalg.check.grade import grade
    >>> grade("nowhere.py:conv")
    Traceback (most recent call last):
    convalg.errors.FileError: the file to check does not exist: nowhere.py
    """
    path, colon, function = target.rpartition(":")
    if not colon or not path or not function.isidentifier():
        raise ArgumentError(f"target must be FILE.py:function, not {target!r}")
    if kind not in KINDS:
        raise ArgumentError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    if not Path(path).is_file():
        raise FileError(f"the file to check does not exist: {path}")
    sizes = counts(dims, CASES if cases is None else cases)
    as_size(memory, "memory")
    if memory > MOST_MEMORY:
        raise ArgumentError(f"memory must be at most {MOST_MEMORY:,} bytes, not {memory:,}")
    if not isinstance(timeout, (int, float)) or not timeout > 0:
        raise ArgumentError(f"timeout must be a number of seconds above 0, not {timeout!r}")
    checked(jobs)
    # More processes than configurations would be idle.
    count = 1 if jobs is None else min(effective_n_jobs(jobs), sizes[1])
    limits = Limits(timeout=timeout, memory=memory)
    result = _result(Path(path), function, KINDS[kind], sizes, limits, count)
    return Grade(target, {**result, "kind": kind})


def grade_all(
    targets: Iterable[str],
    kind: str = "forward",
    *,
    jobs: int | None = None,
    **options: Unpack[GradeOptions],
) -> list[Grade]:
    """Return the grade of each target, in order.

    Each file runs in a separate process in any case, so threads suffice as workers;
    select them with `joblib.parallel_config(backend="threading")`.

    Args:
        targets: the files and functions, each "FILE.py:function".
        kind: the name of a check, such as "backward" or "max_pool".
        jobs: the number of joblib workers that share the targets.
        options: the other options of `grade`: `dims`, `cases`, `timeout` and `memory`.

    Raises:
        ArgumentError: as in `grade`, or when `jobs` is not a valid number of workers.
        KindError: as in `grade`.
        FileError: when a file does not exist.

    >>> from convalg.check.grade import grade_all
    >>> grade_all(["nowhere.py:conv"])
    Traceback (most recent call last):
    convalg.errors.FileError: the file to check does not exist: nowhere.py
    """
    return list(each(partial(_graded, kind, options), list(targets), jobs))


def _graded(kind: str, options: GradeOptions, target: str) -> Grade:
    return grade(target, kind, **options)


def _result(
    path: Path, function: str, kind: Kind, sizes: tuple[int, int], limits: Limits, jobs: int
) -> dict[str, Any]:
    """Return the report on a function, or the finding that its process exceeded a limit."""
    dims, cases = sizes
    position = [""]

    def progress(done: int, count: int) -> None:
        position[0] = f"configuration {done + 1} of {count}" if done < count else "the last calls"

    try:
        with remote(path, function, kind, count=jobs, **limits) as tested:
            position[0] = "the first configuration"
            sweep = Sweep(progress, None if jobs == 1 else jobs, None)
            with parallel_config(backend="threading"):
                report = report_on(tested, dims, cases, sweep)
    except LimitError as error:
        final = isinstance(error, EndedError) and error.final
        at = f", at {position[0]}" if position[0] and not final else ""
        return _refused(error.code, f"{error.message}{at}")
    return {**report.to_dict(), "explanation": report.explain()}


def _refused(code: str, message: str) -> dict[str, Any]:
    """Return the report on a function that could not be checked, with one finding."""
    return {
        "passed": False,
        "cases": 0,
        "failures": 1,
        "name": "",
        "diagnosis": [{"code": code, "message": message, "confidence": 1.0}],
        "smallest": None,
        "notes": [],
        "explanation": f"{code}: {message}",
    }


def _xml(text: str) -> str:
    """Return a text without the characters that XML forbids (the tree escapes markup itself)."""
    return terminal(text, lines=True)

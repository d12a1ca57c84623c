"""A complete check: which configurations count, and what the notes add."""

from __future__ import annotations

from typing import Any

import convalg as ca
from convalg.check.candidate import candidate
from convalg.check.pipeline import report_on
from convalg.check.problem import KINDS
from convalg.check.report import Report
from convalg.check.run import Sweep

CASES = 16


def reported(f: Any) -> Report:
    return report_on(candidate(f, KINDS["forward"]), 2, CASES, Sweep())


def right(x: Any, w: Any, stride: Any, padding: Any) -> Any:
    return ca.correlation(x.shape[2:], w, stride=stride, padding=padding)(x)


def test_a_right_function_has_no_failure_and_no_diagnosis() -> None:
    report = reported(right)
    assert (report.passed, report.cases, report.smallest) == (True, CASES, None)
    assert (report.failures, report.diagnosis) == ((), ())
    assert report.notes == (
        "not tested, since right does not have these parameters: dilation, groups",
    )


def test_each_failure_is_counted_and_the_smallest_is_one_of_that_size_or_less() -> None:
    report = reported(lambda x, w, stride, padding: right(x, w, 1, padding))
    assert not report
    assert report.smallest is not None
    assert all(report.smallest.config.work <= one.config.work for one in report.failures)
    # Every configuration with a stride above 1 and more than one window on an axis fails.
    assert all(max(one.config.stride) > 1 for one in report.failures)


def test_text_that_is_printed_is_noted() -> None:
    def loud(x: Any, w: Any, stride: Any, padding: Any) -> Any:
        print("here")
        return right(x, w, stride, padding)

    assert "loud prints text, which is not shown" in reported(loud).notes


def test_tuples_that_are_refused_are_left_out() -> None:
    def ints(x: Any, w: Any, stride: Any, padding: Any) -> Any:
        if isinstance(padding, tuple):
            raise TypeError("padding must be an int")
        return right(x, w, stride, padding)

    report = reported(ints)
    assert report.passed
    assert 0 < report.cases < CASES
    left_out = f"({CASES - report.cases} configurations left out)"
    assert report.notes[0] == f"ints only: ints does not accept tuples for padding {left_out}"

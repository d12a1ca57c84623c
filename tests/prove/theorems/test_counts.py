"""Parts of theorems about counts: wrong ones are refuted, at the smallest sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import convalg as ca
from convalg.prove.decisions.smtlib import solve
from convalg.prove.theorems.counts import NonZeros, count_latex

n, K, h = ca.sizes("n K h")


def test_a_count_keeps_its_products() -> None:
    assert count_latex(-K * (n - 1)) == "-K (n - 1)"
    assert count_latex(4 * K * (n + 1) / 3) == "\\frac{4 K (n + 1)}{3}"
    assert count_latex(7) == "7"


@pytest.mark.parametrize("change", [{"count": n * K + 1}, {"count": n * K * 2}])
def test_a_wrong_count_of_non_zeros_is_refuted(change: dict[str, Any]) -> None:
    verdict = replace(_full(), **change).decide()
    assert verdict.status == "refuted"
    assert verdict.counterexample is not None
    assert verdict.counterexample.sizes == {"n": 1, "K": 1}


def test_runs_that_overlap_or_leave_out_a_tap_are_refuted() -> None:
    (run,) = _full().runs
    _, start, length = run
    for runs in (((K - 1, start, length),), ((K, start, lambda t: n - 1),)):
        assert replace(_full(), runs=runs).decide().status == "refuted"


def _full() -> NonZeros:
    part = ca.theorems["non-zeros-full"].parts[0]
    assert isinstance(part, NonZeros)
    return part


@pytest.mark.parametrize("mode", ["valid", "full", "same", "causal"])
def test_the_formulas_of_a_wrong_count_have_a_solution(mode: str) -> None:
    """The count, or the length of a run, is larger by one."""
    (part,) = ca.theorems[f"non-zeros-{mode}"].parts
    assert isinstance(part, NonZeros)
    *others, (end, start, length) = part.runs
    longer = (*others, (end, start, lambda t: length(t) + 1))
    for claim, right in (
        (part, True),
        (replace(part, count=part.count + 1), False),
        (replace(part, runs=longer), False),
    ):
        answers = [
            solve(obligation.text, 2_000_000).answer == obligation.expected
            for obligation in claim.formulas().obligations()
        ]
        assert all(answers) == right

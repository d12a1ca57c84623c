"""Parts of theorems about counts: wrong ones are refuted, at the smallest sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import convalg as ca
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

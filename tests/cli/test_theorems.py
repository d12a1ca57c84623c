"""Theorems in the terminal: the text of one of them, and the names of methods."""

from __future__ import annotations

import pytest

from convalg.cli import theorems


@pytest.mark.parametrize(
    ("method", "short"),
    [
        ("Presburger arithmetic (isl): the sets of triples", "isl"),
        ("integer arithmetic (z3): each entry; integer arithmetic (z3), for all windows", "z3"),
        ("Presburger arithmetic (isl): sets; exact identity: the ends", "isl, identity"),
        ("each output is a sum over triples (row, column, weight)", "definition"),
    ],
)
def test_a_method_is_printed_by_its_name(method: str, short: str) -> None:
    assert theorems._short(method) == short


def test_an_equality_is_decided_from_text() -> None:
    verdict, text = theorems.equality_text("shift(n, 1).T", "shift(n, -1)")
    assert verdict
    assert text == verdict.explain()


def test_a_theorem_without_a_counterexample_and_a_source_has_six_lines() -> None:
    verdict, text = theorems.theorem_text("associativity", latex=False)
    assert verdict
    lines = text.splitlines()
    assert lines[:2] == ["associativity (Composition)", "Full convolution is associative."]
    assert len(lines) == 6

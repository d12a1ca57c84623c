"""A theorem is proved by its parts, and its domain is their intersection."""

from __future__ import annotations

from dataclasses import replace

import convalg as ca
from convalg.prove.theorems.theorem import Equality


def test_a_theorem_shows_itself() -> None:
    theorem = ca.theorems["flip"]
    assert repr(theorem) == f"Theorem('flip', {theorem.domain})"
    assert theorem._repr_latex_() == f"$\\displaystyle {theorem.statement}$"


def test_a_theorem_with_a_false_part_is_not_proved() -> None:
    true = ca.theorems["flip"]
    assert isinstance(true.counter, Equality)
    false = replace(true, parts=(*true.parts, true.counter))
    verdict = false.prove()
    assert verdict.status == "refuted"
    assert verdict.claim == false.statement


def test_a_wider_part_does_not_widen_the_domain() -> None:
    assert str(ca.theorems["modes"].parts[1].domain) == "all n >= 1, K >= 1"
    assert ca.theorems["modes"].domain == "all n >= K >= 1, m >= L >= 1"


def test_the_scope_of_a_proof_is_that_of_its_verdicts() -> None:
    """Strides that z3 leaves open are swept; the proof is then about these values only."""
    theorem = ca.theorems["mean-of-means"]
    (part,) = theorem.claims()
    wider = replace(theorem, parts=(replace(part, ranges={}),))
    assert wider.domain == "all L >= 1, K >= 1"
    assert wider.prove().scope.startswith("each K in 1..8, for each L in 1..8")

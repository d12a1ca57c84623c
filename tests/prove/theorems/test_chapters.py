"""The chapters of the catalogue."""

from __future__ import annotations

import convalg as ca
from convalg.prove.theorems import chapters


def test_each_chapter_has_a_constant_and_each_theorem_a_known_chapter() -> None:
    constants = [value for name, value in vars(chapters).items() if name.isupper()]
    assert [value for value in constants if isinstance(value, str)] == list(chapters.CHAPTERS)
    assert len(set(chapters.CHAPTERS)) == 13
    assert {theorem.chapter for theorem in ca.theorems} - {""} <= set(chapters.CHAPTERS)

"""The names of chapters."""

from __future__ import annotations

from convalg.prove.theorems import chapters


def test_the_chapters_are_the_constants_in_their_order() -> None:
    constants = [value for value in vars(chapters).values() if isinstance(value, str)]
    assert [value for value in constants if value in chapters.CHAPTERS] == list(chapters.CHAPTERS)
    assert len(set(chapters.CHAPTERS)) == 15

"""A document lists its claims, and shows the failed ones."""

from __future__ import annotations

from convalg.sheet import Sheet
from convalg.sheet.blocks import (
    FAILED,
    Check,
    Claim,
    Code,
    Formula,
    Section,
    Steps,
)


def test_a_wrong_claim_fails_and_the_sheet_shows_it() -> None:
    found = Check(FAILED, "at this size, 5 x 5", "row 3: 1 is claimed, 2 is found")
    claim = Claim("It is so.", found, (Code("A == B"), Formula("A = B")))
    for sheet in (
        Sheet("title", "lead", (Section("heading", (claim,)),)),
        Sheet("title", "lead", (Section("heading", (Steps((claim,)),)),)),
    ):
        assert sheet.failed == sheet.claims == (claim,)
        page = sheet.html()
        assert "1 statement: 1 failed." in page
        assert "failed at this size, 5 x 5" in page
        assert "<code>A == B</code>" in page
        assert page.count("<math") == 1
        assert "failed at this size, 5 x 5" in sheet.markdown()
        assert "$$\nA = B\n$$" in sheet.markdown()
        assert "failed at this size, 5 x 5" in sheet.latex()
        assert r"\sheetformula{A = B}" in sheet.latex()
    page = Sheet("title", "lead", (Section("heading", (claim,)),)).html()
    assert '<div class="claim failed">' in page
    assert '<span class="badge">failed at this size, 5 x 5</span> It is so.' in page

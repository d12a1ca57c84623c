"""The section on padding and stride as operators."""

from __future__ import annotations

import convalg as ca
from convalg.sheet.blocks import (
    Claim,
    Picture,
)
from convalg.sheet.sections.forward import operators_section


def test_both_counts_leave_the_padding_out() -> None:
    section = operators_section(ca.correlation((6, 6), ca.kernel(3, 3), padding=1))
    claims = [block for block in section.blocks if isinstance(block, Claim)]
    (claim,) = (c for c in claims if c.statement.startswith("The strided layer needs"))
    assert "needs 8 multiplications" in claim.statement
    assert claim.statement.endswith("needs 16.")


def test_a_round_border_has_no_rows_of_zeros() -> None:
    layer = ca.correlation((5, 5), ca.kernel(3, 3), padding=1, boundary="circular")
    parts = operators_section(layer)
    pictures = [block for block in parts.blocks if isinstance(block, Picture)]
    (picture,) = (p for p in pictures if p.name == "pad")
    assert "zeros" not in picture.caption
    assert "empty rows" not in picture.caption
    calls = [x.line for c in parts.blocks if isinstance(c, Claim) for x in c.shown]
    assert all("boundary='circular'" in call for call in calls)

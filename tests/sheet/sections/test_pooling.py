"""The section on pooling: the scopes of its claims."""

from __future__ import annotations

import convalg as ca
from convalg.sheet.blocks import (
    Claim,
)
from convalg.sheet.sections.pooling import pooling_section


def test_no_statement_for_all_sizes_is_about_two_windows() -> None:
    pooling = pooling_section(ca.correlation((6, 6), ca.kernel(3, 3)))
    labels = {c.verdict for c in pooling.blocks if isinstance(c, Claim)}
    assert labels == {
        "verified exactly for these numbers",
        "proved for all n >= 2, m >= 2",
        "proved for all n >= 1, m >= 1",
    }

"""Limits on memory and on integers."""

from __future__ import annotations

from convalg.limits import format_bytes


def test_sizes_in_words() -> None:
    words = format_bytes
    assert [words(n) for n in (999, 999_600, 999_980_000_000)] == ["999 bytes", "1 MB", "1 TB"]
    assert words(10**400) == "more than 1,000,000,000,000 TB"

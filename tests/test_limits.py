"""Limits on memory and on integers: one below, exactly at, and one above."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convalg import limits
from convalg.errors import ExactnessError, KindError, TooLargeError
from convalg.limits import LARGEST_INTEGER, check_bound, check_memory, check_room, format_bytes

UNITS = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


def test_bytes_have_units() -> None:
    numbers = (999, 999_600, 999_980_000_000)
    assert [format_bytes(n) for n in numbers] == ["999 bytes", "1 MB", "1 TB"]
    assert format_bytes(10**400) == "more than 1,000,000,000,000 TB"


@given(st.integers(0, 10**17))
def test_three_digits_are_right(count: int) -> None:
    number, unit = format_bytes(count).split()
    assert float(number.replace(",", "")) * UNITS[unit] == pytest.approx(count, rel=0.006)


@pytest.mark.parametrize("limit", [0, 1, 10**9])
def test_memory_up_to_the_limit(limit: int) -> None:
    check_memory(limit - 1, limit, what="it", instead="take less")
    check_memory(limit, limit, what="it", instead="take less")
    wanted = f"the matrix needs {format_bytes(limit + 1)}, over the limit of {format_bytes(limit)}"
    with pytest.raises(TooLargeError, match=re.escape(wanted)) as caught:
        check_memory(limit + 1, limit, what="the matrix", instead="take less")
    assert str(caught.value).endswith(": take less, or raise the limit with max_bytes=")


def test_the_limit_of_the_module_holds_without_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MEMORY_LIMIT", 100)
    check_memory(100, None, what="it", instead="take less", fixed=True)
    with pytest.raises(TooLargeError, match=r"over the limit of 100 bytes: take less$"):
        check_memory(101, None, what="it", instead="take less", fixed=True)


@pytest.mark.parametrize("limit", ["1 GB", float("nan"), [1]])
def test_a_limit_is_a_number(limit: object) -> None:
    with pytest.raises(KindError, match="max_bytes must be a number of bytes, at least 0, not"):
        check_memory(1, limit, what="it", instead="take less")  # type: ignore[arg-type]


def test_room_for_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MEMORY_LIMIT", 80)
    check_room(10, 8, "the table")
    with pytest.raises(TooLargeError, match="the table needs 88 bytes, over the limit of 80 bytes"):
        check_room(11, 8, "the table")


def test_integers_up_to_64_bits() -> None:
    check_bound(LARGEST_INTEGER)
    assert int(np.iinfo(np.int64).max) == LARGEST_INTEGER
    with pytest.raises(
        ExactnessError,
        match=r"could sum to 9\.22e\+18, which does not fit in a signed 64-bit integer",
    ):
        check_bound(LARGEST_INTEGER + 1)
    with pytest.raises(
        ExactnessError,
        match="an integer of 6644 bits, which does not fit in a signed 64-bit integer",
    ):
        check_bound(10**2000)
    with pytest.raises(KindError):
        check_bound(None)  # type: ignore[arg-type]

"""Limits on memory and on integers, checked before anything is allocated or rounded."""

from __future__ import annotations

import math
import numbers

from convalg.arguments import shown
from convalg.errors import ExactnessError, KindError, TooLargeError

MEMORY_LIMIT = 4 * 2**30
"""Bytes that one explicit matrix may take unless `max_bytes=` says otherwise."""


def format_bytes(count: int) -> str:
    """The size in words.

    >>> format_bytes(14_700_000_000)
    '14.7 GB'
    """
    # An integer is finite, also where it is too large for a float.
    real = isinstance(count, int) or (isinstance(count, numbers.Real) and math.isfinite(count))
    if not real or isinstance(count, bool):
        raise KindError(f"a number of bytes is written, not {shown(count)}")
    unit = 1
    for name in ("bytes", "kB", "MB", "GB"):
        # Rounded to three digits it would be the next unit.
        if count < 999.5 * unit:
            return f"{count / unit:.3g} {name}"
        unit *= 1000
    if count >= unit**2:
        return "more than 1,000,000,000,000 TB"
    return f"{count / unit:.4g} TB" if count < 1000 * unit else f"{round(count / unit):,} TB"


def check_memory(
    needed: int, max_bytes: int | None, *, what: str, instead: str, fixed: bool = False
) -> None:
    """Refuse before anything is allocated; `fixed` where the limit is no argument.

    Raises: TooLargeError with the bytes needed, the limit, and the face to use instead.
    """
    limit = MEMORY_LIMIT if max_bytes is None else max_bytes
    if not isinstance(limit, (int, float)) or limit != limit:
        raise KindError(f"max_bytes must be a number of bytes, not {shown(max_bytes)}")
    if needed > limit:
        tail = "" if fixed else ", or raise the limit with max_bytes="
        raise TooLargeError(
            f"{what} needs {format_bytes(needed)}, over the limit of {format_bytes(limit)}: "
            f"{instead}{tail}"
        )


def check_room(entries: int, item: int, what: str) -> None:
    """Refuse an array of so many entries of `item` bytes before it is made.

    For arrays whose size follows from a call, so that no argument sets the limit.
    Raises: TooLargeError.
    """
    if entries * item > MEMORY_LIMIT:
        check_memory(
            entries * item,
            None,
            what=what,
            instead="take less padding, smaller sizes or a part of the batch at a time, or raise "
            "convalg.limits.MEMORY_LIMIT",
            fixed=True,
        )


LARGEST_INTEGER = 2**63 - 1
"""The largest integer of int64, in which integers are added up."""


def check_bound(bound: int) -> None:
    """Refuse integers that int64 cannot hold.

    Raises: ExactnessError when a bound on their sums exceeds 64 bits.
    """
    if not isinstance(bound, numbers.Real):
        raise KindError(f"a bound on integers is one number, not {shown(bound)}")
    if bound > LARGEST_INTEGER:
        size = f"{bound:.3g}" if bound < 10**300 else shown(bound)
        raise ExactnessError(
            f"integers this large could sum to {size}, beyond 64 bits: "
            f"pass x.astype(object) for exact integers or x.astype(float) for rounded ones"
        )

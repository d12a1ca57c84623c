"""Limits on memory and on integers, which are checked before arrays are allocated."""

from __future__ import annotations

import math
import numbers

from convalg.arguments import shown
from convalg.errors import ExactnessError, KindError, TooLargeError

MEMORY_LIMIT = 4 * 2**30
"""The largest size of one explicit matrix or array in bytes, unless `max_bytes=` is passed."""


def format_bytes(count: int) -> str:
    """Return a number of bytes as text with three or more digits and a unit.

    >>> format_bytes(14_700_000_000)
    '14.7 GB'
    """
    # math.isfinite fails for an integer that is too large for a float.
    real = isinstance(count, int) or (isinstance(count, numbers.Real) and math.isfinite(count))
    if not real or isinstance(count, bool):
        raise KindError(f"count must be a number of bytes, not {shown(count)}")
    unit = 1
    for name in ("bytes", "kB", "MB", "GB"):
        # 999.5 and more would be rounded to 1000 of the unit.
        if count < 999.5 * unit:
            return f"{count / unit:.3g} {name}"
        unit *= 1000
    if count >= unit**2:
        return "more than 1,000,000,000,000 TB"
    return f"{count / unit:.4g} TB" if count < 1000 * unit else f"{round(count / unit):,} TB"


def check_memory(
    needed: int, max_bytes: int | None, *, what: str, instead: str, fixed: bool = False
) -> None:
    """Raise TooLargeError if a result needs more memory than the limit.

    Args:
        needed: Size of the result in bytes.
        max_bytes: The limit in bytes; None for `MEMORY_LIMIT`.
        what: Name of the result, with which the message begins.
        instead: Advice for the message, such as "pass a smaller file".
        fixed: Whether the caller has no argument `max_bytes` that could raise the limit.

    Raises:
        TooLargeError: when `needed` exceeds the limit.
        KindError: when `max_bytes` is not a number.
    """
    limit = MEMORY_LIMIT if max_bytes is None else max_bytes
    if not isinstance(limit, (int, float)) or not limit >= 0:
        raise KindError(f"max_bytes must be a number of bytes, at least 0, not {shown(max_bytes)}")
    if needed > limit:
        tail = "" if fixed else ", or raise the limit with max_bytes="
        raise TooLargeError(
            f"{what} needs {format_bytes(needed)}, over the limit of {format_bytes(limit)}: "
            f"{instead}{tail}"
        )


def check_room(entries: int, item: int, what: str) -> None:
    """Raise TooLargeError if an array of `entries` entries of `item` bytes exceeds the limit.

    This check is for arrays whose size follows from other arguments, in functions without an
    argument `max_bytes`.
    """
    if entries * item > MEMORY_LIMIT:
        check_memory(
            entries * item,
            None,
            what=what,
            instead="use less padding, smaller sizes or a part of the batch at a time, or raise "
            "convalg.limits.MEMORY_LIMIT",
            fixed=True,
        )


LARGEST_INTEGER = 2**63 - 1
"""The largest integer of int64, the type in which sums of integers are computed."""


def check_bound(bound: int) -> None:
    """Raise ExactnessError if an upper bound on sums of integers exceeds int64."""
    if not isinstance(bound, numbers.Real):
        raise KindError(f"bound must be a number, not {shown(bound)}")
    if bound > LARGEST_INTEGER:
        size = f"{bound:.3g}" if bound < 10**300 else shown(bound)
        raise ExactnessError(
            f"integers this large could sum to {size}, which does not fit in a signed 64-bit "
            f"integer: pass x.astype(object) for exact integers or x.astype(float) for rounded ones"
        )

"""The exceptions of convalg, and the checks that come before memory or exactness is lost.

Every error says what was wanted, what came, and what to do. Each class sits under
`ConvalgError` and under the built-in exception that it is a kind of.
"""

from __future__ import annotations

from convalg.escape import terminal

__all__ = [
    "ArgumentError",
    "ConvalgError",
    "DivergenceError",
    "ExactnessError",
    "FileError",
    "KindError",
    "MissingLibraryError",
    "NotLinearError",
    "ShapeError",
    "SymbolicError",
    "TooLargeError",
    "UndecidableError",
]


class ConvalgError(Exception):
    """The root of all errors that convalg raises on purpose."""

    def __str__(self) -> str:
        # Messages quote names and texts of others, and are printed on terminals.
        return terminal(super().__str__(), lines=True)


class ArgumentError(ConvalgError, ValueError):
    """An argument has the right type and a value that is not allowed."""


class ShapeError(ArgumentError):
    """A shape or a number of axes does not fit."""


class KindError(ConvalgError, TypeError):
    """An argument is of the wrong type."""


class NotLinearError(KindError, AttributeError):
    """What only linear operators have, asked of another map; `hasattr` answers with False."""


class SymbolicError(KindError):
    """Symbols or exact objects came where a face needs machine numbers."""


class UndecidableError(ArgumentError):
    """A question about letters that no decision procedure here can answer."""


class FileError(ArgumentError):
    """A file is missing, unreadable or not what it claims to be."""


class MissingLibraryError(ConvalgError, ImportError):
    """An optional library that a function needs is not installed."""


class ExactnessError(ConvalgError, OverflowError):
    """An integer result could leave 64 bits, so it would not be exact."""


class TooLargeError(ConvalgError, MemoryError):
    """A face would need more memory than its limit allows."""


MOST_SHOWN = 120
"""Characters of a value that a message shows."""


def shown(value: object) -> str:
    """A value as a message shows it: in one line, escaped and short.

    >>> shown("a" * 1000), shown(10**1000)
    ("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...aaaaaaaaaaaaaaaaaaa'", 'an integer of 3322 bits')
    """
    if isinstance(value, int) and value.bit_length() > 256:
        # Python refuses to write integers of many thousand digits.
        return f"an integer of {value.bit_length()} bits"
    words = " ".join(ascii(value).split())
    if len(words) <= MOST_SHOWN:
        return words
    return f"{words[: MOST_SHOWN // 3 + 1]}...{words[-MOST_SHOWN // 6 :]}"


MEMORY_LIMIT = 4 * 2**30
"""Bytes that one explicit matrix may take unless `max_bytes=` says otherwise."""


def format_bytes(count: int) -> str:
    """The size in words.

    >>> format_bytes(14_700_000_000)
    '14.7 GB'
    """
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
        raise KindError(f"max_bytes must be a number of bytes, not {max_bytes!r}")
    if needed > limit:
        tail = "" if fixed else ", or raise the limit with max_bytes="
        raise TooLargeError(
            f"{what} needs {format_bytes(needed)}, over the limit of {format_bytes(limit)}: "
            f"{instead}{tail}"
        )


LARGEST_INTEGER = 2**63 - 1
"""The largest integer of int64, in which integers are added up."""


def check_bound(bound: int) -> None:
    """Refuse integers that int64 cannot hold.

    Raises: ExactnessError when a bound on their sums exceeds 64 bits.
    """
    if bound > LARGEST_INTEGER:
        size = f"{bound:.3g}" if bound < 10**300 else shown(bound)
        raise ExactnessError(
            f"integers this large could sum to {size}, beyond 64 bits: "
            f"pass x.astype(object) for exact integers or x.astype(float) for rounded ones"
        )


class DivergenceError(ConvalgError, ArithmeticError):
    """Training led to numbers that are not finite."""

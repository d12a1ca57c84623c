"""The exceptions of convalg, and the checks that come before memory or exactness is lost.

Every error says what was wanted, what came, and what to do. Each class sits under
`ConvalgError` and under the built-in exception that it is a kind of.
"""

from __future__ import annotations

import inspect
import math
import numbers
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

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
    words = " ".join(repr(value).split())
    if len(words) <= MOST_SHOWN:
        return words
    return f"{words[: MOST_SHOWN // 3 + 1]}...{words[-MOST_SHOWN // 6 :]}"


def one_of(value: Any, words: Collection[str], name: str) -> str:
    """The value of an argument that is one of some words.

    Raises: ArgumentError for anything else, whatever its type.

    >>> one_of("same", ("valid", "same"), "padding")
    'same'
    """
    if isinstance(value, str) and value in words:
        return value
    listed = ", ".join(words)
    known = f"one of {listed}" if len(words) > 2 else " or ".join(map(repr, words))
    raise ArgumentError(f"{name} must be {known}, not {shown(value)}")


def a_kind(value: Any, kind: type, what: str) -> Any:
    """The value of an argument that is of a class; `what` begins the message.

    Raises: KindError for anything else.
    """
    if isinstance(value, kind):
        return value
    raise KindError(f"{what}, not {shown(value)} ({type(value).__name__})")


def a_function(value: Any, count: int, what: str) -> Any:
    """Return a function argument that accepts `count` positional arguments.

    `what` begins the error message. Raises: KindError for anything else; functions without a
    signature, as some written in C, are accepted.

    >>> a_function(len, 1, "f must be a function f(x)")([1, 2])
    2
    """
    if not callable(value):
        raise KindError(f"{what}, not {shown(value)} ({type(value).__name__})")
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        # Some functions written in C do not tell.
        return value
    try:
        signature.bind(*[None] * count)
    except TypeError as error:
        raise KindError(f"{what}, and this one takes other arguments: {error}") from None
    return value


def as_path(path: Any, name: str = "path") -> Path:
    """A path from text or a path.

    Raises: KindError for anything else, FileError for text that no file can be called.
    """
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise KindError(f"{name} must be a path, not {shown(path)} ({type(path).__name__})")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        pass
    else:
        if "\0" not in os.fspath(path):
            return Path(path)
    raise FileError(f"{name} must be a name that a file can have, not {shown(os.fspath(path))}")


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
            "convalg.errors.MEMORY_LIMIT",
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


class DivergenceError(ConvalgError, ArithmeticError):
    """Training led to numbers that are not finite."""

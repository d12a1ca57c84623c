"""Checks of plain arguments: one of some words, an object of a class, a function, a path."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Collection
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from convalg.errors import ArgumentError, FileError, KindError

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


def checked_number(
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
) -> float:
    """The value as a plain number. Raises: KindError or ArgumentError when it is not in range."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise KindError(f"{name} must be a number, not {value!r}")
    # An int stays one: as StepDecay(10, 0.5) was written, so it is shown.
    number: float = int(value) if isinstance(value, Integral) else float(value)
    if not (math.isfinite(number) and least <= number <= most and above < number < below):
        bounds = [
            f"{words} {bound}"
            for words, bound in (
                ("at least", least),
                ("above", above),
                ("at most", most),
                ("below", below),
            )
            if math.isfinite(bound)
        ]
        raise ArgumentError(f"{name} must be finite and {' and '.join(bounds)}, not {value}")
    return number


def settle(config: Any, name: str, **bounds: float) -> None:
    """Check a number of a frozen dataclass, and keep it as a plain one."""
    object.__setattr__(config, name, checked_number(name, getattr(config, name), **bounds))


def plural(count: int, word: str) -> str:
    """A number of things.

    >>> plural(1, "weight"), plural(2, "weight")
    ('1 weight', '2 weights')
    """
    return f"{count} {word}{'s' * (count != 1)}"

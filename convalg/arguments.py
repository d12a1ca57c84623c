"""Checks of plain arguments: one of several options, an object of a class, a function, a path."""

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
    """Return a value as error messages show it: on one line, escaped and short.

    >>> shown("a" * 1000), shown(10**1000)
    ("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...aaaaaaaaaaaaaaaaaaa'", 'an integer of 3322 bits')
    """
    if isinstance(value, int) and value.bit_length() > 256:
        # Python refuses to write integers of many thousand digits.
        return f"an integer of {value.bit_length()} bits"
    text = " ".join(repr(value).split())
    if len(text) <= MOST_SHOWN:
        return text
    return f"{text[: MOST_SHOWN // 3 + 1]}...{text[-MOST_SHOWN // 6 :]}"


def one_of(value: object, options: Collection[str], name: str) -> str:
    """Return the value of an argument that must be one of several strings.

    Raises: ArgumentError for anything else, whatever its type.

    >>> one_of("same", ("valid", "same"), "padding")
    'same'
    """
    if isinstance(value, str) and value in options:
        return value
    listed = ", ".join(options)
    wanted = f"one of {listed}" if len(options) > 2 else " or ".join(map(repr, options))
    raise ArgumentError(f"{name} must be {wanted}, not {shown(value)}")


def a_kind(value: object, kind: type, what: str) -> Any:
    """Return the value of an argument that must be an instance of a class.

    `what` is the start of the error message.

    Raises: KindError for anything else.
    """
    if isinstance(value, kind):
        return value
    raise KindError(f"{what}, not {shown(value)} ({type(value).__name__})")


def a_function(value: object, count: int, what: str) -> Any:
    """Return a function argument that accepts `count` positional arguments.

    `what` is the start of the error message. Functions without a signature, such as some written
    in C, are accepted. Raises: KindError for anything else.

    >>> a_function(len, 1, "f must be a function f(x)")([1, 2])
    2
    """
    if not callable(value):
        raise KindError(f"{what}, not {shown(value)} ({type(value).__name__})")
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        # Some functions written in C have no signature.
        return value
    try:
        signature.bind(*[None] * count)
    except TypeError as error:
        raise KindError(f"{what}, but this one takes other arguments: {error}") from None
    return value


def as_path(path: object, name: str = "path") -> Path:
    """Return a `Path` from a string or a path.

    Raises: KindError for anything else, FileError for text that cannot be the name of a file.
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
    raise FileError(f"{name} must be a valid file name, not {shown(os.fspath(path))}")


def checked_number(
    name: str,
    value: object,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
) -> float:
    """Return the value as an int or a float.

    Raises: KindError when it is not a number, ArgumentError when it is out of range.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise KindError(f"{name} must be a number, not {value!r}")
    # An int stays an int, so that StepDecay(10, 0.5) is printed as it was written.
    number: float = int(value) if isinstance(value, Integral) else float(value)
    if not (math.isfinite(number) and least <= number <= most and above < number < below):
        bounds = [
            f"{label} {bound}"
            for label, bound in (
                ("at least", least),
                ("above", above),
                ("at most", most),
                ("below", below),
            )
            if math.isfinite(bound)
        ]
        raise ArgumentError(f"{name} must be finite and {' and '.join(bounds)}, not {value}")
    return number


def settle(config: object, name: str, **bounds: float) -> None:
    """Check a numeric field of a frozen dataclass and store it as an int or a float."""
    object.__setattr__(config, name, checked_number(name, getattr(config, name), **bounds))


def plural(count: int, word: str) -> str:
    """Return a count with its noun, in the plural where needed.

    >>> plural(1, "weight"), plural(2, "weight")
    ('1 weight', '2 weights')
    """
    return f"{count} {word}{'s' * (count != 1)}"

"""Checks of arguments: options, instances of a class, functions, paths and numbers."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Collection
from numbers import Integral, Real
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np

from convalg.errors import ArgumentError, FileError, KindError

MOST_SHOWN = 120
"""The largest number of characters of a value in a message."""


def shown(value: object) -> str:
    """Return a value as text for an error message: its `repr` on one line, shortened if long.

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
    """Return an argument that must be one of several strings.

    Args:
        value: The argument.
        options: The strings that are allowed.
        name: Name of the argument, for the message.

    Raises: ArgumentError for any other value.

    >>> one_of("same", ("valid", "same"), "padding")
    'same'
    """
    if isinstance(value, str) and value in options:
        return value
    listed = ", ".join(options)
    wanted = f"one of {listed}" if len(options) > 2 else " or ".join(map(repr, options))
    raise ArgumentError(f"{name} must be {wanted}, not {shown(value)}")


def a_kind(value: object, kind: type, what: str) -> Any:
    """Return an argument that must be an instance of a class.

    `what` is the start of the error message, such as "net must be a Network".

    Raises: KindError for any other value.
    """
    if isinstance(value, kind):
        return value
    raise KindError(f"{what}, not {shown(value)} ({type(value).__name__})")


def a_function(value: object, count: int, what: str) -> Any:
    """Return an argument that must be a function of `count` positional arguments.

    `what` is the start of the error message. A function without a signature, such as some functions
    written in C, is accepted.

    Raises: KindError for any other value.

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
        raise KindError(f"{what}, but this function has other parameters: {error}") from None
    return value


def as_path(path: object, name: str = "path") -> Path:
    """Return a string or a path as a `Path`; `name` is the name of the argument.

    Raises: KindError for any other value, FileError for text that cannot be a file name.
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


def is_finite(value: SupportsFloat) -> bool:
    """Return whether a number is finite and can be converted to a float."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def checked_number(
    name: str,
    value: object,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
) -> float:
    """Return a finite number as an int or a float, checked against the given bounds.

    Raises: KindError when the value is not a number, ArgumentError when it is out of range.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise KindError(f"{name} must be a number, not {shown(value)} ({type(value).__name__})")
    # An int stays an int, so that the repr of StepDecay(10, 0.5) shows 10, not 10.0.
    number: float = math.nan
    if is_finite(value):
        number = int(value) if isinstance(value, Integral) else float(value)
    if not (least <= number <= most and above < number < below and is_finite(number)):
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
        raise ArgumentError(f"{name} must be finite and {' and '.join(bounds)}, not {shown(value)}")
    return number


def settle(config: object, name: str, **bounds: float) -> None:
    """Check a numeric field of a frozen dataclass, and store it as an int or a float.

    Raises: KindError or ArgumentError, as `checked_number`.
    """
    object.__setattr__(config, name, checked_number(name, getattr(config, name), **bounds))


def plural(count: int, word: str) -> str:
    """Return a count with its noun, in the plural where needed.

    >>> plural(1, "weight"), plural(2, "weight")
    ('1 weight', '2 weights')
    """
    return f"{count} {word}{'s' * (count != 1)}"

"""What a function prints while it is called is heard, thread by thread, and not shown."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any, TextIO, cast

import numpy as np

_LOCK = threading.Lock()
_OWN = threading.local()
_SHARED: dict[str, Any] = {"calls": 0}


MOST_PRINTED = 2**26
"""Characters that one call may print."""


class PrintsTooMuchError(Exception):
    """A call printed more than is taken."""


class Printed(io.TextIOBase):
    """A stream that counts what is written to it, and keeps nothing."""

    def __init__(self) -> None:
        self.count = 0

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, text: str) -> int:
        """Count the characters. Raises: PrintsTooMuchError when they are too many."""
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self.count += len(text)
        if self.count > MOST_PRINTED:
            raise PrintsTooMuchError(f"it prints more than {MOST_PRINTED:,} characters in one call")
        return len(text)

    def __bool__(self) -> bool:
        """Whether anything was printed, or the stream was closed."""
        return self.closed or bool(self.count)


class _Ear(io.TextIOBase):
    """A stream whose text goes to what its thread hears by, or where the stream before it goes."""

    def __init__(self, usual: TextIO) -> None:
        self._usual = usual

    def _target(self) -> TextIO:
        heard: Printed | None = getattr(_OWN, "heard", None)
        return self._usual if heard is None else cast(TextIO, heard)

    def write(self, text: str) -> int:
        return self._target().write(text)

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        self._target().flush()

    def close(self) -> None:
        # A stranger closes what is his alone; an ear that is collected later closes nothing.
        heard = getattr(_OWN, "heard", None)
        if heard is not None and self in (sys.stdout, sys.stderr):
            heard.close()


@contextlib.contextmanager
def quietly() -> Iterator[Printed]:
    """Nothing of what this thread prints or warns of is shown; what it prints is heard.

    Streams and filters of warnings belong to the whole process, and threads would put back
    each other's: the first call in it exchanges them, the last puts them back.
    """
    heard = Printed()
    before = getattr(_OWN, "heard", None)
    _enter()
    _OWN.heard = heard
    try:
        with np.errstate(all="ignore"):
            yield heard
    finally:
        _OWN.heard = before
        _leave()


def _enter() -> None:
    with _LOCK:
        if not _SHARED["calls"]:
            stack = contextlib.ExitStack()
            stack.enter_context(contextlib.redirect_stdout(_Ear(sys.stdout)))
            stack.enter_context(contextlib.redirect_stderr(_Ear(sys.stderr)))
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            _SHARED["stack"] = stack
        _SHARED["calls"] += 1


def _leave() -> None:
    with _LOCK:
        _SHARED["calls"] -= 1
        if not _SHARED["calls"]:
            _SHARED.pop("stack").close()

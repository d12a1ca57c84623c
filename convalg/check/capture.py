"""Capture what a function prints while it is called, separately for each thread."""

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
"""Most characters that one call may print."""


class PrintsTooMuchError(Exception):
    """Raised when a call prints more than is allowed."""


class Printed(io.TextIOBase):
    """A stream that counts the characters written to it and discards them."""

    def __init__(self) -> None:
        self.count = 0

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Count the characters. Raises: PrintsTooMuchError beyond the limit."""
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


class _Redirect(io.TextIOBase):
    """A stream that redirects text to the capture of its thread, or to the original stream."""

    def __init__(self, usual: TextIO) -> None:
        self._usual = usual

    def _target(self) -> TextIO:
        printed: Printed | None = getattr(_OWN, "printed", None)
        return self._usual if printed is None else cast(TextIO, printed)

    def write(self, text: str) -> int:
        return self._target().write(text)

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        self._target().flush()

    def close(self) -> None:
        # A user function closes only its own capture; later garbage collection closes nothing.
        printed = getattr(_OWN, "printed", None)
        if printed is not None and self in (sys.stdout, sys.stderr):
            printed.close()


@contextlib.contextmanager
def quietly() -> Iterator[Printed]:
    """Suppress the output and warnings of this thread, and count the printed characters.

    Streams and warning filters belong to the process, and threads would restore each other's.
    Therefore the first of several concurrent calls replaces them, and the last restores them.
    """
    printed = Printed()
    before = getattr(_OWN, "printed", None)
    _enter()
    _OWN.printed = printed
    try:
        with np.errstate(all="ignore"):
            yield printed
    finally:
        _OWN.printed = before
        _leave()


def _enter() -> None:
    with _LOCK:
        if not _SHARED["calls"]:
            stack = contextlib.ExitStack()
            stack.enter_context(contextlib.redirect_stdout(_Redirect(sys.stdout)))
            stack.enter_context(contextlib.redirect_stderr(_Redirect(sys.stderr)))
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            _SHARED["stack"] = stack
        _SHARED["calls"] += 1


def _leave() -> None:
    with _LOCK:
        _SHARED["calls"] -= 1
        if not _SHARED["calls"]:
            _SHARED.pop("stack").close()

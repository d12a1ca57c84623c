"""Capture the text that a function prints while it is called, separately for each thread."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import TextIO, cast

import numpy as np

_LOCK = threading.Lock()
_OWN = threading.local()
MOST_PRINTED = 2**26
"""Most characters that one call may print."""


class _Shared:
    """The calls in progress, and the streams and warning filters to restore after the last."""

    calls = 0
    restored = contextlib.ExitStack()


class PrintsTooMuchError(Exception):
    """Raised when a call prints more than `MOST_PRINTED` characters."""


class Printed(io.TextIOBase):
    """A stream that counts the characters written to it and discards them."""

    def __init__(self) -> None:
        self.count = 0

    def writable(self) -> bool:
        """Return True, as for any stream that can be written to."""
        return True

    def write(self, text: str) -> int:
        """Count the characters of a text. Raises: PrintsTooMuchError when there are too many."""
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self.count += len(text)
        if self.count > MOST_PRINTED:
            raise PrintsTooMuchError(f"it prints more than {MOST_PRINTED:,} characters in one call")
        return len(text)

    def __bool__(self) -> bool:
        """Whether characters were printed, or the stream was closed."""
        return self.closed or bool(self.count)


class _Redirect(io.TextIOBase):
    """A stream that redirects text to the capture of its thread, or to the original stream."""

    def __init__(self, usual: TextIO) -> None:
        self._usual = usual

    def _target(self) -> TextIO:
        """Return the capture of this thread, or the original stream."""
        printed: Printed | None = getattr(_OWN, "printed", None)
        return self._usual if printed is None else cast(TextIO, printed)

    def write(self, text: str) -> int:
        return self._target().write(text)

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        self._target().flush()

    def close(self) -> None:
        # A user function closes only its own capture, and garbage collection closes no stream.
        printed = getattr(_OWN, "printed", None)
        if printed is not None and self in (sys.stdout, sys.stderr):
            printed.close()


@contextlib.contextmanager
def quietly() -> Iterator[Printed]:
    """Suppress the output and warnings of this thread, and yield the count of its characters.

    Streams and warning filters belong to the process, so threads would restore those of each other.
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
    """Count a call; the first replaces the streams and warning filters of the process."""
    with _LOCK:
        if not _Shared.calls:
            stack = contextlib.ExitStack()
            stack.enter_context(contextlib.redirect_stdout(_Redirect(sys.stdout)))
            stack.enter_context(contextlib.redirect_stderr(_Redirect(sys.stderr)))
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            _Shared.restored = stack
        _Shared.calls += 1


def _leave() -> None:
    """End a call; the last restores the streams and warning filters of the process."""
    with _LOCK:
        _Shared.calls -= 1
        if not _Shared.calls:
            _Shared.restored.close()

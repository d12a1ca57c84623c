"""What a function prints while it is called is heard, thread by thread, and not shown."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any, TextIO

import numpy as np

_LOCK = threading.Lock()
_OWN = threading.local()
_SHARED: dict[str, Any] = {"calls": 0}


class _Ear(io.TextIOBase):
    """A stream whose text goes to what its thread hears by, or where the stream before it goes."""

    def __init__(self, usual: TextIO) -> None:
        self._usual = usual

    def _target(self) -> TextIO:
        heard: TextIO | None = getattr(_OWN, "heard", None)
        return self._usual if heard is None else heard

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
def quietly() -> Iterator[io.StringIO]:
    """Nothing of what this thread prints or warns of is shown; what it prints is heard.

    Streams and filters of warnings belong to the whole process, and threads would put back
    each other's: the first call in it exchanges them, the last puts them back.
    """
    heard = io.StringIO()
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

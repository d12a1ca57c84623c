"""Processes that run programs of others: their folder, their number, and their end."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from convalg.escape import terminal

MOST_OUTPUT = 2**26
"""Bytes that a program may write to its standard output and error."""
MOST_FILE = 2**28
"""Bytes of a file that it may write."""
MOST_PROCESSES = 64
"""Processes that it may have at a time."""
TICK = 0.1
"""Seconds between two looks at a program that is waited for."""

TOKEN = "CONVALG_CHECKED"
"""A variable of the environment by which a program's processes are recognised."""
_TAIL = 400
_SCAN = 0.25


class LimitError(Exception):
    """A program went beyond a limit: code and words."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words


class Watch:
    """The output of a program, of which the end is kept, and the number of its processes."""

    def __init__(self, token: str) -> None:
        self.token, self._heard, self._count, self._scanned = token, b"", 0, 0.0

    def hear(self, number: int) -> bool:
        """Read what there is in a pipe; whether there may be more. Raises: LimitError."""
        try:
            data = os.read(number, 2**16)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._count += len(data)
        self._heard = (self._heard + data)[-_TAIL:]
        if self._count > MOST_OUTPUT:
            words = f"it wrote more than {MOST_OUTPUT:,} bytes to its output"
            raise LimitError("prints-too-much", words)
        return bool(data)

    def hear_rest(self, number: int) -> None:
        """Read what is left of a program that ended. Raises: LimitError."""
        while _readable(number) and self.hear(number):
            pass

    def wait(self, number: int, seconds: float) -> None:
        """Hear what a pipe has to say for some time. Raises: LimitError."""
        with selectors.DefaultSelector() as selector:
            selector.register(number, selectors.EVENT_READ)
            if selector.select(max(seconds, 0)) and not self.hear(number):
                # The pipe is closed: only the end of the program is waited for.
                time.sleep(min(seconds, 0.005))

    @property
    def tail(self) -> str:
        """The end of the output, as it can be shown."""
        return terminal(self._heard.decode("utf-8", errors="replace"), lines=True).strip()

    def count(self, now: float) -> None:
        """Count the processes, now and then. Raises: LimitError."""
        if now - self._scanned < _SCAN:
            return
        self._scanned = now
        count = len(with_token(self.token))
        if count > MOST_PROCESSES:
            words = f"it has {count} processes at a time, and may have {MOST_PROCESSES}"
            raise LimitError("too-many-processes", words)


def end(process: subprocess.Popen[bytes], token: str) -> None:
    """End a process that has a session of its own, and all that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for _ in range(100):
        others = with_token(token)
        if not others:
            break
        for pid in others:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    process.wait()


@contextlib.contextmanager
def empty_folder() -> Iterator[Path]:
    """Make a folder for a program, which is removed with all that is in it."""
    folder = tempfile.mkdtemp(prefix="convalg-check-")
    try:
        yield Path(folder)
    finally:
        _remove(folder)


def _remove(folder: str) -> None:
    """Remove a folder that a stranger may have made deep, or closed to its owner."""
    top = os.path.join(folder, secrets.token_hex(8))
    stack, number = [folder], itertools.count()
    while stack:
        place = stack.pop()
        with contextlib.suppress(OSError):
            os.chmod(place, 0o700)
        try:
            entries = list(os.scandir(place))
        except OSError:
            continue
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)
            elif place == folder:
                stack.append(entry.path)
            else:
                # No path grows: what is deeper moves to the top.
                moved = f"{top}-{next(number)}"
                with contextlib.suppress(OSError):
                    os.chmod(entry.path, 0o700)
                    os.rename(entry.path, moved)
                    stack.append(moved)
        if place != folder:
            with contextlib.suppress(OSError):
                os.rmdir(place)
    with contextlib.suppress(OSError):
        os.rmdir(folder)


def _readable(number: int) -> bool:
    """Whether there is something to read at once."""
    with selectors.DefaultSelector() as selector:
        selector.register(number, selectors.EVENT_READ)
        return bool(selector.select(0))


def signal_name(number: int) -> str:
    """Return the name of a signal, such as SIGKILL."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def with_token(token: str) -> Sequence[int]:
    """The processes that were started with a token in their environment, where /proc tells."""
    mark = f"{TOKEN}={token}".encode()
    found = []
    for entry in _processes():
        try:
            environment = Path(f"/proc/{entry}/environ").read_bytes()
        except OSError:
            continue
        if mark in environment:
            found.append(int(entry))
    return found


def tasks_of_user() -> int:
    """Processes and threads of this user, which the system's limit of processes counts."""
    count, own = 0, os.getuid() if hasattr(os, "getuid") else -1
    for entry in _processes():
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{entry}").st_uid == own:
                count += len(os.listdir(f"/proc/{entry}/task"))
    return count


def _processes() -> list[str]:
    try:
        return [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []

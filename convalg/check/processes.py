"""Run user programs in processes: their folder, their number, and their termination."""

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
"""Most bytes that a program may write to its standard output and error."""
MOST_FILE = 2**28
"""Most bytes of a file that a program may write."""
MOST_PROCESSES = 64
"""Most processes that a program may have at a time."""
TICK = 0.1
"""Seconds between two polls of a running program."""

TOKEN = "CONVALG_CHECKED"
"""The environment variable that identifies the processes of a program."""
_TAIL = 400
"""Most bytes of the output that are kept."""
_SCAN = 0.25
"""Least seconds between two counts of the processes."""


class LimitError(Exception):
    """Raised when a program exceeds a limit; has the code and the message of the finding."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Watch:
    """Monitor the output of a program, whose end is kept, and the number of its processes."""

    def __init__(self, token: str) -> None:
        self.token, self._end_of_output, self._count, self._scanned = token, b"", 0, 0.0

    def read(self, number: int) -> bool:
        """Read the available output of a pipe, and return whether more may follow.

        Raises: LimitError when the program wrote too much.
        """
        try:
            data = os.read(number, 2**16)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._count += len(data)
        self._end_of_output = (self._end_of_output + data)[-_TAIL:]
        if self._count > MOST_OUTPUT:
            message = f"it wrote more than {MOST_OUTPUT:,} bytes to its output"
            raise LimitError("prints-too-much", message)
        return bool(data)

    def read_rest(self, number: int) -> None:
        """Read the remaining output of a program that ended.

        Raises: LimitError when the program wrote too much.
        """
        while _readable(number) and self.read(number):
            pass

    def wait(self, number: int, seconds: float) -> None:
        """Wait at most a number of seconds for output on a pipe, and read it.

        Raises: LimitError when the program wrote too much.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(number, selectors.EVENT_READ)
            if selector.select(max(seconds, 0)) and not self.read(number):
                # The pipe is closed, so wait for the end of the program.
                time.sleep(min(seconds, 0.005))

    @property
    def tail(self) -> str:
        """The end of the output, in printable form."""
        return terminal(self._end_of_output.decode("utf-8", errors="replace"), lines=True).strip()

    def count(self, now: float) -> None:
        """Count the processes of the program, if the last count is long enough ago.

        Raises: LimitError when there are too many.
        """
        if now - self._scanned < _SCAN:
            return
        self._scanned = now
        count = len(with_token(self.token))
        if count > MOST_PROCESSES:
            message = f"it has {count} processes at a time, but may have at most {MOST_PROCESSES}"
            raise LimitError("too-many-processes", message)


def end(process: subprocess.Popen[bytes], token: str) -> None:
    """End a process that has a session of its own, and all processes that it started."""
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
    """Yield a temporary folder for a program, and remove it afterwards with all its contents."""
    folder = tempfile.mkdtemp(prefix="convalg-check-")
    try:
        yield Path(folder)
    finally:
        _remove(folder)


def _remove(folder: str) -> None:
    """Remove a folder in which a program may have made deep or inaccessible folders."""
    top = os.path.join(folder, secrets.token_hex(8))
    stack, number = [folder], itertools.count()
    while stack:
        path = stack.pop()
        with contextlib.suppress(OSError):
            os.chmod(path, 0o700)
        try:
            entries = list(os.scandir(path))
        except OSError:
            continue
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)
            elif path == folder:
                stack.append(entry.path)
            else:
                # A deeper folder is moved to the top, so that no path becomes too long.
                moved = f"{top}-{next(number)}"
                with contextlib.suppress(OSError):
                    os.chmod(entry.path, 0o700)
                    os.rename(entry.path, moved)
                    stack.append(moved)
        if path != folder:
            with contextlib.suppress(OSError):
                os.rmdir(path)
    with contextlib.suppress(OSError):
        os.rmdir(folder)


def _readable(number: int) -> bool:
    """Whether a read from a pipe would return immediately."""
    with selectors.DefaultSelector() as selector:
        selector.register(number, selectors.EVENT_READ)
        return bool(selector.select(0))


def signal_name(number: int) -> str:
    """Return the name of a signal, such as SIGKILL for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def with_token(token: str) -> Sequence[int]:
    """Return the ids of the processes with a token in their environment; none without /proc."""
    mark = f"{TOKEN}={token}".encode()
    pids = []
    for entry in _processes():
        try:
            environment = Path(f"/proc/{entry}/environ").read_bytes()
        except OSError:
            continue
        if mark in environment:
            pids.append(int(entry))
    return pids


def tasks_of_user() -> int:
    """Return the number of processes and threads of this user, as RLIMIT_NPROC counts them."""
    count, own = 0, os.getuid() if hasattr(os, "getuid") else -1
    for entry in _processes():
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{entry}").st_uid == own:
                count += len(os.listdir(f"/proc/{entry}/task"))
    return count


def _processes() -> list[str]:
    """Return the ids of all processes as text; none without /proc."""
    try:
        return [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []

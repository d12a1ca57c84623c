"""Call a function in a user file in a separate process with limits.

That process only answers calls: it receives arrays and options, and returns arrays or an error.
The configurations, the correct results and the report stay in this process, so a checked file can
return any result, but it can neither write nor read a report.

Where the system supports it, limits apply to the time in calls, the address space, the sizes of
files, the number of processes, the processor time, the printed output, and the size of a result.
The working directory is empty and is removed afterwards. The file has all rights of the user who
checks it: it can read and write the files of that user, use the network, and end or trace other
processes of that user, and a process of the superuser can raise its limits again. Check untrusted
files in a container or as a separate user.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convalg.arrays import Array
from convalg.check.candidate import LONGEST_NAME, Candidate, Outcome
from convalg.check.problem import Kind, Problem
from convalg.check.processes import (
    MOST_FILE,
    MOST_PROCESSES,
    TICK,
    TOKEN,
    LimitError,
    Watch,
    empty_folder,
    end,
    signal_name,
    tasks_of_user,
)
from convalg.check.sweep import Config
from convalg.check.wire import BrokenMessageError, packed, received
from convalg.errors import ArgumentError
from convalg.escape import terminal

START = 120.0
"""Most seconds for Python and convalg to start, before the file is loaded."""
LONGEST_MESSAGE = 2000
"""Most characters of a message from the process."""

# The codes that the process may report for a call. This process determines all other codes.
_CODES = {
    *("", "raises", "wrong-type", "wrong-shape", "mutates-input", "needs-adapter", "hangs"),
    "prints-too-much",
}
_REFUSALS = {"raises", "wrong-signature", "no-function"}


class EndedError(LimitError):
    """Raised when the process ended or sent an invalid answer (`final`: before the first call)."""

    def __init__(self, code: str, message: str, *, final: bool = False) -> None:
        super().__init__(code, message)
        self.final = final


@dataclass(frozen=True, eq=False)
class Remote(Candidate):
    """A candidate whose calls are made in separate processes."""

    processes: tuple[Process, ...] = field(default=())

    def __call__(self, config: Config, p: Problem) -> Outcome:
        """Return the outcome of one call.

        All calls of a configuration go to the same process, so that cached results are detected.
        """
        arrays = {name: getattr(p, name) for name in self.kind.arrays}
        process = self.processes[hash(config) % len(self.processes)]
        try:
            return process.call(self.kind, arrays, config.options(self.options))
        except LimitError:
            # Calls that wait in other threads must end too.
            for one in self.processes:
                one.end()
            raise


@contextlib.contextmanager
def remote(
    path: Path, function: str, kind: Kind, *, timeout: float, memory: int, count: int = 1
) -> Iterator[Remote]:
    """Yield the function of a file as a candidate.

    Args:
        path: the file.
        function: the name of the function.
        kind: the kind of function.
        timeout: the maximum time in seconds of each process for loading the file and for all calls.
        memory: the maximum address space of each process in bytes.
        count: the number of processes that share the calls.

    Raises:
        EndedError: when the file cannot be loaded or does not have the function.
        ArgumentError: when `memory` is less than Python itself needs.
    """
    job = {"path": str(path.resolve()), "function": function, "kind": kind.name}
    with contextlib.ExitStack() as stack:
        made = []
        for _ in range(count):
            folder = stack.enter_context(empty_folder())
            made.append(Process(job, folder, timeout, memory))
            stack.callback(made[-1].end)
        greetings = [one.greeting() for one in made]
        given = greetings[0]["options"]
        options = tuple(name for name in kind.options if name in given)
        yield Remote(made[0].call, kind, options, greetings[0]["name"], tuple(made))


class Process:
    """A process that loads a file and answers calls, one at a time."""

    def __init__(self, job: dict[str, str], folder: Path, timeout: float, memory: int) -> None:
        self._left, self._timeout, self._memory = timeout, timeout, memory
        self._lock, token = threading.Lock(), secrets.token_hex(16)
        self._watch = Watch(token)
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        self._output, output = os.pipe()
        for number in (self._requests, self._answers, self._output):
            os.set_blocking(number, False)
        seconds = (timeout + START) * (os.cpu_count() or 1)
        limits = {
            "AS": memory,
            "FSIZE": MOST_FILE,
            "NPROC": tasks_of_user() + 4 * MOST_PROCESSES,
            "CPU": int(seconds) if seconds < 2**31 else None,
            "CORE": 0,
        }
        # With -P, files in the working directory cannot shadow libraries.
        command = [sys.executable, "-P", "-m", "convalg.check.worker"]
        own = str(Path(__file__).parents[2])
        paths = os.pathsep.join(filter(None, (own, os.environ.get("PYTHONPATH"))))
        try:
            # In a new session, all processes that it starts can be ended together with it.
            self._process = subprocess.Popen(
                [*command, json.dumps({**job, "limits": limits}), str(requests), str(answers)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(requests, answers),
                start_new_session=True,
                cwd=folder,
                env={
                    **os.environ,
                    "PYTHONPATH": paths,
                    "TMPDIR": str(folder),
                    "MPLBACKEND": "agg",
                    TOKEN: token,
                },
            )
        finally:
            for number in (requests, answers, output):
                os.close(number)

    def greeting(self) -> dict[str, Any]:
        """Return the name and the options of the function, as soon as the file is loaded."""
        left, self._left = self._left, START
        try:
            needed = self._received()[0].get("needed")
        except LimitError as error:
            raise EndedError(error.code, f"before the file was loaded, {error.message}") from None
        if needed:
            raise ArgumentError(
                f"memory must be at least {int(needed):,} bytes, not {self._memory:,}: Python and "
                f"its libraries need this much before a function is loaded"
            )
        self._left = left
        table, _ = self._received()
        name, options = table.get("name"), table.get("options")
        if isinstance(name, str) and isinstance(options, list):
            return {"name": terminal(name)[:LONGEST_NAME], "options": options}
        if str(table.get("code")) in _REFUSALS:
            raise EndedError(table["code"], _message(table), final=True)
        raise EndedError("crashes", "it left no readable answer")

    def call(self, kind: Kind, arrays: dict[str, Array], options: dict[str, object]) -> Outcome:
        """Return the outcome of one call. Raises: EndedError when the process does not answer."""
        with self._lock:
            self._send(packed({"options": options}, arrays))
            table, parts = self._received()
        code = table.get("code")
        if code == "missing-library":
            raise EndedError("missing-library", _message(table), final=True)
        complete = parts.keys() == kind.parts.keys()
        if (
            not isinstance(code, str)
            or code not in _CODES
            or not (complete or (code and not parts))
        ):
            raise EndedError("crashes", "it left no readable answer")
        parts = {part: parts[part] for part in kind.parts if part in parts}
        printed, refused = (table.get(name) is True for name in ("printed", "refused"))
        return Outcome(parts, code, _message(table), printed, refused)

    def end(self) -> None:
        """End the process and all processes that it started."""
        end(self._process, self._watch.token)
        for name in ("_requests", "_answers", "_output"):
            number = getattr(self, name)
            if number >= 0:
                setattr(self, name, -1)
                os.close(number)

    def _send(self, message: bytes) -> None:
        """Write a message to the process, in pieces that it can read."""
        view = memoryview(message)
        while view:
            self._wait(self._requests, selectors.EVENT_WRITE)
            try:
                view = view[os.write(self._requests, view[: 2**16]) :]
            except BlockingIOError:
                continue
            except OSError:
                raise self._gone() from None

    def _received(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the table and the arrays of the next message of the process."""
        try:
            return received(self._read)
        except BrokenMessageError:
            raise EndedError("crashes", "it left no readable answer") from None

    def _read(self, count: int) -> bytes:
        """Return the next bytes that the process sends."""
        data = bytearray()
        while len(data) < count:
            self._wait(self._answers, selectors.EVENT_READ)
            try:
                more = os.read(self._answers, min(count - len(data), 2**20))
            except BlockingIOError:
                continue
            except OSError:
                more = b""
            if not more:
                raise self._gone()
            data += more
        return bytes(data)

    def _wait(self, number: int, event: int) -> None:
        """Wait until the process reads or answers, and read its output in the meantime.

        Raises: EndedError when its time is over or it has ended, LimitError when it has too many
        processes or writes too much.
        """
        start = time.monotonic()
        if number < 0:
            raise self._gone()
        with selectors.DefaultSelector() as selector:
            selector.register(number, event)
            if self._output >= 0:
                selector.register(self._output, selectors.EVENT_READ)
            while True:
                try:
                    ready = {key.fd for key, _ in selector.select(min(TICK, max(self._left, 0)))}
                except OSError:
                    raise self._gone() from None
                now = time.monotonic()
                self._left, start = self._left - (now - start), now
                if self._output in ready and not self._watch.read(self._output):
                    selector.unregister(self._output)
                if number in ready:
                    return
                if self._left <= 0:
                    message = f"it did not finish within {self._timeout:g} seconds"
                    raise EndedError("hangs", message)
                if self._process.poll() is not None and not selector.select(0):
                    # The process has ended, and all that it wrote has been read.
                    raise self._gone()
                self._watch.count(now)

    def _gone(self) -> EndedError:
        """Return the error that describes how the process ended."""
        try:
            status = self._process.wait(2)
        except subprocess.TimeoutExpired:
            return EndedError("crashes", "it closed the pipe for its answers")
        if self._output >= 0:
            with contextlib.suppress(LimitError):
                self._watch.read_rest(self._output)
        if status < 0:
            return EndedError("crashes", f"it crashed the interpreter ({signal_name(-status)})")
        tail = f": {self._watch.tail}" if self._watch.tail else ""
        return EndedError("crashes", f"it ended the interpreter with status {status}{tail}")


def _message(table: Mapping[str, object]) -> str:
    """Return the message in a table of the process in printable form, empty if it has none."""
    message = table.get("words")
    return terminal(message if isinstance(message, str) else "", lines=True)[:LONGEST_MESSAGE]

"""A contestant in a separate process, which is told when to take its turns.

Thread pools in one process disturb each other (a parallel trainer next to BLAS ran 60 times
slower), and importing one library changes the threads of another. So each contestant has its own
process, and each library runs as it does for its users. The processes take turns in lockstep: only
one computes at a time.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from benchmarks.harness import Array, CrashError, Job, Local, Quantity
from benchmarks.machine import CLOCK_VARIABLE, clock

ROOT = Path(__file__).parents[1]

REST = 0.03
"""Seconds before a turn, for the threads of the contestant before to fall asleep."""

POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
KEPT_PAGES = {
    # Freed memory stays with the process: mapping it again costs as much as filling it.
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**62),
    "MALLOC_TOP_PAD_": str(2**26),
}


def environment(
    threads: int, *, native: bool = False, fresh_pages: bool = False, time_on: str = "wall"
) -> dict[str, str]:
    """The variables of a contestant's process."""
    variables = dict(os.environ) | {CLOCK_VARIABLE: time_on}
    variables |= dict.fromkeys(POOLS, str(threads))
    if native:
        variables.pop("OPENBLAS_CORETYPE", None)
    if not fresh_pages:
        variables |= KEPT_PAGES
    # Keep the caller's PYTHONPATH first, whatever folder the processes start in.
    variables["PYTHONSAFEPATH"] = "1"
    variables["PYTHONPATH"] = os.pathsep.join(
        part for part in (os.environ.get("PYTHONPATH", ""), str(ROOT)) if part
    )
    return variables


class Apart:
    """A contestant in its own process; see `Seat`."""

    def __init__(
        self, module: str, job: str, name: str, *, quick: bool, variables: Mapping[str, str]
    ) -> None:
        self.name = name
        self.arguments = [module, job, name, *(["quick"] if quick else [])]
        self.variables = dict(variables)
        self.process: subprocess.Popen[str] | None = None

    def build(self) -> str:
        """Start the process and create the inputs; return why it is missing, or an empty text."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", *self.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.variables,
            text=True,
        )
        return str(self._ask("build"))

    def answer(self) -> Array:
        """The result of one call, as the job compares it."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "answer.npy")
            self._ask("answer", str(path))
            return np.load(path, allow_pickle=False)

    def settle(self) -> float:
        """Warm up and choose how often a turn repeats the call; seconds of a turn."""
        return float(self._ask("settle"))

    def turn(self) -> float:
        """Seconds per call of one turn."""
        time.sleep(REST)
        return float(self._ask("turn"))

    def measure(self) -> float:
        """The value of a quantity's part."""
        self.build()
        return float(self._ask("measure"))

    def close(self) -> None:
        """End the process."""
        if self.process is None:
            return
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None

    def __enter__(self) -> Apart:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, *command: str) -> Any:
        if self.process is None or self.process.stdin is None or self.process.stdout is None:
            raise CrashError(f"{self.name} has no process: build() comes first")
        try:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # The process died; reading from it raises the error.
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            raise CrashError(
                f"{self.name}: its process ended with status {status} on {command[0]!r}"
            )
        kind, value = json.loads(line)
        if kind == "error":
            raise CrashError(f"{self.name}: {value}")
        return value


def find(module: str, name: str, *, quick: bool) -> Job | Quantity:
    """The job of that name in a module with a function `jobs(quick)`."""
    jobs = importlib.import_module(module).jobs(quick)
    named = {job.name: job for job in jobs}
    if name not in named:
        raise KeyError(f"{module} has no job {name!r}; it has {', '.join(named)}")
    return named[name]


def serve(commands: IO[str], replies: IO[str], job: Job | Quantity, name: str) -> None:
    """Execute commands, one line of JSON each, and reply to each with one line."""
    seat = Local(job, name, clock()) if isinstance(job, Job) else None
    for line in commands:
        command, *rest = json.loads(line)
        value: Any = ""
        try:
            match command:
                case "measure" if isinstance(job, Quantity):
                    value = job.parts[name]()
                case "answer" if seat is not None:
                    # Objects are compared as text, since they would have to be pickled.
                    result = seat.answer()
                    np.save(rest[0], result.astype(str) if result.dtype.kind == "O" else result)
                case "build" | "settle" | "turn" if seat is not None:
                    value = getattr(seat, command)()
            reply = ("value", value)
        except Exception as error:  # A peer may raise anything; it is reported
            reply = ("error", f"{type(error).__name__}: {error}")
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def main() -> None:
    """Serve over the standard streams; output of libraries is redirected to standard error."""
    module, job, name, *rest = sys.argv[1:]
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.stdin, replies, find(module, job, quick="quick" in rest), name)


if __name__ == "__main__":
    main()

"""A program that is run on files of arrays, with limits, and the arrays that it leaves."""

from __future__ import annotations

import io
import math
import os
import secrets
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from convalg.arrays import Array
from convalg.check.processes import (
    MOST_FILE,
    TICK,
    TOKEN,
    Watch,
    end,
)
from convalg.errors import FileError
from convalg.files import regular_bytes

SHELL = Path("/bin/sh")
# The limits of a program, set by the shell's own words and then left to it; a shell that lacks
# one goes on. The program and its arguments are passed as they are, never read by the shell.
LIMITS = (
    'ulimit -c 0 2>/dev/null; ulimit -f "$1" 2>/dev/null; '
    '[ -z "$2" ] || ulimit -v "$2" 2>/dev/null; [ -z "$3" ] || ulimit -t "$3" 2>/dev/null; '
    'shift 3; exec "$@"'
)


def run_program(
    command: Sequence[str], folder: Path, *, timeout: float, memory: int | None
) -> tuple[int, str]:
    """Return the exit status of a program and the end of what it printed.

    It runs in the folder, in a session of its own, of which nothing is left.

    Raises: TimeoutError when it does not end, LimitError when it has too many processes or prints
    too much, FileNotFoundError when there is none.
    """
    token = secrets.token_hex(16)
    seconds = "" if math.isinf(timeout) else str(math.ceil(timeout) * (os.cpu_count() or 1))
    limits = [str(MOST_FILE // 512), "" if memory is None else str(memory // 1024), seconds]
    limited = [str(SHELL), "-c", LIMITS, "limited", *limits] if SHELL.exists() else []
    process = subprocess.Popen(
        [*limited, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        cwd=folder,
        env={**os.environ, TOKEN: token, "TMPDIR": str(folder)},
    )
    watch, stop = Watch(token), time.monotonic() + timeout
    with process:
        assert process.stdout is not None
        output = process.stdout.fileno()
        os.set_blocking(output, False)
        try:
            while process.poll() is None:
                now = time.monotonic()
                if now >= stop:
                    raise TimeoutError(f"it did not finish within {timeout:g} seconds")
                watch.wait(output, min(TICK, stop - now))
                watch.count(now)
            watch.hear_rest(output)
        finally:
            end(process, token)
    return process.returncode, watch.tail


def array_of(place: Path) -> Array:
    """Return the array of a `.npy` file that a program wrote.

    Raises: FileError for what is no such file; its size is known before memory is taken, and
    nothing in it is unpickled.
    """
    data = regular_bytes(place, MOST_FILE)
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, in_columns, dtype = read(stream)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{place.name} does not hold an array ({error})") from None
    count, left = math.prod(shape), len(data) - stream.tell()
    if dtype.hasobject or dtype.itemsize == 0 or any(n < 0 for n in shape):
        raise FileError(f"{place.name} holds objects or text of {dtype}, not numbers")
    if count * dtype.itemsize > left:
        raise FileError(
            f"{place.name} announces {count:,} numbers of {dtype}, and holds {left:,} bytes"
        )
    flat = np.frombuffer(data, dtype=dtype, count=count, offset=stream.tell())
    return flat.reshape(shape, order="F" if in_columns else "C").copy()

"""Run a program on files of arrays, with limits, and read the arrays that it writes."""

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
# Builtins of the shell set the limits of a program before the shell replaces itself by the program.
# A limit that the shell does not support is skipped. The program and its arguments are passed as
# positional parameters, which the shell never parses.
LIMITS = (
    'ulimit -c 0 2>/dev/null; ulimit -f "$1" 2>/dev/null; '
    '[ -z "$2" ] || ulimit -v "$2" 2>/dev/null; [ -z "$3" ] || ulimit -t "$3" 2>/dev/null; '
    'shift 3; exec "$@"'
)


def run_program(
    command: Sequence[str], folder: Path, *, timeout: float, memory: int | None
) -> tuple[int, str]:
    """Return the exit status of a program and the end of its output.

    The program runs in a folder, in a session of its own, all of whose processes are ended with it.

    Args:
        command: the program and its arguments.
        folder: the working directory and the folder for temporary files.
        timeout: the maximum time in seconds that the program may run.
        memory: the maximum address space in bytes, or None for no limit.

    Raises:
        TimeoutError: when the program does not end in time.
        LimitError: when the program has too many processes or prints too much.
        FileNotFoundError: when the program does not exist.
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
            watch.read_rest(output)
        finally:
            end(process, token)
    return process.returncode, watch.tail


def array_of(path: Path) -> Array:
    """Return the array in a `.npy` file that a program wrote, of any shape and type of numbers.

    The size is checked before memory is allocated, and nothing in the file is unpickled.

    Raises:
        FileError: when the file is not a complete `.npy` file of numbers.
    """
    data = regular_bytes(path, MOST_FILE)
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
        raise FileError(f"{path.name} must be a .npy file of one array ({error})") from None
    count, left = math.prod(shape), len(data) - stream.tell()
    if dtype.hasobject or dtype.itemsize == 0 or any(n < 0 for n in shape):
        raise FileError(f"{path.name} must contain numbers, not objects or text of dtype {dtype}")
    if count * dtype.itemsize > left:
        raise FileError(
            f"{path.name} must contain {count:,} numbers of {dtype}, but it has only "
            f"{left:,} bytes: write the file completely"
        )
    flat = np.frombuffer(data, dtype=dtype, count=count, offset=stream.tell())
    return flat.reshape(shape, order="F" if in_columns else "C").copy()

"""A program that writes checkpoints, kills itself while it does, and looks at what is left.

Arguments: a folder, the number of kills, a seed. Each line it prints is one kill: the step that
was written for certain, the step that is found, 1 where it is whole, the files begun and left.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from convalg.train import checkpoint


def arrays_of(step: int) -> dict[str, np.ndarray]:
    """Long enough that most of the time goes into writing."""
    return {str(k): np.full(50_000, step + k, dtype=np.int64) for k in range(4)}


def writes(folder: Path, start: int, pipe: int) -> None:
    """Checkpoints without end, each reported once `write` has come back."""
    step = start
    while True:
        step += 1
        checkpoint.write(folder, arrays_of(step), {"step": step})
        os.write(pipe, step.to_bytes(8, "little"))


def kills(folder: Path, start: int, wait: float) -> int:
    """The last step that a writer reported before it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        writes(folder, start, writing)
    os.close(writing)
    time.sleep(wait)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    told = start
    while piece := os.read(reading, 8):
        told = int.from_bytes(piece, "little")
    os.close(reading)
    return told


def main() -> None:
    folder, count, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    draw = random.Random(seed)
    start = time.perf_counter()
    checkpoint.write(folder, arrays_of(0), {"step": 0})
    longest = 3 * (time.perf_counter() - start)
    step = 0
    for _ in range(count):
        told = kills(folder, step, draw.uniform(0, longest))
        arrays, facts = checkpoint.read(folder)
        step = facts["step"]
        whole = all((arrays[name] == array).all() for name, array in arrays_of(step).items())
        left = len(list(folder.iterdir())) - 1
        print(told, step, int(whole), left, flush=True)
    checkpoint.write(folder, arrays_of(step), {"step": step})


if __name__ == "__main__":
    main()

"""The machine and its highest rates: matrix products, filling and copying memory."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "convalg",
    "numpy",
    "scipy",
    "sympy",
    "torch",
    "jax",
    "torchinfo",
    "pylops",
    "python-flint",
)

BYTES = 2**29
"""Of the arrays that are filled and copied: far more than any cache holds."""


def cpu_seconds() -> float:
    """Seconds of processors that this process, its threads and its ended children have used."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": cpu_seconds}
CLOCK_VARIABLE = "BENCHMARKS_CLOCK"


def clock() -> Callable[[], float]:
    """The clock named by the environment: wall-clock time, unless it is "cpu"."""
    return CLOCKS[os.environ.get(CLOCK_VARIABLE, "wall")]


def others_share(seconds: float = 1.0) -> float | None:
    """The share of the processors that is busy while this process waits; None if unknown.

    The effect of other work on the times of a run cannot be corrected afterwards.
    """
    source = Path("/proc/stat")
    if not source.exists():
        return None

    def ticks() -> tuple[int, int]:
        numbers = [
            int(n) for n in source.read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9]
        ]
        return sum(numbers), numbers[3] + numbers[4]

    all_before, idle_before = ticks()
    time.sleep(seconds)
    all_after, idle_after = ticks()
    passed = max(all_after - all_before, 1)
    return 1 - (idle_after - idle_before) / passed


@dataclass(frozen=True)
class Rates:
    """Billions a second: operations of a float32 product, bytes filled, bytes copied.

    A copy counts its bytes twice, once read and once written.
    """

    sgemm: float
    fill: float
    copy: float


def better(first: Rates, second: Rates) -> Rates:
    """The higher of two measurements of each rate: what disturbs them only lowers them."""
    return Rates(
        max(first.sgemm, second.sgemm), max(first.fill, second.fill), max(first.copy, second.copy)
    )


def best_of(call: Callable[[], object], times: int) -> float:
    """Seconds of the fastest of some calls, after one that is not timed."""
    call()
    best, now = float("inf"), clock()
    for _ in range(times):
        start = now()
        call()
        best = min(best, now() - start)
    return best


def rates(size: int = 4096, count: int = BYTES) -> Rates:
    """The machine's rates as NumPy has them in this process, with its threads."""
    import numpy as np

    a = np.full((size, size), 0.5, dtype=np.float32)
    b, out = a.copy(), np.empty_like(a)
    product = best_of(lambda: np.matmul(a, b, out=out), 5)
    target, source = np.empty(count // 4, dtype=np.float32), np.ones(count // 4, dtype=np.float32)
    filled = best_of(lambda: target.fill(1.5), 5)
    copied = best_of(lambda: np.copyto(target, source), 5)
    return Rates(2 * size**3 / product / 1e9, count / filled / 1e9, 2 * count / copied / 1e9)


def measured_rates(variables: Mapping[str, str], *, quick: bool = False) -> Rates:
    """The rates in a fresh process with these variables."""
    sizes = "1024, 2**26" if quick else ""
    code = (
        "import json; from dataclasses import asdict; from benchmarks.machine import rates; "
        f"print(json.dumps(asdict(rates({sizes}))))"
    )
    text = subprocess.run(
        [sys.executable, "-c", code],
        env=dict(variables),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return Rates(**json.loads(text))


def processor() -> str:
    """The processor's name."""
    source = Path("/proc/cpuinfo")
    if source.exists():
        for line in source.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def version(package: str) -> str:
    """The installed version, or "not installed"."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def blas() -> str:
    """The BLAS that NumPy was built with."""
    import numpy as np

    config = np.show_config(mode="dicts")
    named = config["Build Dependencies"]["blas"] if isinstance(config, dict) else {}
    return f"{named.get('name', 'unknown')} {named.get('version', '')}".strip()


def core_type(variables: Mapping[str, str]) -> str:
    """The value of OPENBLAS_CORETYPE, and its effect on speed."""
    value = variables.get("OPENBLAS_CORETYPE")
    if value is None:
        return "not set (OpenBLAS chooses for this processor)"
    cost = "; on a machine with AVX-512 this halves sgemm" if value == "Haswell" else ""
    return f"{value}{cost}"


def report(variables: Mapping[str, str], rates: Rates, settings: Mapping[str, str]) -> list[str]:
    """Lines that describe the machine and the settings of the run."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return [
        f"processor: {processor()}, {os.cpu_count()} cores; {platform.system()}",
        f"Python {platform.python_version()}; {versions}; NumPy's BLAS: {blas()}",
        f"OPENBLAS_CORETYPE: {core_type(variables)}",
        *(f"{name}: {value}" for name, value in settings.items()),
        f"rates of NumPy: sgemm n=4096 {rates.sgemm:.0f} GFLOP/s, fill {rates.fill:.1f} GB/s, "
        f"copy {rates.copy:.1f} GB/s",
    ]

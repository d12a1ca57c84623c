"""Memory: bytes per stored entry, and the memory of a layer of 113 million entries, not stored."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.harness import Quantity
from benchmarks.jobs.apply import BATCH
from benchmarks.jobs.layers import WIDE, Layer, samples

LARGE = WIDE[0]
SMALL = Layer("small", (8, 8), 3, 1, (64, 64))


def resident(field: str) -> int:
    """Bytes of this process's memory, now ("VmRSS") or at its highest ("VmHWM")."""
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    match = re.search(rf"{field}:\s+(\d+) kB", text)
    if match is None:
        raise OSError(f"/proc/self/status has no {field}")
    return int(match[1]) * 1024


Stage = Callable[[Layer], Callable[[], Any]]


def _hold(layer: Layer) -> Callable[[], Any]:
    return lambda: layer.operator().counts


def _draw(layer: Layer) -> Callable[[], Any]:
    import convalg as ca

    operator = layer.operator()
    return lambda: ca.draw.matrix(operator)


def _apply(layer: Layer) -> Callable[[], Any]:
    operator, x = layer.operator(), samples((BATCH, *layer.in_shape))
    return lambda: operator(x)


def _adjoint(layer: Layer) -> Callable[[], Any]:
    operator, g = layer.operator(), samples((BATCH, *layer.out_shape))
    return lambda: operator.T(g)


def _differentiate(layer: Layer) -> Callable[[], Any]:
    operator = layer.operator()
    x, g = samples((BATCH, *layer.in_shape)), samples((BATCH, *layer.out_shape))
    return lambda: operator.kernel_gradient(x, g)


def over(stage: Stage) -> Callable[[], float]:
    """Peak megabytes of a stage, beyond its input and output.

    A small layer is run first, so that loading libraries and BLAS buffers are not counted.
    """

    def measure() -> float:
        stage(SMALL)()
        call = stage(LARGE)
        before = resident("VmRSS")
        result = call()
        size = getattr(result, "nbytes", 0)
        return max(resident("VmHWM") - before - size, 0) / 1e6

    return measure


def stored() -> float:
    """Bytes of SciPy's matrix for each entry."""
    layer = WIDE[1]
    matrix = layer.operator().to_scipy()
    return (matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes) / matrix.nnz


def implicit() -> float:
    """Bytes of the operator for each entry of its matrix: what pickle writes of it."""
    operator = LARGE.operator()
    operator.counts  # noqa: B018 - what is remembered of it counts as well
    return len(pickle.dumps(operator)) / LARGE.nonzeros


def coordinates() -> float:
    """Bytes of SciPy's coordinates with 64-bit indices, as built without care, for each entry."""
    from benchmarks.jobs.peers import triples

    layer = WIDE[1]
    row, column, _ = triples(layer)
    return (row.nbytes + column.nbytes + 4 * row.size) / row.size


def jobs(quick: bool) -> list[Quantity]:
    """Bytes of an entry, stored and not; the peak of each thing done with the large layer."""
    stages: dict[str, Stage] = {
        "convalg, held and counted": _hold,
        "convalg, drawn": _draw,
        "convalg, A(x)": _apply,
        "convalg, A.T(g)": _adjoint,
        "convalg, kernel gradient": _differentiate,
    }
    return [
        Quantity(
            "bytes per entry, stored",
            "bytes",
            {"convalg, CSR": stored, "NumPy coordinates": coordinates},
            aim=8.1,
        ),
        Quantity("bytes per entry, implicit", "bytes", {"convalg": implicit}, aim=0.005),
        Quantity(
            "peak memory over input and output",
            "MB",
            {name: over(stage) for name, stage in stages.items()},
            aim=200,
            heavy=True,
        ),
    ]

"""Building a layer's sparse matrix, and writing new weights into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.harness import Array, Job, Work
from benchmarks.jobs import peers
from benchmarks.jobs.layers import CUBE, LENET, LONG_LINE, WIDE, Layer, Maker, samples

ENTRY = 8
"""Bytes of a stored entry: a float32 and an int32."""


def fingerprint(matrix: Any) -> Array:
    """A few numbers that equal matrices share: its size and what it makes of two vectors.

    SciPy's products are summed in one order, so the tolerance is that of float32.
    """
    matrix = matrix.tocsr()
    rows, columns = matrix.shape
    ends = np.linspace(0, rows, 65).astype(int)[:-1]
    forward = np.add.reduceat(matrix @ samples((columns,)).astype(np.float64), ends)
    weighted = np.add.reduceat(matrix @ np.sqrt(np.arange(columns, dtype=np.float64)), ends)
    scaled = [part / (np.abs(part).max() or 1.0) for part in (forward, weighted)]
    # Digit by digit, for counts to be compared exactly with numbers that are rounded.
    digits = "".join(f"{count:020d}" for count in (rows, columns, matrix.nnz))
    return np.concatenate([*scaled, [int(digit) / 10 for digit in digits]])


def _by(build: Callable[[Layer, Array], Any], layer: Layer, *, needs: str = "") -> Maker:
    def make() -> Callable[[], Any]:
        if needs:
            __import__(needs)
        weights = layer.weights()
        return lambda: build(layer, weights)

    return make


def _ours(layer: Layer) -> Maker:
    def make() -> Callable[[], Any]:
        operator, weights = layer.operator(), layer.weights()
        # A fresh operator each time; what convalg remembers of a geometry stays, as for a user.
        return lambda: operator.refill(weights).to_scipy()

    return make


def _fill(bytes_: int) -> Maker:
    def make() -> Callable[[], Any]:
        def call() -> None:
            np.full(bytes_ // 4, 1.5, dtype=np.float32)

        return call

    return make


def build(layer: Layer, *others: str, aim: float | None, reference: str = "fill") -> Job:
    """Building the matrix: against a fill of its bytes, or another way where it is tiny."""
    ways: dict[str, Maker] = {
        "convalg": _ours(layer),
        "fill": _fill(layer.nonzeros * ENTRY),
        "coordinates": _by(peers.from_triples, layer),
        "Kronecker sum": _by(peers.from_kronecker, layer),
        "F.conv of impulses": _by(peers.from_impulses, layer, needs="torch"),
        "Python loops": _by(peers.from_loops, layer),
    }
    names = ["convalg", "fill", "coordinates", *others]
    return Job(
        f"build CSR {layer.name}",
        reference,
        {name: ways[name] for name in names},
        aim=aim,
        work=Work(written=layer.nonzeros * ENTRY),
        answer=fingerprint,
        oracle="coordinates",
        limits=frozenset({"fill"}),
        heavy=layer.heavy,
    )


def _refill(layer: Layer) -> Maker:
    def make() -> Callable[[], Any]:
        operator, weights = layer.operator(seed=5), layer.weights()
        matrix = operator.to_scipy()
        return lambda: operator.refill(weights).to_scipy(out=matrix)

    return make


def _take(layer: Layer) -> Maker:
    def make() -> Callable[[], Any]:
        # All output channels share one map of weight indices: 8 bytes per entry of one channel.
        one = replace(layer, channels=None if layer.channels is None else (layer.inputs, 1))
        shape = one.kernel_shape
        count = int(np.prod(shape))
        numbers = np.arange(1, count + 1, dtype=np.float64).reshape(shape)
        labels = peers.from_triples(one, numbers).data.astype(np.intp) - 1
        weights = layer.weights().reshape(layer.outputs, count)
        matrix = peers.from_triples(layer, np.zeros_like(layer.weights()))
        lines = matrix.data.reshape(layer.outputs, -1)

        def call() -> Any:
            for weight, line in zip(weights, lines, strict=True):
                np.take(weight, labels, out=line, mode="clip")
            return matrix

        return call

    return make


def refill(layer: Layer, *, aim: float | None, reference: str = "fill") -> Job:
    """Write new weights into an existing matrix."""
    return Job(
        f"refill CSR {layer.name}",
        reference,
        {
            "convalg": _refill(layer),
            "fill": _fill(layer.nonzeros * 4),
            "np.take with a stored map": _take(layer),
            "coordinates": _by(peers.from_triples, layer),
        },
        aim=aim,
        work=Work(written=layer.nonzeros * 4),
        answer=fingerprint,
        oracle="coordinates",
        limits=frozenset({"fill"}),
        heavy=layer.heavy,
    )


def jobs(quick: bool) -> list[Job]:
    """Aims: 55 % of the fill rate from four million entries, and half of it for a refill there.

    Building the smallest layer has a time for an aim, 130 us where coordinates took 410.
    """
    wide, middle = WIDE
    small = LENET[0]
    return [
        build(wide, aim=1 / 0.55),
        build(middle, "Kronecker sum", aim=1 / 0.55),
        build(LONG_LINE, "Kronecker sum", aim=1 / 0.55),
        build(CUBE, "Kronecker sum", aim=None),
        build(
            small,
            "Kronecker sum",
            "F.conv of impulses",
            "Python loops",
            aim=130 / 410,
            reference="coordinates",
        ),
        refill(wide, aim=2.0),
        refill(middle, aim=2.0),
        refill(small, aim=None),
    ]

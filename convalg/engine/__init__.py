"""Applying a pattern to NumPy arrays, fast: the engines and the choice among them.

`gather` reads the pattern's own index tables and works for every geometry and every kind of number.
For machine numbers there are faster engines, one module each: `stored` (CSR), `im2col`, `tiles` and
`bands` (dense Toeplitz blocks), `taps`, `fourier`. `choice` takes the one with the least time in a
small model (`cost`). All of them apply a `layer.EngineLayer`.

The type of every result follows one rule, `arithmetic.result_type`. Integers are computed in floats
where every sum is exact in them, otherwise as integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from convalg.engine import gather
from convalg.engine.arithmetic import (
    EXACT,
    Array,
    common_type,
    exact_float,
    multiply,
    prepared,
    result_type,
    scaled,
    total,
)
from convalg.engine.choice import ENGINES, EnginePlan, chosen, estimates, plan, using
from convalg.engine.gather import fold, joined, kernel_gradients, most_readers, table, unfold
from convalg.engine.layer import layer_of_geometry
from convalg.errors import ArgumentError
from convalg.geometry import Geometry
from convalg.limits import check_room
from convalg.size import size_product

__all__ = [
    "ENGINES",
    "EXACT",
    "chosen",
    "common_type",
    "correlate",
    "correlate_adjoint",
    "estimates",
    "fold",
    "joined",
    "kernel_gradient",
    "kernel_gradients",
    "most_readers",
    "multiply",
    "prepared",
    "result_type",
    "scaled",
    "table",
    "total",
    "unfold",
    "using",
]


SMALL = 4096
"""Up to this size of the product, choosing an engine takes longer than gathering."""


def correlate(geometry: Geometry, kernel: Array, x: Array) -> Array:
    """Return y = A(kernel) x. Shapes: kernel (*k_batch, *kernel_shape), x (*x_batch, *in_shape).

    One of the two batches may be empty or of length one; the result has the other.
    Raises: ArgumentError when the requested engine cannot do it.
    """
    _check_result(len(x) * size_product(geometry.out_shape), x)
    terms = geometry.channels[2] * int(size_product(geometry.taps))
    kind = _machine(geometry, lambda: terms, kernel, x)
    if kind is None:
        return gather.correlate(geometry, kernel, x)
    weights, signal, result = kind
    way = _plan(geometry, "forward", signal, result)
    if way.run is None:
        return gather.correlate(geometry, kernel, x)
    y = _run(way, geometry, weights, signal)
    return _as(y, result).reshape(len(x), *geometry.out_shape)


def correlate_adjoint(geometry: Geometry, kernel: Array, g: Array) -> Array:
    """Return x = A(kernel)^T g.

    Shapes: kernel (*k_batch, *kernel_shape), g (*g_batch, *out_shape).
    """
    _check_result(len(g) * size_product(geometry.in_shape), g)
    kind = _machine(geometry, lambda: geometry.channels[1] * most_readers(geometry.axes), kernel, g)
    if kind is None:
        return gather.correlate_adjoint(geometry, kernel, g)
    weights, signal, result = kind
    way = _plan(geometry, "adjoint", signal, result)
    if way.run is None:
        return gather.correlate_adjoint(geometry, kernel, g)
    x = _run(way, geometry, weights, signal)
    return _as(x, result).reshape(len(g), *geometry.in_shape)


def kernel_gradient(geometry: Geometry, x: Array, g: Array) -> Array:
    """Return dL/dkernel, summed over the batch.

    Shapes: x (batch, *in_shape), g (batch, *out_shape).
    """
    terms = int(size_product(geometry.out_spatial)) * len(x)
    kind = _machine(geometry, lambda: terms, x, g, kernels=False)
    way = None if kind is None else _plan(geometry, "gradient", kind[0], kind[2])
    if kind is None or way is None or way.run is None:
        return gather.kernel_gradients(geometry, x, g).sum(axis=0)
    groups, outputs, inputs = geometry.channels
    oriented = layer_of_geometry(geometry)
    image, upstream = (_contiguous(way, signal) for signal in kind[:2])
    image = image.reshape(len(x), groups, inputs, *geometry.in_spatial)
    upstream = upstream.reshape(len(g), groups, outputs, *geometry.out_spatial)
    with np.errstate(invalid="ignore" if way.zeros else None):
        slope = way.run(image, oriented.flip_output(upstream))
    if way.zeros and np.isnan(slope.min(initial=0)):
        with using("im2col"):
            return kernel_gradient(geometry, x, g)
    return _as(oriented.flip_kernel(slope), kind[2]).reshape(geometry.kernel_shape)


def _check_result(entries: int, x: Array) -> None:
    """Raise TooLargeError for a result that is too large, counting at least 8 bytes per number."""
    check_room(entries, max(x.itemsize, 8), "the result")


def _machine(
    geometry: Geometry,
    terms: Callable[[], int],
    first: Array,
    second: Array,
    *,
    kernels: bool = True,
) -> tuple[Array, Array, np.dtype[Any]] | None:
    """Return both arrays as floats to compute with, and the result's type; None for `gather`.

    `terms` returns the number of products in a sum. It is called for integers only: for an adjoint
    it needs the tables of the axes, which are as long as the signal.
    Raises: ArgumentError when another engine was requested.
    """
    name, kind = chosen(), common_type(first, second)
    if name == "gather" or (name == "auto" and first.size * second.size <= SMALL):
        return None
    single = not kernels or first.size == math.prod(int(n) for n in geometry.kernel_shape)
    work: np.dtype[Any] | None = None
    if single and first.size and second.size:
        if kind.kind == "i":
            work = exact_float(terms(), first, second)
        elif kind.char in "efdFD":
            work = np.dtype(np.float32) if kind.char == "e" else kind
    if work is None:
        if name != "auto":
            raise ArgumentError(
                f"engine={name!r} takes machine numbers and one kernel, integers up to 2**53, "
                f"not these of {kind}: use engine='auto'"
            )
        return None
    return first.astype(work, copy=False), second.astype(work, copy=False), kind


def _plan(geometry: Geometry, job: object, signal: Array, result: np.dtype[Any]) -> EnginePlan:
    last = len(signal) > 1 and signal.strides[0] == signal.itemsize
    return plan(geometry, job, len(signal), last, result.kind, chosen())


def _run(way: EnginePlan, geometry: Geometry, kernel: Array, signal: Array) -> Array:
    """Run a plan with the kernel and the signal in the layout that its engine needs."""
    if way.run is None:
        raise AssertionError(way)
    if way.engine == "csr":
        return way.run(kernel, signal)
    groups, outputs, inputs = geometry.channels
    oriented, adjoint = layer_of_geometry(geometry), way.adjoint
    channels = (outputs, geometry.out_spatial) if adjoint else (inputs, geometry.in_spatial)
    x = _contiguous(way, signal).reshape(len(signal), groups, channels[0], *channels[1])
    weights = oriented.flip_kernel(kernel.reshape(groups, outputs, inputs, *geometry.taps))
    with np.errstate(invalid="ignore" if way.zeros else None):
        y = way.run(weights, oriented.flip_output(x) if adjoint else x)
    if way.zeros and np.isnan(y.min(initial=0)):
        # A product of a zero of the block with an infinity or a NaN is not one of the layer's.
        other = plan(geometry, "adjoint" if adjoint else "forward", len(x), False, "f", "im2col")
        return _run(other, geometry, kernel, signal)
    return y if adjoint else oriented.flip_output(y)


def _contiguous(way: EnginePlan, signal: Array) -> Array:
    """Return the signal sample by sample in memory, unless the engine takes the batch innermost."""
    return signal if way.engine == "tiles" else np.ascontiguousarray(signal)


def _as(values: Array, kind: np.dtype[Any]) -> Array:
    return values if values.dtype == kind else values.astype(kind)

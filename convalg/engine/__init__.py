"""The engines, which apply a pattern to NumPy arrays, and the choice among them.

`gather` reads the pattern's own index tables and works for every geometry and every kind of number.
For machine numbers there are faster engines, one module each: `stored` (CSR), `im2col`, `tiles` and
`bands` (dense Toeplitz blocks), `taps`, `fourier`. `choice` selects the engine with the least time
estimated by a small model (`cost`). Apart from `gather` and `stored`, they apply a
`layer.EngineLayer`.

The type of every result is determined by `arithmetic.result_type`. Integers are computed with
floats if all sums are exact in the float type, otherwise as integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from convalg.engine import gather
from convalg.engine.arithmetic import (
    EXACT,
    Array,
    DType,
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
"""Up to this product of the numbers of entries, choosing an engine takes longer than gathering."""


def correlate(geometry: Geometry, kernel: Array, x: Array) -> Array:
    """Return y = A(kernel) x, an array (batch, *out_shape), with the requested or fastest engine.

    Shapes: kernel (*k_batch, *kernel_shape), x (x_batch, *in_shape); one of the two may have no
    batch axis or a batch of length one, and the result has the batch of the other.
    Raises: ArgumentError when the requested engine cannot apply the layer, TooLargeError when the
    result does not fit in memory.
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
    """Return x = A(kernel)^T g, an array (batch, *in_shape), with the requested or fastest engine.

    Shapes: kernel (*k_batch, *kernel_shape), g (g_batch, *out_shape); batches as in `correlate`.
    Raises: ArgumentError when the requested engine cannot apply the adjoint, TooLargeError when the
    result does not fit in memory.
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
    """Return dL/dkernel, summed over the batch, for g = dL/dy.

    Shapes: x (batch, *in_shape), g (batch, *out_shape), result `kernel_shape`.
    Raises: ArgumentError when the requested engine cannot compute the gradient.
    """
    terms = int(size_product(geometry.out_spatial)) * len(x)
    kind = _machine(geometry, lambda: terms, x, g, kernels=False)
    way = None if kind is None else _plan(geometry, "gradient", kind[0], kind[2])
    if kind is None or way is None or way.run is None:
        total_slope: Array = gather.kernel_gradients(geometry, x, g).sum(axis=0)
        return total_slope
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
    """Raise TooLargeError when a result, of at least 8 bytes per number, does not fit in memory."""
    check_room(entries, max(x.itemsize, 8), "the result")


def _machine(
    geometry: Geometry,
    terms: Callable[[], int],
    first: Array,
    second: Array,
    *,
    kernels: bool = True,
) -> tuple[Array, Array, DType] | None:
    """Return both arrays as floats to compute with, and the result's type; None for `gather`.

    `terms` returns the number of products in a sum. It is called for integers only, since for an
    adjoint it computes the tables of the axes, which are as long as the signal.
    Raises: ArgumentError when an engine other than `gather` was requested for numbers that only
    `gather` supports.
    """
    name, kind = chosen(), common_type(first, second)
    if name == "gather" or (name == "auto" and first.size * second.size <= SMALL):
        return None
    single = not kernels or first.size == math.prod(int(n) for n in geometry.kernel_shape)
    work: DType | None = None
    if single and first.size and second.size:
        if kind.kind == "i":
            work = exact_float(terms(), first, second)
        elif kind.char in "efdFD":
            work = np.dtype(np.float32) if kind.char == "e" else kind
    if work is None:
        if name != "auto":
            raise ArgumentError(
                f"engine={name!r} needs a single kernel and machine numbers, with sums of integers "
                f"up to 2**53, but was called with numbers of {kind}: use engine='auto'"
            )
        return None
    return first.astype(work, copy=False), second.astype(work, copy=False), kind


def _plan(geometry: Geometry, job: object, signal: Array, result: DType) -> EnginePlan:
    last = len(signal) > 1 and signal.strides[0] == signal.itemsize
    return plan(geometry, job, len(signal), last, result.kind, chosen())


def _run(way: EnginePlan, geometry: Geometry, kernel: Array, signal: Array) -> Array:
    """Return the result of a plan, run on the kernel and the signal in the layout of its engine."""
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
        # A zero of the block, which is not a weight, was multiplied by an infinity or a NaN.
        other = plan(geometry, "adjoint" if adjoint else "forward", len(x), False, "f", "im2col")
        return _run(other, geometry, kernel, signal)
    return y if adjoint else oriented.flip_output(y)


def _contiguous(way: EnginePlan, signal: Array) -> Array:
    """Return the signal contiguous in memory; the engine "tiles" also accepts other layouts."""
    return signal if way.engine == "tiles" else np.ascontiguousarray(signal)


def _as(values: Array, kind: DType) -> Array:
    return values if values.dtype == kind else values.astype(kind)

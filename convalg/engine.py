"""Applying a pattern to plain arrays, without a matrix.

`unfold` gathers, for each tap, the input that every output reads; the layer is then one
matrix product. `fold` is its adjoint. Arrays of numbers go through BLAS; arrays of objects
(fractions, symbols) run the same steps exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from convalg.axis import Axis
from convalg.errors import check_bound
from convalg.kernels import largest
from convalg.spec import Geometry, size_product

Array = npt.NDArray[Any]
CHUNK = 2**23
"""Elements that one step may unfold at a time; larger batches go through in slices."""


EXACT = {2: 2**11, 4: 2**24, 8: 2**53, 16: 2**63}
"""Up to here every whole number is a float of so many bytes."""


def common_type(*arrays: Array) -> np.dtype[Any]:
    """The type to compute in: NumPy's rule, with all integers as int64."""
    kind = np.result_type(*arrays)
    return np.dtype(np.int64) if kind.kind in "biu" else kind


def prepared(terms: int, *arrays: Array) -> tuple[Array, ...]:
    """The arrays in their common type, once it is certain that int64 cannot overflow.

    Raises: ExactnessError when a sum of `terms` products could leave 64 bits.
    """
    kind = common_type(*arrays)
    if kind == np.int64 or all(a.dtype.kind in "iu" for a in arrays):
        check_bound(math.prod(largest(a) for a in arrays) * max(terms, 1))
        kind = np.dtype(np.int64)
    return tuple(a.astype(kind, copy=False) for a in arrays)


def correlate(geometry: Geometry, kernel: Array, x: Array) -> Array:
    """y = A(kernel) x. Shapes: kernel (*k_batch, *kernel_shape), x (*x_batch, *in_shape).

    One of the two batches may be empty or of length one; the result has the other.
    """
    groups, outputs, inputs = geometry.channels
    taps = int(size_product(geometry.taps))
    kernel, x = prepared(inputs * taps, kernel, x)
    weights = kernel.reshape(_count(kernel, geometry.kernel_shape), groups, outputs, inputs * taps)

    def step(signal: Array, weights: Array) -> Array:
        return weights @ _patches(geometry, signal)

    signal = x.reshape(len(x), groups, inputs, *geometry.in_spatial)
    y = _in_slices(step, _load(geometry), signal, weights)
    return y.reshape(y.shape[0], *geometry.out_shape)


def correlate_adjoint(geometry: Geometry, kernel: Array, g: Array) -> Array:
    """x = A(kernel)^T g. Shapes: kernel (*k_batch, *kernel_shape), g (*g_batch, *out_shape)."""
    groups, outputs, inputs = geometry.channels
    taps = int(size_product(geometry.taps))
    kernel, g = prepared(outputs * most_readers(geometry.axes), kernel, g)
    weights = kernel.reshape(_count(kernel, geometry.kernel_shape), groups, outputs, inputs * taps)
    weights = weights.swapaxes(-1, -2)

    def step(signal: Array, weights: Array) -> Array:
        spread = weights @ signal
        return fold(geometry.axes, spread.reshape(*spread.shape[:2], inputs, taps, positions))

    positions = int(size_product(geometry.out_spatial))
    signal = g.reshape(len(g), groups, outputs, positions)
    x = _in_slices(step, _load(geometry), signal, weights)
    return x.reshape(x.shape[0], *geometry.in_shape)


def kernel_gradients(geometry: Geometry, x: Array, g: Array) -> Array:
    """dL/dkernel for each sample: (batch, *kernel_shape) from x (*, *in_shape), g (*, *out_shape).

    Either batch may be of length one.
    """
    groups, outputs, inputs = geometry.channels
    positions = int(size_product(geometry.out_spatial))
    x, g = prepared(positions * max(len(x), len(g)), x, g)

    def step(signal: Array, upstream: Array) -> Array:
        return upstream @ _patches(geometry, signal).swapaxes(-1, -2)

    signal = x.reshape(len(x), groups, inputs, *geometry.in_spatial)
    upstream = g.reshape(len(g), groups, outputs, positions)
    found = _in_slices(step, _load(geometry), signal, upstream)
    return found.reshape(found.shape[0], *geometry.kernel_shape)


def unfold(axes: tuple[Axis, ...], x: Array) -> Array:
    """What every tap of every output reads: (..., *in) to (..., taps, outputs); zero if nothing."""
    lead = x.shape[: x.ndim - len(axes)]
    flat = x.reshape(*lead, math.prod(x.shape[len(lead) :]))
    places, dropped = table(axes)
    if dropped:
        flat = np.concatenate([flat, np.zeros((*lead, 1), dtype=flat.dtype)], axis=-1)
    return np.take(flat, places, axis=-1)


def fold(axes: tuple[Axis, ...], spread: Array) -> Array:
    """The adjoint of `unfold`: (..., taps, outputs) summed to where they were read, (..., *in)."""
    sizes = tuple(int(axis.in_size) for axis in axes)
    lead = spread.shape[:-2]
    order, starts, targets = _inverse(axes)
    x = np.zeros((*lead, math.prod(sizes)), dtype=spread.dtype)
    if targets.size:
        flat = spread.reshape(*lead, math.prod(spread.shape[-2:]))
        gathered = np.take(flat, order, axis=-1)
        one_each = starts.size == order.size
        x[..., targets] = gathered if one_each else np.add.reduceat(gathered, starts, axis=-1)
    return x.reshape(*lead, *sizes)


def multiply(indptr: Array, indices: Array, values: Array, x: Array) -> Array:
    """y = M x for a matrix in compressed rows. Shapes: x (batch, columns), y (batch, rows)."""
    lengths = np.diff(indptr)
    if x.dtype.kind == "f" and values.dtype.kind in "iu" and largest(values) <= EXACT[x.itemsize]:
        # Whole weights that the input's type holds exactly do not widen it.
        values = values.astype(x.dtype)
    values, x = prepared(int(lengths.max(initial=1)), values, x)
    filled = np.flatnonzero(lengths)
    starts = indptr[:-1][filled]
    ones = values.dtype.kind != "O" and bool((values == 1).all())

    def step(signal: Array, weights: Array) -> Array:
        read = np.take(signal, indices, axis=1)
        if not ones:
            read = read * weights
        if filled.size == lengths.size == indices.size:
            return read
        y = np.zeros((len(signal), lengths.size), dtype=read.dtype)
        if filled.size:
            y[:, filled] = np.add.reduceat(read, starts, axis=1)
        return y

    return _in_slices(step, max(indices.size, lengths.size), x, values[None])


def _patches(geometry: Geometry, signal: Array) -> Array:
    """(batch, groups, inputs, *in) to (batch, groups, inputs * taps, outputs)."""
    found = unfold(geometry.axes, signal)
    batch, groups, inputs, taps, outputs = found.shape
    return found.reshape(batch, groups, inputs * taps, outputs)


def _count(kernel: Array, shape: tuple[Any, ...]) -> int:
    """How many kernels an array holds; one without a batch axis is one."""
    return math.prod(kernel.shape[: kernel.ndim - len(shape)])


def _load(geometry: Geometry) -> int:
    """Elements that one sample unfolds to."""
    groups, outputs, inputs = geometry.channels
    positions = int(size_product(geometry.out_spatial))
    return groups * max(inputs * int(size_product(geometry.taps)), outputs) * positions


def _in_slices(
    step: Callable[[Array, Array], Array], load: int, first: Array, second: Array
) -> Array:
    """`step(first, second)` over slices of the batch small enough for the cache and memory."""
    batch = max(first.shape[0], second.shape[0])
    if 0 in (first.shape[0], second.shape[0]):
        batch = 0
    size = max(CHUNK // max(load, 1), 1)
    if batch <= size:
        return step(first, second)
    parts = []
    for begin in range(0, batch, size):
        piece = slice(begin, begin + size)
        parts.append(
            step(
                first if first.shape[0] == 1 else first[piece],
                second if second.shape[0] == 1 else second[piece],
            )
        )
    return np.concatenate(parts)


def joined(before: Array, here: Array, in_size: int) -> Array:
    """Tables (taps, outputs) of the leading axes and of the next one, as one; -1 is nothing."""
    taps, outputs = before.shape[0] * here.shape[0], before.shape[1] * here.shape[1]
    outer, inner = before[:, None, :, None], here[None, :, None, :]
    flat = np.where((outer < 0) | (inner < 0), -1, outer * in_size + inner)
    return flat.reshape(taps, outputs)


@lru_cache(maxsize=64)
def table(axes: tuple[Axis, ...]) -> tuple[Array, bool]:
    """The flat input index of each (tap, output), -1 where dropped, and whether any is."""
    flat = np.zeros((1, 1), dtype=np.int64)
    for axis in axes:
        flat = joined(flat, axis.columns().T, int(axis.in_size))  # type: ignore[arg-type]
    flat.setflags(write=False)
    return flat, bool((flat < 0).any())


@lru_cache(maxsize=64)
def _inverse(axes: tuple[Axis, ...]) -> tuple[Array, Array, Array]:
    """Readers sorted by the input they read: their order, where each input starts, the inputs."""
    flat = table(axes)[0].reshape(-1)
    readers = np.flatnonzero(flat >= 0)
    order = readers[np.argsort(flat[readers], kind="stable")]
    starts = np.flatnonzero(np.diff(flat[order], prepend=-1))
    return order, starts, flat[order][starts]


def most_readers(axes: tuple[Axis, ...]) -> int:
    """No input is read more often than this."""
    return math.prod(
        max(int(np.unique(axis.columns(), return_counts=True)[1].max(initial=1)), 1)
        for axis in axes
    )


def total(terms: list[Array]) -> Array:
    """The sum of arrays of one shape, exact for integers."""
    if all(term.dtype.kind in "iu" for term in terms):
        check_bound(sum(largest(term) for term in terms))
        terms = [term.astype(np.int64, copy=False) for term in terms]
    result = terms[0]
    for term in terms[1:]:
        result = result + term
    return result


def scaled(factor: Any, x: Array) -> Array:
    """factor * x, exact for integers."""
    if isinstance(factor, Fraction) and x.dtype.kind in "fc":
        factor = float(factor)
    if isinstance(factor, (int, np.integer)) and x.dtype.kind in "iu":
        check_bound(abs(int(factor)) * largest(x))
        return int(factor) * x.astype(np.int64, copy=False)
    return factor * x

"""The engine "gather": index tables of the pattern, for every geometry and every kind of number.

`unfold` gathers, for each tap, the input that every output reads; the layer is then one matrix
product. `fold` is the adjoint of `unfold`. On arrays of objects (fractions, symbols) the same steps
are exact. The other engines are tested against this one, and this one against the pattern.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from convalg.axis import Axis
from convalg.engine.arithmetic import Array, in_slices, prepared
from convalg.geometry import Geometry
from convalg.limits import check_room
from convalg.size import size_product


def correlate(geometry: Geometry, kernel: Array, x: Array) -> Array:
    """Return y = A(kernel) x, an array (batch, *out_shape); see `engine.correlate`."""
    groups, outputs, inputs = geometry.channels
    taps = int(size_product(geometry.taps))
    kernel, x = prepared(inputs * taps, kernel, x)
    weights = kernel.reshape(-1, groups, outputs, inputs * taps)

    def step(signal: Array, weights: Array) -> Array:
        return weights @ _patches(geometry, signal)

    signal = x.reshape(len(x), groups, inputs, *geometry.in_spatial)
    y = in_slices(step, _load(geometry), signal, weights)
    return y.reshape(y.shape[0], *geometry.out_shape)


def correlate_adjoint(geometry: Geometry, kernel: Array, g: Array) -> Array:
    """Return x = A(kernel)^T g, an array (batch, *in_shape); see `engine.correlate_adjoint`."""
    groups, outputs, inputs = geometry.channels
    taps = int(size_product(geometry.taps))
    kernel, g = prepared(outputs * most_readers(geometry.axes), kernel, g)
    weights = kernel.reshape(-1, groups, outputs, inputs * taps).swapaxes(-1, -2)

    def step(signal: Array, weights: Array) -> Array:
        spread = weights @ signal
        return fold(geometry.axes, spread.reshape(*spread.shape[:2], inputs, taps, positions))

    positions = int(size_product(geometry.out_spatial))
    signal = g.reshape(len(g), groups, outputs, positions)
    x = in_slices(step, _load(geometry), signal, weights)
    return x.reshape(x.shape[0], *geometry.in_shape)


def kernel_gradients(geometry: Geometry, x: Array, g: Array) -> Array:
    """Return dL/dkernel for each sample, an array (batch, *kernel_shape).

    Shapes: x (batch, *in_shape), g (batch, *out_shape).
    """
    groups, outputs, inputs = geometry.channels
    positions = int(size_product(geometry.out_spatial))
    x, g = prepared(positions * max(len(x), len(g)), x, g)

    def step(signal: Array, upstream: Array) -> Array:
        return upstream @ _patches(geometry, signal).swapaxes(-1, -2)

    signal = x.reshape(len(x), groups, inputs, *geometry.in_spatial)
    upstream = g.reshape(len(g), groups, outputs, positions)
    gradients = in_slices(step, _load(geometry), signal, upstream)
    return gradients.reshape(gradients.shape[0], *geometry.kernel_shape)


def unfold(axes: tuple[Axis, ...], x: Array) -> Array:
    """Return the sample that each tap of each output reads; a dropped tap reads zero.

    Shapes: x (..., *in), result (..., taps, outputs).
    Raises: TooLargeError when the result does not fit in memory.
    """
    lead = x.shape[: x.ndim - len(axes)]
    flat = x.reshape(*lead, math.prod(x.shape[len(lead) :]))
    indices, dropped = table(axes)
    what = "the array of all samples that the windows read"
    check_room(math.prod(lead) * indices.size, flat.itemsize, what)
    if dropped:
        flat = np.concatenate([flat, np.zeros((*lead, 1), dtype=flat.dtype)], axis=-1)
    return np.take(flat, indices, axis=-1)


def fold(axes: tuple[Axis, ...], spread: Array) -> Array:
    """Return the adjoint of `unfold`, applied to `spread`: sums over all reads of each input.

    Shapes: spread (..., taps, outputs), result (..., *in).
    Raises: TooLargeError when the result does not fit in memory.
    """
    sizes = tuple(axis.numbers.in_size for axis in axes)
    lead = spread.shape[:-2]
    order, starts, targets = _inverse(axes)
    check_room(math.prod(lead) * math.prod(sizes), spread.itemsize, "the result")
    x = np.zeros((*lead, math.prod(sizes)), dtype=spread.dtype)
    if targets.size:
        flat = spread.reshape(*lead, math.prod(spread.shape[-2:]))
        gathered = np.take(flat, order, axis=-1)
        one_each = starts.size == order.size
        x[..., targets] = gathered if one_each else np.add.reduceat(gathered, starts, axis=-1)
    return x.reshape(*lead, *sizes)


def _patches(geometry: Geometry, signal: Array) -> Array:
    """Return (batch, groups, inputs, *in) unfolded to (batch, groups, inputs * taps, outputs)."""
    patches = unfold(geometry.axes, signal)
    batch, groups, inputs, taps, outputs = patches.shape
    return patches.reshape(batch, groups, inputs * taps, outputs)


def _load(geometry: Geometry) -> int:
    """Return the number of elements that one sample unfolds to."""
    groups, outputs, inputs = geometry.channels
    positions = int(size_product(geometry.out_spatial))
    return groups * max(inputs * int(size_product(geometry.taps)), outputs) * positions


def joined(before: Array, here: Array, in_size: int) -> Array:
    """Return the index table (taps, outputs) of some leading axes and the next axis together.

    `before` is the table of the leading axes and `here` that of the next one, which has `in_size`
    inputs. An index of -1 marks a dropped tap.
    """
    taps, outputs = before.shape[0] * here.shape[0], before.shape[1] * here.shape[1]
    outer, inner = before[:, None, :, None], here[None, :, None, :]
    flat = np.where((outer < 0) | (inner < 0), -1, outer * in_size + inner)
    return flat.reshape(taps, outputs)


@lru_cache(maxsize=64)
def table(axes: tuple[Axis, ...]) -> tuple[Array, bool]:
    """Return the flat input index of each (tap, output), and whether some tap is dropped (-1)."""
    entries = math.prod(axis.numbers.out_size * axis.numbers.taps for axis in axes)
    check_room(2 * entries, 8, f"the table of {entries} products of inputs and weights")
    flat = np.zeros((1, 1), dtype=np.int64)
    for axis in axes:
        flat = joined(flat, axis.columns().T, axis.numbers.in_size)
    flat.setflags(write=False)
    return flat, bool((flat < 0).any())


@lru_cache(maxsize=64)
def _inverse(axes: tuple[Axis, ...]) -> tuple[Array, Array, Array]:
    """Return the reads sorted by input: their order, the start of each input, and the inputs."""
    flat = table(axes)[0].reshape(-1)
    readers = np.flatnonzero(flat >= 0)
    order = readers[np.argsort(flat[readers], kind="stable")]
    starts = np.flatnonzero(np.diff(flat[order], prepend=-1))
    return order, starts, flat[order][starts]


def most_readers(axes: tuple[Axis, ...]) -> int:
    """Return an upper bound on the number of reads of one input."""
    return math.prod(_readers(axis) for axis in axes)


@lru_cache(maxsize=512)
def _readers(axis: Axis) -> int:
    return max(int(np.unique(axis.columns(), return_counts=True)[1].max(initial=1)), 1)

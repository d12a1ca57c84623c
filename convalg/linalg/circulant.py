"""Circular layers in the Fourier basis, where they are block diagonal: one matrix per frequency."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from convalg.arrays import Array
from convalg.axis import Axis
from convalg.geometry import Geometry
from convalg.limits import check_memory
from convalg.operators.leaves import Convolution, Selection

Layer: TypeAlias = "Convolution | Selection"


WEAK = 1e-8
"""Singular values whose square is below this fraction of the largest are computed by an SVD."""

GUESS = 2**20
"""The largest number of Fourier coefficients used to estimate the top singular vector."""


CANDIDATES, STEPS = 32, 4
"""The number of candidate frequencies, and the steps of power iteration that select them."""


def _layer(operator: Layer) -> tuple[Geometry, Array]:
    if isinstance(operator, Selection):
        return operator.geometry, np.ones(operator.geometry.kernel_shape)
    return operator.geometry, operator.weights


def is_circulant(operator: Layer) -> bool:
    """Return whether the rows are every s-th row of a circular layer, once each, in any order."""
    return all(_wraps(axis) for axis in operator.geometry.axes)


def _wraps(axis: Axis) -> bool:
    n, outputs, s = axis.numbers.in_size, axis.numbers.out_size, axis.numbers.stride
    if outputs != n // math.gcd(s, n):
        return False
    raw = axis.raw(np.arange(outputs)[:, None], np.arange(axis.taps))
    return bool((axis.columns() == raw % n).all())


def circulant_blocks(operator: Layer, max_bytes: int | None) -> tuple[Array, Array]:
    """Return matrices (groups, *frequencies, C_out, aliases * C_in) and their multiplicities."""
    geometry, weights = _layer(operator)
    grid = [axis.numbers.in_size for axis in geometry.axes]
    steps = [math.gcd(a.numbers.stride, n) for a, n in zip(geometry.axes, grid, strict=True)]
    blocks = transfer(geometry, weights, grid, steps[-1] == 1, max_bytes)
    often = np.ones(blocks.shape[:-2], dtype=int)
    if steps[-1] == 1:
        often = half_often(often.shape, grid)
    for k, (n, step) in enumerate(zip(grid, steps, strict=True), 1):
        if step > 1:
            # Keeping every `step`-th row adds the frequencies that differ by n / step.
            shape = blocks.shape
            split = blocks.reshape(*shape[:k], step, n // step, *shape[k + 1 :])
            joined = np.moveaxis(split, k, -2)
            blocks = joined.reshape(*joined.shape[:-2], -1) / math.sqrt(step)
            often = often.take(range(n // step), axis=k)
    return blocks, often


def transfer(
    geometry: Geometry, weights: Array, grid: list[int], half: bool, max_bytes: int | None = None
) -> Array:
    """Return the kernel's Fourier blocks on a grid, of shape (groups, *frequencies, C_out, C_in).

    C_out and C_in are the channels of one group. With `half`, the last axis has one of each
    conjugate pair of frequencies.
    """
    groups, outputs, inputs = geometry.channels
    check_memory(
        # The FFT of a prime length uses convolutions of twice that length.
        3 * groups * outputs * inputs * math.prod(grid) * 16 + 8 * max(grid) * 16,
        max_bytes,
        what=f"the frequencies of a layer of {outputs} x {inputs} channels on {tuple(grid)}",
        instead="use a smaller layer",
        fixed=max_bytes is None,
    )
    spread = np.zeros((groups, outputs, inputs, *grid))
    taps = [
        axis.raw(0, np.arange(axis.taps)) % n for axis, n in zip(geometry.axes, grid, strict=True)
    ]
    np.add.at(spread, (..., *np.ix_(*taps)), weights.reshape(spread.shape[:3] + geometry.taps))
    axes = tuple(range(3, spread.ndim))
    waves = np.fft.rfftn(spread, axes=axes) if half else np.fft.fftn(spread, axes=axes)
    return np.moveaxis(waves, (1, 2), (-2, -1))


def circulant_values(operator: Layer, max_bytes: int | None) -> Array:
    """Return all singular values of a circular layer, the largest first."""
    grams = _grams(operator, max_bytes)
    squares = np.linalg.eigvalsh(grams.matrices)
    values = np.sqrt(np.maximum(squares, 0))
    # A Gram matrix loses half of the digits of small singular values, so they need an SVD.
    weak = squares[..., 0] < WEAK * squares.max()
    if weak.any():
        values[weak] = np.linalg.svd(grams.blocks(weak), compute_uv=False)[..., ::-1]
    every = np.repeat(values.reshape(-1, values.shape[-1]), grams.often.ravel(), axis=0)
    return grams.size * np.sort(every, axis=None)[::-1]


def circulant_norm(operator: Layer) -> float:
    """Return the largest singular value of a circular layer."""
    grams = _grams(operator, None)
    return grams.size * _top(grams.matrices)


@dataclass(frozen=True, eq=False)
class _Grams:
    """The smaller Gram matrix of each Fourier block of a layer divided by `size`.

    `often`: the number of frequencies that each matrix represents. `blocks(mask)`: the Fourier
    blocks that the mask selects, transposed if they are wider than high.
    """

    matrices: Array
    often: Array
    size: float
    blocks: Callable[[Array], Array]


def _grams(operator: Layer, max_bytes: int | None) -> _Grams:
    geometry, weights = _layer(operator)
    grid = [axis.numbers.in_size for axis in geometry.axes]
    steps = [math.gcd(a.numbers.stride, n) for a, n in zip(geometry.axes, grid, strict=True)]
    if max(steps) > 1 or not few_lags(geometry, grid):
        blocks, often = circulant_blocks(operator, max_bytes)
        gram, tall, size = block_gram(blocks)
        return _Grams(gram, often, size, lambda where: tall[where])
    gram, size = lag_gram(geometry, weights, grid, max_bytes=max_bytes)
    often = half_often(gram.shape[:-2], grid)
    return _Grams(
        gram, often, size, lambda where: _blocks_at(geometry, weights / size, grid, where)
    )


def half_often(shape: tuple[int, ...], grid: list[int]) -> Array:
    """Return the multiplicity of each frequency if the last axis has one of each conjugate pair."""
    often = np.ones(shape, dtype=int)
    often[..., 1 : (grid[-1] + 1) // 2] = 2
    return often


def few_lags(geometry: Geometry, grid: list[int]) -> bool:
    """Return whether Gram matrices are cheaper to compute from pairs of taps than from blocks."""
    taps = math.prod(axis.numbers.taps for axis in geometry.axes)
    return taps * taps <= 4 * math.prod(grid)


def lag_gram(
    geometry: Geometry,
    weights: Array,
    grid: list[int],
    *,
    columns: bool = False,
    max_bytes: int | None = None,
) -> tuple[Array, float]:
    """Return the smaller Gram matrix of each Fourier block of the weights / scale, and the scale.

    With `columns` it is the Gram matrix of the columns, also if that is the larger one.

    Shapes: (groups, *half of the grid, m, m).
    Rule: the Gram matrix of the sum over taps t of W_t z^t is R_0 plus, for each lag l > 0,
    R_l z^-l and its conjugate transpose, where R_l is the sum of W_t^T W_s over t - s = l. This
    needs one product per pair of taps instead of one product per frequency.
    """
    groups, outputs, inputs = geometry.channels
    taps = tuple(axis.numbers.taps for axis in geometry.axes)
    width = inputs if columns or inputs <= outputs else outputs
    half = (*grid[:-1], grid[-1] // 2 + 1)
    count = math.prod(taps)
    check_memory(
        groups * width**2 * 8 * (4 * math.prod(half) + 2 * count**2),
        max_bytes,
        what=f"the frequencies of a layer of {outputs} x {inputs} channels on {tuple(grid)}",
        instead="use a smaller layer",
        fixed=max_bytes is None,
    )
    size = float(np.abs(weights).max()) or 1.0
    kernel = (weights / size).reshape(groups, outputs, inputs, count)
    # Up to conjugation, the Gram matrix of the rows is that of the columns of transposed taps.
    lags, products = _lags(kernel if width == inputs else kernel.swapaxes(1, 2), taps)
    turns = np.zeros((len(lags), 1))
    for k, (axis, n, many) in enumerate(zip(geometry.axes, grid, half, strict=True)):
        # Reduced modulo n as integers, so that the angles are accurate on any grid.
        steps = np.outer([lag[k] * axis.numbers.dilation for lag in lags], np.arange(many)) % n / n
        turns = (turns[:, :, None] + steps[:, None, :]).reshape(len(lags), -1)
    angles = 2 * np.pi * turns.T
    gram = np.empty((groups, *half, width, width), dtype=complex)
    for group, terms in zip(gram, products, strict=True):
        transposed = terms.swapaxes(1, 2)
        real = np.cos(angles) @ (terms + transposed).reshape(len(lags), -1)
        imaginary = np.sin(angles) @ (terms - transposed).reshape(len(lags), -1)
        group.real, group.imag = real.reshape(group.shape), imaginary.reshape(group.shape)
    return gram, size


def _lags(kernel: Array, taps: tuple[int, ...]) -> tuple[list[tuple[int, ...]], Array]:
    """Return the lags t - s of pairs of taps, one of each opposite pair, and their sums W_t^T W_s.

    Shapes: kernel (groups, high, wide, taps), sums (groups, lags, wide, wide). The sum of lag 0
    is halved, since every sum is later added to its transpose.
    """
    groups, _, width, count = kernel.shape
    flat = np.ascontiguousarray(kernel.swapaxes(-1, -2)).reshape(groups, -1, count * width)
    pairs = (flat.swapaxes(-1, -2) @ flat).reshape(groups, count, width, count, width)
    offsets = list(np.ndindex(*taps))
    sums: dict[tuple[int, ...], Array] = {(0,) * len(taps): np.zeros((groups, width, width))}
    for t, first in enumerate(offsets):
        for s, other in enumerate(offsets[: t + 1]):
            lag = tuple(a - b for a, b in zip(first, other, strict=True))
            part = pairs[:, t, :, s] / 2 if t == s else pairs[:, t, :, s]
            sums[lag] = sums[lag] + part if lag in sums else part
    return list(sums), np.stack(list(sums.values()), axis=1)


def _blocks_at(geometry: Geometry, weights: Array, grid: list[int], where: Array) -> Array:
    """Return the Fourier blocks at the frequencies that a mask (groups, *half of the grid) selects.

    Blocks that are wider than high are transposed.
    """
    groups, outputs, inputs = geometry.channels
    group, *frequencies = np.nonzero(where)
    turns = np.zeros((len(group), 1))
    for axis, n, many in zip(geometry.axes, grid, frequencies, strict=True):
        steps = np.multiply.outer(many, axis.raw(0, np.arange(axis.taps))) % n / n
        turns = (turns[:, :, None] + steps[:, None, :]).reshape(len(group), -1)
    phases = np.exp(-2j * np.pi * turns)
    kernel = weights.reshape(groups, outputs, inputs, -1)[group]
    blocks = (kernel @ phases[:, None, :, None])[..., 0]
    result: Array = blocks.swapaxes(-1, -2) if outputs < inputs else blocks
    return result


def block_gram(blocks: Array, *, columns: bool = False) -> tuple[Array, Array, float]:
    """Return the smaller Gram matrix of each block, the scaled blocks, and their scale.

    With `columns` it is the Gram matrix of the columns, also if that is the larger one.
    """
    size = float(np.abs(blocks).max()) or 1.0
    blocks = blocks / size
    wide = blocks.shape[-2] < blocks.shape[-1] and not columns
    tall = blocks.swapaxes(-1, -2).conj() if wide else blocks
    return tall.swapaxes(-1, -2).conj() @ tall, tall, size


def top_value(blocks: Array) -> float:
    """Return the largest singular value of all blocks."""
    gram, _, size = block_gram(blocks)
    return size * _top(gram)


def _top(gram: Array) -> float:
    return math.sqrt(max(float(np.linalg.eigvalsh(gram)[..., -1].max()), 0.0))


def wave(operator: Convolution) -> Array | None:
    """Return an estimate of the top right singular vector, or None for a zero kernel.

    It is the top singular vector of the circular layer, a plane wave, faded out at the ends: an
    array of shape `in_shape` and norm one, to be used as the starting vector of an iteration.
    """
    geometry, weights = operator.geometry, operator.weights
    groups, outputs, inputs = geometry.channels
    sizes = [int(size) for size in geometry.in_spatial]
    finest = int((GUESS / (groups * outputs * inputs)) ** (1 / len(sizes)))
    grid = [min(size, max(finest, 8)) for size in sizes]
    if few_lags(geometry, grid):
        gram, _ = lag_gram(geometry, weights, grid, columns=True)
    else:
        gram, _, _ = block_gram(transfer(geometry, weights, grid, half=True), columns=True)
    flat = gram.reshape(-1, *gram.shape[-2:])
    # A few steps of power iteration select the frequencies that may have the largest eigenvalue.
    start = np.random.default_rng(0).standard_normal((flat.shape[-1], 1))
    trial = np.broadcast_to(start, (len(flat), *start.shape))
    for _ in range(STEPS):
        trial = flat @ trial
        lengths = np.linalg.norm(trial, axis=1, keepdims=True)
        trial /= np.maximum(lengths, 1e-300)
    if lengths.max() == 0:
        return None
    likely = np.argsort(lengths, axis=None)[-CANDIDATES:]
    candidates = flat[likely]
    best = int(np.argmax(np.linalg.eigvalsh(candidates)[:, -1]))
    group, *frequency = np.unravel_index(likely[best], gram.shape[:-2])
    amplitudes = np.linalg.eigh(candidates[best])[1][:, -1]
    for size, many, k in zip(sizes, grid, frequency, strict=True):
        i = np.arange(size)
        fade = np.sin(np.pi * (i + 1) / (size + 1))
        amplitudes = np.multiply.outer(amplitudes, fade * np.exp(-2j * np.pi * int(k) / many * i))
    x = np.zeros((groups, *amplitudes.shape))
    x[group] = amplitudes.real
    estimate: Array = (x / np.linalg.norm(x)).reshape(operator.in_shape)
    return estimate

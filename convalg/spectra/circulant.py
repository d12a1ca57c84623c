"""Circulant layers in the Fourier basis: one small matrix per frequency."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from convalg.axis import Axis
from convalg.base import Array
from convalg.errors import check_memory
from convalg.operators import Convolution, Selection
from convalg.spec import Geometry

Layer: TypeAlias = "Convolution | Selection"


GUESS = 2**22
"""Fourier coefficients that a guess of the top singular vector may take."""


def _layer(operator: Layer) -> tuple[Geometry, Array]:
    if isinstance(operator, Selection):
        return operator.geometry, np.ones(operator.geometry.kernel_shape)
    return operator.geometry, operator.weights


def is_circulant(operator: Layer) -> bool:
    """Whether the rows are every s-th row of a circulant layer, each once, in some order."""
    return all(_wraps(axis) for axis in operator.geometry.axes)


def _wraps(axis: Axis) -> bool:
    n, outputs, s = int(axis.in_size), int(axis.out_size), int(axis.stride)  # type: ignore[arg-type]
    if outputs != n // math.gcd(s, n):
        return False
    raw = axis.raw(np.arange(outputs)[:, None], np.arange(axis.taps))
    return bool((axis.columns() == raw % n).all())


def circulant_blocks(operator: Layer, max_bytes: int | None) -> tuple[Array, Array]:
    """Matrices (groups, *frequencies, C_out, aliases C_in) and how often each one counts."""
    geometry, weights = _layer(operator)
    grid = [int(axis.in_size) for axis in geometry.axes]  # type: ignore[arg-type]
    steps = [math.gcd(int(a.stride), n) for a, n in zip(geometry.axes, grid, strict=True)]  # type: ignore[arg-type]
    blocks = transfer(geometry, weights, grid, steps[-1] == 1, max_bytes)
    often = np.ones(blocks.shape[:-2], dtype=int)
    if steps[-1] == 1:
        # Half of the last frequencies stand for the others, their conjugates.
        often[..., 1 : (grid[-1] + 1) // 2] = 2
    for k, (n, step) in enumerate(zip(grid, steps, strict=True), 1):
        if step > 1:
            # Rows that are `step` apart mix the frequencies that are n / step apart.
            shape = blocks.shape
            split = blocks.reshape(*shape[:k], step, n // step, *shape[k + 1 :])
            joined = np.moveaxis(split, k, -2)
            blocks = joined.reshape(*joined.shape[:-2], -1) / math.sqrt(step)
            often = often.take(range(n // step), axis=k)
    return blocks, often


def transfer(
    geometry: Geometry, weights: Array, grid: list[int], half: bool, max_bytes: int | None = None
) -> Array:
    """The kernel's Fourier blocks on a grid: (groups, *frequencies, C_out, C_in) per group."""
    groups, outputs, inputs = geometry.channels
    check_memory(
        3 * groups * outputs * inputs * math.prod(grid) * 16,
        max_bytes,
        what=f"the frequencies of a layer of {outputs} x {inputs} channels on {tuple(grid)}",
        instead="take a smaller layer",
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
    """All singular values of a circulant layer, largest first."""
    blocks, often = circulant_blocks(operator, max_bytes)
    gram, tall, size = block_gram(blocks)
    squares = np.linalg.eigvalsh(gram)
    values = np.sqrt(np.maximum(squares, 0))
    # A Gram matrix has half of the digits of small values, so SVD where there are some.
    weak = squares[..., 0] < 1e-6 * squares[..., -1]
    values[weak] = np.linalg.svd(tall[weak], compute_uv=False)[..., ::-1]
    every = np.repeat(values.reshape(-1, values.shape[-1]), often.ravel(), axis=0)
    return size * np.sort(every, axis=None)[::-1]


def block_gram(blocks: Array, *, columns: bool = False) -> tuple[Array, Array, float]:
    """The smaller Gram matrix of each block (or that of its columns), the blocks, their scale."""
    size = float(np.abs(blocks).max()) or 1.0
    blocks = blocks / size
    wide = blocks.shape[-2] < blocks.shape[-1] and not columns
    tall = blocks.swapaxes(-1, -2).conj() if wide else blocks
    return tall.swapaxes(-1, -2).conj() @ tall, tall, size


def top_value(blocks: Array) -> float:
    """The largest singular value of any block."""
    gram, _, size = block_gram(blocks)
    return size * math.sqrt(max(float(np.linalg.eigvalsh(gram)[..., -1].max()), 0.0))


def wave(operator: Convolution) -> Array | None:
    """About the top right singular vector: the best wave of the circular layer, faded at the ends.

    Shapes: `in_shape`, norm one; None where the kernel is zero. Only a start for iterations.
    """
    geometry, weights = operator.geometry, operator.weights
    groups, outputs, inputs = geometry.channels
    sizes = [int(size) for size in geometry.in_spatial]  # type: ignore[arg-type]
    finest = int((GUESS / (groups * outputs * inputs)) ** (1 / len(sizes)))
    grid = [min(size, max(finest, 8)) for size in sizes]
    gram, _, _ = block_gram(transfer(geometry, weights, grid, half=True), columns=True)
    squares = np.linalg.eigvalsh(gram)[..., -1]
    group, *place = np.unravel_index(np.argmax(squares), squares.shape)
    if squares.max() == 0:
        return None
    channels = np.linalg.eigh(gram[(group, *place)])[1][:, -1]
    found = channels
    for size, many, at in zip(sizes, grid, place, strict=True):
        i = np.arange(size)
        fade = np.sin(np.pi * (i + 1) / (size + 1))
        found = np.multiply.outer(found, fade * np.exp(-2j * np.pi * int(at) / many * i))
    x = np.zeros((groups, *found.shape))
    x[group] = found.real
    return (x / np.linalg.norm(x)).reshape(operator.in_shape)

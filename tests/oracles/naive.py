"""The definition as nested loops: the oracle of the tests, which shares no code with convalg.

`correlation` gathers and `transposed_correlation` scatters, both in plain Python, one product
at a time. Sizes, paddings and borders are found by counting and by walking, not by formulas.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Layer:
    """Every product of a layer: (output index, input index, weight index), as tuples."""

    out_shape: tuple[int, ...]
    in_shape: tuple[int, ...]
    kernel_shape: tuple[int, ...]
    terms: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]

    def apply(self, kernel: Any, x: Any) -> np.ndarray:
        """y, as an array of Python objects: what y[o] += w[l] * x[i] leaves."""
        y = np.zeros(self.out_shape, dtype=object)
        for output, source, weight in self.terms:
            y[output] += kernel[weight] * x[source]
        return y

    def back(self, kernel: Any, g: Any) -> np.ndarray:
        """dL/dx from dL/dy, by the chain rule on each product."""
        x = np.zeros(self.in_shape, dtype=object)
        for output, source, weight in self.terms:
            x[source] += kernel[weight] * g[output]
        return x

    def kernel_back(self, x: Any, g: Any) -> np.ndarray:
        """dL/dw from dL/dy, by the chain rule on each product."""
        w = np.zeros(self.kernel_shape, dtype=object)
        for output, source, weight in self.terms:
            w[weight] += x[source] * g[output]
        return w

    def matrix(self, kernel: Any, order: str = "C") -> np.ndarray:
        """The dense matrix from vec(x) to vec(y)."""
        found = np.zeros((count(self.out_shape), count(self.in_shape)), dtype=object)
        for output, source, weight in self.terms:
            row = place(output, self.out_shape, order)
            found[row, place(source, self.in_shape, order)] += kernel[weight]
        return found

    def kernel_matrix(self, x: Any) -> np.ndarray:
        """The dense matrix from vec(w) to vec(y)."""
        found = np.zeros((count(self.out_shape), count(self.kernel_shape)), dtype=object)
        for output, source, weight in self.terms:
            found[place(output, self.out_shape), place(weight, self.kernel_shape)] += x[source]
        return found

    def support(self) -> set[tuple[tuple[int, ...], tuple[int, ...]]]:
        """The (output, input) pairs that some product joins."""
        return {(output, source) for output, source, _ in self.terms}


def count(shape: tuple[int, ...]) -> int:
    """How many elements."""
    return sum(1 for _ in product(*map(range, shape)))


def place(index: tuple[int, ...], shape: tuple[int, ...], order: str = "C") -> int:
    """Where an element stands in vec(): the last index runs fastest in "C", the first in "F"."""
    pairs = list(zip(index, shape, strict=True))
    found = 0
    for number, size in pairs if order == "C" else reversed(pairs):
        found = found * size + number
    return found


def inside(index: int, size: int, boundary: str) -> int | None:
    """The sample that stands at an index of the signal continued beyond its ends."""
    signal = list(range(size))
    if 0 <= index < size:
        return index
    match boundary:
        case "zeros":
            return None
        case "edge":
            return signal[0] if index < 0 else signal[-1]
        case "circular":
            period = signal
        case "symmetric":  # abc|cba|abc: the border sample is repeated
            period = signal + signal[::-1]
        case "reflect":  # abc|ba|bc: the border sample is not repeated
            period = signal + signal[-2:0:-1]
        case _:
            raise ValueError(boundary)
    return period[index % len(period)]


def fitting(size: int, before: int, after: int, taps: int, stride: int, dilation: int) -> int:
    """How many windows fit into the padded signal, counted one after the other."""
    windows = 0
    while windows * stride + (taps - 1) * dilation < size + before + after:
        windows += 1
    return windows


def sides(padding: Any, k: int, size: int, taps: int, stride: int, dilation: int) -> Any:
    """(before, after) on axis k."""
    match padding:
        case "valid":
            return 0, 0
        case "full":
            return (taps - 1) * dilation, (taps - 1) * dilation
        case "causal":
            return (taps - 1) * dilation, 0
        case "same" | "same_lower":
            total, wanted = 0, len(range(0, size, stride))
            while fitting(size, total, 0, taps, stride, dilation) < wanted:
                total += 1
            half = total // 2
            return (half, total - half) if padding == "same" else (total - half, half)
    each = padding if isinstance(padding, int) else padding[k]
    return (each, each) if isinstance(each, int) else each


def spread(value: Any, dims: int) -> tuple[int, ...]:
    """One number for each axis."""
    return (value,) * dims if isinstance(value, int) else tuple(value)


def correlation(
    shape: Any,
    kernel_shape: tuple[int, ...],
    *,
    stride: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    groups: int = 1,
    boundary: str = "zeros",
    flipped: bool = False,
) -> Layer:
    """Every product of a correlation; with `flipped`, of a convolution."""
    sizes = spread(shape, 1)
    dims = len(sizes)
    taps = kernel_shape[-dims:]
    strides, dilations = spread(stride, dims), spread(dilation, dims)
    before, outputs = [], []
    for k in range(dims):
        left, right = sides(padding, k, sizes[k], taps[k], strides[k], dilations[k])
        before.append(left)
        outputs.append(fitting(sizes[k], left, right, taps[k], strides[k], dilations[k]))
    terms = []
    for output in product(*map(range, outputs)):
        for tap in product(*map(range, taps)):
            source = []
            for k in range(dims):
                step = taps[k] - 1 - tap[k] if flipped else tap[k]
                raw = strides[k] * output[k] + dilations[k] * step - before[k]
                source.append(inside(raw, sizes[k], boundary))
            if None not in source:
                terms.append((output, tuple(source), tap))
    if len(kernel_shape) == dims:
        return Layer(tuple(outputs), sizes, tuple(kernel_shape), terms)
    out_channels, each_in = kernel_shape[:2]
    each_out = out_channels // groups
    linked = [
        ((out, *output), (out // each_out * each_in + c, *source), (out, c, *tap))
        for out in range(out_channels)
        for c in range(each_in)
        for output, source, tap in terms
    ]
    return Layer((out_channels, *outputs), (each_in * groups, *sizes), tuple(kernel_shape), linked)


def transposed_correlation(
    shape: Any,
    kernel_shape: tuple[int, ...],
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Layer:
    """Every product of a transposed layer: each input is written, tap by tap, to the output."""
    sizes = spread(shape, 1)
    dims = len(sizes)
    taps = kernel_shape[-dims:]
    strides, dilations = spread(stride, dims), spread(dilation, dims)
    extra = spread(output_padding, dims)
    before, outputs = [], []
    for k in range(dims):
        wanted = sizes[k] * strides[k]
        left, right = sides(padding, k, wanted, taps[k], strides[k], dilations[k])
        last = strides[k] * (sizes[k] - 1) + dilations[k] * (taps[k] - 1)
        before.append(left)
        same = padding in ("same", "same_lower")
        outputs.append(wanted if same else last + 1 - left - right + extra[k])
    terms = []
    for source in product(*map(range, sizes)):
        for tap in product(*map(range, taps)):
            output = tuple(
                strides[k] * source[k] + dilations[k] * tap[k] - before[k] for k in range(dims)
            )
            if all(0 <= output[k] < outputs[k] for k in range(dims)):
                terms.append((output, source, tap))
    if len(kernel_shape) == dims:
        return Layer(tuple(outputs), sizes, tuple(kernel_shape), terms)
    in_channels, each_out = kernel_shape[:2]
    each_in = in_channels // groups
    linked = [
        ((c // each_in * each_out + out, *output), (c, *source), (c, out, *tap))
        for c in range(in_channels)
        for out in range(each_out)
        for output, source, tap in terms
    ]
    return Layer((each_out * groups, *outputs), (in_channels, *sizes), tuple(kernel_shape), linked)

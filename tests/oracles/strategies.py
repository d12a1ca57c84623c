"""What Hypothesis draws: the geometry of layers, kernels and inputs of small integers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import naive
import numpy as np
from hypothesis import strategies as st

import convalg as ca
from convalg.axis import BOUNDARIES

KINDS = ("correlation", "convolution", "transposed_correlation")
WORDS = ("valid", "same", "same_lower", "full", "causal")
# Largest kernel, dilation, stride and padding per axis, and samples beyond the smallest size:
# at most a few hundred products in any number of axes.
LIMITS = {1: (4, 3, 3, 3, 4), 2: (3, 2, 2, 2, 2), 3: (2, 2, 2, 1, 1)}

WIDE = ((1, 1, 1), (1, 2, 1), (1, 1, 2), (1, 2, 2), (1, 3, 2))
CHANNELS = (*WIDE, (2, 1, 1), (3, 1, 1), (2, 2, 1), (2, 1, 2))
"""Groups, and output and input channels per group: depthwise ones among them."""


@dataclass(frozen=True)
class Drawn:
    """One call that makes a layer; printed by Hypothesis when a test fails."""

    kind: str
    shape: Any
    kernel: list[Any]
    options: dict[str, Any]

    @property
    def weights(self) -> np.ndarray:
        return np.array(self.kernel)

    @property
    def operator(self) -> ca.Operator:
        return getattr(ca, self.kind)(self.shape, self.kernel, **self.options)

    @property
    def oracle(self) -> naive.Layer:
        if self.kind == "transposed_correlation":
            return naive.transposed_correlation(self.shape, self.weights.shape, **self.options)
        flipped = self.kind == "convolution"
        return naive.correlation(self.shape, self.weights.shape, flipped=flipped, **self.options)


def integers(shape: tuple[int, ...], size: int = 4) -> st.SearchStrategy[np.ndarray]:
    """Arrays of small integers."""
    numbers = st.integers(-size, size)
    count = math.prod(shape)
    drawn = st.lists(numbers, min_size=count, max_size=count)
    return drawn.map(lambda values: np.array(values, dtype=np.int64).reshape(shape))


@st.composite
def layers(
    draw: st.DrawFn,
    *,
    kinds: tuple[str, ...] = KINDS,
    dims: tuple[int, ...] = (1, 1, 2, 2, 3),
    boundaries: tuple[str, ...] = BOUNDARIES,
    words: tuple[str, ...] = WORDS,
    numbers: bool = True,
) -> Drawn:
    """A layer of any kind and geometry that exists; padding in words, in numbers or both."""
    kind, axes = draw(st.sampled_from(kinds)), draw(st.sampled_from(dims))
    taps, strides, dilations = _steps(draw, axes)
    lead, groups = _channels(draw)
    options: dict[str, Any] = {}
    if kind == "transposed_correlation":
        # A transposed layer is not causal: the word is refused there.
        named = tuple(word for word in words if word != "causal")
        padding = draw(_padding(axes, named, numbers))
        sizes, options = _transposed(draw, taps, strides, dilations, padding)
    else:
        options["boundary"] = draw(st.sampled_from(boundaries))
        options["padding"] = draw(_padding(axes, words, numbers))
        sizes = _sizes(draw, taps, strides, dilations, options)
    options |= {"stride": _loose(draw, strides), "dilation": _loose(draw, dilations)}
    if lead:
        options["groups"] = groups
    kernel = draw(integers((*lead, *taps)))
    return Drawn(
        kind, sizes[0] if axes == 1 and draw(st.booleans()) else sizes, kernel.tolist(), options
    )


def _steps(draw: st.DrawFn, axes: int) -> list[tuple[int, ...]]:
    """Taps, strides and dilations, the same on all axes in half of the draws."""
    taps, dilation, stride, _, _ = LIMITS[axes]
    found = []
    for most in (taps, stride, dilation):
        alike = draw(st.booleans())
        one = draw(st.integers(1, most))
        found.append(tuple(one if alike else draw(st.integers(1, most)) for _ in range(axes)))
    return found


def _channels(draw: st.DrawFn) -> tuple[tuple[int, ...], int]:
    """The channel axes of the kernel (none for a single channel), and the groups."""
    if draw(st.booleans()):
        return (), 1
    groups, each_out, each_in = draw(st.sampled_from(CHANNELS))
    return (groups * each_out, each_in), groups


def _loose(draw: st.DrawFn, values: tuple[int, ...]) -> Any:
    """One number where all are the same, as callers write it; else one for each axis."""
    return values[0] if len(set(values)) == 1 and draw(st.booleans()) else values


def _padding(axes: int, words: tuple[str, ...], numbers: bool) -> st.SearchStrategy[Any]:
    width = st.integers(0, LIMITS[axes][3])
    pair = st.tuples(width, width)
    forms = [width, st.tuples(*[width] * axes), st.tuples(*[pair] * axes)]
    return st.one_of(*forms * numbers, *[st.sampled_from(words)] * bool(words))


def _sizes(
    draw: st.DrawFn,
    taps: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    options: dict[str, Any],
) -> tuple[int, ...]:
    """Input sizes from the smallest that the padding and the boundary allow."""
    found = []
    for k, (size, dilation) in enumerate(zip(taps, dilations, strict=True)):
        span = (size - 1) * dilation + 1
        padding = options["padding"]
        if isinstance(padding, str):
            free = padding in ("same", "same_lower", "full", "causal")
            least = 1 if free and options["boundary"] != "reflect" else span
        else:
            pair = naive.sides(padding, k, 1, size, strides[k], dilation)
            least = max(span - sum(pair), 1)
            if options["boundary"] == "reflect":
                least = max(least, max(pair) + 1)
        found.append(draw(st.integers(least, least + LIMITS[len(taps)][4])))
    return tuple(found)


def _transposed(
    draw: st.DrawFn,
    taps: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    padding: Any,
) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Input sizes and the options of a transposed layer that has an output."""
    axes = len(taps)
    sizes = []
    extra = [0] * axes
    for k, (size, stride, dilation) in enumerate(zip(taps, strides, dilations, strict=True)):
        if not (isinstance(padding, str) and padding.startswith("same")):
            extra[k] = draw(st.integers(0, max(stride, dilation) - 1))
        least = 1
        if padding == "full" or not isinstance(padding, str):
            pair = naive.sides(padding, k, 1, size, stride, dilation)
            cropped = sum(pair) - (size - 1) * dilation - extra[k]
            least = max(1, 1 + -(-cropped // stride))
        sizes.append(draw(st.integers(least, least + LIMITS[axes][4])))
    options: dict[str, Any] = {"padding": padding}
    if any(extra):
        options["output_padding"] = _loose(draw, tuple(extra))
    return tuple(sizes), options

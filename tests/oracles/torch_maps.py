"""Drawn poolings and activations for PyTorch, and when results agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from strategies import integers

import convalg as ca

torch = pytest.importorskip("torch")


SAMPLES = 2


# Relative: one rounding of an exact fraction, and PyTorch's few; and smooth functions.
ROUNDED, SMOOTH = 1e-12, 1e-10


# Per number of axes: window, stride, dilation, and samples beyond the smallest input.
LIMITS = {1: (5, 4, 3, 6), 2: (3, 3, 2, 3), 3: (2, 3, 2, 2)}


CHANNELS = (None, None, 1, 2, 3)


Forward = Callable[..., Any]


def tensor(values: Any) -> Any:
    """The numbers as float64, each fraction rounded once."""
    floats = np.asarray(values).astype(np.float64)
    return torch.tensor(floats, dtype=torch.float64, requires_grad=True)


def same(found: Any, expected: Any, tolerance: float) -> None:
    """Equal numbers: exactly for tolerance 0, else relative to the largest of them."""
    numbers = expected.detach().numpy()
    floats = np.asarray(found).astype(np.float64).reshape(numbers.shape)
    if not tolerance:
        assert np.array_equal(floats, numbers)
    else:
        largest = float(np.abs(numbers).max(initial=1))
        np.testing.assert_allclose(floats, numbers, rtol=tolerance, atol=tolerance * largest)


def agree(
    layer: ca.Map,
    x: np.ndarray,
    g: np.ndarray,
    forward: Forward,
    *,
    plain: bool = False,
    tolerance: float = 0,
    parameters: dict[str, np.ndarray] | None = None,
) -> None:
    """Forward, dL/dx, and dL/dp for every parameter, against autograd.

    `forward(inputs, **parameters)` on tensors; `plain` adds the axis of a single channel.
    """
    inputs = tensor(x[:, None] if plain else x)
    weights = {name: tensor(value) for name, value in (parameters or {}).items()}
    outputs = forward(inputs, *weights.values())
    upstream = tensor(g).detach().reshape(outputs.shape)
    to_input, *to_weights = torch.autograd.grad(outputs, (inputs, *weights.values()), upstream)
    # Whole numbers are exact here, floats go through BLAS: two paths.
    for values in (x, x.astype(np.float64)):
        same(layer(values), outputs, tolerance)
        same(layer.gradient(values, g), to_input, tolerance)
    if weights:
        found = layer.parameter_gradients(x, g)
        assert set(found) == set(weights)
        for name, expected in zip(weights, to_weights, strict=True):
            assert np.shape(found[name]) == np.shape(layer.parameters[name])
            same(found[name], expected, tolerance)


def pair(data: st.DataObject, layer: ca.Map, size: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """A batch of inputs and of gradients to the outputs."""
    x = data.draw(integers((SAMPLES, *layer.in_shape), size), label="x")
    return x, data.draw(integers((SAMPLES, *layer.out_shape)), label="g")


@dataclass(frozen=True)
class Window:
    """The arguments of one pooling; printed by Hypothesis when a test fails."""

    shape: tuple[int, ...]
    size: Any
    stride: Any
    padding: Any
    dilation: Any
    ceil_mode: bool
    channels: int | None

    @property
    def dims(self) -> int:
        return len(self.shape)

    @property
    def taps(self) -> tuple[int, ...]:
        return (self.size,) * self.dims if isinstance(self.size, int) else self.size

    @property
    def plain(self) -> bool:
        return self.channels is None

    def layer(self, kind: Any, *args: Any, without: tuple[str, ...] = (), **more: Any) -> Any:
        """`kind` of convalg with these arguments."""
        names = ("stride", "padding", "dilation", "ceil_mode", "channels")
        options = {name: getattr(self, name) for name in names if name not in without}
        return kind(self.shape, self.size, *args, **options, **more)


def loose(draw: st.DrawFn, values: tuple[int, ...]) -> Any:
    """One number where all are the same, as callers write it; else one for each axis."""
    return values[0] if len(set(values)) == 1 and draw(st.booleans()) else values


@st.composite
def windows(
    draw: st.DrawFn,
    *,
    dims: tuple[int, ...] = (1, 2, 2, 3),
    dilated: bool = True,
    padded: bool = True,
    wide: bool = False,
    ceil: bool = True,
) -> Window:
    """Any pooling that PyTorch takes: padding up to half of the window, or more where `wide`."""
    axes = draw(st.sampled_from(dims))
    most, stride, dilation, beyond = LIMITS[axes]

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(axes))

    sizes = each(1, most)
    steps = draw(st.none() | st.just(each(1, stride)))
    spread = each(1, dilation) if dilated else (1,) * axes
    ceil_mode = ceil and draw(st.booleans())
    pads, shape = [], []
    for size, gap in zip(sizes, spread, strict=True):
        span = (size - 1) * gap + 1
        pads.append(draw(st.integers(0, 2 if wide else size // 2)) if padded else 0)
        least = max(span - 2 * pads[-1], 1)
        shape.append(draw(st.integers(least, least + beyond)))
    return Window(
        tuple(shape),
        loose(draw, sizes),
        steps and loose(draw, steps),
        loose(draw, tuple(pads)),
        loose(draw, spread),
        ceil_mode,
        draw(st.sampled_from(CHANNELS)),
    )

"""Hints for refuted claims: known mistakes, each confirmed by proving the corrected claim."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain, combinations
from typing import Any, TypeAlias

import numpy as np

from convalg.axis import Axis, output_size
from convalg.errors import ConvalgError
from convalg.geometry import Geometry
from convalg.kernels import SymbolicKernel
from convalg.operators.leaves import Convolution, single_layer
from convalg.operators.tree import Operator

Change: TypeAlias = Callable[[], Convolution | None]


def repair(
    actual: Operator, claimed: Operator, proves: Callable[[Operator, Operator, str], bool]
) -> str:
    """Return the hint for a change that makes the claim true, or "" if there is none.

    Only known mistakes are tried, and `proves` must show that the corrected operator is equal to
    the actual one.
    """
    for hint, corrected in _corrected(actual, claimed):
        if len(corrected.in_shape) == len(actual.in_shape) and proves(actual, corrected, hint):
            return hint
    return ""


def _corrected(actual: Operator, claimed: Operator) -> Iterator[tuple[str, Operator]]:
    """Yield (hint, corrected operator) for each known mistake, the simplest first."""
    single = single_layer(claimed)
    if single is None:
        return
    layer, transposed = single
    for hint, change in _changes(layer, actual):
        try:
            corrected = change()
        except ConvalgError:
            continue  # The changed layer does not exist.
        if corrected is not None:
            yield hint, corrected.T if transposed else corrected


def _changes(layer: Convolution, actual: Operator) -> Iterator[tuple[str, Change]]:
    """Yield each hint with a function that returns the changed layer, or None if there is none."""
    full = tuple(range(len(layer.geometry.axes)))
    yield "flip the kernel", lambda: _flipped(layer, full)
    for subset in chain.from_iterable(combinations(full, k) for k in range(1, len(full))):
        named = ", ".join(map(str, subset))
        yield f"flip the kernel on axis {named} only", partial(_flipped, layer, subset)
    if layer.geometry.has_channels:
        yield "exchange the kernel's input and output channels", lambda: _swapped(layer)
        yield (
            "exchange the kernel's input and output channels and flip it",
            lambda: _swapped(_flipped(layer, full)),
        )
    yield "the padding should be d (k - 1) - p", lambda: _with_padding(layer)
    yield (
        "the padding should be d (k - 1) - p, with the kernel flipped",
        lambda: _with_padding(_flipped(layer, full)),
    )
    yield (
        "the remainder (i + 2p - d (k - 1) - 1) mod s is lost: add that many samples at the end "
        "(output_padding)",
        lambda: _with_remainder(layer, actual),
    )


def _flipped(layer: Convolution, axes: tuple[int, ...]) -> Convolution:
    weights = layer.weights
    lead = weights.ndim - len(layer.geometry.axes)
    flipped = tuple(lead + k for k in axes)
    if isinstance(weights, SymbolicKernel):
        return Convolution(layer.geometry, weights.flip(flipped))
    return Convolution(layer.geometry, np.flip(weights, axis=flipped))


def _swapped(layer: Convolution) -> Convolution | None:
    weights = layer.weights.swapaxes(0, 1)
    if layer.geometry.groups != 1 or weights.shape != layer.weights.shape:
        return None
    return Convolution(layer.geometry, weights)


def _with_padding(layer: Convolution) -> Convolution | None:
    """Return the layer with padding d (k - 1) - p on both sides; None for a strided layer."""
    axes = []
    for axis in layer.geometry.axes:
        if not (isinstance(axis.stride, int) and axis.stride == 1):
            return None
        padding: Any = axis.span - 1 - axis.padding
        outputs = output_size(axis.in_size, axis.taps, 1, abs(axis.dilation), padding, padding)
        axes.append(replace(axis, padding=padding, out_size=outputs))
    return _over(layer, axes)


def _with_remainder(layer: Convolution, actual: Operator) -> Convolution | None:
    """Return the strided layer whose input has the size of the output of the actual A^T."""
    lead = 1 if layer.geometry.has_channels else 0
    if all(axis.stride == 1 for axis in layer.geometry.axes):
        return None
    axes = [
        replace(axis, in_size=actual.out_shape[lead + k])
        for k, axis in enumerate(layer.geometry.axes)
    ]
    return _over(layer, axes)


def _over(layer: Convolution, axes: list[Axis]) -> Convolution:
    geometry = layer.geometry
    changed = Geometry(tuple(axes), geometry.in_channels, geometry.out_channels, geometry.groups)
    return Convolution(changed, layer.weights)

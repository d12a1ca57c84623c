"""A layer of the same form at another size: small enough to write out, or as large as an image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from convalg.arrays import as_kernel
from convalg.axis import Axis, output_size, span, transposed_size
from convalg.conventions import check_reflect
from convalg.errors import ShapeError
from convalg.faces.latex import layer_of
from convalg.faces.text import padding_after
from convalg.geometry import Geometry
from convalg.kernels import kernel as symbols
from convalg.operators.gradients import only_convolution
from convalg.operators.leaves import Convolution
from convalg.operators.tree import Operator
from convalg.pattern.pattern import Pattern
from convalg.sheet.claims import by
from convalg.size import is_symbolic, size_product

MOST_SAMPLES, MOST_PRODUCTS, MOST_WEIGHTS = 100, 2000, 81
"""The largest layer that is written out: its rows or columns, products, and weights."""

# Samples and taps per axis, for one, two, three and more axes; first for one channel, then several.
SIDES = ((12, 6, 4, 3), (8, 4, 3, 2))
TAPS = ((7, 5, 3, 2), (5, 3, 2, 2))


def has_symbols(operator: Operator) -> bool:
    """Whether the kernel of a layer contains symbols rather than numbers."""
    weights = only_convolution(operator).weights
    return weights.dtype.kind == "O" and any(
        is_symbolic(value) and bool(value.free_symbols) for value in weights.ravel()
    )


def small_form(operator: Operator) -> Operator:
    """Return a layer of the same form, with symbolic weights, that is small enough to write out.

    A layer that is small enough keeps its size. Otherwise stride, dilation, boundary and kernel
    size are kept as far as possible, with fewer samples and channels; wide kernels, strides and
    dilations are reduced last.

    >>> import convalg as ca
    >>> small_form(ca.correlation((224, 224), np.ones((64, 3, 3, 3)), stride=2, padding=1)).in_shape
    (2, 4, 4)
    """
    geometry, transposed = layer_of(operator)
    small = geometry
    for attempt in range(3):
        if _fits(small):
            break
        small = _shrunk(geometry, attempt)
    own = only_convolution(operator).weights
    keeps = small.kernel_shape == geometry.kernel_shape and has_symbols(operator)
    weights = own if keeps else as_kernel(symbols(*small.kernel_shape))
    layer = Convolution(small, weights)
    return layer.T if transposed else layer


def differences(operator: Operator, small: Operator) -> list[str]:
    """Return texts that list how the small form differs from the layer; empty if it does not."""
    (large, _), (little, _) = layer_of(operator), layer_of(small)
    texts = []
    for name, before, after in (
        ("input", operator.in_shape, small.in_shape),
        ("kernel", large.kernel_shape, little.kernel_shape),
        ("groups", (large.groups,), (little.groups,)),
        ("stride", _each(large, "stride"), _each(little, "stride")),
        ("dilation", _each(large, "dilation"), _each(little, "dilation")),
    ):
        if before != after:
            texts.append(f"{name} {by(after)} instead of {by(before)}")
    return texts


def resized(operator: Operator, sizes: tuple[int, ...], weights: np.ndarray) -> Operator:
    """Return the same layer over another spatial input, with these weights.

    Raises ShapeError or ArgumentError when the layer does not exist at that size.
    """
    geometry, transposed = layer_of(operator)
    axes = []
    for number, (axis, n) in enumerate(zip(geometry.axes, sizes, strict=True)):
        s, d, before, after = _options(axis)
        if transposed:
            longer = transposed_size(n, axis.taps, s, d, before, axis.after)
            fitted = replace(axis, in_size=longer, out_size=n)
        else:
            check_reflect(axis.boundary, (before, after), n, number)
            outputs = output_size(n, axis.taps, s, d, before, after)
            fitted = replace(axis, in_size=n, out_size=outputs)
        if min(fitted.in_size, fitted.out_size) < 1:
            raise ShapeError(
                f"this layer has no output for {n} samples on axis {number} of an image of "
                f"{by(sizes)} pixels, because its {axis.taps} taps span more than the padded "
                f"image: use a larger image"
            )
        axes.append(fitted)
    layer = Convolution(replace(geometry, axes=tuple(axes)), as_kernel(weights))
    return layer.T if transposed else layer


def _each(geometry: Geometry, name: str) -> tuple[Any, ...]:
    return tuple(abs(getattr(axis, name)) for axis in geometry.axes)


def _options(axis: Axis) -> tuple[int, int, int, int]:
    """Stride, dilation and padding before and after, as a user would give them."""
    return axis.stride, abs(axis.dilation), axis.before, padding_after(axis)


def _fits(geometry: Geometry) -> bool:
    most = max(size_product(geometry.in_shape), size_product(geometry.out_shape))
    return (
        most <= MOST_SAMPLES
        and Pattern(geometry).products <= MOST_PRODUCTS
        and size_product(geometry.kernel_shape) <= MOST_WEIGHTS
    )


def _shrunk(geometry: Geometry, attempt: int) -> Geometry:
    """Reduce samples and channels; from the second attempt on also strides, dilations, channels."""
    groups, outputs, inputs = geometry.channels
    few = 2 if attempt == 0 else 1
    groups, outputs, inputs = min(groups, 2), min(outputs, few), min(inputs, few)
    several = int(max(groups * outputs, groups * inputs) > 1)
    dims = min(len(geometry.axes), 4) - 1
    side, taps = SIDES[several][dims], TAPS[several][dims]
    if attempt == 2:
        side, taps = min(side, 3), 2
    axes = tuple(_shrunk_axis(axis, side, taps, attempt) for axis in geometry.axes)
    if not geometry.has_channels:
        return Geometry(axes)
    return Geometry(axes, groups * inputs, groups * outputs, groups)


def _shrunk_axis(axis: Axis, side: int, most_taps: int, attempt: int) -> Axis:
    s, d, before, after = _options(axis)
    k = axis.taps
    assert isinstance(k, int)
    # An odd kernel stays odd, so that "same" padding stays symmetric.
    taps = k if k <= most_taps else most_taps - (k - most_taps) % 2 or 1
    if attempt > 0:
        s = taps if s >= k else min(s, 2)
        d = min(d, 2)
    if taps != k or d != abs(axis.dilation):
        reach, new_reach = axis.span - 1 or 1, span(taps, d) - 1
        before, after = (-(-p * new_reach // reach) for p in (before, after))
    folded = max(before, after) + 1 if axis.boundary != "zeros" else 1
    n = min(axis.in_size, max(side, span(taps, d) - before - after + s, folded))
    outputs = output_size(n, taps, s, d, before, after)
    flip = span(taps, d) - 1 if axis.is_backwards else 0
    return Axis(
        in_size=n,
        out_size=outputs,
        taps=taps,
        stride=s,
        dilation=-d if axis.is_backwards else d,
        padding=before - flip,
        boundary=axis.boundary,
    )

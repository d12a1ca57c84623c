"""Recognise matrices of known names: permutations, resampling, poolings with special borders."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain, combinations, permutations, product
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.errors import ConvalgError
from convalg.operators.dense import diagonal, identity
from convalg.operators.leaves import gathering
from convalg.operators.pooling import adaptive_pool, average_pool
from convalg.operators.rearrange import permute, pixel_shuffle, pixel_unshuffle, reshape
from convalg.operators.resize import resize
from convalg.operators.shifts import flip_axes, shift
from convalg.operators.tree import Operator
from convalg.operators.windows import COORDINATES, ROUNDINGS
from convalg.recognise.entries import Entries, entries
from convalg.recognise.identification import Identification
from convalg.recognise.layers import LayerMatch, ShapeSplit, layer_of
from convalg.size import size_product

Named = tuple[str, Operator, str]
"""A kind, its operator, and a description."""


def permutation(
    matrix: Entries, in_shape: tuple[int, ...], out_shape: tuple[int, ...]
) -> Identification | None:
    """Identify a permutation matrix by its most specific name; None for another matrix."""
    order = _order(matrix)
    if order is None:
        return None
    choices = chain(
        _unmoved(in_shape, out_shape),
        _axes(in_shape, out_shape),
        _channels(order, in_shape, out_shape),
    )
    for kind, operator, text in chain(choices, _shifts(order, in_shape, out_shape)):
        if operator.out_shape == out_shape and np.array_equal(_read(operator), order):
            return Identification(kind, in_shape, out_shape, operator, words=text)
    return None


def any_permutation(
    matrix: Entries, in_shape: tuple[int, ...], out_shape: tuple[int, ...]
) -> Identification | None:
    """Identify a permutation matrix that has no more specific name; None for another matrix."""
    order = _order(matrix)
    if order is None:
        return None
    text = f"the entries in the order {order[:12].tolist()}{' ...' * (len(order) > 12)}"
    operator = gathering(order, in_shape, out_shape)
    return Identification("permutation", in_shape, out_shape, operator, words=text)


def _order(matrix: Entries) -> Array | None:
    """Return the input index of each output of a permutation matrix, or None."""
    rows, columns = matrix.exact.shape
    ones = matrix.ones
    if rows != columns or ones.sum() != rows or matrix.used.sum() != rows:
        return None
    order = ones.argmax(axis=1)
    return order if len(np.unique(order)) == rows and ones.any(axis=1).all() else None


def _read(operator: Operator) -> Array:
    """Return the input index of each output of a permutation operator, shape (outputs,)."""
    count = size_product(operator.in_shape)
    return operator(np.arange(count).reshape(operator.in_shape)).ravel()


def _unmoved(in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> Iterator[Named]:
    """Yield the identity or the reshape between two shapes."""
    if in_shape == out_shape:
        yield "identity", identity(in_shape), "every output is its input"
    elif size_product(in_shape) == size_product(out_shape):
        yield "reshape", reshape(in_shape, out_shape), f"the entries in order, as {out_shape}"


def _axes(in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> Iterator[Named]:
    """Yield the permutations and the reversals of axes."""
    dims = len(in_shape)
    for axes in permutations(range(dims)):
        if axes != tuple(range(dims)) and tuple(in_shape[k] for k in axes) == out_shape:
            yield "permutation of axes", permute(in_shape, axes), f"the axes in the order {axes}"
    for count in range(1, dims + 1):
        for axes in combinations(range(dims), count):
            text = f"the axes {axes} reversed"
            yield "reversal of axes", flip_axes(in_shape, axes), text


def _channels(
    order: Array, in_shape: tuple[int, ...], out_shape: tuple[int, ...]
) -> Iterator[Named]:
    """Yield permutations of channels, and pixel shuffles."""
    if len(in_shape) < 2 or len(in_shape) != len(out_shape):
        return
    count, sizes = in_shape[0], in_shape[1:]
    if in_shape == out_shape:
        inner = size_product(sizes)
        moved = order.reshape(count, inner)[:, 0] // inner
        table = np.arange(order.size).reshape(count, inner)[moved]
        text = f"the channels in the order {moved.tolist()}"
        yield "permutation of channels", gathering(table, in_shape, out_shape), text
    for kind, make, pairs in (
        ("pixel shuffle", pixel_shuffle, zip(out_shape[1:], sizes, strict=True)),
        ("pixel unshuffle", pixel_unshuffle, zip(sizes, out_shape[1:], strict=True)),
    ):
        ratios = [divmod(fine, coarse) for fine, coarse in pairs]
        factor = tuple(ratio for ratio, rest in ratios if ratio and not rest)
        coarse_channels = max(count, out_shape[0])
        if len(factor) < len(sizes) or coarse_channels % size_product(factor):
            continue
        for layout in ("CRD", "DCR"):
            operator = make(sizes, factor, channels=count, order=layout)
            yield kind, operator, f"blocks of {factor}, order {layout}"


def _shifts(order: Array, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> Iterator[Named]:
    """Yield the circular shift that the first output determines."""
    if in_shape != out_shape:
        return
    source = np.unravel_index(int(order[0]), in_shape)
    offset = tuple((-int(k)) % n for k, n in zip(source, in_shape, strict=True))
    text = f"y[i] = x[i - {offset}], with indices modulo the sizes"
    yield "circular shift", shift(in_shape, offset, boundary="circular"), text


def diagonal_of(
    matrix: Entries, in_shape: tuple[int, ...], out_shape: tuple[int, ...]
) -> Identification | None:
    """Identify a diagonal matrix; None for another matrix."""
    rows, columns = matrix.exact.shape
    if in_shape != out_shape or (matrix.used & ~np.eye(rows, columns, dtype=bool)).any():
        return None
    values = np.diagonal(matrix.exact).reshape(in_shape)
    text = "each entry times its own factor"
    return Identification("diagonal", in_shape, out_shape, diagonal(values), words=text)


def resampling(
    matrix: Entries,
    in_shape: tuple[int, ...],
    out_shape: tuple[int, ...],
    choices: list[ShapeSplit],
) -> Identification | None:
    """Identify a nearest or linear resampling; None for another matrix."""
    if not matrix.sums_to_one:
        return None
    for layout in choices:
        channels = in_shape[0] if layout.has_channels else None
        if layout.has_channels and in_shape[0] != out_shape[0]:
            continue
        kinds = [("nearest", c, r) for c, r in product(COORDINATES, ROUNDINGS)]
        for mode, coordinates, rounding in [("linear", c, "floor") for c in COORDINATES] + kinds:
            options: dict[str, Any] = {"coordinates": coordinates, "channels": channels}
            if mode == "nearest":
                options["rounding"] = rounding
            operator = resize(layout.inputs, layout.outputs, mode=mode, **options)  # type: ignore[arg-type]  # one of the modes
            if matrix.agree(operator):
                text = f"{layout.inputs} to {layout.outputs}, {coordinates}" + (
                    f", {rounding}" if mode == "nearest" else ""
                )
                kind = f"{mode} resampling"
                return Identification(kind, in_shape, out_shape, operator, words=text)
    return None


def average(
    matrix: Entries,
    in_shape: tuple[int, ...],
    out_shape: tuple[int, ...],
    choices: list[ShapeSplit],
) -> Identification | None:
    """Identify an average pooling whose divisors change at the border, or that is adaptive.

    None for another matrix.
    """
    support = entries(matrix.used.reshape(matrix.exact.shape).astype(np.int64))
    for layout in choices:
        channels = in_shape[0] if layout.has_channels else None
        sizes, outputs = layout.inputs, layout.outputs
        shape = layout.blocks.exact.shape
        windows = layer_of(
            ShapeSplit(support.reshape(*shape), layout.has_channels, sizes, outputs), "zeros"
        )
        if windows is not None and (windows.kernel == 1).all():
            for options, operator in _averages(windows, sizes, channels):
                if operator.out_shape == out_shape and matrix.agree(operator):
                    counted = options["count_include_pad"]
                    text = windows_in_words(windows, options["padding"])
                    text += f", which {'counts' if counted else 'does not count'}"
                    options.pop("channels")
                    return Identification(
                        "average pooling",
                        in_shape,
                        out_shape,
                        operator,
                        size=windows.taps,
                        groups=channels or 1,
                        words=text + ", ceil_mode" * options["ceil_mode"],
                        **options,
                    )
        if matrix.sums_to_one and (channels is None or in_shape[0] == out_shape[0]):
            operator = adaptive_pool(sizes, outputs, channels=channels)
            if matrix.agree(operator):
                text = f"adaptive, {sizes} to {outputs}"
                return Identification("average pooling", in_shape, out_shape, operator, words=text)
    return None


def _averages(
    windows: LayerMatch, sizes: tuple[int, ...], channels: int | None
) -> Iterator[tuple[dict[str, Any], Operator]]:
    """Yield average poolings over the given windows and their options, the usual options first."""
    for padding, ceil_mode in paddings(windows):
        for counted in (True, False):
            options: dict[str, Any] = {
                "stride": windows.stride,
                "padding": padding,
                "dilation": windows.dilation,
                "ceil_mode": ceil_mode,
                "count_include_pad": counted,
                "channels": channels,
            }
            try:
                yield options, average_pool(sizes, windows.taps, **options)
            except ConvalgError:
                # A window with only padding has no mean.
                continue


def paddings(windows: LayerMatch) -> Iterator[tuple[tuple[tuple[int, int], ...], bool]]:
    """Yield the paddings of each axis that lead to the given windows, and whether ceil_mode is on.

    Padding of equal widths (before, after) is first, then padding as far as the windows reach, then
    shorter padding.
    """
    alike = tuple((-line.first, -line.first) for line in windows.lines)
    reached = tuple((-line.first, max(line.least, 0)) for line in windows.lines)
    shorter = [
        tuple((-line.first, min(most, max(line.least, 0))) for line in windows.lines)
        for most in range(max((pad[1] for pad in reached), default=0))
    ]
    for padding in (alike, reached, windows.padding, *shorter):
        yield from ((padding, False), (padding, True))


def windows_in_words(windows: LayerMatch, padding: tuple[tuple[int, int], ...]) -> str:
    """Return the size, dilation (if above 1), stride and padding of windows in words."""
    dilated = f", dilation {windows.dilation}" if max(windows.dilation) > 1 else ""
    return f"windows of {windows.taps}{dilated}, stride {windows.stride}, padding {padding}"


def is_mean(kernel: Array, taps: tuple[int, ...]) -> bool:
    """Whether the first tap of a kernel is 1 / (number of taps)."""
    # A Python number does not overflow.
    first = kernel.ravel()[:1].tolist()[0]
    exact = kernel.dtype.kind != "f"
    total = first * math.prod(taps)
    return bool(total == 1 if exact else math.isclose(float(total), 1))

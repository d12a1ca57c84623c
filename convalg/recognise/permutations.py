"""Matrices that are known by name: permutations, resampling, poolings with borders of their own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain, combinations, permutations, product
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.errors import ConvalgError
from convalg.operators.leaves import gathering
from convalg.operators.make import diagonal, flip_axes, identity, reshape, shift
from convalg.operators.pooling import adaptive_pool, average_pool
from convalg.operators.resampling import permute, pixel_shuffle, pixel_unshuffle, resize
from convalg.operators.tree import Operator
from convalg.operators.windows import COORDINATES, ROUNDINGS
from convalg.recognise.entries import Entries, entries
from convalg.recognise.identification import Identification
from convalg.recognise.layers import LayerMatch, ShapeSplit, layer_of
from convalg.size import size_product

Named = tuple[str, Operator, str]
"""A kind, its operator, and words for it."""


def permutation(
    found: Entries, before: tuple[int, ...], after: tuple[int, ...]
) -> Identification | None:
    """The permutation of entries that a matrix is, by its most telling name."""
    order = _order(found)
    if order is None:
        return None
    choices = chain(_unmoved(before, after), _axes(before, after), _channels(order, before, after))
    for kind, operator, words in chain(choices, _shifts(order, before, after)):
        if operator.out_shape == after and np.array_equal(_read(operator), order):
            return Identification(kind, before, after, operator, words=words)
    return None


def any_permutation(
    found: Entries, before: tuple[int, ...], after: tuple[int, ...]
) -> Identification | None:
    """A permutation without a name of its own."""
    order = _order(found)
    if order is None:
        return None
    words = f"the entries in the order {order[:12].tolist()}{' ...' * (len(order) > 12)}"
    operator = gathering(order, before, after)
    return Identification("permutation", before, after, operator, words=words)


def _order(found: Entries) -> Array | None:
    """Which input each output is, where each is one input and none comes twice."""
    rows, columns = found.exact.shape
    ones = found.ones
    if rows != columns or ones.sum() != rows or found.used.sum() != rows:
        return None
    order = ones.argmax(axis=1)
    return order if len(np.unique(order)) == rows and ones.any(axis=1).all() else None


def _read(operator: Operator) -> Array:
    """Which input each output of a permutation is."""
    count = size_product(operator.in_shape)
    return operator(np.arange(count).reshape(operator.in_shape)).ravel()


def _unmoved(before: tuple[int, ...], after: tuple[int, ...]) -> Iterator[Named]:
    if before == after:
        yield "identity", identity(before), "nothing changes"
    elif size_product(before) == size_product(after):
        yield "reshape", reshape(before, after), f"the entries in order, as {after}"


def _axes(before: tuple[int, ...], after: tuple[int, ...]) -> Iterator[Named]:
    dims = len(before)
    for axes in permutations(range(dims)):
        if axes != tuple(range(dims)) and tuple(before[k] for k in axes) == after:
            yield "permutation of axes", permute(before, axes), f"the axes in the order {axes}"
    for count in range(1, dims + 1):
        for axes in combinations(range(dims), count):
            words = f"the axes {axes} reversed"
            yield "reversal of axes", flip_axes(before, axes), words


def _channels(order: Array, before: tuple[int, ...], after: tuple[int, ...]) -> Iterator[Named]:
    """Channels exchanged, and channels laid out in space or back."""
    if len(before) < 2 or len(before) != len(after):
        return
    count, sizes = before[0], before[1:]
    if before == after:
        inner = size_product(sizes)
        moved = order.reshape(count, inner)[:, 0] // inner
        table = np.arange(order.size).reshape(count, inner)[moved]
        words = f"the channels in the order {moved.tolist()}"
        yield "permutation of channels", gathering(table, before, after), words
    for kind, make, pairs in (
        ("pixel shuffle", pixel_shuffle, zip(after[1:], sizes, strict=True)),
        ("pixel unshuffle", pixel_unshuffle, zip(sizes, after[1:], strict=True)),
    ):
        ratios = [divmod(fine, coarse) for fine, coarse in pairs]
        factor = tuple(ratio for ratio, rest in ratios if ratio and not rest)
        coarse_channels = max(count, after[0])
        if len(factor) < len(sizes) or coarse_channels % size_product(factor):
            continue
        for layout in ("CRD", "DCR"):
            operator = make(sizes, factor, channels=count, order=layout)
            yield kind, operator, f"blocks of {factor}, order {layout}"


def _shifts(order: Array, before: tuple[int, ...], after: tuple[int, ...]) -> Iterator[Named]:
    if before != after:
        return
    source = np.unravel_index(int(order[0]), before)
    offset = tuple((-int(k)) % n for k, n in zip(source, before, strict=True))
    words = f"y[i] = x[i - {offset}], with indices modulo the sizes"
    yield "circular shift", shift(before, offset, boundary="circular"), words


def diagonal_of(
    found: Entries, before: tuple[int, ...], after: tuple[int, ...]
) -> Identification | None:
    """A matrix with entries on its diagonal only."""
    rows, columns = found.exact.shape
    if before != after or (found.used & ~np.eye(rows, columns, dtype=bool)).any():
        return None
    values = np.diagonal(found.exact).reshape(before)
    words = "each entry times a factor of its own"
    return Identification("diagonal", before, after, diagonal(values), words=words)


def resampling(
    found: Entries, before: tuple[int, ...], after: tuple[int, ...], choices: list[ShapeSplit]
) -> Identification | None:
    """The nearest or linear interpolation that a matrix is."""
    if not found.sums_to_one:
        return None
    for layout in choices:
        channels = before[0] if layout.has_channels else None
        if layout.has_channels and before[0] != after[0]:
            continue
        kinds = [("nearest", c, r) for c, r in product(COORDINATES, ROUNDINGS)]
        for mode, coordinates, rounding in [("linear", c, "floor") for c in COORDINATES] + kinds:
            options: dict[str, Any] = {"coordinates": coordinates, "channels": channels}
            if mode == "nearest":
                options["rounding"] = rounding
            operator = resize(layout.inputs, layout.outputs, mode=mode, **options)  # type: ignore[arg-type]  # one of the modes
            if found.agree(operator):
                words = f"{layout.inputs} to {layout.outputs}, {coordinates}" + (
                    f", {rounding}" if mode == "nearest" else ""
                )
                kind = f"{mode} resampling"
                return Identification(kind, before, after, operator, words=words)
    return None


def average(
    found: Entries, before: tuple[int, ...], after: tuple[int, ...], choices: list[ShapeSplit]
) -> Identification | None:
    """The mean over windows whose divisors change at the border, or of an adaptive pooling."""
    support = entries(found.used.reshape(found.exact.shape).astype(np.int64))
    for layout in choices:
        channels = before[0] if layout.has_channels else None
        sizes, outputs = layout.inputs, layout.outputs
        shape = layout.blocks.exact.shape
        windows = layer_of(
            ShapeSplit(support.reshape(*shape), layout.has_channels, sizes, outputs), "zeros"
        )
        if windows is not None and (windows.kernel == 1).all():
            for options, operator in _averages(windows, sizes, channels):
                if operator.out_shape == after and found.agree(operator):
                    counted = options["count_include_pad"]
                    words = windows_in_words(windows, options["padding"])
                    words += f", which {'counts' if counted else 'does not count'}"
                    options.pop("channels")
                    return Identification(
                        "average pooling",
                        before,
                        after,
                        operator,
                        size=windows.taps,
                        groups=channels or 1,
                        words=words + ", ceil_mode" * options["ceil_mode"],
                        **options,
                    )
        if found.sums_to_one and (channels is None or before[0] == after[0]):
            operator = adaptive_pool(sizes, outputs, channels=channels)
            if found.agree(operator):
                words = f"adaptive, {sizes} to {outputs}"
                return Identification("average pooling", before, after, operator, words=words)
    return None


def _averages(
    windows: LayerMatch, sizes: tuple[int, ...], channels: int | None
) -> Iterator[tuple[dict[str, Any], Operator]]:
    """Averages over the windows found, the usual ones first."""
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
                # A window of padding alone has no mean.
                continue


def paddings(windows: LayerMatch) -> Iterator[tuple[tuple[tuple[int, int], ...], bool]]:
    """Paddings (before, behind) that give these windows, and whether by ceil_mode.

    The same on both sides first, then what the windows reach, then less.
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
    """The windows of a pooling: size, dilation where there is one, stride and padding."""
    dilated = f", dilation {windows.dilation}" if max(windows.dilation) > 1 else ""
    return f"windows of {windows.taps}{dilated}, stride {windows.stride}, padding {padding}"


def is_mean(kernel: Array, taps: tuple[int, ...]) -> bool:
    """Whether every tap is one over the number of taps."""
    # A Python number, which does not overflow.
    first = kernel.ravel()[:1].tolist()[0]
    exact = kernel.dtype.kind != "f"
    total = first * math.prod(taps)
    return bool(total == 1 if exact else math.isclose(float(total), 1))

"""The pooling of largest or smallest samples behind a black box."""

from __future__ import annotations

from typing import Any

import numpy as np

from convalg.errors import ConvalgError
from convalg.maps.max_pooling import adaptive_max_pool, max_pool, min_pool
from convalg.operators.tree import Map
from convalg.recognise.entries import entries
from convalg.recognise.identification import Identification
from convalg.recognise.inputs import COUNT, INTEGERS, families
from convalg.recognise.layers import LayerMatch, best_correlation, layouts
from convalg.recognise.permutations import paddings, windows_in_words
from convalg.recognise.probe import Probe
from convalg.size import size_product

LOW = -1e6
"""What no sample of a probe is below."""

SAMPLES = 20
"""Random inputs with ties on which a pooling must agree."""


def extreme(ask: Probe, after: tuple[int, ...]) -> Identification | None:
    """The max or min pooling that a function is, on impulses and on random inputs with ties."""
    for kind, sign, maker in (("max pooling", 1, max_pool), ("min pooling", -1, min_pool)):
        windows = _windows(ask, after, sign)
        if windows is None:
            continue
        dims = len(windows.lines)
        sizes = ask.in_shape[len(ask.in_shape) - dims :]
        channels = ask.in_shape[0] if windows.has_channels else None
        for padding, ceil_mode in paddings(windows):
            options: dict[str, Any] = {
                "stride": windows.stride,
                "padding": padding,
                "dilation": windows.dilation,
                "ceil_mode": ceil_mode,
            }
            try:
                operator = maker(sizes, windows.taps, channels=channels, **options)
            except ConvalgError:
                continue
            if operator.out_shape == after and _agrees(ask, operator):
                words = windows_in_words(windows, padding)
                return Identification(
                    kind,
                    ask.in_shape,
                    ask.out_shape,
                    operator,
                    size=windows.taps,
                    words=words + ", ceil_mode" * ceil_mode,
                    **options,
                )
    return _adaptive(ask, after)


def _windows(ask: Probe, after: tuple[int, ...], sign: int) -> LayerMatch | None:
    """Which inputs each output can be: one sample stands out of a plain background."""
    before = ask.in_shape
    count = size_product(before)
    units = np.full((count, count), sign * LOW)
    np.fill_diagonal(units, sign)
    found = sign * ask(units.reshape(count, *before)).reshape(count, -1)
    matrix = (found == 1).T.astype(np.int64)
    if not matrix.any():
        return None
    windows = best_correlation(list(layouts(entries(matrix), before, after)), "zeros", None)
    return windows if windows is not None and (windows.kernel == 1).all() else None


def _agrees(ask: Probe, operator: Map) -> bool:
    """Whether f is this pooling on every family: integers with ties, fractions, large numbers."""
    for family in families(ask.feed.least, ask.feed.largest):
        count = SAMPLES if family is INTEGERS else COUNT
        x = family.samples(ask.in_shape, seed=1, count=count)
        if family is INTEGERS:
            x[::2] -= 20
        pairs = zip(operator(x).reshape(count, -1), ask(x).reshape(count, -1), strict=True)
        for expected, found in pairs:
            # A pooling returns samples: the only rounding is that of the type it computes in.
            slack = ask.tolerance * float(np.abs(expected).max())
            if not (np.abs(found - expected) <= slack).all():
                return False
    return True


def _adaptive(ask: Probe, after: tuple[int, ...]) -> Identification | None:
    before = ask.in_shape
    if len(before) != len(after):
        return None
    # Two axes are an image, three are channels of images.
    for lead in (0, 1) if len(before) < 3 else (1, 0):
        if before[:lead] != after[:lead] or len(before) == lead:
            continue
        channels = before[0] if lead else None
        operator = adaptive_max_pool(before[lead:], after[lead:], channels=channels)
        if _agrees(ask, operator):
            words = f"adaptive, {before[lead:]} to {after[lead:]}"
            return Identification("max pooling", before, ask.out_shape, operator, words=words)
    return None

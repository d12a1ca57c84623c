"""Identify the max or min pooling that a function computes."""

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
"""The background of the inputs that reveal the windows, below every other sample."""

SAMPLES = 20
"""Number of random inputs with ties on which a pooling must agree."""


def extreme(probed: Probe, out_shape: tuple[int, ...]) -> Identification | None:
    """Return the max or min pooling that agrees with a function on all inputs tried, or None."""
    for kind, sign, maker in (("max pooling", 1, max_pool), ("min pooling", -1, min_pool)):
        windows = _windows(probed, out_shape, sign)
        if windows is None:
            continue
        dims = len(windows.lines)
        sizes = probed.in_shape[len(probed.in_shape) - dims :]
        channels = probed.in_shape[0] if windows.has_channels else None
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
            if operator.out_shape == out_shape and _agrees(probed, operator):
                text = windows_in_words(windows, padding)
                return Identification(
                    kind,
                    probed.in_shape,
                    probed.out_shape,
                    operator,
                    size=windows.taps,
                    words=text + ", ceil_mode" * ceil_mode,
                    **options,
                )
    return _adaptive(probed, out_shape)


def _windows(probed: Probe, out_shape: tuple[int, ...], sign: int) -> LayerMatch | None:
    """Return the windows, from inputs with one sample that differs from a constant background.

    They are returned as the layer that sums each window. None if the windows are not regular.
    """
    in_shape = probed.in_shape
    count = size_product(in_shape)
    units = np.full((count, count), sign * LOW)
    np.fill_diagonal(units, sign)
    values = sign * probed(units.reshape(count, *in_shape)).reshape(count, -1)
    matrix = (values == 1).T.astype(np.int64)
    if not matrix.any():
        return None
    windows = best_correlation(list(layouts(entries(matrix), in_shape, out_shape)), "zeros", None)
    return windows if windows is not None and (windows.kernel == 1).all() else None


def _agrees(probed: Probe, operator: Map) -> bool:
    """Whether a function agrees with a pooling on every family of inputs."""
    for family in families(probed.feed.least, probed.feed.largest):
        count = SAMPLES if family is INTEGERS else COUNT
        x = family.samples(probed.in_shape, seed=1, count=count)
        if family is INTEGERS:
            x[::2] -= 20
        pairs = zip(operator(x).reshape(count, -1), probed(x).reshape(count, -1), strict=True)
        for expected, returned in pairs:
            # A pooling returns samples, so the rounding of its type is the only error.
            slack = probed.tolerance * float(np.abs(expected).max())
            if not (np.abs(returned - expected) <= slack).all():
                return False
    return True


def _adaptive(probed: Probe, out_shape: tuple[int, ...]) -> Identification | None:
    """Return the adaptive max pooling that agrees with a function, or None."""
    in_shape = probed.in_shape
    if len(in_shape) != len(out_shape):
        return None
    # Two axes are an image, three are channels of images.
    for lead in (0, 1) if len(in_shape) < 3 else (1, 0):
        if in_shape[:lead] != out_shape[:lead] or len(in_shape) == lead:
            continue
        channels = in_shape[0] if lead else None
        operator = adaptive_max_pool(in_shape[lead:], out_shape[lead:], channels=channels)
        if _agrees(probed, operator):
            text = f"adaptive, {in_shape[lead:]} to {out_shape[lead:]}"
            return Identification("max pooling", in_shape, probed.out_shape, operator, words=text)
    return None

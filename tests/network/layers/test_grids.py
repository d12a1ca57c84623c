"""Windows with a fractional step, and the bounds of their positions."""

from __future__ import annotations

import numpy as np
import pytest

from convalg.network.layers.grids import AdaptiveParts, Grid


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 12])
@pytest.mark.parametrize("m", [1, 2, 3, 4, 7, 10, 11])
def test_windows_of_fractions_stay_in_their_bounds(n: int, m: int) -> None:
    every = [AdaptiveParts(n, m)]
    for where in ("half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"):
        every += [Grid(n, m, "linear", where)]  # type: ignore[arg-type]
        every += [
            Grid(n, m, "nearest", where, how)  # type: ignore[arg-type]
            for how in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
        ]
    for windows in every:
        start, end = windows.bounds
        for output, window in enumerate(windows):
            assert start + windows.step * output <= window.start
            assert window[-1] <= end + windows.step * output
            raw = windows.hull.raw(output, np.arange(windows.hull.taps))
            assert raw[0] <= window.start
            assert window[-1] <= raw[-1]

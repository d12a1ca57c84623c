"""The known mistakes of poolings and their gradients."""

from __future__ import annotations

from convalg.check import changes, wrong_pools
from convalg.check.known import CHANNELS_LAST, SHARED, TOO_SHORT, Mistake, alone

POOLS = (
    Mistake(
        "divisor-counts-padding",
        "the divisor counts the padding, and count_include_pad=False says not to",
        changes.include(True),
    ),
    Mistake(
        "divisor-excludes-padding",
        "the divisor leaves the padding out, and count_include_pad=True says to count it",
        changes.include(False),
    ),
    Mistake("ceil-mode-ignored", "ceil_mode is ignored", changes.floor),
    Mistake("stride-ignored", "the stride is taken to be the window's size", changes.side_by_side),
    Mistake("sizes-swapped", "the window's height and width are swapped", changes.sizes_swapped),
    *(
        m
        for m in SHARED
        if m.code
        in (
            "image-transposed",
            "square-only",
            "strides-swapped",
            "dilations-swapped",
            "paddings-swapped",
            "stride-ignored",
            "stride-misplaced",
            "dilation-ignored",
            "dilation-wrong",
            "padding-ignored",
            "padding-one-sided",
            "single-sample-only",
            "stride-on-one-axis",
            "dilation-on-one-axis",
            "padding-on-one-axis",
        )
    ),
    CHANNELS_LAST,
    TOO_SHORT,
)
UNDILATED = tuple(m for m in POOLS if not m.code.startswith("dilation"))
ROUNDED_UP = Mistake("ceil-mode-ignored", "sizes are always rounded up", changes.ceil)
AVERAGES = (
    alone(
        "divisor-counts-overhang",
        "the divisor counts what a window of ceil_mode reaches beyond the padding",
        wrong_pools.whole_divisor,
    ),
    alone("divisor-missing", "the windows are summed, not averaged", wrong_pools.summed),
    alone(
        "ceil-mode-extra-window",
        "a window that starts in the padding behind the input is kept",
        wrong_pools.extra_average,
    ),
    Mistake(
        "count-include-pad-inverted",
        "count_include_pad is taken the wrong way round",
        changes.include_inverted,
    ),
)
AVERAGE_GRADIENTS = (
    alone(
        "overlap-overwritten",
        "overlapping windows overwrite each other's gradient",
        wrong_pools.overwritten_average,
    ),
    alone(
        "overlap-overwritten",
        "overlapping windows overwrite each other's gradient",
        wrong_pools.overwritten_average_by_taps,
    ),
    alone(
        "remainder-lost",
        "the samples that no window reaches are missing from dL/dx",
        wrong_pools.windows_only,
    ),
)
MAXIMA = (
    alone(
        "max-padding-zero",
        "the padding counts as zeros, where it is minus infinity",
        wrong_pools.zero_padding,
    ),
    alone(
        "max-padding-value",
        "the padding counts as -1, where it is minus infinity",
        wrong_pools.padding_of_minus_one,
    ),
    alone(
        "min-value-start",
        "the maximum starts from 0, so negative samples lose",
        wrong_pools.from_zero,
    ),
    alone(
        "index-returned",
        "the place of the largest sample in its window is returned, not the sample",
        wrong_pools.index_of_winner,
    ),
    alone("not-a-maximum", "the windows are averaged", wrong_pools.mean_instead),
    alone("not-a-maximum", "the smallest sample is taken", wrong_pools.smallest),
    alone("not-a-maximum", "the largest absolute value is taken", wrong_pools.largest_magnitude),
    alone(
        "ceil-mode-extra-window",
        "a window that starts in the padding behind the input is kept",
        wrong_pools.extra_maximum,
    ),
)
MAX_GRADIENTS = (
    alone(
        "remainder-lost",
        "the samples that no window reaches are missing from dL/dx",
        wrong_pools.winners_of_windows_only,
    ),
    alone("ties-all", "the gradient goes to all equal winners", wrong_pools.to_all_ties),
    alone("ties-split", "the gradient is divided among equal winners", wrong_pools.split_ties),
    alone("ties-last", "the gradient goes to the last of equal winners", wrong_pools.to_last_tie),
    alone(
        "overlap-overwritten",
        "overlapping windows overwrite each other's gradient",
        wrong_pools.overwritten_winners,
    ),
    alone(
        "max-padding-zero",
        "the padding counts as zeros, so windows of negative samples send nothing back",
        wrong_pools.zero_padding_gradient,
    ),
    alone(
        "gradient-not-routed",
        "the gradient goes to every sample of the window",
        wrong_pools.to_whole_window,
    ),
)

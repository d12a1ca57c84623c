"""The known mistakes of poolings and their gradients."""

from __future__ import annotations

from convalg.check.mistakes import options, pool_computations
from convalg.check.mistakes.mistake import CHANNELS_LAST, SHARED, TOO_SHORT, Mistake, alone

POOLS = (
    Mistake(
        "divisor-counts-padding",
        "the divisor counts the padding although count_include_pad=False",
        options.include(True),
    ),
    Mistake(
        "divisor-excludes-padding",
        "the divisor excludes the padding although count_include_pad=True",
        options.include(False),
    ),
    Mistake("ceil-mode-ignored", "ceil_mode is ignored", options.floor),
    Mistake("stride-ignored", "the stride is taken to be the window size", options.side_by_side),
    Mistake("sizes-swapped", "the window's height and width are swapped", options.sizes_swapped),
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
ROUNDED_UP = Mistake("ceil-mode-ignored", "sizes are always rounded up", options.ceil)
AVERAGES = (
    alone(
        "divisor-counts-overhang",
        "the divisor counts the samples beyond the padding that a window of ceil_mode covers",
        pool_computations.whole_divisor,
    ),
    alone(
        "divisor-missing", "the windows are summed instead of averaged", pool_computations.summed
    ),
    alone(
        "ceil-mode-extra-window",
        "windows that start in the padding after the input are kept",
        pool_computations.extra_average,
    ),
    Mistake(
        "count-include-pad-inverted",
        "count_include_pad is inverted",
        options.include_inverted,
    ),
)
AVERAGE_GRADIENTS = (
    alone(
        "overlap-overwritten",
        "overlapping windows overwrite each other's gradient",
        pool_computations.overwritten_average,
    ),
    alone(
        "overlap-overwritten",
        "overlapping windows overwrite each other's gradient",
        pool_computations.overwritten_average_by_taps,
    ),
    alone(
        "remainder-lost",
        "the samples that no window reaches are missing from dL/dx",
        pool_computations.windows_only,
    ),
)
MAXIMA = (
    alone(
        "max-padding-zero",
        "the padding is filled with zeros instead of minus infinity",
        pool_computations.zero_padding,
    ),
    alone(
        "max-padding-value",
        "the padding is filled with -1 instead of minus infinity",
        pool_computations.padding_of_minus_one,
    ),
    alone(
        "min-value-start",
        "the maximum starts from 0, so negative samples never win",
        pool_computations.from_zero,
    ),
    alone(
        "index-returned",
        "the index of the largest sample in its window is returned instead of the sample",
        pool_computations.index_of_winner,
    ),
    alone("not-a-maximum", "the windows are averaged", pool_computations.mean_instead),
    alone("not-a-maximum", "the smallest sample is taken", pool_computations.smallest),
    alone(
        "not-a-maximum", "the largest absolute value is taken", pool_computations.largest_magnitude
    ),
    alone(
        "ceil-mode-extra-window",
        "windows that start in the padding after the input are kept",
        pool_computations.extra_maximum,
    ),
)
MAX_GRADIENTS = (
    alone(
        "remainder-lost",
        "the samples that no window reaches are missing from dL/dx",
        pool_computations.winners_of_windows_only,
    ),
    alone(
        "ties-all", "the gradient goes to all of the equal maxima", pool_computations.to_all_ties
    ),
    alone(
        "ties-split", "the gradient is divided among the equal maxima", pool_computations.split_ties
    ),
    alone(
        "ties-last",
        "the gradient goes to the last of the equal maxima",
        pool_computations.to_last_tie,
    ),
    alone(
        "overlap-overwritten",
        "overlapping windows overwrite each other's gradient",
        pool_computations.overwritten_winners,
    ),
    alone(
        "max-padding-zero",
        "the padding is filled with zeros, so windows of negative samples pass no gradient back",
        pool_computations.zero_padding_gradient,
    ),
    alone(
        "gradient-not-routed",
        "the gradient goes to every sample of the window",
        pool_computations.to_whole_window,
    ),
)

"""The known mistakes: each turns a problem into the one that a wrong implementation solves.

A mistake is a change of the problem (its arrays or options), of the computation, or of what
comes out; the diagnosis runs the right operator on the changed problem and compares. Changes
of a problem can be combined, so that two mistakes at once are named too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convalg.base import Array
from convalg.check import changes, wrong
from convalg.check.problem import Problem


@dataclass(frozen=True)
class Mistake:
    """One known mistake: a code, a sentence, and what it does to a problem."""

    code: str
    message: str
    change: changes.Change
    compute: Callable[[Problem], Array] | None = None
    combines: bool = True


FLIPPED = Mistake(
    "flipped-kernel",
    "the kernel is flipped on all axes: this is the convolution of mathematics, where a "
    "correlation is asked for (or the other way round)",
    changes.flipped,
)
FLIPPED_ONE = Mistake(
    "flipped-one-axis", "the kernel is flipped on one axis only", changes.flipped_on_one
)
STRIDE_MISPLACED = Mistake(
    "stride-misplaced", "the stride is applied in the wrong place", changes.stride_misplaced
)
SHARED = (
    Mistake(
        "kernel-transposed",
        "the kernel's height and width are swapped (or it is rotated)",
        changes.kernel_transposed,
    ),
    Mistake(
        "image-transposed", "the image's height and width are swapped", changes.image_transposed
    ),
    Mistake(
        "channels-swapped",
        "input and output channels of the kernel are swapped",
        changes.channels_swapped,
    ),
    Mistake(
        "strides-swapped", "one axis' stride is used on another axis", changes.swapped("stride")
    ),
    Mistake(
        "dilations-swapped",
        "one axis' dilation is used on another axis",
        changes.swapped("dilation"),
    ),
    Mistake(
        "paddings-swapped", "one axis' padding is used on another axis", changes.padding_swapped
    ),
    Mistake("square-only", "the options of one axis are used on all axes", changes.one_axis),
    Mistake("stride-ignored", "the stride is ignored", changes.option("stride", 1)),
    STRIDE_MISPLACED,
    Mistake("stride-dilation-swapped", "stride and dilation are mixed up", changes.stride_dilation),
    Mistake("dilation-ignored", "the dilation is ignored", changes.option("dilation", 1)),
    Mistake("dilation-wrong", "the dilation is off by one", changes.dilation_wrong),
    Mistake(
        "padding-ignored", "the padding is ignored", changes.padding(lambda before, after: (0, 0))
    ),
    Mistake(
        "padding-one-sided",
        "the padding goes on one side only",
        changes.padding(
            lambda before, after: (before, 0),
            lambda before, after: (0, after),
            lambda before, after: (before + after, 0),
            lambda before, after: (0, before + after),
        ),
    ),
    Mistake(
        "padding-doubled",
        "the padding is counted twice, or off by one",
        changes.padding(
            lambda before, after: (2 * before, 2 * after),
            lambda before, after: (before + 1, after + 1),
            lambda before, after: (max(before - 1, 0), max(after - 1, 0)),
        ),
    ),
    Mistake(
        "groups-interleaved", "channels are dealt to the groups in turn", changes.groups_interleaved
    ),
    Mistake("single-channel-only", "only one input channel is read", changes.one_channel),
    Mistake("single-sample-only", "only one sample of the batch is right", changes.one_sample),
)
GROUPS_IGNORED = Mistake("groups-ignored", "the groups are ignored", changes.groups_ignored)
ADJOINT_MISSING = "the layer itself is applied where its adjoint (transpose) belongs"


def _alone(
    code: str,
    message: str,
    compute: Callable[[Problem], Array],
    change: changes.Change = changes.same,
) -> Mistake:
    return Mistake(code, message, change, compute, combines=False)


OVERWRITTEN = tuple(
    _alone(
        "overlap-overwritten",
        "overlapping patches are overwritten where they must be added (col2im assigns, not adds)",
        compute,
    )
    for compute in (
        wrong.overwritten,
        wrong.overwritten_by_taps,
        wrong.overwritten_by_channels,
        wrong.overwritten_by_channels_and_taps,
    )
)


_FORWARD = (
    FLIPPED,
    FLIPPED_ONE,
    *SHARED,
    GROUPS_IGNORED,
    _alone(
        "dilation-span",
        "the span of the dilated kernel is taken as d k, where it is d (k - 1) + 1",
        wrong.short_span,
    ),
    Mistake(
        "wrong-shape",
        "the output size is rounded up, where it is rounded down",
        changes.size_rounded_up,
    ),
    Mistake(
        "padding-values",
        "the padding is filled with other values than zeros",
        changes.padding_values,
    ),
    _alone("adjoint-instead", "this is the transposed layer", wrong.transposed_instead),
)
_INPUT_GRADIENT = (
    _alone(
        "remainder-lost",
        "the remainder of a stride that does not divide is lost: the rows and columns that the "
        "last window does not reach in a plain transposed layer",
        wrong.remainder_lost,
    ),
    Mistake(
        "flipped-kernel",
        "the kernel is not flipped: A is applied where its transpose belongs",
        changes.flipped,
    ),
    _alone("adjoint-missing", ADJOINT_MISSING, wrong.forward_of_gradient),
    _alone("adjoint-missing", ADJOINT_MISSING, wrong.unflipped_forward_of_gradient),
    FLIPPED_ONE,
    *OVERWRITTEN,
    *SHARED,
    GROUPS_IGNORED,
    _alone("padding-not-cropped", "the gradient still has the padding", wrong.uncropped),
    Mistake("batch-averaged", "the gradient is divided by the batch size", changes.scaled_batch),
    Mistake("scaled", "the gradient is divided by the number of outputs", changes.scaled_places),
)
_KERNEL_GRADIENT = (
    _alone("batch-not-summed", "the gradient is not summed over the batch", wrong.per_sample),
    _alone("batch-not-summed", "only the first sample counts", wrong.first_sample),
    _alone("batch-not-summed", "only the last sample counts", wrong.last_sample),
    Mistake("batch-averaged", "the gradient is divided by the batch size", changes.scaled_batch),
    Mistake(
        "gradient-not-dilated",
        "the output gradient is not dilated by the stride in dL/dw",
        changes.option("stride", 1),
    ),
    Mistake("flipped-kernel", "dL/dw comes out flipped", changes.taps_flipped),
    Mistake("kernel-transposed", "dL/dw has height and width swapped", changes.taps_swapped),
    Mistake(
        "channels-swapped",
        "dL/dw has input and output channels swapped",
        changes.channels_of_gradient,
    ),
    _alone("remainder-kept", "rows that no window reaches are counted", wrong.remainder_kept),
    *(
        m
        for m in SHARED
        # dL/dw does not know the kernel.
        if m.code not in ("kernel-transposed", "channels-swapped", "single-channel-only")
    ),
    _alone("groups-ignored", "the groups are ignored", wrong.ungrouped_kernel_gradient),
    Mistake("scaled", "the gradient is divided by the number of outputs", changes.scaled_places),
)
_TRANSPOSED = (
    _alone(
        "output-padding-zeros",
        "output_padding is appended as zeros, where the layer has values",
        wrong.zeros_behind,
    ),
    Mistake(
        "output-padding-ignored", "output_padding is ignored", changes.option("output_padding", 0)
    ),
    _alone(
        "output-padding-wrong-side",
        "output_padding lengthens the wrong side",
        wrong.extra_before,
    ),
    _alone(
        "output-padding-wrong-side",
        "output_padding is zeros on the wrong side",
        wrong.zeros_before,
    ),
    _alone(
        "padding-pads-input",
        "the input is padded, where the output must be cropped",
        wrong.padded_input,
    ),
    _alone(
        "padding-pads-input",
        "the padding is that of the correlation on the stretched input, which wants d (k - 1) - p",
        wrong.stretched_with_padding,
    ),
    FLIPPED,
    FLIPPED_ONE,
    _alone("adjoint-missing", ADJOINT_MISSING, wrong.plain_layer),
    *OVERWRITTEN,
    *SHARED,
    Mistake("groups-ignored", "the groups are ignored", changes.groups_ignored_transposed),
    _alone(
        "stride-misplaced",
        "s zeros stand between the samples, where s - 1 belong",
        wrong.overstretched,
    ),
)


_POOLS = (
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
        )
    ),
)
_UNDILATED = tuple(m for m in _POOLS if not m.code.startswith("dilation"))
ROUNDED_UP = Mistake("ceil-mode-ignored", "sizes are always rounded up", changes.ceil)
_AVERAGES = (
    _alone(
        "divisor-counts-overhang",
        "the divisor counts what a window of ceil_mode reaches beyond the padding",
        wrong.whole_divisor,
    ),
    _alone("divisor-missing", "the windows are summed, not averaged", wrong.summed),
    _alone(
        "ceil-mode-extra-window",
        "a window that starts in the padding behind the input is kept",
        wrong.extra_average,
    ),
)
_AVERAGE_GRADIENTS = (
    _alone(
        "overlap-overwritten",
        "overlapping windows overwrite each other's gradient",
        wrong.overwritten_average,
    ),
    _alone(
        "overlap-overwritten",
        "overlapping windows overwrite each other's gradient",
        wrong.overwritten_average_by_taps,
    ),
    _alone(
        "remainder-lost",
        "the samples that no window reaches are missing from dL/dx",
        wrong.windows_only,
    ),
)
_MAXIMA = (
    _alone(
        "max-padding-zero",
        "the padding counts as zeros, where it is minus infinity",
        wrong.zero_padding,
    ),
    _alone(
        "min-value-start", "the maximum starts from 0, so negative samples lose", wrong.from_zero
    ),
    _alone("not-a-maximum", "the windows are averaged", wrong.mean_instead),
    _alone("not-a-maximum", "the smallest sample is taken", wrong.smallest),
    _alone("not-a-maximum", "the largest absolute value is taken", wrong.largest_magnitude),
    _alone(
        "ceil-mode-extra-window",
        "a window that starts in the padding behind the input is kept",
        wrong.extra_maximum,
    ),
)
_MAX_GRADIENTS = (
    _alone(
        "remainder-lost",
        "the samples that no window reaches are missing from dL/dx",
        wrong.winners_of_windows_only,
    ),
    _alone("ties-all", "the gradient goes to all equal winners", wrong.to_all_ties),
    _alone("ties-split", "the gradient is divided among equal winners", wrong.split_ties),
    _alone("ties-last", "the gradient goes to the last of equal winners", wrong.to_last_tie),
    _alone(
        "overlap-overwritten",
        "overlapping windows overwrite each other's gradient",
        wrong.overwritten_winners,
    ),
    _alone(
        "max-padding-zero",
        "the padding counts as zeros, so windows of negative samples send nothing back",
        wrong.zero_padding_gradient,
    ),
    _alone(
        "gradient-not-routed",
        "the gradient goes to every sample of the window",
        wrong.to_whole_window,
    ),
)

MISTAKES: dict[tuple[str, str], tuple[Mistake, ...]] = {
    ("forward", "y"): _FORWARD,
    ("backward", "dx"): _INPUT_GRADIENT,
    ("backward", "dw"): _KERNEL_GRADIENT,
    ("transposed", "y"): _TRANSPOSED,
    ("transposed_backward", "dx"): (FLIPPED, FLIPPED_ONE, *SHARED, GROUPS_IGNORED),
    ("transposed_backward", "dw"): (*_KERNEL_GRADIENT[:4], *_KERNEL_GRADIENT[5:]),
    ("average_pool", "y"): (*_POOLS[:2], *_AVERAGES, *_UNDILATED[2:], ROUNDED_UP),
    ("average_pool_backward", "dx"): (
        *_AVERAGE_GRADIENTS,
        *_POOLS[:2],
        *_AVERAGES[:2],
        *_UNDILATED[2:],
    ),
    ("max_pool", "y"): (*_MAXIMA, *_POOLS[2:], ROUNDED_UP),
    ("max_pool_backward", "dx"): (*_MAX_GRADIENTS, *_POOLS[2:]),
}

COMPUTE: dict[tuple[str, str], Callable[[Problem], Array]] = {
    ("backward", "dx"): wrong.lattice_input_gradient,
    ("backward", "dw"): wrong.lattice_kernel_gradient,
    ("transposed_backward", "dx"): wrong.gathered_input_gradient,
    ("transposed_backward", "dw"): wrong.gathered_kernel_gradient,
    ("average_pool_backward", "dx"): wrong.lattice_average_gradient,
    ("max_pool_backward", "dx"): wrong.lattice_maximum_gradient,
}
"""Where loops over g decide what is computed, and not the size that the options give."""

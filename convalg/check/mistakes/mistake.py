"""The class `Mistake`, and the known mistakes that layers, gradients and poolings share.

A mistake changes the arrays or options of a problem, its computation, or its result. The diagnosis
applies the correct operator to the changed problem and compares the results. Changes of a problem
can be combined, so that two simultaneous mistakes are identified too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convalg.arrays import Array
from convalg.check.mistakes import assignments, options
from convalg.check.problem import Problem


@dataclass(frozen=True)
class Mistake:
    """A known mistake: a code, a message, and the change that it makes to a problem.

    `compute`: the computation that replaces the correct one, or None. `combines`: whether the
    mistake is also tried together with another one. `always`: whether it has so many variants that
    it is reported only if it explains every result, wrong or right.
    """

    code: str
    message: str
    change: options.Change
    compute: Callable[[Problem], Array] | None = None
    combines: bool = True
    always: bool = False


FLIPPED = Mistake(
    "flipped-kernel",
    "the kernel is flipped along all axes: this is a mathematical convolution where a correlation "
    "is expected (or vice versa)",
    options.flipped,
)
FLIPPED_ONE = Mistake(
    "flipped-one-axis", "the kernel is flipped along one axis only", options.flipped_on_one
)
STRIDE_MISPLACED = Mistake(
    "stride-misplaced", "the stride is applied in the wrong place", options.stride_misplaced
)
PADDING_ONE_SIDED = Mistake(
    "padding-one-sided",
    "the padding is applied on one side only",
    options.padding(
        lambda before, after: (before, 0),
        lambda before, after: (0, after),
        lambda before, after: (before + after, 0),
        lambda before, after: (0, before + after),
    ),
)
SHARED = (
    Mistake(
        "kernel-transposed",
        "the kernel's height and width are swapped (or it is rotated)",
        options.kernel_transposed,
    ),
    Mistake(
        "image-transposed", "the image's height and width are swapped", options.image_transposed
    ),
    Mistake(
        "channels-swapped",
        "input and output channels of the kernel are swapped",
        options.channels_swapped,
    ),
    Mistake(
        "strides-swapped", "the stride of one axis is used for another", options.swapped("stride")
    ),
    Mistake(
        "dilations-swapped",
        "the dilation of one axis is used for another",
        options.swapped("dilation"),
    ),
    Mistake(
        "paddings-swapped", "the padding of one axis is used for another", options.padding_swapped
    ),
    Mistake("square-only", "the options of one axis are used for all axes", options.one_axis),
    Mistake("stride-ignored", "the stride is ignored", options.option("stride", 1)),
    STRIDE_MISPLACED,
    Mistake("stride-dilation-swapped", "stride and dilation are confused", options.stride_dilation),
    Mistake("dilation-ignored", "the dilation is ignored", options.option("dilation", 1)),
    Mistake("dilation-wrong", "the dilation is off by one", options.dilation_wrong),
    Mistake(
        "padding-ignored", "the padding is ignored", options.padding(lambda before, after: (0, 0))
    ),
    PADDING_ONE_SIDED,
    Mistake(
        "padding-doubled",
        "the padding is counted twice, or off by one",
        options.padding(
            lambda before, after: (2 * before, 2 * after),
            lambda before, after: (before + 1, after + 1),
            lambda before, after: (max(before - 1, 0), max(after - 1, 0)),
        ),
    ),
    Mistake(
        "padding-multiplied",
        "the padding is multiplied by the dilation, or by the stride",
        options.padding_multiplied,
        combines=False,
    ),
    Mistake(
        "groups-interleaved",
        "channels are assigned to the groups in turn (channel c to group c mod G)",
        options.groups_interleaved,
    ),
    Mistake("single-channel-only", "only one input channel is read", options.one_channel),
    Mistake("single-sample-only", "only one sample of the batch is right", options.one_sample),
    Mistake(
        "single-sample-only",
        "the samples of the batch are added together (a buffer is not reset to zero, or the batch "
        "is summed)",
        options.samples_added,
        combines=False,
        always=True,
    ),
    *(
        Mistake(
            f"{name}-on-one-axis",
            f"the {name} is applied along one axis only",
            options.on_one_axis(name, default),
            combines=False,
            always=True,
        )
        for name, default in (("stride", 1), ("dilation", 1), ("padding", (0, 0)))
    ),
)
TOO_SHORT = Mistake(
    "output-too-short",
    "the end of the result is missing: a size or a range is too small by one",
    options.too_short,
    combines=False,
    always=True,
)
RESHAPED = Mistake(
    "reshaped-without-transpose",
    "a result whose axes are in another order is reshaped instead of transposed",
    options.reshaped,
    combines=False,
    always=True,
)
CHANNELS_LAST = Mistake(
    "channels-last",
    "the axes of the result are not in the order (batch, channels, space)",
    options.channels_last,
    combines=False,
)
LAST_TAP = Mistake(
    "sum-overwritten",
    "the sum is assigned instead of accumulated (= for +=), so that only the last tap counts",
    options.last_tap,
    combines=False,
    always=True,
)
GROUPS_IGNORED = Mistake("groups-ignored", "the groups are ignored", options.groups_ignored)
KERNEL_SHARED = Mistake(
    "groups-share-kernel",
    "all groups use the kernel of one group",
    options.kernel_shared,
    combines=False,
)
ADJOINT_MISSING = "the layer itself is applied instead of its adjoint (transpose)"


def alone(
    code: str,
    message: str,
    compute: Callable[[Problem], Array],
    change: options.Change = options.same,
) -> Mistake:
    """Return a known mistake that is never combined with other mistakes.

    Args:
        code: The code of the mistake.
        message: The sentence that describes the mistake.
        compute: The function that returns the output of a problem computed with the mistake.
        change: The function that changes the options of a problem; by default none is changed.
    """
    return Mistake(code, message, change, compute, combines=False)


OVERWRITTEN = tuple(
    alone(
        "overlap-overwritten",
        "overlapping patches are overwritten where they must be added (col2im assigns, not adds)",
        compute,
    )
    for compute in (
        assignments.overwritten,
        assignments.overwritten_by_taps,
        assignments.overwritten_by_channels,
        assignments.overwritten_by_channels_and_taps,
    )
)

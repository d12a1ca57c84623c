"""The known mistakes, by the kind of function and the part of its answer."""

from __future__ import annotations

from collections.abc import Callable

from convalg.arrays import Array
from convalg.check.mistakes import assignments, computations, options, pool_computations
from convalg.check.mistakes.mistake import (
    ADJOINT_MISSING,
    CHANNELS_LAST,
    FLIPPED,
    FLIPPED_ONE,
    GROUPS_IGNORED,
    KERNEL_SHARED,
    LAST_TAP,
    OVERWRITTEN,
    PADDING_ONE_SIDED,
    RESHAPED,
    SHARED,
    TOO_SHORT,
    Mistake,
    alone,
)
from convalg.check.mistakes.pools import (
    AVERAGE_GRADIENTS,
    AVERAGES,
    MAX_GRADIENTS,
    MAXIMA,
    POOLS,
    ROUNDED_UP,
    UNDILATED,
)
from convalg.check.problem import Problem

_FORWARD = (
    FLIPPED,
    FLIPPED_ONE,
    *SHARED,
    GROUPS_IGNORED,
    KERNEL_SHARED,
    Mistake(
        "image-flipped",
        "the image (or the answer) is turned round",
        options.image_flipped,
        combines=False,
        always=True,
    ),
    alone(
        "dilation-span",
        "the span of the dilated kernel is taken as d k, where it is d (k - 1) + 1",
        computations.short_span,
    ),
    Mistake(
        "wrong-shape",
        "the output size is rounded up, where it is rounded down",
        options.size_rounded_up,
    ),
    Mistake(
        "padding-values",
        "the padding is filled with other values than zeros",
        options.padding_values,
    ),
    alone("adjoint-instead", "this is the transposed layer", computations.transposed_instead),
    CHANNELS_LAST,
    TOO_SHORT,
    RESHAPED,
    Mistake(
        "columns-misordered",
        "the kernel is laid flat in another order than the columns that it is multiplied with",
        options.columns_misordered,
        combines=False,
        always=True,
    ),
    Mistake(
        "padding-fixed",
        "the padding is that of 'same' (or 'full'), whatever was asked",
        options.padding_fixed,
        combines=False,
        always=True,
    ),
    LAST_TAP,
    alone(
        "sum-overwritten",
        "the sum is assigned, not added up (= for +=): only the last tap inside the image counts",
        assignments.last_tap_inside,
    ),
)
GRADIENT_FLIPPED = Mistake(
    "gradient-flipped", "g is turned round on all axes", options.gradient_flipped, combines=False
)
_INPUT_GRADIENT = (
    alone(
        "remainder-lost",
        "the remainder of a stride that does not divide is lost: the rows and columns that the "
        "last window does not reach in a plain transposed layer",
        computations.remainder_lost,
    ),
    Mistake(
        "flipped-kernel",
        "the kernel is not flipped: A is applied where its transpose belongs",
        options.flipped,
    ),
    alone("adjoint-missing", ADJOINT_MISSING, computations.forward_of_gradient),
    alone("adjoint-missing", ADJOINT_MISSING, computations.unflipped_forward_of_gradient),
    FLIPPED_ONE,
    *OVERWRITTEN,
    *SHARED,
    GROUPS_IGNORED,
    alone("padding-not-cropped", "the gradient still has the padding", computations.uncropped),
    alone(
        "padding-not-cropped", "the padding behind is not cropped", computations.uncropped_behind
    ),
    alone(
        "padding-not-cropped", "the padding before is not cropped", computations.uncropped_before
    ),
    Mistake("batch-averaged", "the gradient is divided by the batch size", options.scaled_batch),
    Mistake("scaled", "the gradient is divided by the number of outputs", options.scaled_places),
    CHANNELS_LAST,
    RESHAPED,
    GRADIENT_FLIPPED,
)
_KERNEL_GRADIENT = (
    alone("batch-not-summed", "the gradient is not summed over the batch", computations.per_sample),
    alone("batch-not-summed", "only the first sample counts", computations.first_sample),
    alone("batch-not-summed", "only the last sample counts", computations.last_sample),
    Mistake("batch-averaged", "the gradient is divided by the batch size", options.scaled_batch),
    Mistake(
        "gradient-not-dilated",
        "the output gradient is not dilated by the stride in dL/dw",
        options.option("stride", 1),
    ),
    Mistake("flipped-kernel", "dL/dw comes out flipped", options.taps_flipped),
    Mistake("kernel-transposed", "dL/dw has height and width swapped", options.taps_swapped),
    Mistake(
        "channels-swapped",
        "dL/dw has input and output channels swapped",
        options.channels_of_gradient,
    ),
    alone("remainder-kept", "rows that no window reaches are counted", computations.remainder_kept),
    *(
        m
        for m in SHARED
        # dL/dw does not know the kernel.
        if m.code
        not in (
            "kernel-transposed",
            "channels-swapped",
            "single-channel-only",
            "single-sample-only",
        )
    ),
    Mistake(
        "single-channel-only",
        "only one output channel is not zero",
        options.one_output_channel,
        combines=False,
        always=True,
    ),
    alone("groups-ignored", "the groups are ignored", computations.ungrouped_kernel_gradient),
    Mistake("scaled", "the gradient is divided by the number of outputs", options.scaled_places),
    GRADIENT_FLIPPED,
    Mistake(
        "sum-overwritten",
        "dw is assigned, not added up (= for +=): only the last place of g counts",
        options.last_place,
        combines=False,
        always=True,
    ),
    *(
        alone(
            "sum-overwritten",
            "dw is assigned, not added up (= for +=): only the last place inside the image counts",
            compute,
        )
        for compute in (assignments.last_place_inside, assignments.last_place_and_sample_inside)
    ),
    Mistake(
        "channels-last",
        "the axes of the answer are in another order than (outputs, inputs, taps)",
        options.channels_last_kernel,
        combines=False,
    ),
)
_TRANSPOSED = (
    alone(
        "output-padding-zeros",
        "output_padding is appended as zeros, where the layer has values",
        computations.zeros_behind,
    ),
    Mistake(
        "output-padding-ignored", "output_padding is ignored", options.option("output_padding", 0)
    ),
    alone(
        "output-padding-zeros", "output_padding is zeros on both sides", computations.zeros_around
    ),
    alone(
        "output-padding-wrong-side",
        "output_padding lengthens the wrong side",
        computations.extra_before,
    ),
    alone(
        "output-padding-wrong-side",
        "output_padding is zeros on the wrong side",
        computations.zeros_before,
    ),
    alone(
        "padding-pads-input",
        "the input is padded, where the output must be cropped",
        computations.padded_input,
    ),
    alone(
        "padding-pads-input",
        "the padding is that of the correlation on the stretched input, which wants d (k - 1) - p",
        computations.stretched_with_padding,
    ),
    FLIPPED,
    FLIPPED_ONE,
    alone("adjoint-missing", ADJOINT_MISSING, computations.plain_layer),
    *OVERWRITTEN,
    PADDING_ONE_SIDED,
    Mistake(
        "output-padding-on-one-axis",
        "the output_padding is applied on one axis only",
        options.on_one_axis("output_padding", 0),
        combines=False,
        always=True,
    ),
    *SHARED,
    Mistake("groups-ignored", "the groups are ignored", options.groups_ignored_transposed),
    KERNEL_SHARED,
    alone(
        "stride-misplaced",
        "s zeros stand between the samples, where s - 1 belong",
        computations.overstretched,
    ),
    alone(
        "samples-repeated",
        "the samples are repeated by the stride, where zeros belong between them",
        computations.repeated_samples,
    ),
    alone(
        "dilation-span",
        "the output's size takes the kernel to span k, where it spans d (k - 1) + 1",
        computations.size_of_undilated,
    ),
    CHANNELS_LAST,
    TOO_SHORT,
    RESHAPED,
)

MISTAKES: dict[tuple[str, str], tuple[Mistake, ...]] = {
    ("forward", "y"): _FORWARD,
    ("backward", "dx"): _INPUT_GRADIENT,
    ("backward", "dw"): _KERNEL_GRADIENT,
    ("transposed", "y"): _TRANSPOSED,
    ("transposed_backward", "dx"): (FLIPPED, FLIPPED_ONE, *SHARED, GROUPS_IGNORED),
    ("transposed_backward", "dw"): (*_KERNEL_GRADIENT[:4], *_KERNEL_GRADIENT[5:]),
    ("average_pool", "y"): (*POOLS[:2], *AVERAGES, *UNDILATED[2:], ROUNDED_UP),
    ("average_pool_backward", "dx"): (
        *AVERAGE_GRADIENTS,
        *POOLS[:2],
        *AVERAGES[:2],
        AVERAGES[-1],
        *UNDILATED[2:],
    ),
    ("max_pool", "y"): (*MAXIMA, *POOLS[2:], ROUNDED_UP),
    ("max_pool_backward", "dx"): (*MAX_GRADIENTS, *POOLS[2:]),
}

COMPUTE: dict[tuple[str, str], Callable[[Problem], Array]] = {
    ("backward", "dx"): computations.lattice_input_gradient,
    ("backward", "dw"): computations.lattice_kernel_gradient,
    ("transposed_backward", "dx"): computations.gathered_input_gradient,
    ("transposed_backward", "dw"): computations.gathered_kernel_gradient,
    ("average_pool_backward", "dx"): pool_computations.lattice_average_gradient,
    ("max_pool_backward", "dx"): pool_computations.lattice_maximum_gradient,
}
"""Where loops over g decide what is computed, and not the size that the options give."""

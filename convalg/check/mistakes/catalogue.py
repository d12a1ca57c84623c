"""The known mistakes, by the kind of function and the part of its result."""

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
        "the image (or the result) is flipped",
        options.image_flipped,
        combines=False,
        always=True,
    ),
    alone(
        "dilation-span",
        "the span of the dilated kernel is taken to be d k instead of d (k - 1) + 1",
        computations.short_span,
    ),
    Mistake(
        "wrong-shape",
        "the output size is rounded up instead of down",
        options.size_rounded_up,
    ),
    Mistake(
        "padding-values",
        "the padding is filled with values other than zero",
        options.padding_values,
    ),
    alone("adjoint-instead", "this is the transposed layer", computations.transposed_instead),
    CHANNELS_LAST,
    TOO_SHORT,
    RESHAPED,
    Mistake(
        "columns-misordered",
        "the kernel is flattened in an order other than that of the columns it is multiplied with",
        options.columns_misordered,
        combines=False,
        always=True,
    ),
    Mistake(
        "padding-fixed",
        "the padding is always that of 'same' (or 'full'), whatever padding is requested",
        options.padding_fixed,
        combines=False,
        always=True,
    ),
    LAST_TAP,
    alone(
        "sum-overwritten",
        "the sum is assigned instead of accumulated (= for +=), so that only the last tap inside "
        "the image counts",
        assignments.last_tap_inside,
    ),
)
GRADIENT_FLIPPED = Mistake(
    "gradient-flipped", "g is flipped along all axes", options.gradient_flipped, combines=False
)
_INPUT_GRADIENT = (
    alone(
        "remainder-lost",
        "the remainder of a stride that does not divide evenly is lost: the rows and columns that "
        "the last window does not reach in a transposed layer without output_padding",
        computations.remainder_lost,
    ),
    Mistake(
        "flipped-kernel",
        "the kernel is not flipped, so that A is applied instead of its transpose",
        options.flipped,
    ),
    alone("adjoint-missing", ADJOINT_MISSING, computations.forward_of_gradient),
    alone("adjoint-missing", ADJOINT_MISSING, computations.unflipped_forward_of_gradient),
    FLIPPED_ONE,
    *OVERWRITTEN,
    *SHARED,
    GROUPS_IGNORED,
    alone("padding-not-cropped", "the gradient still includes the padding", computations.uncropped),
    alone(
        "padding-not-cropped",
        "the padding after the image is not cropped",
        computations.uncropped_after,
    ),
    alone(
        "padding-not-cropped",
        "the padding in front of the image is not cropped",
        computations.uncropped_before,
    ),
    Mistake("batch-averaged", "the gradient is divided by the batch size", options.scaled_batch),
    Mistake("scaled", "the gradient is divided by the number of outputs", options.scaled_positions),
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
    Mistake("flipped-kernel", "dL/dw is flipped", options.taps_flipped),
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
        # dL/dw does not depend on the kernel.
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
        "only one output channel is non-zero",
        options.one_output_channel,
        combines=False,
        always=True,
    ),
    alone("groups-ignored", "the groups are ignored", computations.ungrouped_kernel_gradient),
    Mistake("scaled", "the gradient is divided by the number of outputs", options.scaled_positions),
    GRADIENT_FLIPPED,
    Mistake(
        "sum-overwritten",
        "dw is assigned instead of accumulated (= for +=), so that only the last position of g "
        "counts",
        options.last_position,
        combines=False,
        always=True,
    ),
    *(
        alone(
            "sum-overwritten",
            "dw is assigned instead of accumulated (= for +=), so that only the last position "
            "inside the image counts",
            compute,
        )
        for compute in (
            assignments.last_position_inside,
            assignments.last_position_and_sample_inside,
        )
    ),
    Mistake(
        "channels-last",
        "the axes of the result are not in the order (outputs, inputs, taps)",
        options.channels_last_kernel,
        combines=False,
    ),
)
_TRANSPOSED = (
    alone(
        "output-padding-zeros",
        "output_padding is appended as zeros where the layer has values",
        computations.zeros_after,
    ),
    Mistake(
        "output-padding-ignored", "output_padding is ignored", options.option("output_padding", 0)
    ),
    alone(
        "output-padding-zeros",
        "output_padding is added as zeros on both sides",
        computations.zeros_around,
    ),
    alone(
        "output-padding-wrong-side",
        "output_padding extends the wrong side",
        computations.extra_before,
    ),
    alone(
        "output-padding-wrong-side",
        "output_padding is added as zeros on the wrong side",
        computations.zeros_before,
    ),
    alone(
        "padding-pads-input",
        "the input is padded, although the output must be cropped",
        computations.padded_input,
    ),
    alone(
        "padding-pads-input",
        "the padding is used for the correlation on the dilated input, which needs d (k - 1) - p",
        computations.dilated_with_padding,
    ),
    FLIPPED,
    FLIPPED_ONE,
    alone("adjoint-missing", ADJOINT_MISSING, computations.plain_layer),
    *OVERWRITTEN,
    PADDING_ONE_SIDED,
    Mistake(
        "output-padding-on-one-axis",
        "the output_padding is applied along one axis only",
        options.on_one_axis("output_padding", 0),
        combines=False,
        always=True,
    ),
    *SHARED,
    Mistake("groups-ignored", "the groups are ignored", options.groups_ignored_transposed),
    KERNEL_SHARED,
    alone(
        "stride-misplaced",
        "s zeros are inserted between the samples instead of s - 1",
        computations.overdilated,
    ),
    alone(
        "samples-repeated",
        "the samples are repeated by the stride instead of being separated by zeros",
        computations.repeated_samples,
    ),
    alone(
        "dilation-span",
        "the output size takes the span of the kernel to be k instead of d (k - 1) + 1",
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
"""Computations by loops over g: the size of g then replaces the size that the options imply."""

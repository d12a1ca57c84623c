"""Computations of known mistakes in layers that are not a changed option.

Entries that are NaN match any value: the mistake does not determine them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from convalg.arrays import Array, swap_channels
from convalg.axis import span, tight_size, transposed_size
from convalg.check.mistakes.assignments import lattice
from convalg.check.problem import (
    Problem,
    forward,
    kernel_gradient,
    layer,
    transposed,
)
from convalg.operators.convolution import correlation, transposed_correlation

# Correlation layers and their gradients.


def lattice_input_gradient(p: Problem) -> Array:
    """Return dL/dx as loops over g compute it, with i = s o + d t - p for every output in g."""
    return lattice(p).T(p.gradient)


def lattice_kernel_gradient(p: Problem) -> Array:
    """Return dL/dw as loops over g compute it, for any size of g."""
    return lattice(p).kernel_gradient(p.x, p.gradient)


def gathered_input_gradient(p: Problem) -> Array:
    """Return dL/dx of a transposed layer as a correlation of g, for any size of g."""
    options: dict[str, Any] = {
        "stride": p.stride,
        "padding": p.padding,
        "dilation": p.dilation,
        "groups": p.groups,
    }
    return correlation(p.gradient.shape[2:], p.w, **options)(p.gradient)


def gathered_kernel_gradient(p: Problem) -> Array:
    """Return dL/dw of a transposed layer as loops over x compute it, with x and g exchanged."""
    return lattice_kernel_gradient(replace(p, x=p.gradient, g=p.x))


def short_span(p: Problem) -> Array:
    """Return y cropped to the size for a kernel span of d k instead of d (k - 1) + 1."""
    y = forward(p)
    taps = p.kernel.shape[2:]
    sizes = [
        max((n + sum(pad) - d * k) // s + 1, 0)
        for n, pad, d, k, s in zip(p.spatial, p.padding, p.dilation, taps, p.stride, strict=True)
    ]
    return y[(slice(None), slice(None), *(slice(0, size) for size in sizes))]


def transposed_instead(p: Problem) -> Array:
    """Return the output of the transposed layer with the same options."""
    kernel = swap_channels(p.kernel, p.groups)
    return transposed(replace(p, w=kernel, output_padding=(0,) * p.dims))


def remainder_lost(p: Problem) -> Array:
    """Return dL/dx from the transposed layer without output_padding."""
    options: dict[str, Any] = {
        "stride": p.stride,
        "padding": p.padding,
        "dilation": p.dilation,
        "groups": p.groups,
    }
    return transposed_correlation(p.gradient.shape[2:], p.kernel, **options)(p.gradient)


def forward_of_gradient(p: Problem) -> Array:
    """Return the output of the layer for g, with the channels of the kernel exchanged."""
    kernel = swap_channels(p.kernel, p.groups)
    return forward(replace(p, x=p.gradient, w=kernel))


def unflipped_forward_of_gradient(p: Problem) -> Array:
    """Return the output of the layer for g, with stride 1 and the padding d (k - 1) - p."""
    pads = tuple(
        (max(span(k, d) - 1 - before, 0), max(span(k, d) - 1 - after, 0))
        for (before, after), d, k in zip(p.padding, p.dilation, p.kernel.shape[2:], strict=True)
    )
    kernel = swap_channels(p.kernel, p.groups)
    return forward(replace(p, x=p.gradient, w=kernel, padding=pads, stride=(1,) * p.dims))


def uncropped(p: Problem) -> Array:
    """Return dL/dx of the padded input, including the padding."""
    return layer(_with_padding_as_samples(p)).T(p.g)


def uncropped_after(p: Problem) -> Array:
    """Return dL/dx with the padding cropped in front only."""
    kept = [slice(before, None) for before, _ in p.padding]
    return uncropped(p)[(slice(None), slice(None), *kept)]


def uncropped_before(p: Problem) -> Array:
    """Return dL/dx with the padding cropped at the end only."""
    kept = [slice(0, before + n) for (before, _), n in zip(p.padding, p.spatial, strict=True)]
    return uncropped(p)[(slice(None), slice(None), *kept)]


def _with_padding_as_samples(p: Problem) -> Problem:
    """Return the problem of the input padded with zeros, without padding."""
    x = np.pad(p.x, ((0, 0), (0, 0), *p.padding))
    return replace(p, x=x, padding=((0, 0),) * p.dims)


def per_sample(p: Problem) -> Array:
    """Return one kernel gradient for each sample, stacked along the first axis."""
    pairs = zip(p.x, p.gradient, strict=True)
    return np.stack([kernel_gradient(replace(p, x=x[None], g=g[None])) for x, g in pairs])


def first_sample(p: Problem) -> Array:
    """Return the kernel gradient of the first sample."""
    first: Array = per_sample(p)[0]
    return first


def last_sample(p: Problem) -> Array:
    """Return the kernel gradient of the last sample."""
    last: Array = per_sample(p)[-1]
    return last


def remainder_kept(p: Problem) -> Array:
    """Return dL/dw with as many taps as fit into the input."""
    taps = [
        (n + sum(pad) - tight_size(o, s)) // d + 1
        for n, pad, s, o, d in zip(
            p.spatial, p.padding, p.stride, p.gradient.shape[2:], p.dilation, strict=True
        )
    ]
    return kernel_gradient(replace(p, w=np.zeros((*p.kernel.shape[:2], *taps))))


def ungrouped_kernel_gradient(p: Problem) -> Array:
    """Return dL/dw of the layer without groups."""
    inputs = p.kernel.shape[1] * p.groups
    wide = np.zeros((p.kernel.shape[0], inputs, *p.kernel.shape[2:]))
    return kernel_gradient(replace(p, w=wide, groups=1))


# Transposed layers.


def zeros_after(p: Problem) -> Array:
    """Return the shortest output with zeros after it."""
    return _with_zeros(p, before=0, after=1)


def zeros_before(p: Problem) -> Array:
    """Return the shortest output with zeros in front of it."""
    return _with_zeros(p, before=1, after=0)


def zeros_around(p: Problem) -> Array:
    """Return the shortest output with zeros on both sides."""
    return _with_zeros(p, before=1, after=1)


def _with_zeros(p: Problem, *, before: int, after: int) -> Array:
    """Return the shortest output with multiples of output_padding as zeros on each side."""
    y = transposed(replace(p, output_padding=(0,) * p.dims))
    widths = [(before * extra, after * extra) for extra in p.output_padding]
    return np.pad(y, ((0, 0), (0, 0), *widths))


def extra_before(p: Problem) -> Array:
    """Return the output that starts output_padding earlier and ends like the shortest output."""
    uncropped_problem = replace(p, output_padding=(0,) * p.dims, padding=((0, 0),) * p.dims)
    y = transposed(uncropped_problem)
    for axis, ((before, after), extra) in enumerate(
        zip(p.padding, p.output_padding, strict=True), start=2
    ):
        short = max(extra - before, 0)
        widths = [(0, 0)] * y.ndim
        widths[axis] = (short, 0)
        y = np.pad(y, widths)
        kept = slice(max(before - extra, 0), y.shape[axis] - after)
        y = y[(slice(None),) * axis + (kept,)]
    return y


def padded_input(p: Problem) -> Array:
    """Return the output for a padded input, which is not cropped."""
    return transposed(_with_padding_as_samples(p))


def dilated_with_padding(p: Problem) -> Array:
    """Return the correlation on the dilated input with padding p instead of d (k - 1) - p."""
    pads = tuple(
        (span(k, d) - 1 - before, span(k, d) - 1 - after)
        for (before, after), d, k in zip(p.padding, p.dilation, p.kernel.shape[2:], strict=True)
    )
    return transposed(replace(p, padding=pads))


def plain_layer(p: Problem) -> Array:
    """Return the output of a correlation layer with the same options."""
    return forward(replace(p, w=swap_channels(p.kernel, p.groups)))


def overdilated(p: Problem) -> Array:
    """Return the output with one zero too many between the samples."""
    return transposed(replace(p, stride=tuple(s + 1 for s in p.stride)))


def repeated_samples(p: Problem) -> Array:
    """Return the output for stride 1 of an input whose samples are repeated by the stride."""
    x = p.x
    for axis, s in enumerate(p.stride, start=2):
        x = x.repeat(s, axis)
    y = transposed(_uncropped(replace(p, x=x, stride=(1,) * p.dims)))
    return _cropped(p, y, dilated=True)


def size_of_undilated(p: Problem) -> Array:
    """Return the output cut to the size for a kernel without dilation."""
    return _cropped(p, transposed(_uncropped(p)), dilated=False)


def _uncropped(p: Problem) -> Problem:
    """Return the problem of a transposed layer without padding and output_padding."""
    none = (0,) * p.dims
    return replace(p, padding=tuple((0, 0) for _ in none), output_padding=none)


def _cropped(p: Problem, y: Array, *, dilated: bool) -> Array:
    """Return an uncropped output extended with zeros or cut to the size of the layer, then cropped.

    `dilated`: whether the size accounts for the dilation.
    """
    kept: list[slice] = []
    widths = [(0, 0), (0, 0)]
    for n, k, s, d, (before, after), extra, size in zip(
        p.spatial,
        p.kernel.shape[2:],
        p.stride,
        p.dilation,
        p.padding,
        p.output_padding,
        y.shape[2:],
        strict=True,
    ):
        end = transposed_size(n, k, s, d if dilated else 1, 0, 0) + extra
        widths.append((0, max(end - size, 0)))
        kept.append(slice(before, max(end - after, before)))
    return np.pad(y, widths)[(slice(None), slice(None), *kept)]

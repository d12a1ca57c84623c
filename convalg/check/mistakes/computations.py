"""Computations that wrong layers are known to do, where no changed option says it.

Entries that are NaN stand for any value: what a mistake leaves there is nobody's to say.
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
from convalg.operators.make import correlation, transposed_correlation

# Correlation layers and their gradients.


def lattice_input_gradient(p: Problem) -> Array:
    """dL/dx as loops over g compute it: i = s o + d t - p for every output that g has."""
    assert p.g is not None
    return lattice(p).T(p.g)


def lattice_kernel_gradient(p: Problem) -> Array:
    """dL/dw as loops over g compute it, whatever the options would make the output's size."""
    assert p.g is not None
    return lattice(p).kernel_gradient(p.x, p.g)


def gathered_input_gradient(p: Problem) -> Array:
    """dL/dx of a transposed layer as the correlation of g, whatever size that has."""
    assert p.g is not None
    options: dict[str, Any] = {
        "stride": p.stride,
        "padding": p.padding,
        "dilation": p.dilation,
        "groups": p.groups,
    }
    return correlation(p.g.shape[2:], p.w, **options)(p.g)


def gathered_kernel_gradient(p: Problem) -> Array:
    """dL/dw of a transposed layer as loops over x compute it: x and g change places."""
    assert p.g is not None
    return lattice_kernel_gradient(replace(p, x=p.g, g=p.x))


def short_span(p: Problem) -> Array:
    """The output cropped to the size that d k, taken for d (k - 1) + 1, would leave."""
    assert p.w is not None
    y = forward(p)
    taps = p.w.shape[2:]
    sizes = [
        max((n + sum(pad) - d * k) // s + 1, 0)
        for n, pad, d, k, s in zip(p.spatial, p.padding, p.dilation, taps, p.stride, strict=True)
    ]
    return y[(slice(None), slice(None), *(slice(0, size) for size in sizes))]


def transposed_instead(p: Problem) -> Array:
    """The transposed layer with the same options."""
    assert p.w is not None
    kernel = swap_channels(p.w, p.groups)
    return transposed(replace(p, w=kernel, output_padding=(0,) * p.dims))


def remainder_lost(p: Problem) -> Array:
    """dL/dx as the shortest transposed layer gives it."""
    assert p.w is not None
    assert p.g is not None
    options: dict[str, Any] = {
        "stride": p.stride,
        "padding": p.padding,
        "dilation": p.dilation,
        "groups": p.groups,
    }
    return transposed_correlation(p.g.shape[2:], p.w, **options)(p.g)


def forward_of_gradient(p: Problem) -> Array:
    """The layer applied to g, with channels exchanged so that they fit."""
    assert p.w is not None
    assert p.g is not None
    kernel = swap_channels(p.w, p.groups)
    return forward(replace(p, x=p.g, w=kernel))


def unflipped_forward_of_gradient(p: Problem) -> Array:
    """The layer applied to g with stride 1 and the padding of a full one, less p."""
    assert p.w is not None
    assert p.g is not None
    pads = tuple(
        (max(span(k, d) - 1 - before, 0), max(span(k, d) - 1 - after, 0))
        for (before, after), d, k in zip(p.padding, p.dilation, p.w.shape[2:], strict=True)
    )
    kernel = swap_channels(p.w, p.groups)
    return forward(replace(p, x=p.g, w=kernel, padding=pads, stride=(1,) * p.dims))


def uncropped(p: Problem) -> Array:
    """dL/dx of the padded input, padding and all."""
    return layer(_with_padding_as_samples(p)).T(p.g)


def uncropped_behind(p: Problem) -> Array:
    """dL/dx with the padding cropped before alone."""
    kept = [slice(before, None) for before, _ in p.padding]
    return uncropped(p)[(slice(None), slice(None), *kept)]


def uncropped_before(p: Problem) -> Array:
    """dL/dx with the padding cropped behind alone."""
    kept = [slice(0, before + n) for (before, _), n in zip(p.padding, p.spatial, strict=True)]
    return uncropped(p)[(slice(None), slice(None), *kept)]


def _with_padding_as_samples(p: Problem) -> Problem:
    x = np.pad(p.x, ((0, 0), (0, 0), *p.padding))
    return replace(p, x=x, padding=((0, 0),) * p.dims)


def per_sample(p: Problem) -> Array:
    """One kernel gradient for each sample."""
    assert p.g is not None
    pairs = zip(p.x, p.g, strict=True)
    return np.stack([kernel_gradient(replace(p, x=x[None], g=g[None])) for x, g in pairs])


def first_sample(p: Problem) -> Array:
    """The kernel gradient of the first sample."""
    return per_sample(p)[0]


def last_sample(p: Problem) -> Array:
    """The kernel gradient of the last sample."""
    return per_sample(p)[-1]


def remainder_kept(p: Problem) -> Array:
    """dL/dw with as many taps as the input has room for."""
    assert p.w is not None
    assert p.g is not None
    taps = [
        (n + sum(pad) - tight_size(o, s)) // d + 1
        for n, pad, s, o, d in zip(
            p.spatial, p.padding, p.stride, p.g.shape[2:], p.dilation, strict=True
        )
    ]
    return kernel_gradient(replace(p, w=np.zeros((*p.w.shape[:2], *taps))))


def ungrouped_kernel_gradient(p: Problem) -> Array:
    """dL/dw of the layer without groups."""
    assert p.w is not None
    inputs = p.w.shape[1] * p.groups
    wide = np.zeros((p.w.shape[0], inputs, *p.w.shape[2:]))
    return kernel_gradient(replace(p, w=wide, groups=1))


# Transposed layers.


def zeros_behind(p: Problem) -> Array:
    """The shortest output with zeros behind it."""
    return _with_zeros(p, before=0, behind=1)


def zeros_before(p: Problem) -> Array:
    """The shortest output with zeros before it."""
    return _with_zeros(p, before=1, behind=0)


def zeros_around(p: Problem) -> Array:
    """The shortest output with zeros on both sides."""
    return _with_zeros(p, before=1, behind=1)


def _with_zeros(p: Problem, *, before: int, behind: int) -> Array:
    y = transposed(replace(p, output_padding=(0,) * p.dims))
    widths = [(before * extra, behind * extra) for extra in p.output_padding]
    return np.pad(y, ((0, 0), (0, 0), *widths))


def extra_before(p: Problem) -> Array:
    """The output begins earlier by output_padding, and ends as the shortest one does."""
    plain = replace(p, output_padding=(0,) * p.dims, padding=((0, 0),) * p.dims)
    whole = transposed(plain)
    for axis, ((before, after), extra) in enumerate(
        zip(p.padding, p.output_padding, strict=True), start=2
    ):
        short = max(extra - before, 0)
        widths = [(0, 0)] * whole.ndim
        widths[axis] = (short, 0)
        whole = np.pad(whole, widths)
        kept = slice(max(before - extra, 0), whole.shape[axis] - after)
        whole = whole[(slice(None),) * axis + (kept,)]
    return whole


def padded_input(p: Problem) -> Array:
    """The input padded, and the output not cropped."""
    return transposed(_with_padding_as_samples(p))


def stretched_with_padding(p: Problem) -> Array:
    """The correlation on the stretched input, padded by p itself."""
    assert p.w is not None
    pads = tuple(
        (span(k, d) - 1 - before, span(k, d) - 1 - after)
        for (before, after), d, k in zip(p.padding, p.dilation, p.w.shape[2:], strict=True)
    )
    return transposed(replace(p, padding=pads))


def plain_layer(p: Problem) -> Array:
    """A correlation layer with the same options."""
    assert p.w is not None
    return forward(replace(p, w=swap_channels(p.w, p.groups)))


def overstretched(p: Problem) -> Array:
    """One zero too many between the samples."""
    return transposed(replace(p, stride=tuple(s + 1 for s in p.stride)))


def repeated_samples(p: Problem) -> Array:
    """Each sample repeated by the stride, and the layer with stride 1."""
    x = p.x
    for axis, s in enumerate(p.stride, start=2):
        x = x.repeat(s, axis)
    whole = transposed(_uncropped(replace(p, x=x, stride=(1,) * p.dims)))
    return _cropped(p, whole, dilated=True)


def size_of_undilated(p: Problem) -> Array:
    """The output cut to the size that a kernel without dilation would have."""
    return _cropped(p, transposed(_uncropped(p)), dilated=False)


def _uncropped(p: Problem) -> Problem:
    none = (0,) * p.dims
    return replace(p, padding=tuple((0, 0) for _ in none), output_padding=none)


def _cropped(p: Problem, whole: Array, *, dilated: bool) -> Array:
    """An output that was not cropped, filled up or cut to the layer's size, then cropped."""
    assert p.w is not None
    kept: list[slice] = []
    widths = [(0, 0), (0, 0)]
    for n, k, s, d, (before, after), extra, size in zip(
        p.spatial,
        p.w.shape[2:],
        p.stride,
        p.dilation,
        p.padding,
        p.output_padding,
        whole.shape[2:],
        strict=True,
    ):
        end = transposed_size(n, k, s, d if dilated else 1, 0, 0) + extra
        widths.append((0, max(end - size, 0)))
        kept.append(slice(before, max(end - after, before)))
    return np.pad(whole, widths)[(slice(None), slice(None), *kept)]

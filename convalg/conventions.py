"""The geometry of a layer, computed from the arguments of a constructor.

This module defines the conventions in which frameworks differ: the values of `padding`, the side of
the odd sample of "same", the order of the axes of a kernel, and the output size of a transposed
layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from convalg.axis import (
    BOUNDARIES,
    Axis,
    Size,
    ceil_size,
    holds,
    output_size,
    same_padding,
    span,
    transposed_size,
)
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.geometry import Geometry
from convalg.size import (
    Condition,
    as_shape,
    as_size,
    is_expression,
    is_symbolic,
    larger,
    padding_pairs,
    per_axis,
    require,
    size_product,
    sizes,
    substituted,
)

__all__ = [
    "PADDING_WORDS",
    "Condition",
    "Geometry",
    "Padding",
    "PerAxis",
    "Shape",
    "as_shape",
    "as_size",
    "check_boundary",
    "check_reflect",
    "correlation_geometry",
    "holds",
    "is_expression",
    "is_symbolic",
    "padding_pairs",
    "per_axis",
    "pooling_axes",
    "require",
    "size_product",
    "sizes",
    "substituted",
    "transposed_geometry",
]


Shape: TypeAlias = "Size | Sequence[Size]"


PerAxis: TypeAlias = "Size | Sequence[Size]"
"""One integer or symbolic size for all axes, or one for each axis."""


Padding: TypeAlias = "Size | str | Sequence[Size | tuple[Size, Size]]"


PADDING_WORDS = ("valid", "same", "same_lower", "full", "causal")


PADDING_SYNONYMS = {
    "SAME": "same",
    "SAME_UPPER": "same",
    "HALF": "same",
    "SAME_LOWER": "same_lower",
}


BOUNDARY_SYNONYMS = {
    "zero": "zeros",
    "constant": "zeros",
    "fill": "zeros",
    "wrap": "circular",
    "periodic": "circular",
    "grid-wrap": "circular",
    "mirror": "reflect",
    "reflection": "reflect",
    "grid-mirror": "symmetric",
    "replicate": "edge",
    "replication": "edge",
    "nearest": "edge",
    "clamp": "edge",
}


"""Names that other libraries use, with the names used here."""


def correlation_geometry(
    shape: object,
    kernel_shape: tuple[Size, ...],
    *,
    stride: object = 1,
    padding: object = "valid",
    dilation: object = 1,
    groups: object = 1,
    boundary: Any = "zeros",
    flipped: bool = False,
) -> Geometry:
    """Return the geometry of a correlation over a spatial shape, or of a convolution if `flipped`.

    The other arguments are those of `convalg.correlation`.
    """
    needs: list[Condition] = []
    sizes = as_shape(shape, conditions=needs)
    dims = len(sizes)
    count = as_size(groups, "groups", conditions=needs)
    taps, channels = _split_kernel(sizes, kernel_shape, count, "correlation", needs)
    strides = per_axis(stride, "stride", dims, conditions=needs)
    dilations = per_axis(dilation, "dilation", dims, conditions=needs)
    check_boundary(boundary)
    pads = _padding_of(padding, sizes, taps, strides, dilations, needs)
    axes = []
    for k, (n, size, s, d, pad) in enumerate(
        zip(sizes, taps, strides, dilations, pads, strict=True)
    ):
        check_reflect(boundary, pad, n, k, needs)
        outputs = output_size(n, size, s, d, *pad)
        _check_kernel_fits(outputs, n, size, d, pad, k)
        flip = span(size, d) - 1 if flipped else 0
        axes.append(
            Axis(
                in_size=n,
                out_size=outputs,
                taps=size,
                stride=s,
                dilation=-d if flipped else d,
                padding=pad[0] - flip,
                boundary=boundary,
            )
        )
    return Geometry(tuple(axes), *channels, tuple(needs))


def transposed_geometry(
    shape: object,
    kernel_shape: tuple[Size, ...],
    *,
    stride: object = 1,
    padding: object = 0,
    output_padding: object = 0,
    dilation: object = 1,
    groups: object = 1,
) -> Geometry:
    """Return the geometry of the correlation whose adjoint is the requested transposed layer.

    The arguments are those of `convalg.transposed_correlation`. `kernel_shape` is
    `(C_in, C_out // groups, *taps)`, which is the usual layout for the correlation, as it maps
    C_out channels to C_in channels.
    """
    needs: list[Condition] = []
    sizes = as_shape(shape, conditions=needs)
    dims = len(sizes)
    count = as_size(groups, "groups", conditions=needs)
    taps, (outputs, inputs, split) = _split_kernel(
        sizes, kernel_shape, count, "transposed_correlation", needs
    )
    strides = per_axis(stride, "stride", dims, conditions=needs)
    dilations = per_axis(dilation, "dilation", dims, conditions=needs)
    extra = per_axis(output_padding, "output_padding", dims, least=0, conditions=needs)
    if isinstance(padding, str) and padding.startswith("same") and any(extra):
        raise ArgumentError(
            f"output_padding={output_padding!r} cannot be combined with padding={padding!r}, "
            f"which fixes the output at stride * input: leave one of them out"
        )
    if isinstance(padding, str) and padding == "causal":
        raise ArgumentError(
            f"padding={padding!r} is not defined for a transposed layer: write "
            f"((0, d * (k - 1)),) to drop the end of the output, or use the adjoint of a causal "
            f"correlation"
        )
    wanted = tuple(n * s for n, s in zip(sizes, strides, strict=True))
    pads = _padding_of(padding, wanted, taps, strides, dilations, needs)
    axes = []
    for k, (n, size, s, d, pad, more) in enumerate(
        zip(sizes, taps, strides, dilations, pads, extra, strict=True)
    ):
        require(
            larger(s, d) - 1 - more,
            (
                "output_padding[{}] must be smaller than the stride {} or the dilation {} of its "
                "axis, not {}",
                *(k, s, d, more),
            ),
            needs,
        )
        produced = transposed_size(n, size, s, d, *pad) + more
        if isinstance(padding, str) and padding.startswith("same"):
            produced = wanted[k]
        require(
            produced - 1,
            (
                "padding={} on axis {} crops everything: the transposed output would have {} "
                "samples; reduce the padding",
                *(pad, k, produced),
            ),
            needs,
        )
        axes.append(
            Axis(in_size=produced, out_size=n, taps=size, stride=s, dilation=d, padding=pad[0])
        )
    # The correlation maps in the other direction, from the layer's outputs to its inputs.
    return Geometry(tuple(axes), outputs, inputs, split, tuple(needs))


def pooling_axes(
    shape: object,
    size: object,
    *,
    stride: object = None,
    padding: object = 0,
    dilation: object = 1,
    ceil_mode: object = False,
    conditions: list[Condition] | None = None,
) -> tuple[tuple[Axis, ...], tuple[tuple[Any, Any], ...]]:
    """Return the axes of a pooling, and the padding (before, after) of each axis.

    With `ceil_mode`, the last window may extend beyond the padding if it starts inside the input or
    inside the padding in front of it, as in PyTorch and ONNX.

    Raises: ShapeError when a window is larger than the padded input, ArgumentError for `ceil_mode`
    with symbolic sizes.
    """
    needs: list[Condition] = [] if conditions is None else conditions
    sizes = as_shape(shape, conditions=needs)
    dims = len(sizes)
    taps = per_axis(size, "size", dims, conditions=needs)
    strides = taps if stride is None else per_axis(stride, "stride", dims, conditions=needs)
    dilations = per_axis(dilation, "dilation", dims, conditions=needs)
    if not isinstance(ceil_mode, bool):
        raise KindError(f"ceil_mode must be True or False, not {ceil_mode!r}")
    pads = _padding_of(padding, sizes, taps, strides, dilations, needs)
    axes = []
    for k, (n, window, s, d, pad) in enumerate(
        zip(sizes, taps, strides, dilations, pads, strict=True)
    ):
        outputs = output_size(n, window, s, d, *pad)
        if ceil_mode:
            if not all(isinstance(value, int) for value in (outputs, n, s, *pad)):
                raise ArgumentError(
                    f"ceil_mode needs integer sizes, not an input of {n} samples with stride {s}"
                )
            outputs = ceil_size(n, window, s, d, *pad)
        _check_kernel_fits(outputs, n, window, d, pad, k, what="window")
        axes.append(Axis(n, outputs, window, s, d, pad[0]))
    return tuple(axes), pads


def check_boundary(boundary: object) -> None:
    """Raise ArgumentError unless the boundary rule is one of `BOUNDARIES`."""
    if not isinstance(boundary, str) or boundary not in BOUNDARIES:
        raise ArgumentError(
            f"boundary must be one of {', '.join(BOUNDARIES)}, not {boundary!r}{_meant(boundary)}"
        )


def _meant(word: object) -> str:
    """Return a hint with the equivalent of another library's boundary or padding name, or ""."""
    if not isinstance(word, str):
        return ""
    boundary = BOUNDARY_SYNONYMS.get(word.lower(), word.lower())
    if boundary in BOUNDARIES:
        return f": write boundary={boundary!r}, with the number of samples as padding"
    padding = PADDING_SYNONYMS.get(word.upper(), word.lower())
    return f": write padding={padding!r}" if padding in PADDING_WORDS else ""


def _split_kernel(
    sizes: tuple[Size, ...],
    kernel_shape: tuple[Size, ...],
    groups: Size,
    call: str,
    conditions: list[Condition],
) -> tuple[tuple[Size, ...], tuple[int | None, int | None, int]]:
    """Return the taps and (in_channels, out_channels, groups) of a kernel with the given shape."""
    dims, axes = len(sizes), len(kernel_shape)
    for k, size in enumerate(kernel_shape):
        message = ("kernel of shape {} is empty: axis {} has size {}", kernel_shape, k, size)
        require(size - 1, message, conditions, error=ShapeError)
    if axes == dims:
        if groups != 1:
            raise ArgumentError(
                f"groups={groups} needs a kernel with channels, "
                f"(C_out, C_in // groups, *taps), not one of shape {kernel_shape}"
            )
        return kernel_shape, (None, None, 1)
    if axes != dims + 2:
        raise ShapeError(_kernel_rank_message(sizes, kernel_shape, groups, call))
    first, second = kernel_shape[:2]
    # The groups divide the channels if rounding down to a multiple does not change their number.
    require(
        groups * (first // groups) - first,
        (
            "groups={} does not divide the {} channels on the first axis of the kernel of shape {}",
            *(groups, first, kernel_shape),
        ),
        conditions,
        words=("{} divides {}", groups, first),
    )
    return kernel_shape[2:], (second * groups, first, groups)


def _kernel_rank_message(
    sizes: tuple[Size, ...], kernel_shape: tuple[Size, ...], groups: int, call: str
) -> str:
    """Return the error message for a kernel that has the wrong number of axes for the shape."""
    dims, axes = len(sizes), len(kernel_shape)
    if axes == dims + 1 and axes >= 4 and sizes[0] in (kernel_shape[0], kernel_shape[1] * groups):
        spatial = sizes[1:]
        return (
            f"shape is spatial, without channels: a kernel of shape {kernel_shape} is a layer "
            f"over {len(spatial)} axes, so {tuple(sizes)} has one axis too many (channels are "
            f"read from the kernel); write ca.{call}({spatial}, W)"
        )
    return (
        f"kernel of shape {kernel_shape} has {axes} axes, but a shape of {dims} spatial axes "
        f"{tuple(sizes)} needs {dims} (one channel) or {dims + 2} "
        f"(C_out, C_in // groups, *taps); the shape is spatial, without channels"
    )


def _padding_of(
    padding: object,
    sizes: tuple[Size, ...],
    taps: tuple[Size, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    conditions: list[Condition],
) -> tuple[tuple[Any, Any], ...]:
    """Return the padding (before, after) of each axis, with named modes converted to numbers."""
    if not isinstance(padding, str):
        return padding_pairs(padding, len(sizes), conditions=conditions)
    each = tuple(zip(sizes, taps, strides, dilations, strict=True))
    match padding:
        case "valid":
            return ((0, 0),) * len(sizes)
        case "same":
            return tuple(same_padding(n, k, s, d) for n, k, s, d in each)
        case "same_lower":
            return tuple(same_padding(n, k, s, d, lower=True) for n, k, s, d in each)
        case "full":
            return tuple((span(k, d) - 1, span(k, d) - 1) for n, k, s, d in each)
        case "causal":
            return tuple((span(k, d) - 1, 0) for n, k, s, d in each)
    raise ArgumentError(
        f"padding must be an integer, one integer per axis, (before, after) pairs, or one of "
        f"the words {', '.join(PADDING_WORDS)}, not {padding!r}{_meant(padding)}"
    )


def check_reflect(
    boundary: str,
    pad: tuple[Size, Size],
    n: Size,
    axis: int,
    conditions: list[Condition] | None = None,
    *,
    name: str = "padding",
) -> None:
    """Raise ArgumentError when a padding by reflection is wider than the input allows."""
    if boundary != "reflect":
        return
    message = (
        "{} {} on axis {} is too wide for boundary='reflect': an input of {} can be reflected by "
        "at most {} (use 'symmetric', 'circular' or 'edge')",
        *(name, pad, axis, n, n - 1),
    )
    for amount in pad:
        require(n - 1 - amount, message, conditions)


def _check_kernel_fits(
    outputs: object,
    n: Size,
    taps: Size,
    dilation: Size,
    pad: tuple[Size, Size],
    axis: int,
    *,
    what: str = "kernel",
) -> None:
    if isinstance(outputs, int) and outputs < 1:
        raise ShapeError(
            f"{what} of {taps} taps (span {span(taps, dilation)} with dilation {dilation}) is "
            f"larger than the padded input of {n + sum(pad)} on axis {axis}; pad more or use a "
            f"smaller {what}"
        )

"""Correlations, convolutions and transposed convolutions of any geometry."""

from __future__ import annotations

from convalg.arrays import as_kernel
from convalg.axis import Boundary
from convalg.conventions import (
    Padding,
    PerAxis,
    Shape,
    correlation_geometry,
    transposed_geometry,
)
from convalg.kernels import SymbolicKernel
from convalg.operators.leaves import Convolution
from convalg.operators.tree import Operator


def correlation(
    shape: Shape,
    kernel: object,
    *,
    stride: PerAxis = 1,
    padding: Padding = "valid",
    dilation: PerAxis = 1,
    groups: int = 1,
    boundary: Boundary = "zeros",
) -> Convolution:
    """Return the cross-correlation with a kernel, which deep learning calls a convolution.

    y[o, i] = sum over c and t of w[o, c, t] x[c, s i + d t - p], with the stride s, the dilation d
    and the padding p in front of the input; the indices i and t have one component per axis.

    Args:
        shape: Spatial shape of the input in samples, without channels: an int for one axis, or a
            sequence of one size per axis. Sizes may be symbols of `ca.sizes`.
        kernel: The weights. A kernel of shape `(*taps)` maps `(*shape)` to `(*out)`; a kernel of
            shape `(C_out, C_in // groups, *taps)` maps `(C_in, *shape)` to `(C_out, *out)`.
        stride: Distance between neighbouring windows in samples: an int or one per axis, at
            least 1.
        padding: Samples added around the input: an int for all sides, one int per axis, or one
            pair (before, after) per axis; negative amounts are not allowed. "valid" adds none,
            "full" d (k - 1) on each side, and "causal" d (k - 1) in front of the input. "same"
            gives ceil(n / s) outputs; the odd sample is added after the input, and with
            "same_lower" in front of it.
        dilation: Distance between neighbouring taps in samples: an int or one per axis, at
            least 1.
        groups: Number of groups of channels; output channels read only the input channels of
            their own group.
        boundary: Values of the padding: "zeros", "circular" (the input repeated), "reflect"
            (mirrored without its border sample), "symmetric" (mirrored with it), or "edge" (the
            border sample repeated).

    Returns:
        An operator from `in_shape` to `out_shape`, with
        out = floor((n + p_before + p_after - d (k - 1) - 1) / s) + 1 samples on each axis.

    Raises:
        ShapeError: when the kernel has the wrong number of axes, is empty, or is larger than the
            padded input.
        ArgumentError: when a value is out of range or is not one of the allowed values.
        KindError: when an argument is of the wrong type.

    >>> import convalg as ca
    >>> ca.correlation(5, [1, 2, 3]).to_numpy().tolist()
    [[1, 2, 3, 0, 0], [0, 1, 2, 3, 0], [0, 0, 1, 2, 3]]
    """
    return _convolution(shape, kernel, stride, padding, dilation, groups, boundary, flipped=False)


def convolution(
    shape: Shape,
    kernel: object,
    *,
    stride: PerAxis = 1,
    padding: Padding = "valid",
    dilation: PerAxis = 1,
    groups: int = 1,
    boundary: Boundary = "zeros",
) -> Convolution:
    """Return the convolution with a kernel: the correlation with the flipped kernel.

    y[o, i] = sum over c and t of w[o, c, t] x[c, s i + d (k - 1 - t) - p]: the taps are reversed
    along each axis, and the channels keep their order. `A.kernel` is the kernel before the flip.

    Args:
        shape: Spatial shape of the input in samples, as for `correlation`.
        kernel: The weights, of shape `(*taps)` or `(C_out, C_in // groups, *taps)`.
        stride: Distance between neighbouring windows in samples: an int or one per axis.
        padding: Samples added around the input, or a padding mode, as for `correlation`.
        dilation: Distance between neighbouring taps in samples: an int or one per axis.
        groups: Number of groups of channels.
        boundary: Values of the padding, as for `correlation`.

    Returns:
        An operator with the shapes of the `correlation` with the same arguments.

    Raises:
        ShapeError: when the kernel has the wrong number of axes, is empty, or is larger than the
            padded input.
        ArgumentError: when a value is out of range or is not one of the allowed values.
        KindError: when an argument is of the wrong type.

    >>> import convalg as ca
    >>> ca.convolution(3, [1, 2], padding="full")([1, 10, 100]).tolist()
    [1, 12, 120, 200]
    """
    return _convolution(shape, kernel, stride, padding, dilation, groups, boundary, flipped=True)


def _convolution(
    shape: object,
    kernel: object,
    stride: PerAxis,
    padding: object,
    dilation: PerAxis,
    groups: object,
    boundary: object,
    *,
    flipped: bool,
) -> Convolution:
    weights = kernel if isinstance(kernel, SymbolicKernel) else as_kernel(kernel)
    geometry = correlation_geometry(
        shape,
        weights.shape,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        boundary=boundary,
        flipped=flipped,
    )
    return Convolution(geometry, weights)


def transposed_correlation(
    shape: Shape,
    kernel: object,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    output_padding: PerAxis = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> Operator:
    """Return the transposed convolution of deep learning: the adjoint of a correlation.

    It equals PyTorch's `conv_transpose`. The correlation of which it is the adjoint maps the
    output of this layer to its input.

    Args:
        shape: Spatial shape of the input in samples, without channels: an int or one size per
            axis.
        kernel: The weights, of shape `(*taps)` or `(C_in, C_out // groups, *taps)`.
        stride: Distance in the output between the windows of neighbouring inputs, in samples: an
            int or one per axis, at least 1.
        padding: Samples cropped from the sides of the output, in the forms of `correlation`
            without "causal". With "same" or "same_lower" the output has s i samples on each axis,
            as in TensorFlow and ONNX.
        output_padding: Samples added at the end of the output: an int or one per axis, smaller
            than the stride or the dilation of the axis. They enlarge the output, not the input.
        dilation: Distance between neighbouring taps in samples: an int or one per axis, at
            least 1.
        groups: Number of groups of channels.

    Returns:
        An operator from `(C_in, *shape)` to `(C_out, *out)`, or from `(*shape)` to `(*out)` for a
        kernel without channels, with
        out = s (i - 1) + d (k - 1) + 1 - p_before - p_after + output_padding samples on each axis.

    Raises:
        ShapeError: when the kernel has the wrong number of axes or is empty.
        ArgumentError: when a value is out of range or is not one of the allowed values, or the
            padding crops the entire output.
        KindError: when an argument is of the wrong type.

    Source:
        Dumoulin & Visin, relationships 8 to 14.

    >>> import convalg as ca
    >>> ca.transposed_correlation(2, [1, 2, 3], stride=2)([1, 10]).tolist()
    [1, 2, 13, 20, 30]
    """
    weights = kernel if isinstance(kernel, SymbolicKernel) else as_kernel(kernel)
    geometry = transposed_geometry(
        shape,
        weights.shape,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
        groups=groups,
    )
    return Convolution(geometry, weights).T

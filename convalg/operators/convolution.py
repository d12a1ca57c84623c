"""Correlations, convolutions and transposed convolutions of any geometry."""

from __future__ import annotations

from convalg.arrays import as_kernel
from convalg.axis import Boundary
from convalg.conventions import (
    Padding,
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
    stride: object = 1,
    padding: Padding = "valid",
    dilation: object = 1,
    groups: int = 1,
    boundary: Boundary = "zeros",
) -> Convolution:
    """Return the cross-correlation with a kernel, which deep learning calls a convolution.

    Rule: y[o, i] = sum over c, t of w[o, c, t] x[c, s i + d t - p], per axis.

    Args:
        shape: Spatial shape of the input, without channels: an int or one size per axis, in
            samples. Sizes may be symbols of `ca.sizes`.
        kernel: `(*taps)` for a layer without channels, or `(C_out, C_in // groups, *taps)` for one
            from `(C_in, *shape)` to `(C_out, *out)`.
        stride: An int or one per axis, at least 1.
        padding: An int, one per axis, (before, after) pairs, "valid", "same" (an odd sample is
            added after), "same_lower" (before), "full" or "causal" (d (k - 1) samples before and
            none after).
        dilation: An int or one per axis, at least 1.
        groups: Number of groups of channels.
        boundary: What the padding reads: "zeros", "circular", "reflect", "symmetric" or "edge".

    Raises:
        ShapeError: when the kernel does not fit the shape.
        ArgumentError: when a value is not allowed; the message names the argument.
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
    stride: object = 1,
    padding: Padding = "valid",
    dilation: object = 1,
    groups: int = 1,
    boundary: Boundary = "zeros",
) -> Convolution:
    """Return the convolution with a kernel: the correlation with the kernel flipped on its taps.

    The arguments, shapes and errors are those of `correlation`; `A.kernel` is the given kernel.

    Rule: y[o, i] = sum over c, t of w[o, c, t] x[c, s i + d (k - 1 - t) - p], per axis.

    >>> import convalg as ca
    >>> ca.convolution(3, [1, 2], padding="full")([1, 10, 100]).tolist()
    [1, 12, 120, 200]
    """
    return _convolution(shape, kernel, stride, padding, dilation, groups, boundary, flipped=True)


def _convolution(
    shape: object,
    kernel: object,
    stride: object,
    padding: object,
    dilation: object,
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
    stride: object = 1,
    padding: Padding = 0,
    output_padding: object = 0,
    dilation: object = 1,
    groups: int = 1,
) -> Operator:
    """Return the adjoint of a correlation, for a given input size: PyTorch's `conv_transpose`.

    The output has s (i - 1) + d (k - 1) + 1 - p_before - p_after + output_padding samples on each
    axis; with padding "same" or "same_lower" it has s i (TensorFlow, ONNX).

    Args:
        shape: Spatial shape of the input, without channels.
        kernel: `(*taps)`, or `(C_in, C_out // groups, *taps)`.
        stride: An int or one per axis, at least 1.
        padding: As for `correlation`, without "causal"; it crops the output.
        output_padding: Samples added at the end of the output on each axis, smaller than the
            stride or the dilation; they read no further input.
        dilation: An int or one per axis, at least 1.
        groups: Number of groups of channels.

    Raises:
        ShapeError: when the kernel does not fit the shape.
        ArgumentError: when a value is not allowed; the message names the argument.
        KindError: when an argument is of the wrong type.

    Source: Dumoulin & Visin, relationships 8 to 14.

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

"""Constructors of linear operators: correlations, padding, sampling, dense and diagonal layers."""

from __future__ import annotations

from collections.abc import Iterable

from convalg.arrays import as_kernel, as_numbers, check_finite
from convalg.axis import Axis, Boundary, tight_size
from convalg.conventions import (
    Padding,
    Shape,
    check_boundary,
    check_reflect,
    correlation_geometry,
    transposed_geometry,
)
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.kernels import SymbolicKernel
from convalg.operators.leaves import Convolution, Diagonal, Matrix, Selection
from convalg.operators.tree import Operator
from convalg.presburger import same_size
from convalg.size import (
    Condition,
    as_shape,
    as_size,
    padding_pairs,
    per_axis,
    require,
    size_product,
)


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


def pad(
    shape: Shape, padding: Padding, *, boundary: Boundary = "zeros", channels: int | None = None
) -> Operator:
    """Return the operator that adds samples around the input; a negative padding crops.

    Args:
        shape: Spatial shape of the input; the output has before + after more on each axis.
        padding: An int, one per axis, or (before, after) pairs.
        boundary: The values of the padding, as for `correlation`.
        channels: Number of channels, which become the first axis; None for no channel axis.

    Raises:
        ArgumentError: when nothing would be left, or a reflection is wider than the input.

    >>> import convalg as ca
    >>> ca.pad(3, 2, boundary="reflect")([1, 2, 3]).tolist()
    [3, 2, 1, 2, 3, 2, 1]
    """
    return _padded(shape, padding, None, "padding", boundary, channels)


def _padded(
    shape: object,
    padding: object,
    least: int | None,
    name: str,
    boundary: Boundary,
    channels: object,
) -> Operator:
    """Return a padding or, with `least=0`, a cropping by amounts of at least `least`."""
    needs: list[Condition] = []
    sizes = as_shape(shape, conditions=needs)
    check_boundary(boundary)
    axes = []
    pairs = padding_pairs(padding, len(sizes), least=least, name=name, conditions=needs)
    for k, (n, given) in enumerate(zip(sizes, pairs, strict=True)):
        before, after = given if least is None else (-given[0], -given[1])
        check_reflect(boundary, (before, after), n, k, needs)
        message = ("{} {} crops the entire input of {} samples on axis {}", name, given, n, k)
        for left in (before + after + n - 1, before + n, after + n):
            require(left, message, needs)
        axes.append(Axis(n, n + before + after, padding=before, boundary=boundary))
    return selection(axes, channels, needs)


def crop(shape: Shape, cropping: Padding, *, channels: int | None = None) -> Operator:
    """Return the operator that removes samples at the border: the adjoint of padding with zeros.

    Args:
        shape: Spatial shape of the input; the output has before + after less on each axis.
        cropping: An int, one per axis, or (before, after) pairs.
        channels: Number of channels, which become the first axis; None for no channel axis.

    Raises:
        ArgumentError: for a negative amount, or when nothing would be left.

    >>> import convalg as ca
    >>> ca.crop(5, (1,))([1, 2, 3, 4, 5]).tolist()
    [2, 3, 4]
    """
    return _padded(shape, cropping, 0, "cropping", "zeros", channels)


def flip_axes(shape: Shape, axes: object = None, *, channels: int | None = None) -> Operator:
    """Return the operator that reverses the input along some spatial axes, by default all.

    Args:
        shape: Spatial shape of the input.
        axes: The spatial axes to reverse.
        channels: Number of channels, which become the first axis; None for no channel axis.

    Raises:
        ArgumentError: for an axis that does not exist or is named twice.

    >>> import convalg as ca
    >>> ca.flip_axes((2, 2), axes=(1,))([[1, 2], [3, 4]]).tolist()
    [[2, 1], [4, 3]]
    """
    needs: list[Condition] = []
    sizes = as_shape(shape, conditions=needs)
    dims = len(sizes)
    chosen = set(range(dims)) if axes is None else set(as_shape(axes, "axes", least=-dims))
    if max(chosen) >= dims:
        raise ArgumentError(f"axes={axes!r} names an axis beyond the {dims} of shape {sizes}")
    flipped = {k % dims for k in chosen}
    if len(flipped) < len(chosen):
        raise ArgumentError(f"axes={axes!r} names one of the {dims} axes twice")
    return selection(
        [
            Axis(n, n, stride=-1, padding=1 - n) if k in flipped else Axis(n, n)
            for k, n in enumerate(sizes)
        ],
        channels,
        needs,
    )


def shift(
    shape: Shape, offset: object, *, boundary: Boundary = "zeros", channels: int | None = None
) -> Operator:
    """Return the shift by `offset` samples towards higher indices: y[i] = x[i - offset].

    Args:
        shape: Spatial shape of the input and of the output.
        offset: An int or one per axis, in samples, of either sign.
        boundary: The values shifted in, as for `correlation`: "circular" takes the other end.
        channels: Number of channels, which become the first axis; None for no channel axis.

    >>> import convalg as ca
    >>> ca.shift(4, 1)([1, 2, 3, 4]).tolist()
    [0, 1, 2, 3]
    >>> ca.shift(4, 1, boundary="circular")([1, 2, 3, 4]).tolist()
    [4, 1, 2, 3]
    """
    needs: list[Condition] = []
    sizes = as_shape(shape, conditions=needs)
    check_boundary(boundary)
    offsets = per_axis(offset, "offset", len(sizes), least=None)
    for k, (n, step) in enumerate(zip(sizes, offsets, strict=True)):
        check_reflect(boundary, (step, -step), n, k, needs, name="offset")
    return selection(
        [
            Axis(n, n, padding=step, boundary=boundary)
            for n, step in zip(sizes, offsets, strict=True)
        ],
        channels,
        needs,
    )


def downsample(
    shape: Shape, factor: object, *, offset: object = 0, channels: int | None = None
) -> Operator:
    """Return the operator that keeps every `factor`-th sample: y[i] = x[factor i + offset].

    Args:
        shape: Spatial shape of the input; the output has ceil((n - offset) / factor) samples on
            each axis.
        factor: An int or one per axis, at least 1.
        offset: The first sample that is kept: an int or one per axis.
        channels: Number of channels, which become the first axis; None for no channel axis.

    Raises:
        ArgumentError: when an offset is outside the input.

    >>> import convalg as ca
    >>> ca.downsample(5, 2)([1, 2, 3, 4, 5]).tolist()
    [1, 3, 5]
    """
    needs: list[Condition] = []
    sizes = as_shape(shape, conditions=needs)
    factors = per_axis(factor, "factor", len(sizes), conditions=needs)
    offsets = per_axis(offset, "offset", len(sizes), least=0, conditions=needs)
    axes = []
    for k, (n, step, first) in enumerate(zip(sizes, factors, offsets, strict=True)):
        message = ("offset {} is beyond the {} samples of axis {}", first, n, k)
        require(n - 1 - first, message, needs)
        axes.append(Axis(n, -(-(n - first) // step), stride=step, padding=-first))
    return selection(axes, channels, needs)


def upsample(
    shape: Shape, factor: object, *, size: object = None, channels: int | None = None
) -> Operator:
    """Return the operator that inserts factor - 1 zeros between samples: `downsample`'s adjoint.

    Args:
        shape: Spatial shape of the input.
        factor: An int or one per axis, at least 1.
        size: Spatial shape of the output, with more zeros at the end; by default
            factor (n - 1) + 1 samples on each axis.
        channels: Number of channels, which become the first axis; None for no channel axis.

    Raises:
        ArgumentError: when `size` is too small.

    >>> import convalg as ca
    >>> ca.upsample(3, 2)([1, 2, 3]).tolist(), ca.upsample(3, 2, size=6)([1, 2, 3]).tolist()
    ([1, 0, 2, 0, 3], [1, 0, 2, 0, 3, 0])
    """
    needs: list[Condition] = []
    sizes = as_shape(shape, conditions=needs)
    factors = per_axis(factor, "factor", len(sizes), conditions=needs)
    tight = tuple(tight_size(n, step) for n, step in zip(sizes, factors, strict=True))
    wanted = tight if size is None else per_axis(size, "size", len(sizes), conditions=needs)
    axes = []
    for k, (n, step, least, length) in enumerate(zip(sizes, factors, tight, wanted, strict=True)):
        message = ("size {} on axis {} is below the {} samples needed", length, k, least)
        require(length - least, message, needs)
        axes.append(Axis(length, n, stride=step))
    return selection(axes, channels, needs).T


def identity(shape: Shape, *, channels: int | None = None) -> Operator:
    """Return the identity operator on a spatial shape, with `channels` in front if given.

    >>> import convalg as ca
    >>> ca.identity(3)([1, 2, 3]).tolist()
    [1, 2, 3]
    """
    needs: list[Condition] = []
    return selection([Axis(n, n) for n in as_shape(shape, conditions=needs)], channels, needs)


def dense(weights: object, in_shape: object = None, *, out_shape: object = None) -> Operator:
    """Return a fully connected layer without bias: y = W vec(x).

    Args:
        weights: W, of shape `(outputs, inputs)`.
        in_shape: Shape of the input, with `inputs` elements; by default `(inputs,)`.
        out_shape: Shape of the output, with `outputs` elements; by default `(outputs,)`.

    Raises:
        ShapeError: when W is not a matrix, or a shape has another number of elements.

    >>> import convalg as ca
    >>> ca.dense([[1, 2], [3, 4], [5, 6]])([1, 10]).tolist()
    [21, 43, 65]
    """
    values = as_kernel(weights, "weights")
    if values.ndim != 2 or not values.size:
        raise ShapeError(f"weights must be a matrix (outputs, inputs), not of shape {values.shape}")
    shapes = []
    for given, name, count in (
        (in_shape, "in_shape", values.shape[1]),
        (out_shape, "out_shape", values.shape[0]),
    ):
        chosen = (count,) if given is None else as_shape(given, name)
        if size_product(chosen) != count:
            raise ShapeError(
                f"{name} {chosen} has {size_product(chosen)} elements, but weights of shape "
                f"{values.shape} need {count}"
            )
        shapes.append(chosen)
    return Matrix(values, *shapes)


def diagonal(values: object) -> Operator:
    """Return the operator that multiplies each entry by its own factor, such as a mask or a gain.

    Args:
        values: The factors, in the shape of the input.

    Raises:
        ShapeError: when there are no factors.
        KindError: when they are not real numbers.
        ArgumentError: when they are not finite.

    >>> import convalg as ca
    >>> ca.diagonal([1, 0, 2])([5, 6, 7]).tolist()
    [5, 0, 14]
    """
    factors = as_numbers(values, "values")
    check_finite(factors, "values")
    if factors.dtype.kind == "c":
        raise KindError(f"values must be real, not {factors.dtype}")
    if factors.ndim == 0 or not factors.size:
        raise ShapeError(f"values must be an array of at least one factor, not {values!r}")
    frozen = factors.copy()
    frozen.setflags(write=False)
    return Diagonal(frozen)


def reshape(in_shape: Shape, out_shape: Shape) -> Operator:
    """Return the operator that reshapes its input in row-major order; its matrix is the identity.

    Raises:
        ShapeError: when the numbers of elements differ.

    >>> import convalg as ca
    >>> ca.reshape((2, 2), 4)([[1, 2], [3, 4]]).tolist()
    [1, 2, 3, 4]
    """
    needs: list[Condition] = []
    before = as_shape(in_shape, "in_shape", conditions=needs)
    after = as_shape(out_shape, "out_shape", conditions=needs)
    if not same_size(size_product(before), size_product(after)):
        raise ShapeError(
            f"in_shape {before} has {size_product(before)} elements, but out_shape {after} has "
            f"{size_product(after)}"
        )
    sizes = [n for n in before if n != 1]
    if sizes != [n for n in after if n != 1]:
        sizes = [size_product(before)]
    # If only axes of one sample change, no sizes are multiplied and symbolic ones stay decidable.
    return Selection(tuple(Axis(n, n) for n in sizes or [1]), before, after, tuple(needs))


def selection(
    axes: list[Axis], channels: object, conditions: Iterable[Condition] = ()
) -> Selection:
    """Return a selection over spatial axes, the same for all channels."""
    needs = list(conditions)
    if channels is not None:
        count = as_size(channels, "channels", conditions=needs)
        axes = [Axis(count, count), *axes]
    return Selection(
        tuple(axes),
        tuple(axis.in_size for axis in axes),
        tuple(axis.out_size for axis in axes),
        tuple(needs),
    )

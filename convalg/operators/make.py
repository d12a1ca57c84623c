"""The linear operators that a user makes: correlations, and the elementary moves of samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

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
    kernel: Any,
    *,
    stride: Any = 1,
    padding: Padding = "valid",
    dilation: Any = 1,
    groups: int = 1,
    boundary: Boundary = "zeros",
) -> Convolution:
    """The cross-correlation with a kernel: what deep learning calls a convolution.

    Shapes: `shape` is spatial, an int or one size per axis, in samples. A kernel of as many
    axes is single-channel; one of `(C_out, C_in // groups, *taps)` maps `(C_in, *shape)` to
    `(C_out, *out)`. `stride`, `dilation`: an int or one per axis, at least 1. `padding`: an
    int, one per axis, (before, after) pairs, "valid", "same" (the odd sample goes after),
    "same_lower", "full" or "causal" (d (k - 1) samples before and none after). `boundary`: what
    padding reads: "zeros", "circular", "reflect", "symmetric", "edge".

    Rule: y[o, i] = sum over c, t of w[o, c, t] x[c, s i + d t - p], per axis.

    Raises: ShapeError, ArgumentError or KindError naming the argument at fault.

    >>> correlation(5, [1, 2, 3]).to_numpy().tolist()
    [[1, 2, 3, 0, 0], [0, 1, 2, 3, 0], [0, 0, 1, 2, 3]]
    """
    return _convolution(shape, kernel, stride, padding, dilation, groups, boundary, flipped=False)


def convolution(
    shape: Shape,
    kernel: Any,
    *,
    stride: Any = 1,
    padding: Padding = "valid",
    dilation: Any = 1,
    groups: int = 1,
    boundary: Boundary = "zeros",
) -> Convolution:
    """The convolution with a kernel: the correlation with the kernel flipped on every tap axis.

    Arguments, shapes and errors as for `correlation`; `kernel` stays as it is given.

    Rule: y[o, i] = sum over c, t of w[o, c, t] x[c, s i + d (k - 1 - t) - p], per axis.

    >>> convolution(3, [1, 2], padding="full")([1, 10, 100]).tolist()
    [1, 12, 120, 200]
    """
    return _convolution(shape, kernel, stride, padding, dilation, groups, boundary, flipped=True)


def _convolution(
    shape: Any,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    boundary: Any,
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
    kernel: Any,
    *,
    stride: Any = 1,
    padding: Padding = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Operator:
    """The adjoint of a correlation, with its input size given: PyTorch's `conv_transpose`.

    Shapes: `shape` is the spatial size of the input; kernel `taps` alone or
    `(C_in, C_out // groups, *taps)`. Output per axis:
    s (i - 1) + d (k - 1) + 1 - p_before - p_after + output_padding; with padding "same" or
    "same_lower" it is s i (TensorFlow, ONNX). `output_padding`: smaller than the stride or
    the dilation; it lengthens the output at its end and reads no new input.

    Raises: ShapeError, ArgumentError or KindError naming the argument at fault.
    Source: Dumoulin & Visin, relationships 8 to 14.

    >>> transposed_correlation(2, [1, 2, 3], stride=2)([1, 10]).tolist()
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
    """Samples put around the input; a negative padding crops.

    Shapes: `(*shape)`, or `(channels, *shape)`, to the same with before + after more on each
    axis. `padding`: an int, one per axis, or (before, after) pairs.

    Raises: ArgumentError when nothing would be left, or a reflection is wider than the input.

    >>> pad(3, 2, boundary="reflect")([1, 2, 3]).tolist()
    [3, 2, 1, 2, 3, 2, 1]
    """
    return _padded(shape, padding, None, "padding", boundary, channels)


def _padded(
    shape: Any, padding: Any, least: int | None, name: str, boundary: Boundary, channels: Any
) -> Operator:
    """A padding or, with `least=0`, a cropping by amounts of at least that."""
    needs: list[Condition] = []
    sizes = as_shape(shape, conditions=needs)
    check_boundary(boundary)
    axes = []
    pairs = padding_pairs(padding, len(sizes), least=least, name=name, conditions=needs)
    for k, (n, given) in enumerate(zip(sizes, pairs, strict=True)):
        before, after = given if least is None else (-given[0], -given[1])
        check_reflect(boundary, (before, after), n, k, needs)
        message = ("{} {} crops the whole input of {} samples on axis {}", name, given, n, k)
        for left in (before + after + n - 1, before + n, after + n):
            require(left, message, needs)
        axes.append(Axis(n, n + before + after, padding=before, boundary=boundary))
    return selection(axes, channels, needs)


def crop(shape: Shape, cropping: Padding, *, channels: int | None = None) -> Operator:
    """Samples cut off the input; the adjoint of padding with zeros.

    Shapes: as `pad`, with before + after less on each axis.

    Raises: ArgumentError for a negative amount or when nothing would be left.

    >>> crop(5, (1,))([1, 2, 3, 4, 5]).tolist()
    [2, 3, 4]
    """
    return _padded(shape, cropping, 0, "cropping", "zeros", channels)


def flip_axes(shape: Shape, axes: Any = None, *, channels: int | None = None) -> Operator:
    """The input reversed on the spatial axes named, by default on all.

    Raises: ArgumentError for an axis that there is not.

    >>> flip_axes((2, 2), axes=(1,))([[1, 2], [3, 4]]).tolist()
    [[2, 1], [4, 3]]
    """
    needs: list[Condition] = []
    sizes = as_shape(shape, conditions=needs)
    dims = len(sizes)
    chosen = set(range(dims)) if axes is None else set(as_shape(axes, "axes", least=-dims))
    if max(chosen) >= dims:
        raise ArgumentError(f"axes={axes!r} names an axis beyond the {dims} of shape {sizes}")
    turned = {k % dims for k in chosen}
    if len(turned) < len(chosen):
        raise ArgumentError(f"axes={axes!r} names an axis twice, of {dims}")
    return selection(
        [
            Axis(n, n, stride=-1, padding=1 - n) if k in turned else Axis(n, n)
            for k, n in enumerate(sizes)
        ],
        channels,
        needs,
    )


def shift(
    shape: Shape, offset: Any, *, boundary: Boundary = "zeros", channels: int | None = None
) -> Operator:
    """The input moved by `offset` samples towards higher indices: y[i] = x[i - offset].

    `offset`: an int or one per axis, in samples, of either sign. What moves in follows
    `boundary`: zeros by default, the other end with "circular".

    >>> shift(4, 1)([1, 2, 3, 4]).tolist(), shift(4, 1, boundary="circular")([1, 2, 3, 4]).tolist()
    ([0, 1, 2, 3], [4, 1, 2, 3])
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
    shape: Shape, factor: Any, *, offset: Any = 0, channels: int | None = None
) -> Operator:
    """Every `factor`-th sample, from `offset` on ("dropping"): y[i] = x[factor i + offset].

    Shapes: ceil((n - offset) / factor) samples on each axis.
    Raises: ArgumentError when an offset lies outside the input.

    >>> downsample(5, 2)([1, 2, 3, 4, 5]).tolist()
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
    shape: Shape, factor: Any, *, size: Any = None, channels: int | None = None
) -> Operator:
    """The input stretched by factor - 1 zeros between samples: the adjoint of `downsample`.

    Shapes: factor (n - 1) + 1 samples on each axis, or `size` (more zeros at the end).
    Raises: ArgumentError when `size` is too small.

    >>> upsample(3, 2)([1, 2, 3]).tolist(), upsample(3, 2, size=6)([1, 2, 3]).tolist()
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
    """The operator that changes nothing.

    >>> identity(3)([1, 2, 3]).tolist()
    [1, 2, 3]
    """
    needs: list[Condition] = []
    return selection([Axis(n, n) for n in as_shape(shape, conditions=needs)], channels, needs)


def dense(weights: Any, in_shape: Any = None, *, out_shape: Any = None) -> Operator:
    """A fully connected layer without its bias: y = W vec(x).

    Shapes: weights `(outputs, inputs)`; `in_shape` and `out_shape` default to `(inputs,)` and
    `(outputs,)` and must have as many elements.
    Raises: ShapeError when they do not.

    >>> dense([[1, 2], [3, 4], [5, 6]])([1, 10]).tolist()
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
                f"{values.shape} want {count}"
            )
        shapes.append(chosen)
    return Matrix(values, *shapes)


def diagonal(values: Any) -> Operator:
    """Each entry times its own factor: a mask, a gain.

    Shapes: `values` has the shape of the input.

    >>> diagonal([1, 0, 2])([5, 6, 7]).tolist()
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
    """The same numbers in another shape, in row-major order; its matrix is the identity.

    Raises: ShapeError when the numbers of elements differ.

    >>> reshape((2, 2), 4)([[1, 2], [3, 4]]).tolist()
    [1, 2, 3, 4]
    """
    needs: list[Condition] = []
    before = as_shape(in_shape, "in_shape", conditions=needs)
    after = as_shape(out_shape, "out_shape", conditions=needs)
    if not same_size(size_product(before), size_product(after)):
        raise ShapeError(
            f"in_shape {before} has {size_product(before)} elements and out_shape {after} has "
            f"{size_product(after)}"
        )
    sizes = [n for n in before if n != 1]
    if sizes != [n for n in after if n != 1]:
        sizes = [size_product(before)]
    # Where only axes of one sample come or go, no sizes are multiplied: letters stay decidable.
    return Selection(tuple(Axis(n, n) for n in sizes or [1]), before, after, tuple(needs))


def selection(axes: list[Axis], channels: Any, conditions: Iterable[Condition] = ()) -> Selection:
    """A selection over spatial axes, with all channels treated alike."""
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

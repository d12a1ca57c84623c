"""Operators that only reorder entries: reshape, permute, flatten, pixel shuffle."""

from __future__ import annotations

from typing import Literal

import numpy as np

from convalg.arguments import one_of
from convalg.arrays import Array
from convalg.axis import Axis, Size
from convalg.conventions import Shape
from convalg.errors import ArgumentError, ShapeError
from convalg.operators import windows
from convalg.operators.leaves import Selection, gathering
from convalg.operators.pooling import (
    channels_text,
    concrete_shape,
    shape_text,
    values_text,
)
from convalg.operators.tree import Operator
from convalg.presburger import same_size
from convalg.size import (
    Condition,
    as_shape,
    as_size,
    per_axis,
    require_numbers,
    size_product,
)


def reshape(in_shape: Shape, out_shape: Shape) -> Operator:
    """Return the operator that reshapes its input in row-major order; its matrix is the identity.

    Args:
        in_shape: Shape of the input, channels included: an int or one size per axis.
        out_shape: Shape of the output, channels included, with the same number of entries.

    Raises:
        ShapeError: when the two shapes differ in their number of entries.
        ArgumentError: for a size below 1.
        KindError: when a size is not an integer.

    >>> import convalg as ca
    >>> ca.reshape((2, 2), 4)([[1, 2], [3, 4]]).tolist()
    [1, 2, 3, 4]
    """
    needs: list[Condition] = []
    before = as_shape(in_shape, "in_shape", conditions=needs)
    after = as_shape(out_shape, "out_shape", conditions=needs)
    if not same_size(size_product(before), size_product(after)):
        raise ShapeError(
            f"in_shape and out_shape must have the same number of entries, but {before} has "
            f"{size_product(before)} and {after} has {size_product(after)}"
        )
    sizes = [n for n in before if n != 1]
    if sizes != [n for n in after if n != 1]:
        sizes = [size_product(before)]
    # Products of symbolic sizes are not decidable: axes of one sample are dropped without any.
    return Selection(tuple(Axis(n, n) for n in sizes or [1]), before, after, tuple(needs))


def permute(in_shape: Shape, axes: object) -> Operator:
    """Return the operator that permutes the axes of its input, as `numpy.transpose` does.

    Args:
        in_shape: Shape of the input, channels included: an int or one size per axis.
        axes: One int per axis: axis k of the output is axis `axes[k]` of the input.

    Returns:
        An operator from `in_shape` to its permuted shape, whose matrix is a permutation.

    Raises:
        ArgumentError: unless `axes` contains each axis number exactly once.
        ShapeError: when `axes` has another number of axes than `in_shape`.
        KindError: when a size or an axis is not an integer.
        SymbolicError: for symbolic sizes or axes.
        TooLargeError: when the matrix would be too large.

    >>> import convalg as ca
    >>> ca.permute((2, 3), (1, 0))([[1, 2, 3], [4, 5, 6]]).tolist()
    [[1, 4], [2, 5], [3, 6]]
    """
    sizes = concrete_shape(in_shape, "in_shape")
    order = per_axis(axes, "axes", len(sizes), least=0)
    require_numbers(order, "axes")
    if sorted(order) != list(range(len(sizes))):
        raise ArgumentError(
            f"axes must contain each number from 0 to {len(sizes) - 1} once, not {axes!r}"
        )
    call = f"permute({shape_text(sizes)}, {tuple(order)})"
    table = _flat_indices(sizes, call).transpose(order)
    return gathering(table, sizes, table.shape, call)


def flatten(in_shape: Shape) -> Operator:
    """Return the operator that flattens its input, channels included, in row-major order.

    Args:
        in_shape: Shape of the input, channels included: an int or one size per axis.

    Returns:
        An operator from `in_shape` to one axis with all entries.

    Raises:
        ArgumentError: for a size below 1.
        ShapeError: for a shape without axes.
        KindError: when a size is not an integer.

    >>> import convalg as ca
    >>> ca.flatten((2, 2))([[1, 2], [3, 4]]).tolist()
    [1, 2, 3, 4]
    """
    return reshape(in_shape, size_product(as_shape(in_shape, "in_shape")))


def pixel_shuffle(
    shape: Shape, factor: object, *, channels: int, order: Literal["CRD", "DCR"] = "CRD"
) -> Operator:
    """Return the operator that moves channels into space: each group of channels becomes blocks.

    With d spatial axes of n samples, every factor^d channels are interleaved into one channel
    with factor n samples on each axis.

    Args:
        shape: Spatial shape of the input in samples, without channels: an int or one size per
            axis.
        factor: Size of a block in samples: an int for all axes or one per axis, at least 1.
        channels: Number of input channels, a multiple of the samples of a block.
        order: How a channel index is composed: "CRD" (PyTorch) counts the output channel first
            and the position in the block last, "DCR" the position first and the output channel
            last. The operator DepthToSpace of ONNX has both.

    Returns:
        An operator from `(channels, *shape)` to `(channels / factor^d, *(factor n))`.

    Raises:
        ShapeError: when the samples of a block do not divide `channels`.
        ArgumentError: when a value is out of range or is not one of the allowed values.
        KindError: when an argument is of the wrong type.
        SymbolicError: for symbolic sizes.
        TooLargeError: when the matrix would be too large.

    Source:
        Shi et al. 2016, equation 4.

    >>> import convalg as ca
    >>> ca.pixel_shuffle((1, 1), 2, channels=4)([[[1]], [[2]], [[3]], [[4]]]).tolist()
    [[[1, 2], [3, 4]]]
    """
    sizes = concrete_shape(shape)
    factors = per_axis(factor, "factor", len(sizes))
    count, block = as_size(channels, "channels"), size_product(factors)
    if count % block:
        raise ShapeError(
            f"channels must be a multiple of {block}, not {count}, since a block of "
            f"{tuple(factors)} has {block} samples"
        )
    dims, inner = len(sizes), count // block
    if one_of(order, ("CRD", "DCR"), "order") == "CRD":
        split, lead, offset = (inner, *factors, *sizes), 0, 1
    else:
        split, lead, offset = (*factors, inner, *sizes), dims, 0
    before = (count, *sizes)
    pairs = [axis for k in range(dims) for axis in (dims + 1 + k, offset + k)]
    after = (inner, *(n * r for n, r in zip(sizes, factors, strict=True)))
    named = "" if order == "CRD" else f", order={order!r}"
    call = (
        f"pixel_shuffle({shape_text(sizes)}, {values_text(factors)}{channels_text(count)}{named})"
    )
    table = _flat_indices(before, call).reshape(split).transpose(lead, *pairs)
    return gathering(table, before, after, call)


def pixel_unshuffle(
    shape: Shape, factor: object, *, channels: int, order: Literal["CRD", "DCR"] = "CRD"
) -> Operator:
    """Return the operator that moves blocks of samples into channels.

    It is the inverse and the adjoint of `pixel_shuffle` with the same factor and order.

    Args:
        shape: Spatial shape of the input in samples, with d axes: an int or one size per axis.
        factor: Size of a block in samples: an int for all axes or one per axis. It must divide
            the size of each axis.
        channels: Number of input channels.
        order: How an output channel index is composed, "CRD" or "DCR" as for `pixel_shuffle`.

    Returns:
        An operator from `(channels, *shape)` to `(channels factor^d, *(n / factor))`.

    Raises:
        ShapeError: when the factor of an axis does not divide its size.
        ArgumentError: when a value is out of range or is not one of the allowed values.
        KindError: when an argument is of the wrong type.
        SymbolicError: for symbolic sizes.
        TooLargeError: when the matrix would be too large.

    >>> import convalg as ca
    >>> ca.pixel_unshuffle((2, 2), 2, channels=1)([[[1, 2], [3, 4]]]).ravel().tolist()
    [1, 2, 3, 4]
    """
    sizes = concrete_shape(shape)
    factors = per_axis(factor, "factor", len(sizes))
    for k, (n, r) in enumerate(zip(sizes, factors, strict=True)):
        if n % r:
            raise ShapeError(
                f"factor must divide the samples of each axis, but {r} does not divide the {n} of "
                f"axis {k}"
            )
    small = tuple(n // r for n, r in zip(sizes, factors, strict=True))
    count = as_size(channels, "channels") * size_product(factors)
    return pixel_shuffle(small, factors, channels=count, order=order).T


def _flat_indices(shape: tuple[Size, ...], call: str) -> Array:
    """Return the flat index of each entry in the given shape.

    Raises: TooLargeError, which quotes the call, when the matrix would be too large.
    """
    windows.check_places(size_product(shape), call, windows.BYTES_PER_ENTRY)
    return np.arange(size_product(shape)).reshape(shape)

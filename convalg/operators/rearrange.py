"""Operators that only reorder entries: reshape, permute, flatten, pixel shuffle."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from convalg.arguments import one_of
from convalg.arrays import Array
from convalg.axis import Axis
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


def permute(in_shape: Shape, axes: object) -> Operator:
    """Return the operator that permutes the axes of its input, as NumPy's transpose.

    Args:
        in_shape: Shape of the input, including channels.
        axes: Axis k of the output is axis `axes[k]` of the input.

    Raises:
        ArgumentError: unless `axes` names every axis once.

    >>> import convalg as ca
    >>> ca.permute((2, 3), (1, 0))([[1, 2, 3], [4, 5, 6]]).tolist()
    [[1, 4], [2, 5], [3, 6]]
    """
    sizes = concrete_shape(in_shape, "in_shape")
    order = per_axis(axes, "axes", len(sizes), least=0)
    require_numbers(order, "axes")
    if sorted(order) != list(range(len(sizes))):
        raise ArgumentError(f"axes must name each of the {len(sizes)} axes once, not {axes!r}")
    call = f"permute({shape_text(sizes)}, {tuple(order)})"
    table = _flat_indices(sizes, call).transpose(order)
    return gathering(table, sizes, table.shape, call)


def flatten(in_shape: Shape) -> Operator:
    """Return the operator that flattens its input, channels included, in row-major order.

    >>> import convalg as ca
    >>> ca.flatten((2, 2))([[1, 2], [3, 4]]).tolist()
    [1, 2, 3, 4]
    """
    return reshape(in_shape, size_product(as_shape(in_shape, "in_shape")))


def pixel_shuffle(
    shape: Shape, factor: object, *, channels: int, order: Literal["CRD", "DCR"] = "CRD"
) -> Operator:
    """Return the operator that rearranges every factor^d channels into one larger image.

    Shapes: `(channels, *shape)` to `(channels / factor^d, *(factor n))`.

    Args:
        shape: Spatial shape of the input, with d axes.
        factor: Samples of a block: an int or one per axis.
        channels: Number of input channels.
        order: Position of the block's index in the channel index: after the channel ("CRD",
            PyTorch) or in front of it ("DCR"); ONNX DepthToSpace has both.

    Raises:
        ShapeError: when factor^d does not divide the channels.

    Source: Shi et al. 2016, equation 4.

    >>> import convalg as ca
    >>> ca.pixel_shuffle((1, 1), 2, channels=4)([[[1]], [[2]], [[3]], [[4]]]).tolist()
    [[[1, 2], [3, 4]]]
    """
    sizes = concrete_shape(shape)
    factors = per_axis(factor, "factor", len(sizes))
    count, block = as_size(channels, "channels"), size_product(factors)
    if count % block:
        raise ShapeError(
            f"channels must be a multiple of {block}, the samples of a block {tuple(factors)}, "
            f"not {count}"
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
    """Return the operator that rearranges blocks of samples into channels.

    It is the inverse and the adjoint of `pixel_shuffle`.
    Shapes: `(channels, *shape)` to `(channels factor^d, *(n / factor))`.

    Args:
        shape: Spatial shape of the input, with d axes.
        factor: Samples of a block: an int or one per axis.
        channels: Number of input channels.
        order: As for `pixel_shuffle`.

    Raises:
        ShapeError: when the factor does not divide a size.

    >>> import convalg as ca
    >>> ca.pixel_unshuffle((2, 2), 2, channels=1)([[[1, 2], [3, 4]]]).ravel().tolist()
    [1, 2, 3, 4]
    """
    sizes = concrete_shape(shape)
    factors = per_axis(factor, "factor", len(sizes))
    for k, (n, r) in enumerate(zip(sizes, factors, strict=True)):
        if n % r:
            raise ShapeError(f"factor {r} does not divide the {n} samples of axis {k}")
    small = tuple(n // r for n, r in zip(sizes, factors, strict=True))
    count = as_size(channels, "channels") * size_product(factors)
    return pixel_shuffle(small, factors, channels=count, order=order).T


def _flat_indices(shape: tuple[Any, ...], call: str) -> Array:
    """Return the flat index of each entry, for the matrix of a call."""
    windows.check_places(size_product(shape), call, windows.BYTES_PER_ENTRY)
    return np.arange(size_product(shape)).reshape(shape)

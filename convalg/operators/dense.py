"""Operators without windows: identity, dense and diagonal layers, dropout."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from convalg.arrays import as_kernel, as_numbers, check_finite
from convalg.axis import Axis
from convalg.conventions import Shape
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.operators.leaves import Diagonal, Matrix
from convalg.operators.padding import selection
from convalg.operators.tree import Operator, scale
from convalg.size import (
    Condition,
    as_shape,
    size_product,
)


def identity(shape: Shape, *, channels: int | None = None) -> Operator:
    """Return the identity operator: its output is its input.

    Args:
        shape: Spatial shape of the input in samples, without channels: an int or one size per
            axis.
        channels: Number of channels, which become the first axis of the input and of the output;
            None for arrays without a channel axis.

    Returns:
        An operator from `(*shape)` to `(*shape)`, or from `(channels, *shape)` to the same shape.

    Raises:
        ArgumentError: for a size or a number of channels below 1.
        ShapeError: for a shape without axes.
        KindError: when a size is not an integer.

    >>> import convalg as ca
    >>> ca.identity(3)([1, 2, 3]).tolist()
    [1, 2, 3]
    """
    needs: list[Condition] = []
    return selection([Axis(n, n) for n in as_shape(shape, conditions=needs)], channels, needs)


def dense(weights: object, in_shape: object = None, *, out_shape: object = None) -> Operator:
    """Return the fully connected layer without bias, vec(y) = W vec(x).

    vec() lists the entries of an array in row-major order.

    Args:
        weights: The matrix W, of shape `(outputs, inputs)`.
        in_shape: Shape of the input, channels included, with `inputs` entries; `(inputs,)` by
            default.
        out_shape: Shape of the output, channels included, with `outputs` entries; `(outputs,)` by
            default.

    Returns:
        An operator from `in_shape` to `out_shape`.

    Raises:
        ShapeError: when `weights` is not a matrix with at least one entry, or a shape has another
            number of entries than the matrix needs.
        ArgumentError: when a weight is not finite.
        KindError: when the weights are not real numbers.

    >>> import convalg as ca
    >>> ca.dense([[1, 2], [3, 4], [5, 6]])([1, 10]).tolist()
    [21, 43, 65]
    """
    values = as_kernel(weights, "weights")
    if values.ndim != 2 or not values.size:
        raise ShapeError(
            f"weights must be a non-empty matrix of shape (outputs, inputs), not an array of shape "
            f"{values.shape}"
        )
    shapes = []
    for given, name, count in (
        (in_shape, "in_shape", values.shape[1]),
        (out_shape, "out_shape", values.shape[0]),
    ):
        chosen = (count,) if given is None else as_shape(given, name)
        if size_product(chosen) != count:
            raise ShapeError(
                f"{name} must have a total size of {count} for weights of shape "
                f"{values.shape}, but {chosen} has {size_product(chosen)}"
            )
        shapes.append(chosen)
    return Matrix(values, *shapes)


def diagonal(values: object) -> Operator:
    """Return the operator that multiplies each entry by its own factor, such as a mask or a gain.

    Args:
        values: The factors, an array with the shape of the input and of the output.

    Raises:
        ShapeError: when `values` is a single number or has no entries.
        KindError: when a factor is not a real number.
        ArgumentError: when a factor is not finite.

    >>> import convalg as ca
    >>> ca.diagonal([1, 0, 2])([5, 6, 7]).tolist()
    [5, 0, 14]
    """
    factors = as_numbers(values, "values")
    check_finite(factors, "values")
    if factors.dtype.kind == "c":
        raise KindError(f"values must be real, not {factors.dtype}")
    if factors.ndim == 0 or not factors.size:
        raise ShapeError(f"values must be an array with at least one entry, not {values!r}")
    frozen = factors.copy()
    frozen.setflags(write=False)
    return Diagonal(frozen)


def dropout(mask: object, rate: object = 0) -> Operator:
    """Return a dropout layer with a fixed mask: the diagonal matrix with mask / (1 - rate).

    Entries where the mask is 0 are dropped; the others are multiplied by 1 / (1 - rate), which
    keeps the expected value of each entry in training.

    Args:
        mask: An array of zeros (dropped) and ones (kept), with the shape of the input.
        rate: The probability that an entry is dropped in training: an int, a float or a
            `Fraction`, at least 0 and below 1. Ints and fractions stay exact.

    Raises:
        ShapeError: when `mask` is a single number or has no entries.
        ArgumentError: when `mask` has values other than 0 and 1, or `rate` is not a number from 0
            to below 1.
        KindError: when `mask` does not hold numbers.

    >>> import convalg as ca
    >>> from fractions import Fraction
    >>> ca.dropout([1, 0, 1], Fraction(1, 2))([3, 4, 5]).tolist()
    [Fraction(6, 1), Fraction(0, 1), Fraction(10, 1)]
    """
    values = as_numbers(mask, "mask")
    if values.ndim == 0 or not values.size:
        raise ShapeError(
            f"mask must be an array with the shape of the input and at least one entry, not "
            f"{mask!r}"
        )
    if not np.isin(values, (0, 1)).all():
        other = values[~np.isin(values, (0, 1))].ravel()[0]
        raise ArgumentError(f"mask must hold only zeros (dropped) and ones (kept), not {other}")
    rate = rate.item() if isinstance(rate, np.number) else rate
    if not isinstance(rate, (int, float, Fraction)) or not 0 <= rate < 1:
        raise ArgumentError(
            f"rate must be the probability of dropping an entry, at least 0 and below 1, not "
            f"{rate!r}"
        )
    # int8 does not widen any float type.
    kept = diagonal(values.astype(np.int8))
    factor = 1 / (1 - rate) if isinstance(rate, float) else 1 / Fraction(1 - rate)
    return kept if factor == 1 else scale(factor, kept)

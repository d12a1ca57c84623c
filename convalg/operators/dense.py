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


def dropout(mask: object, rate: object = 0) -> Operator:
    """Return a dropout with a given mask: a diagonal matrix of zeros and 1 / (1 - rate).

    Args:
        mask: Zeros (dropped) and ones, in the shape of the input.
        rate: The fraction that is dropped in training, 0 <= rate < 1; a `Fraction` stays exact.

    Raises:
        ShapeError: when the mask is empty or a number.
        ArgumentError: when the mask has other values, or the rate is out of range.

    >>> import convalg as ca
    >>> from fractions import Fraction
    >>> ca.dropout([1, 0, 1], Fraction(1, 2))([3, 4, 5]).tolist()
    [Fraction(6, 1), Fraction(0, 1), Fraction(10, 1)]
    """
    values = as_numbers(mask, "mask")
    if values.ndim == 0 or not values.size:
        raise ShapeError(f"mask must be an array with the shape of the input, not {mask!r}")
    if not np.isin(values, (0, 1)).all():
        raise ArgumentError(f"mask must hold zeros and ones, not {values.ravel()[:5].tolist()}")
    rate = rate.item() if isinstance(rate, np.number) else rate
    if not isinstance(rate, (int, float, Fraction)) or not 0 <= rate < 1:
        raise ArgumentError(f"rate must be a number with 0 <= rate < 1, not {rate!r}")
    # int8 does not widen any float type.
    kept = diagonal(values.astype(np.int8))
    factor = 1 / (1 - rate) if isinstance(rate, float) else 1 / Fraction(1 - rate)
    return kept if factor == 1 else scale(factor, kept)

"""Padding and cropping, and the selection of samples that both are."""

from __future__ import annotations

from collections.abc import Iterable

from convalg.axis import Axis, Boundary
from convalg.conventions import (
    Padding,
    Shape,
    check_boundary,
    check_reflect,
)
from convalg.operators.leaves import Selection
from convalg.operators.tree import Operator
from convalg.size import (
    Condition,
    as_shape,
    as_size,
    padding_pairs,
    require,
)


def pad(
    shape: Shape, padding: Padding, *, boundary: Boundary = "zeros", channels: int | None = None
) -> Operator:
    """Return the operator that adds samples around the input; a negative padding crops.

    Args:
        shape: Spatial shape of the input in samples, without channels: an int or one size per
            axis.
        padding: Samples added: an int for all sides, one int per axis, or one pair
            (before, after) per axis. A negative number removes samples.
        boundary: Values of the added samples: "zeros", "circular", "reflect", "symmetric" or
            "edge", as for `correlation`.
        channels: Number of channels, which become the first axis of the input and of the output;
            None for arrays without a channel axis.

    Returns:
        An operator whose output has before + after more samples than its input on each axis.

    Raises:
        ShapeError: when `padding` does not have one entry per axis.
        ArgumentError: when the cropping removes all samples, a reflection is wider than the
            input, or `boundary` is not one of the allowed values.
        KindError: when an argument is of the wrong type.

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
    """Return a padding for `least=None`; a cropping by amounts of at least `least` for a number."""
    needs: list[Condition] = []
    sizes = as_shape(shape, conditions=needs)
    check_boundary(boundary)
    axes = []
    pairs = padding_pairs(padding, len(sizes), least=least, name=name, conditions=needs)
    for k, (n, given) in enumerate(zip(sizes, pairs, strict=True)):
        before, after = given if least is None else (-given[0], -given[1])
        check_reflect(boundary, (before, after), n, k, needs)
        message = (
            "{} {} crops the entire input of {} samples on axis {}: keep at least one sample",
            *(name, given, n, k),
        )
        for left in (before + after + n - 1, before + n, after + n):
            require(left, message, needs)
        axes.append(Axis(n, n + before + after, padding=before, boundary=boundary))
    return selection(axes, channels, needs)


def crop(shape: Shape, cropping: Padding, *, channels: int | None = None) -> Operator:
    """Return the operator that removes samples at the border: the adjoint of padding with zeros.

    Args:
        shape: Spatial shape of the input in samples, without channels: an int or one size per
            axis.
        cropping: Samples removed: an int for all sides, one int per axis, or one pair
            (before, after) per axis; at least 0.
        channels: Number of channels, which become the first axis of the input and of the output;
            None for arrays without a channel axis.

    Returns:
        An operator whose output has before + after fewer samples than its input on each axis.

    Raises:
        ShapeError: when `cropping` does not have one entry per axis.
        ArgumentError: for a negative amount, or when the cropping removes all samples.
        KindError: when an argument is of the wrong type.

    >>> import convalg as ca
    >>> ca.crop(5, (1,))([1, 2, 3, 4, 5]).tolist()
    [2, 3, 4]
    """
    return _padded(shape, cropping, 0, "cropping", "zeros", channels)


def selection(
    axes: list[Axis], channels: object, conditions: Iterable[Condition] = ()
) -> Selection:
    """Return the selection with the given spatial axes, applied to each channel alike."""
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

"""Resizing by interpolation: nearest, linear and cubic."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Literal

import numpy as np

from convalg.arguments import one_of
from convalg.conventions import Shape
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.limits import LARGEST_INTEGER
from convalg.operators import windows
from convalg.operators.leaves import sparse_matrix
from convalg.operators.pooling import (
    concrete_shape,
    per_channel,
)
from convalg.operators.tree import Operator
from convalg.operators.tree import scale as multiply
from convalg.operators.windows import Coordinates, Rounding
from convalg.size import is_expression, is_sequence, per_axis

LARGEST_DENOMINATOR = 10**6
"""The largest denominator of a fraction that replaces a float scale which it rounds to."""


def resize(
    shape: Shape,
    size: object = None,
    *,
    scale: object = None,
    mode: Literal["nearest", "linear"] = "nearest",
    coordinates: Coordinates = "half_pixel",
    rounding: Rounding = "round_prefer_floor",
    channels: int | None = None,
) -> Operator:
    """Return the operator that resamples its input on a finer or coarser grid.

    Output o of m is interpolated at a position on the axis of n input samples:
    (o + 1/2) / scale - 1/2 for "half_pixel", o / scale for "asymmetric" and o (n - 1) / (m - 1)
    for "align_corners". The weights are exact fractions. PyTorch's "nearest" is "asymmetric" with
    "floor"; its "nearest-exact" is "half_pixel" with "round_prefer_ceil".

    Args:
        shape: Spatial shape of the input in samples, without channels: an int or one size per
            axis.
        size: Spatial shape of the output in samples: an int or one size per axis;
            floor(n scale) samples on each axis by default.
        scale: Output samples per input sample: a positive number or one per axis; m / n by
            default. If both are given, `size` is the shape of the output and `scale` determines
            the positions. At least one of the two is required.
        mode: "nearest" reads the sample nearest to the position; "linear" interpolates between the
            two samples around it, along each axis.
        coordinates: Rule for the positions: "half_pixel", "asymmetric", "align_corners",
            "pytorch_half_pixel" or "half_pixel_symmetric", as defined by ONNX.
        rounding: Rounding of a position to a sample for "nearest": "floor", "ceil",
            "round_prefer_floor" (halves down) or "round_prefer_ceil" (halves up).
        channels: Number of channels, which become the first axis of the input and of the output;
            None for arrays without a channel axis.

    Returns:
        An operator from `(*shape)` to `(*size)`, with the channels in front of both if given.

    Raises:
        ShapeError: when `size` or `scale` does not have one number per axis.
        ArgumentError: when neither `size` nor `scale` is given, or a value is out of range or is
            not one of the allowed values.
        KindError: when a scale is not a number or a size is not an integer.
        SymbolicError: for symbolic sizes.
        TooLargeError: when the axes have too many samples.

    Source:
        ONNX, operator Resize.

    >>> import convalg as ca
    >>> ca.resize(2, scale=2)([1, 5]).tolist()
    [1, 1, 5, 5]
    >>> ca.resize(2, scale=2, mode="linear")([1.0, 5.0]).tolist()
    [1.0, 2.0, 4.0, 5.0]
    """
    sizes = concrete_shape(shape)
    wanted, scales = _target(sizes, size, scale)
    one_of(mode, ("nearest", "linear"), "mode")
    windows.check_samples(wanted, "a resizing")
    parts: list[Operator] = []
    common = 1
    for n, m, factor in zip(sizes, wanted, scales, strict=True):
        rows = []
        for output in range(m):
            position = windows.position(output, n, m, factor, coordinates)
            if mode == "linear":
                rows.append(windows.linear(position, n))
            else:
                rows.append({windows.nearest(position, n, rounding): Fraction(1)})
        denominator, matrix = _weights(rows, n)
        parts.append(matrix)
        common *= denominator
    resized = per_channel(parts, channels)
    return resized if common == 1 else multiply(Fraction(1, common), resized)


def _target(
    sizes: tuple[int, ...], size: object, scale: object
) -> tuple[tuple[int, ...], tuple[Fraction, ...]]:
    """Return the output sizes and the scales of the grids, from `size`, `scale` or both."""
    wanted = None
    if size is not None:
        wanted = concrete_shape(per_axis(size, "size", len(sizes)), "size")
    if scale is None:
        if wanted is None:
            raise ArgumentError(
                f"resize of an input of shape {sizes} needs a size, a scale, or both: pass size= "
                f"or scale="
            )
        return wanted, tuple(Fraction(m, n) for m, n in zip(wanted, sizes, strict=True))
    given = list(scale) if is_sequence(scale) else [scale] * len(sizes)
    if len(given) != len(sizes):
        raise ShapeError(
            f"scale must be one number or {len(sizes)} of them (one per axis), not {scale!r}"
        )
    scales = tuple(_fraction(value) for value in given)
    if wanted is None:
        wanted = tuple(math.floor(n * value) for n, value in zip(sizes, scales, strict=True))
    if min(wanted) < 1:
        raise ArgumentError(
            f"scale must leave at least one sample on each axis, but {scale!r} times a shape of "
            f"{sizes} rounds down to {wanted}"
        )
    return wanted, scales


def _fraction(value: object) -> Fraction:
    """Return a scale as a fraction; for a float, the simplest one that rounds to it."""
    if is_expression(value) and value.is_Rational:
        return Fraction(int(value.p), int(value.q))
    if isinstance(value, np.number):
        value = value.item()
    if not isinstance(value, (int, float, Fraction)) or isinstance(value, bool):
        raise KindError(f"scale must be a real number (or one per axis), not {value!r}")
    if not 0 < value < LARGEST_INTEGER:
        raise ArgumentError(f"scale must be above 0 and below 2**63, not {value!r}")
    simple = Fraction(value).limit_denominator(LARGEST_DENOMINATOR)
    return simple if float(simple) == float(value) else Fraction(value)


def _weights(rows: list[dict[int, Fraction]], columns: int) -> tuple[int, Operator]:
    """Return the common denominator and the matrix of integer numerators of one axis."""
    common = math.lcm(*(weight.denominator for row in rows for weight in row.values()))
    entries = [(r, c, int(w * common)) for r, row in enumerate(rows) for c, w in row.items()]
    where, read, values = (np.array(part) for part in zip(*entries, strict=True))
    return common, sparse_matrix(where, read, values, (columns,), (len(rows),))

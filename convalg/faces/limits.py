"""Checks that the indices of an operator's axes fit in 64 bits, and their tables in memory."""

from __future__ import annotations

from typing import Any

from convalg.axis import Axis
from convalg.errors import ArgumentError
from convalg.limits import LARGEST_INTEGER, check_memory
from convalg.operators.tree import Operator

PER_INDEX = 32
"""Bytes for each pair of an output and a tap while the indices of an axis are computed."""


def check_axes(operator: Operator, call: str) -> None:
    """Check, before anything is allocated, that the index tables of all axes are possible.

    Raises: ArgumentError for indices beyond 64 bits, TooLargeError for tables over the limit.
    """
    for child in operator.children:
        check_axes(child, call)
    for axis in getattr(getattr(operator, "geometry", None), "axes", ()):
        _check_axis(axis, call)


def _check_axis(axis: Axis, call: str) -> None:
    numbers: list[Any] = [axis.in_size, axis.out_size, axis.taps]
    steps: list[Any] = [axis.stride, axis.dilation, axis.padding]
    n, outputs, taps = map(int, numbers)
    stride, dilation, padding = map(int, steps)
    reach = abs(stride) * outputs + abs(dilation) * taps + abs(padding) + n
    if reach > LARGEST_INTEGER // 2:
        raise ArgumentError(
            f"{call} computes with 64-bit indices, but an axis with stride {stride}, dilation "
            f"{abs(dilation)} and padding {padding} reaches {reach:.3g}: use smaller numbers"
        )
    check_memory(
        PER_INDEX * (outputs * taps + n),
        None,
        what=f"{call}: the indices of an axis of {n} inputs, {outputs} outputs and {taps} taps",
        instead="take a smaller layer of the same form",
        fixed=True,
    )

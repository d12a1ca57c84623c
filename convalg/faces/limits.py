"""Checks that the indices of an operator's axes fit in 64 bits, and their tables in memory."""

from __future__ import annotations

from convalg.axis import Axis
from convalg.errors import ArgumentError
from convalg.limits import LARGEST_INTEGER, check_memory
from convalg.operators.tree import Operator

PER_INDEX = 32
"""Bytes per pair of an output and a tap while the indices of an axis are computed."""


def check_axes(operator: Operator, call: str) -> None:
    """Check, before any allocation, that the index tables of all axes can be computed.

    `call` is the name of the public function, for the error messages.

    Raises: ArgumentError when an index exceeds 64 bits, TooLargeError when a table exceeds the
    memory limit.
    """
    for child in operator.children:
        check_axes(child, call)
    for axis in getattr(getattr(operator, "geometry", None), "axes", ()):
        _check_axis(axis, call)


def _check_axis(axis: Axis, call: str) -> None:
    n, outputs, taps = axis.numbers.in_size, axis.numbers.out_size, axis.numbers.taps
    stride, dilation, padding = axis.numbers.stride, axis.numbers.dilation, axis.numbers.padding
    reach = abs(stride) * outputs + abs(dilation) * taps + abs(padding) + n
    if reach > LARGEST_INTEGER // 2:
        raise ArgumentError(
            f"{call} computes with 64-bit indices, but the indices of an axis with stride "
            f"{stride}, dilation {abs(dilation)} and padding {padding} reach {reach:.3g}: use "
            f"smaller sizes"
        )
    check_memory(
        PER_INDEX * (outputs * taps + n),
        None,
        what=f"{call}: the indices of an axis of {n} inputs, {outputs} outputs and {taps} taps",
        instead="use a smaller layer of the same form",
        fixed=True,
    )

"""Names of matrix structures, such as Toeplitz, doubly block Toeplitz and circulant."""

from __future__ import annotations

import math

from convalg.axis import Axis
from convalg.geometry import Geometry
from convalg.operators.leaves import Adjoint, Convolution, Selection
from convalg.operators.simplify import has_sums
from convalg.operators.tree import Compose, Kron, Operator, Scaled, Sum

DEPTHS = {1: "", 2: "doubly block ", 3: "triply block "}


def structure(operator: Operator) -> str:
    """Return the name of the structure of an operator's matrix; see `Operator.structure`."""
    match operator:
        case Convolution(geometry=geometry):
            return _layer_structure(geometry)
        case Selection():
            return (
                "sum of windows: ones"
                if has_sums(operator)
                else "selection: at most one 1 in each row"
            )
        case Adjoint(operator=inner):
            return f"adjoint of ({structure(inner)})"
        case Scaled(operator=inner):
            return structure(inner)
        case Kron(left=left, right=right):
            return f"Kronecker product of ({structure(left)}) and ({structure(right)})"
        case Compose(factors=parts):
            return f"product of {len(parts)} operators"
        case Sum(terms=parts):
            return f"sum of {len(parts)} operators"
    return type(operator).__name__.lower()


def _layer_structure(geometry: Geometry) -> str:
    kinds = [_axis_structure(axis) for axis in geometry.axes]
    dims = len(kinds)
    depth = DEPTHS.get(dims, f"{dims}-fold block ")
    if len(set(kinds)) == 1:
        text = f"{depth}{kinds[0]}"
    else:
        text = f"{depth}Toeplitz by axis: {', '.join(kinds)}"
    if dims > 1:
        outer = [math.prod(s) for s in (geometry.out_spatial[:1], geometry.in_spatial[:1])]
        inner = [math.prod(s) for s in (geometry.out_spatial[1:], geometry.in_spatial[1:])]
        text += f": {outer[0]} x {outer[1]} {kinds[-1]} blocks of {inner[0]} x {inner[1]}"
    if geometry.has_channels:
        text = f"{geometry.out_channels} x {geometry.in_channels} channel blocks, each {text}"
        if geometry.groups > 1:
            text += f"; blocks across the {geometry.groups} groups are zero"
    return text


def _axis_structure(axis: Axis) -> str:
    if axis.boundary == "circular" and axis.in_size == axis.out_size and axis.stride == 1:
        return "circulant"
    if axis.stride != 1:
        return f"strided Toeplitz (stride {axis.stride})"
    # With a circular boundary, an entry depends only on i - o, for an output of any size.
    padded = axis.boundary not in ("zeros", "circular") and (axis.before > 0 or axis.after > 0)
    return "Toeplitz but for the border" if padded else "Toeplitz"

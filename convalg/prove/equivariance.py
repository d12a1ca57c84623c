"""Equivariance: whether a shift of the input shifts the output."""

from __future__ import annotations

from dataclasses import replace

from convalg.arguments import a_kind
from convalg.axis import Axis, Boundary, Size
from convalg.errors import ArgumentError, KindError
from convalg.geometry import Geometry
from convalg.operators.leaves import Convolution, Diagonal, Selection
from convalg.operators.padding import pad
from convalg.operators.shifts import shift as shift_operator
from convalg.operators.tree import Compose, Operator, Scaled, compose
from convalg.prove.decisions.families import BUDGET
from convalg.prove.equality import NO_SIZES, Ranges, decide
from convalg.prove.verdict import IDENTITY, Verdict
from convalg.size import per_axis


def equivariant(
    operator: Operator,
    shift: object,
    *,
    out_shift: object = None,
    interior: bool = False,
    ranges: Ranges | None = None,
    budget: int = BUDGET,
) -> Verdict:
    """Decide whether shifting the input shifts the output: A S = S' A.

    S and S' move in zeros, or the samples from the other end if the boundary of all axes is
    circular. If a pooling leaves its first axis unchanged, that axis counts as channels.

    Args:
        operator: a single correlation, convolution or pooling, also with symbolic sizes.
        shift: the number of samples by which S moves the input to higher indices: an int, a
            symbol, or one of them per spatial axis.
        out_shift: the number of samples by which S' moves the output; `shift` unless given.
        interior: whether to compare only the outputs that are left after |out_shift| plus the
            padding is cropped at both ends of each axis.
        ranges: the values of symbolic strides and dilations, as in `ca.prove.equal`.
        budget: the number of isl operations that the proof may use, as in `ca.prove.equal`.

    Returns:
        A verdict; if the claim is refuted, its hint is another `out_shift`, a multiple of the
        stride, or `interior=True`, where one of these makes the claim true.

    Raises:
        KindError: unless the operator is a single layer or pooling and `interior` is a bool.
        ShapeError: when a shift does not have one value per spatial axis.
        ArgumentError: as in `ca.prove.equal`.

    >>> import convalg as ca
    >>> n, K = ca.sizes("n K")
    >>> A = ca.correlation(n, ca.kernel(K))
    >>> ca.prove.equivariant(A, 1, interior=True).status, ca.prove.equivariant(A, 1).status
    ('proved', 'refuted')
    """
    a_kind(interior, bool, "interior must be True or False")
    layer = _one_layer(operator)
    axes = layer.axes
    dims = len(axes)
    moved = per_axis(shift, "shift", dims, least=None)
    arrived = moved if out_shift is None else per_axis(out_shift, "out_shift", dims, least=None)
    circular = all(axis.boundary == "circular" for axis in axes)
    before = _shift(layer.in_spatial, moved, circular, layer.in_channels)
    after = _shift(layer.out_spatial, arrived, circular, layer.out_channels)
    left, right = compose(operator, before), compose(after, operator)
    claim = f"{operator!r} commutes with the shift by {shift}"
    if interior:
        margins = [
            (abs(step) + axis.before, abs(step) + axis.before)
            for step, axis in zip(arrived, axes, strict=True)
        ]
        try:
            inner = pad(
                layer.out_spatial,
                tuple((-a, -b) for a, b in margins),
                channels=layer.out_channels,
            )
        except ArgumentError as error:
            reason = f"no output is that far from the border: {error}"
            return Verdict("unknown", claim, NO_SIZES, IDENTITY, reason=reason)
        left, right = compose(inner, left), compose(inner, right)
    verdict = decide(left, right, claim=claim, ranges=ranges, budget=budget)
    if verdict.status != "refuted":
        return verdict
    hint = _equivariance_hint(operator, shift, out_shift, interior)
    return replace(verdict, hint=hint)


def _one_layer(operator: object) -> Geometry:
    """Return the geometry of a layer or pooling, which may be multiplied by a factor."""
    match operator:
        case Convolution(geometry=geometry):
            return geometry
        case Scaled(operator=inner) | Compose(factors=(Diagonal(), inner)):
            return _one_layer(inner)
        case Selection(axes=(first, *rest)) if not _is_reshape(operator):
            if rest and first == Axis(first.in_size, first.in_size):
                return Geometry(tuple(rest), first.in_size, first.in_size, first.in_size)
            return operator.geometry
    raise KindError(
        f"equivariant is decided for a single correlation, convolution or pooling, not "
        f"{operator!r}: call simplify() first"
    )


def _is_reshape(operator: Selection) -> bool:
    own = operator.geometry
    return (own.in_shape, own.out_shape) != (operator.in_shape, operator.out_shape)


def _shift(
    shape: tuple[Size, ...], steps: tuple[Size, ...], circular: bool, channels: Size | None
) -> Operator:
    boundary: Boundary = "circular" if circular else "zeros"
    return shift_operator(shape, steps, boundary=boundary, channels=channels)


def _equivariance_hint(operator: Operator, shift: object, out_shift: object, interior: bool) -> str:
    """Return a confirmed change that makes the claim true, or an empty string."""
    strides = {axis.stride for axis in _one_layer(operator).axes}
    if out_shift is None and isinstance(shift, int) and len(strides) == 1:
        (stride,) = strides
        if isinstance(stride, int) and stride > 1:
            if shift % stride:
                return (
                    f"with a stride of {stride}, only shifts by multiples of {stride} shift the "
                    f"output; {shift} is not a multiple"
                )
            if equivariant(operator, shift, out_shift=shift // stride, interior=True):
                return f"the output moves by {shift // stride}: use out_shift={shift // stride}"
    if not interior and equivariant(operator, shift, out_shift=out_shift, interior=True):
        return "it holds away from the border: use interior=True"
    return ""

"""The derivation of the output size of a layer."""

from __future__ import annotations

from typing import Any

import islpy
import sympy

from convalg.axis import Axis
from convalg.base import Operator
from convalg.faces.relation import parameters, text
from convalg.operators import Convolution
from convalg.prove.derivation import Derivation, Step, affine, one_layer, scope_of
from convalg.prove.verdict import ISL, Verdict


def output_size(operator: Operator) -> Derivation:
    """Why a layer has as many outputs as it has: counting the places where the kernel fits.

    Raises: KindError unless the operator is one correlation or convolution.

    >>> import convalg as ca
    >>> output_size(ca.correlation(7, ca.kernel(3), stride=2)).steps[-1].formula
    'o = \\\\left\\\\lfloor \\\\frac{4}{2} \\\\right\\\\rfloor + 1 = 3'
    """
    layer = one_layer(operator, "the output size")
    steps: list[Step] = []
    for number, axis in enumerate(layer.geometry.axes):
        steps += _size_steps(layer, axis, number if len(layer.geometry.axes) > 1 else None)
    return Derivation(f"The output size of {layer!r}", tuple(steps))


def _size_steps(layer: Convolution, axis: Axis, number: int | None) -> list[Step]:
    where = "" if number is None else f" on axis {number}"
    least = axis.after
    # Padding behind: with a stride any amount from `after` to `after` + s - 1 says the same.
    given = axis.before if _within(axis.before, least, axis.stride) else least
    room = sympy.expand(axis.in_size + axis.before + given - axis.span)
    check = lambda: _fitting(layer, axis, given)  # noqa: E731 - one check, three readings
    first = affine([], -axis.before)
    last = affine([(axis.stride, "j")], sympy.expand(axis.span - 1 - axis.before))
    end = affine([], sympy.expand(axis.in_size - 1 + given))
    count = sympy.latex(sympy.sympify(axis.out_size))
    result = (
        f"o = \\left\\lfloor \\frac{{{sympy.latex(room)}}}{{{axis.stride}}} \\right\\rfloor + 1"
    )
    tail = f" = {count}" if isinstance(axis.out_size, int) else ""
    return [
        Step(
            f"\\text{{output }} j \\text{{ reads }} {affine([(axis.stride, 'j')], -axis.before)}"
            f"\\ \\ldots\\ {last}",
            f"the first output starts at {first}{where}, and each next one s further",
            check,
        ),
        Step(f"{last} \\le {end}", f"the last tap must lie within the padded input{where}", check),
        Step(
            f"j \\le \\frac{{{sympy.latex(room)}}}{{{axis.stride}}}",
            f"solved for j{where}",
            check,
        ),
        Step(result + tail, f"j counts from 0{where}", check),
    ]


def _within(before: Any, least: Any, stride: Any) -> bool:
    gap = sympy.expand(before - least)
    return bool(gap.is_number and 0 <= gap < stride) or (not gap.is_number and stride != 1)


def _fitting(layer: Convolution, axis: Axis, after: Any) -> Verdict:
    """The j whose window lies in the padded input are 0 .. o - 1, as sets."""
    sizes = (axis.in_size, axis.taps, axis.out_size, axis.before, after)
    letters = parameters(*sizes)
    exists = f"{text(axis.in_size)} >= 1 and {text(axis.taps)} >= 1 and {text(axis.out_size)} >= 1"
    end = f"{text(axis.in_size)} - 1 + {text(after)}"
    fits = islpy.Set(
        f"{letters}{{ [j] : j >= 0 and {exists} and "
        f"{axis.stride}*j + {text(axis.span)} - 1 - {text(axis.before)} <= {end} }}"
    )
    said = islpy.Set(f"{letters}{{ [j] : 0 <= j < {text(axis.out_size)} and {exists} }}")
    claim, scope = "the outputs are the places where the kernel fits", scope_of(layer)
    if fits.is_equal(said):
        return Verdict("proved", claim, scope, ISL)
    return Verdict("unknown", claim, scope, ISL, reason="the counts differ")

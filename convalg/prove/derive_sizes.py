"""Derivations that count: the output size of a layer, the receptive field of several."""

from __future__ import annotations

from functools import partial
from typing import Any

import islpy
import sympy

from convalg.axis import Axis
from convalg.base import Operator
from convalg.faces.relation import parameters, text
from convalg.operators import Compose, Convolution
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


def receptive_field(operator: Operator) -> Derivation:
    """Which inputs one output of a product of layers can read: size, stride and padding.

    Rule: going back through a layer, r <- s r + (d (k - 1) + 1 - s), S <- s S, P <- s P + p.
    Source: Araujo, Norris, Sim, Computing Receptive Fields of CNNs, Distill 2019.
    Raises: KindError unless all factors are correlations with the same number of axes.

    >>> import convalg as ca
    >>> net = ca.correlation(7, ca.kernel(3, name="b")) @ ca.correlation(9, ca.kernel(3))
    >>> receptive_field(net).steps[-1].formula
    'u \\\\mapsto [u,\\\\ u + 4],\\\\quad r = 5'
    """
    factors = operator.factors if isinstance(operator, Compose) else (operator,)
    layers = [one_layer(factor, "the receptive field") for factor in factors]
    dims = len(layers[0].geometry.axes)
    steps: list[Step] = []
    for k in range(dims):
        axes = [layer.geometry.axes[k] for layer in layers]
        steps += _field_steps(axes, "" if dims == 1 else f" on axis {k}", scope_of(operator))
    return Derivation(f"The receptive field of {operator!r}", tuple(steps))


def _field_steps(axes: list[Axis], where: str, scope: str) -> list[Step]:
    """From the last layer back to the input; sizes are those of the hull."""
    size: Any = 1
    stride: Any = 1
    padding: Any = 0
    steps = []
    for number, axis in enumerate(axes):
        size = sympy.expand(axis.stride * size + axis.span - axis.stride)
        stride = stride * axis.stride
        padding = sympy.expand(axis.stride * padding + axis.before)
        done = axes[: number + 1]
        start = affine([(stride, "u")], -padding)
        end = affine([(stride, "u")], sympy.expand(size - 1 - padding))
        steps.append(
            Step(
                f"u \\mapsto [{start},\\ {end}],\\quad r = {sympy.latex(sympy.sympify(size))}",
                f"back through layer {len(axes) - number}{where}: "
                f"k = {axis.taps}, s = {axis.stride}, p = {axis.before}",
                partial(_hull, done, stride, padding, size, scope),
            )
        )
    return steps


def _hull(axes: list[Axis], stride: Any, padding: Any, size: Any, scope: str) -> Verdict:
    """First and last input of the composed relation, the border left aside."""
    names = ["u", *(f"j{k}" for k in range(len(axes)))]
    conditions, sizes = [], []
    for k, axis in enumerate(axes):
        read = f"{axis.stride}*{names[k]} + {axis.dilation}*t{k} - {text(axis.padding)}"
        conditions.append(f"{names[k + 1]} = {read} and 0 <= t{k} < {text(axis.taps)}")
        sizes += [axis.taps, axis.padding]
    hidden = [*names[1:], *(f"t{k}" for k in range(len(axes)))]
    letters = parameters(*sizes)
    positive = " and ".join(f"{text(axis.taps)} >= 1" for axis in axes)
    reads = islpy.Map(
        f"{letters}{{ [u] -> [i] : exists ({', '.join(hidden)}: i = {names[-1]} and "
        f"{' and '.join(conditions)}) }}"
    )
    first = f"{stride}u - {text(padding)}"
    ends = [
        islpy.Map(f"{letters}{{ [u] -> [i] : i = {first} and {positive} }}"),
        islpy.Map(f"{letters}{{ [u] -> [i] : i = {first} + {text(size)} - 1 and {positive} }}"),
    ]
    claim = "the hull of the receptive field"
    if reads.lexmin().is_equal(ends[0]) and reads.lexmax().is_equal(ends[1]):
        return Verdict("proved", claim, scope, ISL)
    return Verdict("unknown", claim, scope, ISL, reason="the hull is another")

"""The claims one can put to the proof about operators; those about functions are in trace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from convalg.axis import Axis, Boundary
from convalg.base import Operator
from convalg.errors import ArgumentError, KindError, ShapeError, UndecidableError
from convalg.faces.exact import exact_rows
from convalg.linear import pad
from convalg.linear import shift as shift_operator
from convalg.operators import (
    Compose,
    Convolution,
    Diagonal,
    Scaled,
    Selection,
    compose,
    leaves,
)
from convalg.prove import family, hints
from convalg.prove.polynomial import Polynomial
from convalg.prove.verdict import IDENTITY, ISL, Claim, Counterexample, Verdict
from convalg.spec import Geometry, as_size, is_symbolic, per_axis

DEFAULT_RANGE = range(1, 9)
"""Values that a stride or dilation given as a letter runs through."""

Ranges = Mapping[Any, Iterable[int]]


def equal(first: Operator, second: Operator, *, ranges: Ranges | None = None) -> Verdict:
    """Whether two operators are the same, for all sizes where sizes are letters.

    Shapes: both operators have as many axes. `ranges`: the values to run through for each
    letter that is a stride or dilation (1 to 8 unless given); the scope says which. In a
    counterexample `actual` is the first operator's entry, `claimed` the second's.

    Raises: KindError unless both are operators, ShapeError when they have different numbers of
    axes, ArgumentError when a letter or a kernel's name has two meanings.

    >>> import convalg as ca
    >>> n, K = ca.sizes("n K")
    >>> A = ca.correlation(n, ca.kernel(K))
    >>> ca.prove.equal(A.T, ca.correlation(A.out_shape, ca.flip(A.kernel), padding="full"))
    Proved for all n >= K >= 1
    >>> ca.prove.equal(A.T, ca.correlation(A.out_shape, A.kernel, padding="full"))
    Refuted: n = 2, K = 2; row 0; column 0; claimed w1, actual w0 (hint: flip the kernel)
    """
    for operator in (first, second):
        if not isinstance(operator, Operator):
            raise KindError(f"equal compares two operators, not {type(operator).__name__}")
    counts = [(len(o.out_shape), len(o.in_shape)) for o in (first, second)]
    if counts[0] != counts[1]:
        raise ShapeError(
            f"these operators have different numbers of axes: one maps {first.in_shape} to "
            f"{first.out_shape}, the other {second.in_shape} to {second.out_shape}"
        )
    # Printing two layers takes longer than comparing them.
    verdict = decide(first, second, claim=lambda: f"{first!r} = {second!r}", ranges=ranges)
    if verdict.status == "refuted":
        return replace(verdict, hint=hints.repair(first, second, _proves))
    return verdict


def adjoint(first: Operator, second: Operator, *, ranges: Ranges | None = None) -> Verdict:
    """Whether the second operator is the adjoint of the first: <A x, y> = <x, B y> for all x, y.

    Arguments and errors as for `equal`.

    >>> import convalg as ca
    >>> n = ca.sizes("n")[0]
    >>> bool(adjoint(ca.downsample(2 * n, 2), ca.upsample(n, 2, size=2 * n)))
    True
    """
    if not isinstance(first, Operator):
        raise KindError(f"adjoint compares two operators, not {type(first).__name__}")
    return equal(first.T, second, ranges=ranges)


def _proves(first: Operator, second: Operator, claim: Claim) -> bool:
    return bool(decide(first, second, claim=claim))


def decide(
    first: Operator, second: Operator, *, claim: Claim, ranges: Ranges | None = None
) -> Verdict:
    """Equality of two operators with as many axes, without hints."""
    letters = _letters(first, second)
    if not letters and not _has_letters(first) and not _has_letters(second):
        return _decide_numbers(first, second, claim)
    named: dict[str, Any] = {}
    for letter in letters:
        if named.setdefault(letter.name, letter) != letter:
            raise ArgumentError(
                f"the letter {letter.name} was made twice with different assumptions: make it "
                f"once, with ca.sizes"
            )
    family.kernels_of([first, second])
    swept = family.numeric_letters(first) | family.numeric_letters(second)
    if not swept:
        return _decide_family(first, second, claim, letters)
    return _sweep(first, second, claim, sorted(swept, key=str), ranges or {})


def _letters(*operators: Operator) -> tuple[Any, ...]:
    """Letters of the sides, in order of first appearance."""
    return tuple(dict.fromkeys(letter for o in operators for letter in o.letters))


def _has_letters(operator: Operator) -> bool:
    return not operator.is_concrete


def _sweep(
    first: Operator, second: Operator, claim: Claim, swept: list[Any], ranges: Ranges
) -> Verdict:
    """The claim for each value of the letters that are strides or dilations."""
    ranges = {str(letter): found for letter, found in ranges.items()}
    unused = sorted(set(ranges) - {letter.name for letter in swept})
    if unused:
        raise ArgumentError(
            f"ranges names {', '.join(unused)}, which is no stride or dilation here; those are "
            f"{', '.join(map(str, swept))}"
        )
    values = [
        sorted({as_size(v, s.name) for v in ranges.get(s.name, DEFAULT_RANGE)}) for s in swept
    ]
    for letter, chosen_values in zip(swept, values, strict=True):
        if not chosen_values:
            raise ArgumentError(f"ranges[{letter.name!r}] is empty: give at least one value")
    words = ", ".join(
        f"each {letter} in {_range_words(each)}" for letter, each in zip(swept, values, strict=True)
    )
    refuted: list[tuple[Any, Verdict]] = []
    scope = ""
    decided = 0
    for chosen in product(*values):
        numbers = {letter.name: value for letter, value in zip(swept, chosen, strict=True)}
        try:
            sides = [part_at(side, numbers) for side in (first, second)]
        except ArgumentError:
            continue  # Nothing exists with these numbers.
        verdict = decide(sides[0], sides[1], claim=claim)
        if verdict.scope == NOWHERE:
            continue
        if verdict.status == "unknown":
            return verdict
        decided += 1
        if verdict.counterexample is not None:
            sizes = {**verdict.counterexample.sizes, **numbers}
            ordered = {s.name: sizes[s.name] for s in _letters(first, second)}
            moved = replace(verdict.counterexample, sizes=ordered)
            rank = (sum(ordered.values()), tuple(ordered.values()))
            refuted.append((rank, replace(verdict, counterexample=moved)))
        scope = scope or verdict.scope
    scope = _sweep_scope(first, second, swept, scope, words)
    if not decided:
        return _nowhere(claim)
    if refuted:
        return replace(min(refuted, key=lambda pair: pair[0])[1], scope=scope)
    return Verdict("proved", claim, scope, ISL)


def _sweep_scope(
    first: Operator, second: Operator, swept: list[Any], scope: str, words: str
) -> str:
    others = [letter for letter in _letters(first, second) if letter not in swept]
    return (
        f"all {', '.join(map(str, others))} where both exist, for {words}"
        if others
        else (f"{scope}, for {words}")
    )


def _range_words(values: list[Any]) -> str:
    if values == list(range(values[0], values[-1] + 1)):
        return f"{values[0]}..{values[-1]}"
    return str(values)


def part_at(operator: Operator, numbers: Mapping[str, int]) -> Operator:
    """A family with those of the letters replaced that it has."""
    own = {letter.name for letter in operator.letters}
    chosen = {name: value for name, value in numbers.items() if name in own}
    return operator.at(**chosen) if chosen else operator


def _decide_family(
    first: Operator, second: Operator, claim: Claim, letters: tuple[Any, ...]
) -> Verdict:
    """Equality of the parametric sets of entries, by isl."""
    try:
        limits = family.conditions([first, second])
        domain = family.domain_set(limits, letters)
        if domain.is_empty():
            return _nowhere(claim)
        scope = family.scope_of(limits, letters)
        shapes = family.shapes_differ(first, second, domain)
        if shapes is not None:
            return Verdict(
                "refuted", claim, scope, ISL, _shape_counterexample(first, second, shapes, letters)
            )
        pieces = family.difference(first, second, domain)
    except UndecidableError as error:
        return Verdict("unknown", claim, "all sizes", "none", reason=str(error))
    if not pieces:
        return Verdict("proved", claim, scope, ISL)
    _, sizes, point = family.smallest([points for _, points in pieces], letters)
    rows = len(first.out_shape)
    row, column = point[:rows], point[rows : rows + len(first.in_shape)]
    found = entry_counterexample(first, second, sizes, row, column)
    return Verdict("refuted", claim, scope, ISL, found)


NOWHERE = "no sizes"


def _nowhere(claim: Claim) -> Verdict:
    reason = "there are no sizes at which both exist"
    return Verdict("unknown", claim, NOWHERE, ISL, reason=reason)


def _shape_counterexample(
    first: Operator, second: Operator, sizes: Any, letters: tuple[Any, ...]
) -> Counterexample:
    # Parameters become the one-dimensional point that `smallest` looks for.
    points = (
        sizes.from_params()
        .add_dims(family.dim_type.set, 1)
        .fix_val(family.dim_type.set, 0, family.islpy.Val(0))
    )
    _, numbers, _ = family.smallest([points], letters)
    sides = [part_at(side, numbers) for side in (second, first)]
    shapes = [f"shape {s.in_shape} to {s.out_shape}" for s in sides]
    return Counterexample(numbers, None, None, shapes[0], shapes[1])


def entry_counterexample(
    first: Operator,
    second: Operator,
    sizes: dict[str, int],
    row: tuple[int, ...],
    column: tuple[int, ...],
) -> Counterexample:
    """The entry at which two families differ, at given sizes, with both values."""
    sides = [part_at(side, sizes) for side in (second, first)]
    values = [entry(side, row, column) for side in sides]

    def replayed() -> tuple[Any, Any]:
        afresh = [entry(side, row, column) for side in sides]
        primes = prime_values(name for value in afresh for name in names_in(value))
        return afresh[0].at(primes), afresh[1].at(primes)

    return Counterexample(
        sizes,
        row,
        column,
        values[0].to_sympy(),
        values[1].to_sympy(),
        evaluate=replayed,
        shapes=(sides[0].out_shape, sides[0].in_shape),
    )


def entry(operator: Operator, row: tuple[int, ...], column: tuple[int, ...]) -> Polynomial:
    """One entry of the matrix as a polynomial in the weights."""
    place = int(np.ravel_multi_index(row, operator.out_shape))
    other = int(np.ravel_multi_index(column, operator.in_shape))
    found = exact_rows(operator, Polynomial.of)[place].get(other, 0)
    return Polynomial.of(found)


def names_in(value: Polynomial) -> list[str]:
    """The unknowns of a polynomial."""
    return [name for monomial in value.terms for name in monomial]


def prime_values(names: Iterable[str]) -> dict[str, int]:
    """A different prime for each unknown, in order of name."""
    import sympy

    return {name: int(sympy.prime(k + 1)) for k, name in enumerate(sorted(set(names)))}


def _decide_numbers(first: Operator, second: Operator, claim: Claim) -> Verdict:
    """Equality entry by entry, as polynomials in the weights."""
    scope = "this size"
    if (first.in_shape, first.out_shape) != (second.in_shape, second.out_shape):
        shapes = [f"shape {s.in_shape} to {s.out_shape}" for s in (second, first)]
        found = Counterexample({}, None, None, shapes[0], shapes[1])
        return Verdict("refuted", claim, scope, IDENTITY, found)
    pairs = zip(exact_rows(first, Polynomial.of), exact_rows(second, Polynomial.of), strict=True)
    nothing = Polynomial({})
    for row, (left, right) in enumerate(pairs):
        for column in sorted(left.keys() | right.keys()):
            if Polynomial.of(left.get(column, nothing)).same(
                Polynomial.of(right.get(column, nothing))
            ):
                continue
            if _opaque(first) or _opaque(second):
                return Verdict(
                    "unknown",
                    claim,
                    scope,
                    IDENTITY,
                    reason="the weights are no polynomials, so a difference decides nothing",
                )
            places = (
                tuple(int(k) for k in np.unravel_index(row, first.out_shape)),
                tuple(int(k) for k in np.unravel_index(column, first.in_shape)),
            )
            found = entry_counterexample(first, second, {}, *places)
            return Verdict("refuted", claim, scope, IDENTITY, found)
    return Verdict("proved", claim, scope, IDENTITY)


def _opaque(operator: Operator) -> bool:
    """Whether a weight is an expression that is no polynomial in its symbols."""
    for leaf in leaves(operator):
        values = leaf.weights if isinstance(leaf, Convolution) else getattr(leaf, "values", None)
        if values is None or values.dtype.kind != "O":
            continue
        for value in values.ravel():
            if is_symbolic(value) and not value.is_polynomial(*value.free_symbols):
                return True
    return False


def equivariant(
    operator: Operator,
    shift: Any,
    *,
    out_shift: Any = None,
    interior: bool = False,
    ranges: Ranges | None = None,
) -> Verdict:
    """Whether shifting the input shifts the output: A S = S' A.

    `shift`: samples that the input moves by, an int (or letter) or one per spatial axis;
    `out_shift`: that of the output, the same unless given. What moves in is zeros, or the other
    end where the operator's boundary is circular. With `interior`, only outputs further than
    the shift and the padding from the border are compared.

    Raises: KindError unless the operator is one layer or pooling, else as `equal`. The first
    axis of a pooling is taken as channels when it moves nothing along it.

    >>> import convalg as ca
    >>> n, K = ca.sizes("n K")
    >>> A = ca.correlation(n, ca.kernel(K))
    >>> equivariant(A, 1, interior=True).status, equivariant(A, 1).counterexample.sizes
    ('proved', {'n': 2, 'K': 2})
    """
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
            return Verdict("unknown", claim, NOWHERE, IDENTITY, reason=reason)
        left, right = compose(inner, left), compose(inner, right)
    verdict = decide(left, right, claim=claim, ranges=ranges)
    if verdict.status != "refuted":
        return verdict
    hint = _equivariance_hint(operator, shift, out_shift, interior)
    return replace(verdict, hint=hint)


def _one_layer(operator: Any) -> Geometry:
    """The geometry of a layer, of a pooling, or of one with a factor."""
    match operator:
        case Convolution(geometry=geometry):
            return geometry
        case Scaled(operator=inner) | Compose(factors=(Diagonal(), inner)):
            return _one_layer(inner)
        case Selection(axes=(first, *rest)) if not _is_reshape(operator):
            if rest and first == Axis(first.in_size, first.in_size):
                return Geometry(tuple(rest), first.in_size, first.in_size, first.in_size)  # type: ignore[arg-type]
            return operator.geometry
    raise KindError(
        f"equivariant takes one correlation, convolution or pooling, not {operator!r}: simplify() "
        f"it first"
    )


def _is_reshape(operator: Selection) -> bool:
    own = operator.geometry
    return (own.in_shape, own.out_shape) != (operator.in_shape, operator.out_shape)


def _shift(shape: Any, steps: Any, circular: bool, channels: Any) -> Operator:
    boundary: Boundary = "circular" if circular else "zeros"
    return shift_operator(shape, steps, boundary=boundary, channels=channels)


def _equivariance_hint(operator: Operator, shift: Any, out_shift: Any, interior: bool) -> str:
    """A confirmed way to mend the claim, or nothing."""
    strides = {axis.stride for axis in _one_layer(operator).axes}
    if out_shift is None and isinstance(shift, int) and len(strides) == 1:
        (stride,) = strides
        if isinstance(stride, int) and stride > 1:
            if shift % stride:
                return (
                    f"a stride of {stride} keeps only shifts by multiples of {stride}; "
                    f"{shift} is none"
                )
            if equivariant(operator, shift, out_shift=shift // stride, interior=True):
                return f"the output moves by {shift // stride}: out_shift={shift // stride}"
    if not interior and equivariant(operator, shift, out_shift=out_shift, interior=True):
        return "it holds away from the border: interior=True"
    return ""

"""Brute force over small sizes: what every verdict about all sizes is checked against.

Both sides are taken at numbers and their exact matrices compared, entry by entry. Nothing of
the decision procedure is used: neither its domain nor its sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import sympy

import convalg as ca
from convalg.axis import Axis
from convalg.errors import ArgumentError
from convalg.faces.exact import exact_rows
from convalg.geometry import Geometry
from convalg.kernels import SymbolicKernel
from convalg.operators.leaves import Adjoint, Convolution, Patches, Selection
from convalg.operators.tree import leaves
from convalg.prove.decisions.polynomials import Polynomial
from convalg.size import is_symbolic

Sides = tuple[ca.Operator, ca.Operator]
Terms = dict[tuple[str, ...], Any]
NOT_SMALLEST = "smaller sizes than these were not excluded"
"""What the method of a refutation says where z3 did not find the smallest sizes."""
LARGEST_BY_COUNT = {0: 1, 1: 6, 2: 5, 3: 4, 4: 3, 5: 2, 6: 2, 7: 1}
"""Every size up to this, by the number of letters."""


def symbols_of(sides: Sides) -> list[str]:
    """The letters of both sides, in order of first appearance."""
    return list(dict.fromkeys(letter.name for side in sides for letter in side.symbols))


def swept_letters(sides: Sides) -> set[str]:
    """Letters that are strides or dilations."""
    found: set[str] = set()
    for side in sides:
        for leaf in leaves(side):
            for axis in leaf.geometry.axes if hasattr(leaf, "geometry") else ():
                for value in (axis.stride, axis.dilation):
                    found |= {letter.name for letter in getattr(value, "free_symbols", ())}
    return found


def multiplied_letters(sides: Sides) -> set[str]:
    """Letters in products with other letters, other than strides and dilations."""
    swept = swept_letters(sides)
    found: set[str] = set()
    for side in sides:
        for leaf in leaves(side):
            owners = [leaf, leaf.geometry] if hasattr(leaf, "geometry") else [leaf]
            sizes = [size for owner in owners for size in (*owner.in_shape, *owner.out_shape)]
            sizes += getattr(leaf.geometry, "kernel_shape", ()) if len(owners) > 1 else ()
            for size in sizes:
                for part in sympy.expand(size).atoms(sympy.Mul, sympy.Pow):
                    factors = part.as_powers_dict()
                    own = {b.name: e for b, e in factors.items() if isinstance(b, sympy.Symbol)}
                    own = {name: e for name, e in own.items() if name not in swept}
                    found |= set(own) if sum(own.values()) > 1 else set()
    return found


def small_sizes(sides: Sides, largest: int | None = None) -> Iterator[dict[str, int]]:
    """All small sizes by their sum, then in the order of the letters: strides in 1..3."""
    names = symbols_of(sides)
    most = LARGEST_BY_COUNT[len(names)] if largest is None else largest
    swept = swept_letters(sides)
    spans = [range(1, 4) if name in swept else range(most + 1) for name in names]
    for values in sorted(product(*spans), key=lambda v: (sum(v), v)):
        yield dict(zip(names, values, strict=True))


def at(side: ca.Operator, sizes: Mapping[str, int]) -> ca.Operator:
    """One side at sizes of which it may have only some."""
    own = {letter.name for letter in side.symbols}
    chosen = {name: value for name, value in sizes.items() if name in own}
    return side.at(**chosen) if chosen else side


def exists(side: ca.Operator, sizes: Mapping[str, int]) -> ca.Operator | None:
    """The side at these sizes, or None where it does not exist."""
    try:
        return at(side, sizes)
    except ArgumentError:
        return None


def both_exist(sides: Sides, sizes: Mapping[str, int]) -> bool:
    """Whether both sides exist at these sizes."""
    return all(exists(side, sizes) is not None for side in sides)


def matrix(operator: ca.Operator) -> list[dict[int, Terms]]:
    """The exact matrix without its zeros, each entry as the terms of a polynomial."""
    rows = exact_rows(operator, Polynomial.of)
    return [{c: found for c, v in row.items() if (found := terms(v))} for row in rows]


def terms(value: Any) -> Terms:
    """The monomials and coefficients of an entry."""
    return Polynomial.of(value).terms


def differ(sides: Sides, sizes: Mapping[str, int]) -> bool | None:
    """Whether the two sides differ at these sizes; None where one of them does not exist."""
    found = [exists(side, sizes) for side in sides]
    if found[0] is None or found[1] is None:
        return None
    first, second = found
    if (first.in_shape, first.out_shape) != (second.in_shape, second.out_shape):
        return True
    left, right = matrix(first), matrix(second)
    return left != right and any(
        _apart(one.get(column, {}), other.get(column, {}))
        for one, other in zip(left, right, strict=True)
        for column in one.keys() | other.keys()
    )


def _apart(first: Terms, second: Terms) -> bool:
    """Whether two entries differ; SymPy simplifies roots and fractions of symbols."""
    if first == second:
        return False
    gap = (Polynomial(first) - Polynomial(second)).to_sympy()
    return bool(sympy.simplify(sympy.expand(gap)) != 0)


def violation(sides: Sides, largest: int | None = None) -> tuple[dict[str, int] | None, int]:
    """The first small sizes at which the sides differ, and how many sizes were compared."""
    compared = 0
    for sizes in small_sizes(sides, largest):
        answer = differ(sides, sizes)
        if answer is None:
            continue
        compared += 1
        if answer:
            return sizes, compared
    return None, compared


def smaller(sides: Sides, witness: Mapping[str, int]) -> dict[str, int] | None:
    """Sizes at which the sides differ, smaller than a witness in its own order, if any."""
    names = symbols_of(sides)
    assert list(witness) == names
    swept = swept_letters(sides)
    least = [int(name in swept or name in _alone(sides)) for name in names]
    total, given = sum(witness.values()), tuple(witness.values())
    for amount in range(sum(least), total + 1):
        for values in _summing(least, amount):
            if (amount, values) >= (total, given):
                return None
            sizes = dict(zip(names, values, strict=True))
            if differ(sides, sizes):
                return sizes
    return None


def _alone(sides: Sides) -> set[str]:
    """Letters that are a size by themselves, and so at least 1."""
    return {
        str(size)
        for side in sides
        for leaf in leaves(side)
        if hasattr(leaf, "geometry")
        for shape in (leaf.geometry.in_shape, leaf.geometry.kernel_shape)
        for size in shape
    }


def _summing(least: list[int], amount: int) -> Iterator[tuple[int, ...]]:
    """All tuples with this sum and these lower bounds, in lexicographic order."""
    if len(least) == 1:
        yield (amount,)
        return
    for first in range(least[0], amount - sum(least[1:]) + 1):
        for rest in _summing(least[1:], amount - first):
            yield (first, *rest)


def check_refuted(sides: Sides, verdict: ca.prove.Verdict) -> None:
    """The witness is real, replays, and nothing smaller differs unless the method says so."""
    assert verdict.status == "refuted"
    found = verdict.counterexample
    assert found is not None
    first, second = (exists(side, found.sizes) for side in sides)
    assert first is not None
    assert second is not None
    claimed, actual = found.replay()
    assert claimed != actual
    if found.row_index is None:
        assert (first.in_shape, first.out_shape) != (second.in_shape, second.out_shape)
    else:
        assert found.column_index is not None
        row = int(np.ravel_multi_index(found.row_index, first.out_shape))
        column = int(np.ravel_multi_index(found.column_index, first.in_shape))
        values = [matrix(side)[row].get(column, {}) for side in (second, first)]
        assert _apart(*values)
        assert not _apart(terms(found.claimed), values[0])
        assert not _apart(terms(found.actual), values[1])
    if found.sizes and NOT_SMALLEST not in verdict.method:
        assert smaller(sides, found.sizes) is None


def mutants(side: ca.Operator) -> Iterator[tuple[str, ca.Operator]]:
    """The operator with one leaf broken, in every way that keeps the shapes of that leaf."""
    if isinstance(side, (Convolution, Patches, Selection)):
        yield from _broken_leaves(side)
        return
    if isinstance(side, Adjoint):
        for words, broken in mutants(side.operator):
            yield words, broken.T
        return
    for place, child in enumerate(side.children):
        for words, broken in mutants(child):
            children = [*side.children]
            children[place] = broken
            yield f"{words} of part {place}", side.rebuild(tuple(children))


def spread(items: Iterable[Any], most: int) -> list[Any]:
    """So many of some items, evenly over all."""
    found = list(items)
    return found[:: -(-len(found) // most)]


def _broken_leaves(leaf: Any) -> Iterator[tuple[str, ca.Operator]]:
    dims = len(leaf.geometry.axes)
    if isinstance(leaf, Convolution):
        yield from _broken_kernels(leaf, dims)
    for k, size in enumerate(leaf.out_shape):
        if _is_one(size):
            continue
        for step in (1, -1):
            steps = [step * (k == other) for other in range(len(leaf.out_shape))]
            yield f"offset {step:+d} on axis {k}", ca.shift(leaf.out_shape, steps) @ leaf
    for k, axis in enumerate(leaf.geometry.axes):
        for words, broken in _broken_axes(axis, isinstance(leaf, Selection)):
            if not (isinstance(leaf, Patches) and broken.taps != axis.taps):
                yield f"{words} on axis {k}", _with_axis(leaf, k, broken)
    if dims == 2 and not isinstance(leaf, Selection):
        yield from _swapped(leaf)


def _broken_axes(axis: Axis, selects: bool) -> Iterator[tuple[str, Axis]]:
    if not (_is_one(axis.in_size) and _is_one(axis.out_size)):
        further = -1 if axis.stride == -1 else 1
        yield "another stride", replace(axis, stride=axis.stride + further)
    if not _is_one(axis.taps):
        sign = -1 if axis.is_backwards else 1
        yield "dilation + 1", replace(axis, dilation=axis.dilation + sign)
    if selects or axis.before != 0:
        # A layer without padding exists for no size with less of it, or with fewer taps.
        for step in (1, -1):
            yield f"padding {step:+d}", replace(axis, padding=axis.padding + step)


def _broken_kernels(leaf: Convolution, dims: int) -> Iterator[tuple[str, ca.Operator]]:
    lead = leaf.weights.ndim - dims
    wide = [k for k, size in enumerate(leaf.geometry.taps) if not _is_one(size)]
    subsets = [(k,) for k in wide] + ([tuple(wide)] if len(wide) > 1 else [])
    for subset in subsets:
        places = tuple(lead + k for k in subset)
        weights = (
            leaf.weights.flip(places)
            if isinstance(leaf.weights, SymbolicKernel)
            else np.flip(leaf.weights, places)
        )
        yield f"kernel flipped on {subset}", Convolution(leaf.geometry, weights)


def _swapped(leaf: Any) -> Iterator[tuple[str, ca.Operator]]:
    """The steps of two axes exchanged: paddings and directions, where they are different."""
    first, second = leaf.geometry.axes
    for name in ("padding", "dilation", "stride"):
        one, other = getattr(first, name), getattr(second, name)
        if one != other:
            axes = (replace(first, **{name: other}), replace(second, **{name: one}))
            if any(a.after != 0 and getattr(a.after, "is_nonpositive", False) for a in axes):
                continue  # No layer has a negative padding.
            yield f"{name} of the axes swapped", _with_axes(leaf, axes)


def _with_axis(leaf: Any, k: int, axis: Any) -> ca.Operator:
    axes = [*leaf.geometry.axes]
    axes[k] = axis
    return _with_axes(leaf, tuple(axes))


def _with_axes(leaf: Any, axes: tuple[Any, ...]) -> ca.Operator:
    if isinstance(leaf, Selection):
        return replace(leaf, axes=axes)
    old = leaf.geometry
    geometry = Geometry(axes, old.in_channels, old.out_channels, old.groups)
    return replace(leaf, geometry=geometry)


def _is_one(size: Any) -> bool:
    return not is_symbolic(size) and size == 1

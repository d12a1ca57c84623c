"""Mutants of a claim: one side with one mistake, made by rewriting its tree.

Mistakes in a leaf that keep its shapes are those of `brute.mutants`. Here are the others: a size or
an output padding off by one, a stride in place of a dilation, a weight or a factor doubled, a term
or a factor left out or exchanged, an adjoint forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import reduce
from typing import Any

import brute
import numpy as np

import convalg as ca
from convalg.errors import ConvalgError
from convalg.kernels import SymbolicKernel
from convalg.operators.leaves import Adjoint, Convolution, Diagonal, Matrix, Patches, Selection
from convalg.operators.tree import Compose, Kron, Scaled, Sum
from convalg.prove.equality import decide

Mutant = tuple[str, ca.Operator]
Made = tuple[str, Callable[[], ca.Operator]]
BUDGET = 250_000
"""The operations of isl, and of z3 for one question, for a mutant."""


def of_claim(sides: brute.Sides) -> tuple[list[tuple[str, brute.Sides]], int]:
    """The mutants of both sides that can be compared, and the number of those that do not exist."""
    first, second = sides
    kept: list[tuple[str, brute.Sides]] = []
    missing = 0
    for number, side in enumerate(sides):
        for words, make in of_side(side):
            try:
                broken = make()
            except (ConvalgError, ValueError):
                missing += 1
                continue
            pair = (broken, second) if number == 0 else (first, broken)
            axes = {(len(one.in_shape), len(one.out_shape)) for one in pair}
            if len(axes) == 1:
                kept.append((f"{words} on side {number}", pair))
            else:
                missing += 1
    return kept, missing


def of_side(side: ca.Operator) -> Iterator[Made]:
    """All mutants of an operator: a description, and a function that makes it."""
    for words, broken in brute.mutants(side):
        yield words, lambda broken=broken: broken
    yield from _rewritten(side)


def _rewritten(node: ca.Operator) -> Iterator[Made]:
    """One node of the tree rewritten, the root first."""
    yield from _at(node)
    for place, child in enumerate(node.children):
        for words, make in _rewritten(child):
            yield (
                f"{words} of part {place}",
                lambda place=place, make=make: _with(node, place, make()),
            )


def _with(node: ca.Operator, place: int, child: ca.Operator) -> ca.Operator:
    """A node with another child, whose shapes may be wrong for it."""
    children = [*node.children]
    children[place] = child
    match node:
        case Compose():
            return reduce(lambda left, right: left @ right, children)
        case Sum():
            return reduce(lambda left, right: left + right, children)
        case Scaled(factor=factor):
            return factor * child
        case Adjoint():
            return child.T
        case Kron():
            return children[0].kron(children[1])
    raise AssertionError(node)


def _at(node: ca.Operator) -> Iterator[Made]:
    """The mistakes at one node."""
    match node:
        case Compose(factors=factors):
            for k in range(len(factors)):
                yield f"factor {k} left out", lambda k=k: _product(factors[:k] + factors[k + 1 :])
            for k in range(len(factors) - 1):
                order = (*factors[:k], factors[k + 1], factors[k], *factors[k + 2 :])
                yield f"factors {k} and {k + 1} exchanged", lambda order=order: _product(order)
        case Sum(terms=terms):
            for k, term in enumerate(terms):
                rest = [other for other in terms if other is not term]
                yield f"term {k} left out", lambda rest=rest: reduce(lambda a, b: a + b, rest)
                yield f"term {k} subtracted", lambda term=term: node - 2 * term
        case Scaled(factor=factor, operator=inner):
            yield "the factor left out", lambda: inner
            yield "the factor + 1", lambda: (factor + 1) * inner
        case Adjoint(operator=inner):
            yield "the adjoint forgotten", lambda: inner
        case Kron(left=left, right=right):
            yield "the factors exchanged", lambda: right.kron(left)
        case _:
            yield "all weights doubled", lambda: 2 * node
            yield from _leaf(node)


def _product(factors: tuple[ca.Operator, ...]) -> ca.Operator:
    return reduce(lambda left, right: left @ right, factors)


def _leaf(leaf: Any) -> Iterator[Made]:
    values = getattr(leaf, "weights", getattr(leaf, "values", None))
    if isinstance(values, np.ndarray) and values.size and not isinstance(leaf, Patches):
        for position in {0, values.size - 1}:
            yield f"weight {position} doubled", lambda position=position: _doubled(leaf, position)
    if not isinstance(leaf, (Convolution, Selection)) or _is_reshape(leaf):
        return
    for k, axis in enumerate(leaf.geometry.axes):
        if axis.stride != axis.dilation and axis.stride != -1 and axis.dilation != -1:
            exchanged = replace(axis, stride=axis.dilation, dilation=axis.stride)
            if axis.taps != 1:
                yield f"stride for dilation on axis {k}", _changed(leaf, k, exchanged)
        for step in (1, -1):
            # For the adjoint of a layer, this is an output padding off by one.
            wider = replace(axis, in_size=axis.in_size + step)
            longer = replace(axis, out_size=axis.out_size + step)
            yield f"input size {step:+d} on axis {k}", _changed(leaf, k, wider)
            yield f"output size {step:+d} on axis {k}", _changed(leaf, k, longer)
            if isinstance(leaf, Selection) and axis.taps != 1:
                window = replace(axis, taps=axis.taps + step)
                yield f"window {step:+d} on axis {k}", _changed(leaf, k, window)


def _is_reshape(leaf: Any) -> bool:
    own = leaf.geometry
    return (own.in_shape, own.out_shape) != (leaf.in_shape, leaf.out_shape)


def _changed(leaf: Any, k: int, axis: Any) -> Callable[[], ca.Operator]:
    def make() -> ca.Operator:
        if isinstance(leaf, Convolution):
            return brute._with_axis(leaf, k, axis)
        axes = [*leaf.geometry.axes]
        axes[k] = axis
        shapes = [[a.in_size for a in axes], [a.out_size for a in axes]]
        return Selection(tuple(axes), *map(tuple, shapes), leaf.conditions)

    return make


def _doubled(leaf: Any, position: int) -> ca.Operator:
    name = "weights" if isinstance(leaf, Convolution) else "values"
    values = np.array(getattr(leaf, name), dtype=object)
    assert not isinstance(values, SymbolicKernel)
    assert isinstance(leaf, (Convolution, Diagonal, Matrix)) or values.ndim == 1
    values.reshape(-1)[position] = 2 * values.reshape(-1)[position]
    return replace(leaf, **{name: values})


def outcome(sides: brute.Sides, ranges: Any = None) -> str:
    """The verdict on a mutant, held against brute force: a false one fails here.

    A counterexample is real, replays, and is the smallest unless the verdict says otherwise. What
    is proved is equal at all small sizes, and so no mutant after all.
    """
    verdict = decide(*sides, claim="a mutant", ranges=ranges, budget=BUDGET)
    if verdict.status == "refuted":
        brute.check_refuted(sides, verdict)
        return "refuted, not smallest" if brute.NOT_SMALLEST in verdict.method else "refuted"
    names = brute.symbols_of(sides)
    if names:
        largest = brute.LARGEST_BY_COUNT.get(len(names), 1)
        found, compared = brute.violation(sides, largest)
    else:
        found, compared = {} if brute.differ(sides, {}) else None, 1
    if verdict.status == "proved":
        assert found is None, (sides, verdict, found)
        return "proved"
    if found is not None:
        return "unknown though false"
    return "unknown though true there" if compared else "no sizes"

"""Statements of derivations can fail: for each kind, one wrong formula is not proved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from printed import Lines

import convalg as ca
from convalg.prove.derivations.derivation import Step
from convalg.prove.derivations.indices import Index
from convalg.prove.derivations.statements import (
    Definition,
    Equation,
    Equivalent,
    Extreme,
    OperatorEquation,
    Setting,
    SizeOf,
    Together,
    VectorEquation,
    formula_of,
)
from convalg.prove.derivations.sums import (
    Applied,
    Array,
    Entry,
    IndexSum,
    Mix,
    Plus,
    ProductSum,
    Times,
    TransposedName,
)

n, K, p, s, d, C, D, G = ca.sizes("n K p s d C D G")
KINDS = ("linearity", "adjoint", "kernel_gradient", "output_size", "receptive_field")

LAYERS: dict[str, Any] = {
    "numbers": ca.correlation(7, ca.kernel(3), stride=2, padding=1),
    "symbols": ca.correlation(n, ca.kernel(K), stride=2, padding=p),
    "convolution": ca.convolution(n, ca.kernel(3), dilation=2, padding="full"),
    "border": ca.correlation(n, ca.kernel(3), padding=1, boundary="symmetric"),
    "channels": ca.correlation((5, 4), ca.kernel(4, 3, 2, 2), groups=2, padding=((1, 0), (0, 1))),
    "transposed": ca.transposed_correlation(n, ca.kernel(K), stride=3, output_padding=1),
    "steps": ca.convolution(n, ca.kernel(K), stride=s, dilation=d, padding=p),
    "groups": ca.correlation(n, ca.kernel(G * D, C, K), groups=G, stride=s),
    "pooling": ca.average_pool(n, K, stride=s),
    "transposed pooling": ca.sum_pool(9, 3, stride=2, padding=1).T,
    "product": ca.correlation(n - K + 1, ca.kernel(2), stride=s) @ ca.correlation(n, ca.kernel(K)),
}


def statement_of(step: Step) -> tuple[Any, Any]:
    """The statement behind a step, and its setting."""
    return step.check.func.__self__, step.check.args[0]  # type: ignore[attr-defined]


def mutations(tree: Any) -> list[Any]:
    """The same tree with one index moved by one, one after the other."""
    match tree:
        case Index():
            return [tree.moved(1)]
        case Entry(index=index):
            return [
                *(
                    replace(tree, index=(*index[:k], changed, *index[k + 1 :]))
                    for k, part in enumerate(index)
                    for changed in mutations(part)
                ),
            ]
        case Times(factors=factors):
            return [
                Times((*factors[:k], changed, *factors[k + 1 :]))
                for k, part in enumerate(factors)
                for changed in mutations(part)
            ]
        case Plus(parts=parts):
            return [
                Plus((*parts[:k], (factor, changed), *parts[k + 1 :]))
                for k, (factor, part) in enumerate(parts)
                for changed in mutations(part)
            ]
        case IndexSum(body=body, conditions=conditions, ranges=ranges):
            bodies = [replace(tree, body=changed) for changed in mutations(body)]
            moved = [
                replace(tree, conditions=(*conditions[:k], (a, b.moved(1)), *conditions[k + 1 :]))
                for k, (a, b) in enumerate(conditions)
            ]
            longer = [
                replace(tree, ranges=(*ranges[:k], (name, size + 1), *ranges[k + 1 :]))
                for k, (name, size) in enumerate(ranges)
            ]
            return bodies + moved + longer
    return []


def wrong(statement: Any) -> list[Any]:
    """Statements that differ in one place."""
    match statement:
        case Equation(right=right):
            return [replace(statement, right=changed) for changed in mutations(right)]
        case Definition(equation=equation, operator=named):
            longer = replace(named, in_shape=(*named.in_shape[:-1], named.in_shape[-1] + 1))
            return [
                *(replace(statement, equation=changed) for changed in wrong(equation)),
                replace(statement, operator=longer),
            ]
        case OperatorEquation(right=ProductSum(factors=factors)) if len(factors) > 1:
            return [replace(statement, right=ProductSum(factors[1:]))]
        case OperatorEquation(left=TransposedName(operator=named)):
            return [replace(statement, left=named)]
        case VectorEquation(right=Mix(parts=parts)):
            return [replace(statement, right=Mix(parts[:1]))]
        case VectorEquation(right=Applied(operator=operator, vector=vector)):
            other = Array("other", vector.shape)
            return [replace(statement, right=Applied(operator, other))]
        case Together(parts=parts):
            return [
                Together((*parts[:k], changed, *parts[k + 1 :]))
                for k, part in enumerate(parts)
                for changed in wrong(part)
            ]
        case Extreme(value=value):
            return [
                replace(statement, value=value.moved(1)),
                replace(statement, value=value.moved(-1)),
            ]
        case Equivalent(left=left, right=right):
            step = right.divisor * right.left.terms[0][0]
            return [
                # One more output: by the stride on the side that is not solved.
                replace(statement, right=replace(right, right=right.right.moved(step))),
                replace(statement, left=replace(left, strict=not left.strict)),
            ]
        case SizeOf(actual=actual):
            return [replace(statement, actual=actual + 1)]
    return []


@pytest.mark.parametrize("kind", KINDS[:-1])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.thorough] if name in ("groups", "steps") else [])
        for name in LAYERS
    ],
)
def test_a_wrong_statement_is_not_proved(kind: str, name: str) -> None:
    if kind == "kernel_gradient" and "pooling" in name:
        pytest.skip("a pooling does not have a kernel")
    tried = 0
    for step in getattr(ca.derive, kind)(LAYERS[name]).steps:
        statement, setting = statement_of(step)
        assert step.formula == formula_of(statement)
        for other in wrong(statement):
            verdict = other.decide(setting)
            assert verdict.status == "refuted", (formula_of(other), verdict)
            assert verdict.counterexample is not None
            assert verdict.counterexample.claimed != verdict.counterexample.actual
            tried += 1
    assert tried >= 4


READ_WRONG = [
    ("x_{2 o + t - 1}", "x_{2 o + t}"),
    ("x_{2 o + t - 1}", "x_{3 o + t - 1}"),
    ("2 o + t - 1 = i", "2 o + t + 1 = i"),
    ("w_{2 - t}", "w_{t}"),
    ("v_{j - 1}", "v_{j}"),
    ("A'\\, P", "A'"),
    ("A_{1}^{\\mathsf T}\\, S", "A_{1}^{\\mathsf T}"),
    ("2 o = j", "o = j"),
    ("(S g)_{i", "(S g)_{1 + i"),
    ("\\alpha \\sum", "\\beta \\sum"),
    ("(B^{\\mathsf T} g)_{t}", "(B^{\\mathsf T} g)_{t + 1}"),
    ("A x = B w", "A x = B u"),
    ("= 2 j - 1", "= 2 j"),
    ("2 j + 1 \\le 7", "2 j + 1 \\le 9"),
    ("\\frac{6}{2} \\right\\rfloor + 1 = 4", "\\frac{6}{2} \\right\\rfloor + 1 = 5"),
    ("[2 u - 1,", "[2 u,"),
]


def test_the_reader_of_formulas_finds_wrong_ones() -> None:
    layer = LAYERS["numbers"]
    kernel = np.array([2, -3, 5])
    used = set()
    for kind in KINDS:
        found = getattr(ca.derive, kind)(layer)
        for place, step in enumerate(found.steps):
            for right, other in READ_WRONG:
                if right not in step.formula:
                    continue
                lines = Lines({}, kernel)
                for before in found.steps[:place]:
                    lines.check(before.formula)
                changed = step.formula.replace(right, other)
                rest = [changed, *(after.formula for after in found.steps[place + 1 :])]
                if not holds(lines, rest):
                    used.add(right)
                else:
                    pytest.fail(f"read as right: {changed}")
    assert used == {right for right, _ in READ_WRONG}


def holds(lines: Lines, formulas: list[str]) -> bool:
    """Whether all formulas are read as right."""
    try:
        for formula in formulas:
            lines.check(formula)
    except AssertionError:
        return False
    return True


def test_shapes_of_different_lengths_are_not_compared() -> None:
    x, y = Array("x", (4,)), Array("y", (4, n))
    verdict = VectorEquation(x, y).decide(Setting.of(ca.identity(n)))
    assert verdict.status == "unknown"
    assert verdict.reason == "the shapes (4,) and (4, n) have different lengths"

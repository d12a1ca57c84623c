"""Statements about operators: sentence, call and verdict of each come from the same operators."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from convalg.operators.tree import Operator
from convalg.prove.claims import decide
from convalg.prove.derivations.derivation import Derivation
from convalg.prove.verdict import Verdict
from convalg.sheet.blocks import (
    COUNTEREXAMPLE,
    FAILED,
    PROVED,
    Check,
    Claim,
    Code,
    Formula,
    Steps,
)
from convalg.sheet.calls import written
from convalg.size import size_words


def equal(
    sentence: str,
    first: Operator,
    second: Operator,
    *formulas: Formula | Code,
    about: Operator | None = None,
) -> list[Claim]:
    """Return the claim that two operators are equal; nothing where that is not decided.

    The two calls are printed, or `formulas` in their place. Where a layer that the claim is
    `about` stands in the calls, it is called A.
    """
    verdict = decide(first, second, claim=sentence)
    if verdict.status == "unknown":
        return []
    shown = formulas or _calls(first, "==", second, about)
    where = _where(verdict, about or first)
    if not verdict:
        return [Claim(sentence, Check(FAILED, where, str(verdict.counterexample)), shown)]
    return [Claim(sentence, Check(PROVED, where, verdict.method), shown)]


def _calls(
    first: Operator, mark: str, second: Operator, about: Operator | None
) -> tuple[Code, ...]:
    left, right = written(first), written(second)
    if about is None:
        return (Code(f"{left}\n{mark} {right}"),)
    name = written(about)
    left = "A.T" if left == written(about.T) else left.replace(name, "A")
    return (Code(f"A = {name}"), Code(f"{left}\n{mark} {right.replace(name, 'A')}"))


def compared(
    alike: str, different: str, first: Operator, second: Operator, *, about: Operator | None = None
) -> list[Claim]:
    """Return the sentence that the comparison of two operators makes true, with its evidence."""
    verdict = decide(first, second, claim=alike)
    if verdict.status == "unknown":
        return []
    if verdict:
        shown = _calls(first, "==", second, about)
        return [Claim(alike, Check(PROVED, _where(verdict, about or first), verdict.method), shown)]
    found = verdict.counterexample
    assert found is not None
    sizes = ", ".join(f"{name} = {value}" for name, value in found.sizes.items())
    entry = "the shapes"
    if found.row_index is not None and found.column_index is not None:
        entry = f"row {_index(found.row_index)}, column {_index(found.column_index)}"
    how = f"{entry}: {found.actual} on the left, {found.claimed} on the right"
    where = f"at {sizes}" if sizes else _where(verdict, about or first)
    shown = _calls(first, "!=", second, about)
    return [Claim(different, Check(COUNTEREXAMPLE, where, how), shown)]


def _index(index: tuple[int, ...]) -> str:
    return str(index[0]) if len(index) == 1 else f"({', '.join(map(str, index))})"


def steps(derived: Derivation) -> list[Steps]:
    """Return a derivation line by line; nothing where one of its steps is not decided."""
    verdicts = [step.verdict for step in _once(derived).steps]
    if any(verdict.status == "unknown" for verdict in verdicts):
        return []
    lines = []
    for step, verdict in zip(derived.steps, verdicts, strict=True):
        check = (
            Check(PROVED, _scope(verdict), verdict.method)
            if verdict
            else Check(FAILED, _scope(verdict), str(verdict.counterexample))
        )
        reason = f"{step.reason[:1].upper()}{step.reason[1:]}."
        lines.append(Claim(reason, check, (Formula(step.formula),)))
    return [Steps(tuple(lines))]


def _once(derived: Derivation) -> Derivation:
    """The derivation with every check run once, however many steps share it."""
    found: dict[Any, Any] = {}
    return replace(
        derived,
        steps=tuple(
            replace(step, check=found.setdefault(step.check, cache(step.check)))
            for step in derived.steps
        ),
    )


def _where(verdict: Verdict, operator: Operator) -> str:
    if verdict.scope == "this size":
        return f"at this size, {by(operator.in_shape)}"
    return _scope(verdict)


def _scope(verdict: Verdict) -> str:
    if verdict.scope == "this size" or verdict.scope.startswith("inputs of shape"):
        return "at this size"
    return f"for {verdict.scope}"


def by(shape: tuple[Any, ...]) -> str:
    """Return a shape in text.

    >>> by((3, 6, 6))
    '3 x 6 x 6'
    """
    return " x ".join(map(size_words, shape))

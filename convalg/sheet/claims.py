"""Claims about operators: sentence, call and verdict are generated from the same operators."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from convalg.operators.tree import Operator
from convalg.prove.derivations.derivation import Derivation
from convalg.prove.equality import decide
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
from convalg.size import size_text


def equal(
    sentence: str,
    first: Operator,
    second: Operator,
    *formulas: Formula | Code,
    about: Operator | None = None,
) -> list[Claim]:
    """Return the claim that two operators are equal; an empty list if that is undecided.

    The two calls are printed, or `formulas` instead. The layer that the claim is `about` is
    called A in them.
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
    """Return the claim `alike` if the operators are equal, else `different` with its evidence."""
    verdict = decide(first, second, claim=alike)
    if verdict.status == "unknown":
        return []
    if verdict:
        shown = _calls(first, "==", second, about)
        return [Claim(alike, Check(PROVED, _where(verdict, about or first), verdict.method), shown)]
    example = verdict.counterexample
    assert example is not None
    sizes = ", ".join(f"{name} = {value}" for name, value in example.sizes.items())
    entry = "the shapes"
    if example.row_index is not None and example.column_index is not None:
        entry = f"row {_index(example.row_index)}, column {_index(example.column_index)}"
    how = f"{entry}: {example.actual} on the left, {example.claimed} on the right"
    where = f"at {sizes}" if sizes else _where(verdict, about or first)
    shown = _calls(first, "!=", second, about)
    return [Claim(different, Check(COUNTEREXAMPLE, where, how), shown)]


def _index(index: tuple[int, ...]) -> str:
    return str(index[0]) if len(index) == 1 else f"({', '.join(map(str, index))})"


def steps(derived: Derivation) -> list[Steps]:
    """Return a derivation line by line; an empty list if one of its steps is undecided."""
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
        lines.append(Claim(_sentence(step.reason), check, (Formula(step.formula),)))
    return [Steps(tuple(lines))]


def _sentence(reason: str) -> str:
    """Capitalise a reason and end it with a full stop; a symbol at its start keeps its case.

    >>> _sentence("solved for j"), _sentence("j counts from 0")
    ('Solved for j.', 'j counts from 0.')
    """
    first = reason.split(" ")[0]
    is_symbol = len(first) == 1 and first != "a"
    return f"{reason if is_symbol else reason[:1].upper() + reason[1:]}."


def _once(derived: Derivation) -> Derivation:
    """The same derivation, in which a check shared by several steps runs only once."""
    cached: dict[Any, Any] = {}
    return replace(
        derived,
        steps=tuple(
            replace(step, check=cached.setdefault(step.check, cache(step.check)))
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


def by(shape: tuple[object, ...]) -> str:
    """Return a shape as text.

    >>> by((3, 6, 6))
    '3 x 6 x 6'
    """
    return " x ".join(map(size_text, shape))

"""Functions built from known mistakes, and their reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from made_up import made, right

from convalg import check
from convalg.check.mistakes.catalogue import COMPUTE, MISTAKES
from convalg.check.mistakes.mistake import Mistake
from convalg.check.problem import KINDS, Problem, answer
from convalg.check.report import Diagnosis, Report
from convalg.check.sweep import configurations, problem

CASES = 24


Where = Callable[[Problem], bool]


def built(
    name: str,
    part: str,
    mistake: Mistake,
    variant: int,
    where: Where = lambda p: True,
    refuses: bool = False,
) -> Callable[..., Any]:
    """An implementation that makes one variant of a mistake in a part of its answer.

    Where the mistake leaves no layer it is right, or refuses.
    """
    kind = KINDS[name]
    place = list(kind.parts).index(part)
    compute = mistake.compute or COMPUTE.get((name, part), kind.parts[part])

    def implementation(*arrays: np.ndarray, **options: Any) -> Any:
        p = made(name, arrays, options)
        found = right(name, p)
        if where(p) and (wrong := attempt(p)) is not None:
            found[place] = wrong
        elif refuses and where(p):
            raise ValueError("no such layer")
        return tuple(found) if len(found) > 1 else found[0]

    def found_right(p: Problem) -> np.ndarray:
        return right(name, p)[place]

    def attempt(p: Problem) -> np.ndarray | None:
        try:
            variants = list(mistake.change(p))
        except (ValueError, IndexError):
            return None
        if not variants:
            return found_right(p)
        if variant >= len(variants):
            return None
        got = answer(compute, variants[variant])
        # What a mistake leaves open may be anything.
        return None if got is None else np.where(np.isnan(got), 7.0, got)

    return implementation


def checked(name: str, f: Callable[..., Any], cases: int = CASES, dims: int = 2) -> Report:
    return getattr(check, name)(f, cases=cases, dims=dims)


def variants(name: str, mistake: Mistake) -> int:
    """The number of variants of a mistake, as many as some problem of its kind has."""
    kind = KINDS[name]
    count = 0
    for config in configurations(kind, 2, kind.options, CASES)[::2]:
        try:
            count = max(count, len(list(mistake.change(problem(kind, config)))))
        except (ValueError, IndexError):
            continue
    return count


def assert_in_order(found: tuple[Diagnosis, ...]) -> None:
    confidences = [d.confidence for d in found]
    assert confidences == sorted(confidences, reverse=True)
    assert all(0 <= c <= 1 for c in confidences)
    codes = [d.code for d in found]
    assert len(set(codes)) == len(codes) > 0


def of_code(name: str, part: str, code: str) -> Mistake:
    return next(m for m in MISTAKES[name, part] if m.code == code)

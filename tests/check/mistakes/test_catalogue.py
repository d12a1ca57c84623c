"""Every known mistake, and each of its variants, is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from built import CASES, assert_in_order, built, checked, variants

from convalg.check.candidate import candidate
from convalg.check.diagnose import _explains
from convalg.check.mistakes.catalogue import COMPUTE, MISTAKES
from convalg.check.mistakes.mistake import Mistake
from convalg.check.problem import KINDS
from convalg.check.run import run
from convalg.check.sweep import configurations

PLACES = list(MISTAKES)


def listed() -> list[Any]:
    rows = []
    for name, part in PLACES:
        seen: dict[str, int] = {}
        for mistake in MISTAKES[name, part]:
            number = seen[mistake.code] = seen.get(mistake.code, 0) + 1
            title = f"{name} {part} {mistake.code}{'' if number == 1 else f' {number}'}"
            rows.append(pytest.param(name, part, mistake, id=title))
    return rows


@pytest.mark.parametrize(("name", "part", "mistake"), listed())
def test_each_known_mistake_is_named(name: str, part: str, mistake: Mistake) -> None:
    # A known mistake that can never show is none.
    assert any(visible_and_named(name, part, mistake, k) for k in range(variants(name, mistake)))


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "part", "mistake"), listed())
def test_each_variant_of_a_known_mistake_is_named(name: str, part: str, mistake: Mistake) -> None:
    found = [visible_and_named(name, part, mistake, k) for k in range(variants(name, mistake))]
    assert any(found)


def visible_and_named(name: str, part: str, mistake: Mistake, variant: int) -> bool:
    """Whether a variant is visible; where it is, it must be named."""
    f = built(name, part, mistake, variant)
    report = checked(name, f)
    if report.passed:
        return False
    assert_in_order(report.diagnosis)
    first = report.diagnosis[0]
    if first.code == mistake.code:
        if len(KINDS[name].parts) > 1 and not first.message.startswith("it is wrong only when"):
            assert first.message.startswith(f"{part}: ")
        return True
    # Another name may stand first only where it gives the same numbers, or where it is the
    # condition under which the mistake shows.
    same = [m for m in MISTAKES[name, part] if m.code == first.code]
    own = [d for d in report.diagnosis if d.code == mistake.code and d.confidence >= 0.9]
    told = identical(name, part, f, same) or (first.code == "square-only" and own)
    assert told, (variant, list(map(str, report.diagnosis)))
    return True


def identical(name: str, part: str, f: Callable[..., Any], others: list[Mistake]) -> bool:
    """Whether another mistake gives the same numbers as a function, wherever it is wrong."""
    kind = KINDS[name]
    tested = candidate(f, kind)
    compute = COMPUTE.get((name, part), kind.parts[part])
    configs = configurations(kind, 2, kind.options, CASES)
    runs = [run(tested, config, number) for number, config in enumerate(configs)]
    wrong = [one for one in runs if one.wrong]
    return any(all(_explains(m, compute, part, one) for one in wrong) for m in others)

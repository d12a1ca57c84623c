"""Random claims decided and held against brute force: no false verdict, and few unknown."""

from __future__ import annotations

import os
from collections import Counter
from itertools import count, islice
from typing import Any

import brute
import pytest
import random_claims

from convalg.errors import ArgumentError
from convalg.prove import equal
from convalg.prove.equality import decide

CHUNK = 500
LARGEST = {1: 6, 2: 4, 3: 3, 4: 2, 5: 2, 6: 1}
"""Every size up to this is compared, by the number of symbols."""


def outcome(sides: Any) -> str:
    """The verdict, after brute force: a false one fails here."""
    verdict = decide(*sides, claim="a random claim")
    if verdict.status == "refuted":
        assert "were not excluded" not in verdict.method, (sides, verdict)
    letters = len(brute.symbols_of(sides))
    found, compared = brute.violation(sides, LARGEST.get(letters, 1)) if letters else (None, 0)
    if verdict.status == "proved":
        assert found is None, (sides, verdict, found)
        return "proved"
    if verdict.status == "refuted":
        brute.check_refuted(sides, verdict)
        return "refuted"
    if not compared and letters:
        return "no small sizes"
    return "unknown though true there" if found is None else "unknown though false"


def tally(
    first: int, amount: int, kind: type[random_claims.Draw] = random_claims.Draw
) -> Counter[tuple[str, str]]:
    """Outcomes by rule of so many claims, from one seed on."""
    claims = (random_claims.claim(seed, kind) for seed in count(first * 1_000_003))
    rows: Counter[tuple[str, str]] = Counter()
    for name, sides in islice(filter(None, claims), amount):
        rows[name, outcome(sides)] += 1
    return rows


def table(rows: Counter[tuple[str, str]]) -> str:
    """The outcomes as text, a line a rule."""
    kinds = sorted({kind for _, kind in rows})
    names = sorted({name for name, _ in rows})
    lines = [f"{'':24}" + "".join(f"{kind:>28}" for kind in kinds)]
    lines += [f"{name:24}" + "".join(f"{rows[name, kind]:28}" for kind in kinds) for name in names]
    return "\n".join(lines)


def check_few_unknown(rows: Counter[tuple[str, str]]) -> None:
    """Less than 3 % of the claims that are true are unknown."""
    print(table(rows))
    unknown = sum(n for (_, kind), n in rows.items() if kind == "unknown though true there")
    proved = sum(n for (_, kind), n in rows.items() if kind == "proved")
    assert unknown <= 0.03 * (unknown + proved)


def test_random_claims() -> None:
    rows = tally(0, 60)
    assert {kind for _, kind in rows} >= {"proved", "refuted"}


@pytest.mark.thorough
@pytest.mark.parametrize("chunk", range(1, 1 + int(os.environ.get("CLAIMS", "1500")) // CHUNK))
def test_many_random_claims(chunk: int) -> None:
    """As many as the environment variable CLAIMS says: `CLAIMS=10000` takes half an hour."""
    check_few_unknown(tally(chunk, CHUNK))


def test_random_claims_with_symbols_as_strides() -> None:
    rows = tally(0, 60, random_claims.StepDraw)
    assert {kind for _, kind in rows} == {"proved", "refuted"}


@pytest.mark.thorough
@pytest.mark.parametrize("chunk", range(1, 1 + int(os.environ.get("CLAIMS", "1500")) // CHUNK))
def test_many_random_claims_with_symbols_as_strides(chunk: int) -> None:
    check_few_unknown(tally(chunk, CHUNK, random_claims.StepDraw))


def test_every_rule_makes_claims() -> None:
    for rule in random_claims.RULES:
        made = 0
        for seed in range(30):
            try:
                first, second = rule(random_claims.Draw(seed))
            except (ArgumentError, TypeError):
                continue
            made += first.in_shape is not None and second.in_shape is not None
        assert made, rule


def test_a_false_verdict_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness refuses a verdict that is turned round."""
    sides = (random_claims.ca.correlation(random_claims.n, [1, 2]),) * 2
    wrong = (sides[0], 2 * sides[1])
    proved = equal(*sides)
    monkeypatch.setitem(globals(), "decide", lambda *_, **__: proved)
    with pytest.raises(AssertionError):
        outcome(wrong)

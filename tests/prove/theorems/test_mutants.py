"""Mutants of every theorem: each is refuted, or true by brute force, and few are unknown.

With `--thorough`, MANY mutants of each claim are tried; all of them, about 8,000, take more than
half an hour on one core.
"""

from __future__ import annotations

from collections import Counter

import brute
import mutants
import pytest

import convalg as ca
from convalg.prove import equal
from convalg.prove.theorems.theorem import Equality, Theorem

THEOREMS = [theorem for theorem in ca.theorems if theorem.claims()]
MOST_UNKNOWN = 0.05
FEW, MANY = 2, 6
PARTS = 12


def tally(theorem: Theorem, most: int) -> Counter[str]:
    """The outcomes of at most `most` mutants of each claim of a theorem."""
    counts: Counter[str] = Counter()
    for claim in theorem.claims():
        made, missing = mutants.of_claim(claim.sides())
        counts["cannot be built"] += missing
        counts.update(
            mutants.outcome(sides, claim.ranges or None) for _, sides in brute.spread(made, most)
        )
    return counts


def check(counts: Counter[str]) -> None:
    """Less than 5 % of the mutants are unknown, and most are refuted."""
    unknown = sum(count for kind, count in counts.items() if kind.startswith("unknown"))
    tried = counts.total() - counts["cannot be built"]
    assert unknown <= MOST_UNKNOWN * tried, counts
    assert counts["refuted"] > tried / 2, counts


@pytest.mark.parametrize("theorem", THEOREMS[::8], ids=lambda theorem: theorem.name)
def test_a_few_mutants_of_some_theorems(theorem: Theorem) -> None:
    counts = tally(theorem, FEW)
    assert counts["refuted"] >= 1, counts


@pytest.mark.thorough
@pytest.mark.parametrize("part", range(PARTS))
def test_many_mutants_of_all_theorems(part: int) -> None:
    counts: Counter[str] = Counter()
    for theorem in THEOREMS[part::PARTS]:
        counts += tally(theorem, MANY)
    check(counts)


def test_every_kind_of_mistake_is_made() -> None:
    made = {
        words
        for theorem in THEOREMS
        for claim in theorem.claims()
        for words, _ in mutants.of_claim(claim.sides())[0]
    }
    for kind in (
        "kernel flipped",
        "padding +1",
        "another stride",
        "stride for dilation",
        "input size +1",
        "output size -1",
        "window +1",
        "all weights doubled",
        "weight 0 doubled",
        "the adjoint forgotten",
        "factor 0 left out",
        "term 1 subtracted",
        "factors 0 and 1 exchanged",
        "the factor + 1",
    ):
        assert any(words.startswith(kind) for words in made), kind


def test_both_sides_have_mutants() -> None:
    claim = ca.theorems["flip"].parts[0]
    assert isinstance(claim, Equality)
    made, _ = mutants.of_claim(claim.sides())
    assert {words[-1] for words, _ in made} == {"0", "1"}


def test_a_false_verdict_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    n, taps = ca.sizes("n K")
    layer = ca.correlation(n, ca.kernel(taps))
    proved = equal(layer, layer)
    monkeypatch.setattr(mutants, "decide", lambda *_, **__: proved)
    with pytest.raises(AssertionError):
        mutants.outcome((layer, 2 * layer))
    refuted = equal(layer, 2 * layer)
    monkeypatch.setattr(mutants, "decide", lambda *_, **__: refuted)
    with pytest.raises(AssertionError):
        mutants.outcome((layer, layer))

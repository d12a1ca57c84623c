"""The catalogue: every claim against brute force, and every claim broken in many ways."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from itertools import product

import brute
import pytest

import convalg as ca
from convalg.errors import ArgumentError
from convalg.prove import claims
from convalg.prove.theorem import Claim, Theorem

CLAIMS = [(theorem.name, claim) for theorem in ca.theorems for claim in theorem.claims()]
COUNTERS = [theorem for theorem in ca.theorems if theorem.counter is not None]
NAMED = {
    "linearity",
    "flip",
    "modes",
    "full",
    "padding",
    "stride",
    "adjoint-1d",
    "adjoint-2d",
    "adjoint-channels",
    "adjoint-stride",
    "kernel-gradient",
    "kernel-gradient-stride",
    "composition",
    "commutativity",
    "associativity",
    "separable",
    "toeplitz",
    "doubly-block-toeplitz",
    "circular-dft",
    "equivariance",
    "average-pooling-adjoint",
    "max-pooling-adjoint",
    "pooling-equivariance",
    "sum-of-random-variables",
    "difference-of-random-variables",
    "parameters",
    "receptive-field",
    "sub-pixel",
    "merged-branches",
    "batch-norm",
    "one-by-one",
    *(f"relationship-{k}" for k in range(1, 16)),
}
"""What the catalogue must hold at least."""


@pytest.fixture
def most(request: pytest.FixtureRequest) -> int:
    """How many mutants of a claim to try."""
    return 1000 if request.config.getoption("--thorough") else 14


def _words(pair: tuple[str, Claim]) -> str:
    return f"{pair[0]}: {pair[1].words}"


def test_the_catalogue_is_complete() -> None:
    assert {theorem.name for theorem in ca.theorems} >= NAMED
    assert len(ca.theorems) == len(list(ca.theorems))
    assert repr(ca.theorems).startswith(f"<{len(ca.theorems)} theorems: linearity, flip")


def test_an_unknown_theorem_is_refused() -> None:
    with pytest.raises(
        ArgumentError, match="no theorem is named 'adjoint'; there are adjoint-2d, adjoint-1d"
    ):
        ca.theorems["adjoint"]


def test_a_theorem_shows_itself() -> None:
    theorem = ca.theorems["flip"]
    assert repr(theorem) == "Theorem('flip', n, K, p with n + 2p >= K, one axis and two)"
    assert theorem._repr_latex_() == f"$\\displaystyle {theorem.statement}$"


def test_the_catalogue_proves_itself() -> None:
    found = ca.theorems.prove()
    assert [theorem.name for theorem, _, _ in found] == [theorem.name for theorem in ca.theorems]
    assert all(verdict for _, verdict, _ in found)
    assert 0 < sum(seconds for _, _, seconds in found) < 20


def test_a_theorem_with_a_false_part_is_not_proved() -> None:
    true = ca.theorems["flip"]
    assert isinstance(true.counter, Claim)
    verdict = replace(true, parts=(*true.parts, true.counter)).prove()
    assert verdict.status == "refuted"
    assert verdict.claim == true.statement


@pytest.mark.parametrize("theorem", list(ca.theorems), ids=lambda t: t.name)
def test_theorem_is_proved_within_a_second(theorem: Theorem) -> None:
    """Best of three runs, so that a busy machine is not what is measured."""
    verdicts = []
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        verdicts.append(theorem.prove())
        best = min(best, time.perf_counter() - start)
        if best < 1:
            break
    assert verdicts[-1].status == "proved", verdicts[-1]
    assert verdicts[-1].claim == theorem.statement
    assert verdicts[-1].scope
    assert verdicts[-1].method
    assert best < 1


@pytest.mark.parametrize("pair", CLAIMS, ids=_words)
def test_claim_holds_at_all_small_sizes(pair: tuple[str, Claim]) -> None:
    sides = pair[1].sides()
    found, compared = brute.violation(sides)
    assert found is None
    assert compared >= 6


@pytest.mark.thorough
@pytest.mark.parametrize("pair", CLAIMS, ids=_words)
def test_claim_holds_at_larger_sizes(pair: tuple[str, Claim]) -> None:
    sides = pair[1].sides()
    largest = {1: 12, 2: 9, 3: 7, 4: 5, 5: 4, 6: 3}[len(brute.letters_of(sides))]
    assert brute.violation(sides, largest)[0] is None


@pytest.mark.parametrize("pair", CLAIMS, ids=_words)
def test_scope_is_the_domain(pair: tuple[str, Claim]) -> None:
    """The sizes that the scope names are those at which both sides exist."""
    sides = pair[1].sides()
    verdict = pair[1].decide()
    if brute.swept_letters(sides):
        assert "both exist" in verdict.scope
        return
    for sizes in brute.small_sizes(sides, 3 if len(brute.letters_of(sides)) < 5 else 2):
        assert in_words(verdict.scope, sizes) == brute.both_exist(sides, sizes), sizes


def in_words(scope: str, sizes: dict[str, int]) -> bool:
    """Whether sizes satisfy a scope such as "all n >= K >= 1, p >= 0"."""
    chains = scope.removeprefix("all ").split(", ")
    for chain in chains:
        values = [_value(part, sizes) for part in chain.split(" >= ")]
        if values != sorted(values, reverse=True):
            return False
    return True


def _value(words: str, sizes: dict[str, int]) -> int:
    """2p + K - 1 as a number."""
    total = 0
    for term in words.replace(" - ", " + -").split(" + "):
        sign, bare = (-1, term[1:]) if term.startswith("-") else (1, term)
        digits = bare.rstrip("".join(sizes))
        name = bare[len(digits) :]
        total += sign * (int(digits) if digits else 1) * (sizes[name] if name else 1)
    return total


# -- refutations ----------------------------------------------------------------------------


@pytest.mark.parametrize("theorem", COUNTERS, ids=lambda t: t.name)
def test_outside_is_refuted(theorem: Theorem) -> None:
    verdict = theorem.outside()
    assert verdict is not None
    assert verdict.status == "refuted"
    assert not verdict
    assert verdict.counterexample is not None
    claimed, actual = verdict.counterexample.replay()
    assert claimed != actual


@pytest.mark.parametrize(
    "theorem", [t for t in COUNTERS if isinstance(t.counter, Claim)], ids=lambda t: t.name
)
def test_outside_is_the_smallest(theorem: Theorem) -> None:
    assert isinstance(theorem.counter, Claim)
    sides = theorem.counter.sides()
    brute.check_refuted(sides, theorem.counter.decide())


def test_counters_cover_the_unstated_domains() -> None:
    assert {"flip", "adjoint-1d", "adjoint-2d", "relationship-13", "commutativity"} <= {
        theorem.name for theorem in COUNTERS
    }


# -- mutants --------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", CLAIMS, ids=_words)
def test_mutants_are_refuted(pair: tuple[str, Claim], most: int) -> None:
    """Each broken statement is refuted; one that is proved is equal at all small sizes too."""
    first, second = pair[1].sides()
    counts: Counter[str] = Counter()
    ranges = {name: range(1, 4) for name in brute.swept_letters((first, second))}
    for words, broken in brute.spread(brute.mutants(second), most):
        sides = (first, broken)
        verdict = claims.decide(*sides, claim=words, ranges=ranges)
        counts[verdict.status] += 1
        if verdict.status == "refuted":
            brute.check_refuted(sides, verdict)
        else:
            # A kernel of equal numbers is the same when flipped: no mutant after all.
            assert brute.violation(sides)[0] is None, (words, verdict)
    assert counts["refuted"] >= 4
    assert counts["proved"] <= 1
    assert counts["unknown"] == 0


# -- a second decision procedure ------------------------------------------------------------


def by_z3(sides: brute.Sides) -> set[str]:
    """What z3 says, for each value of a letter that is a stride or dilation."""
    z3_family = pytest.importorskip("z3_family", reason="needs z3")
    swept = sorted(brute.swept_letters(sides))
    answers = set()
    for values in product(range(1, 4), repeat=len(swept)):
        numbers = dict(zip(swept, values, strict=True))
        chosen = [brute.at(side, numbers) for side in sides]
        answers.add(z3_family.decide(chosen[0], chosen[1]))
    return answers


@pytest.mark.parametrize("pair", CLAIMS, ids=_words)
def test_z3_proves_the_claim_too(pair: tuple[str, Claim]) -> None:
    assert by_z3(pair[1].sides()) == {"equal"}


@pytest.mark.parametrize("pair", CLAIMS, ids=_words)
def test_z3_speaks_of_the_same_sizes(pair: tuple[str, Claim]) -> None:
    z3_family = pytest.importorskip("z3_family", reason="needs z3")
    sides = pair[1].sides()
    swept = dict.fromkeys(brute.swept_letters(sides), 2)
    sides = tuple(brute.at(side, swept) for side in sides)
    for sizes in brute.spread(brute.small_sizes(sides, 2), 81):
        assert z3_family.exists_at(sides, sizes) == brute.both_exist(sides, sizes)


@pytest.mark.parametrize("pair", CLAIMS, ids=_words)
def test_z3_refutes_the_mutants_too(pair: tuple[str, Claim], most: int) -> None:
    first, second = pair[1].sides()
    for words, side in brute.spread(brute.mutants(second), most // 4):
        sides = (first, side)
        ranges = {name: range(1, 4) for name in brute.swept_letters(sides)}
        refuted = claims.decide(*sides, claim=words, ranges=ranges).status == "refuted"
        assert ("different" in by_z3(sides)) == refuted, words

"""The catalogue: every claim against brute force, and every claim broken in many ways."""

from __future__ import annotations

from collections import Counter
from itertools import product

import brute
import pytest

import convalg as ca
from convalg.errors import ArgumentError
from convalg.prove import equality
from convalg.prove.theorems import catalogue
from convalg.prove.theorems.chapters import CHAPTERS
from convalg.prove.theorems.theorem import Equality, Theorem

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


def _words(pair: tuple[str, Equality]) -> str:
    return f"{pair[0]}: {pair[1].claim}"


def test_the_catalogue_is_complete() -> None:
    assert {theorem.name for theorem in ca.theorems} >= NAMED
    assert len(ca.theorems) == len(list(ca.theorems))
    assert repr(ca.theorems).startswith(f"<{len(ca.theorems)} theorems: linearity, flip")


def test_an_unknown_theorem_is_refused() -> None:
    with pytest.raises(
        ArgumentError,
        match="there is no theorem named 'adjoint'; choose from adjoint-2d, adjoint-1d",
    ):
        ca.theorems["adjoint"]


def test_proofs_of_a_catalogue_come_in_order_with_their_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = {theorem.name: theorem for theorem in list(ca.theorems)[:3]}
    monkeypatch.setattr(catalogue, "_all", lambda: few)
    found = ca.theorems.prove()
    assert [theorem for theorem, _, _ in found] == list(few.values())
    assert all(verdict for _, verdict, _ in found)
    assert all(seconds > 0 for _, _, seconds in found)


def test_the_chapters_contain_every_theorem_once() -> None:
    chapters = ca.theorems.chapters()
    assert list(chapters) == [chapter for chapter in CHAPTERS if chapter in chapters]
    found = [theorem.name for theorems in chapters.values() for theorem in theorems]
    assert sorted(found) == sorted(theorem.name for theorem in ca.theorems)
    for theorems in chapters.values():
        assert [t for t in ca.theorems if t in theorems] == theorems


@pytest.mark.parametrize("theorem", list(ca.theorems), ids=lambda t: t.name)
def test_every_theorem_is_in_words(theorem: Theorem) -> None:
    assert theorem.chapter in CHAPTERS
    for text in (theorem.sentence, theorem.idea):
        assert text[0].isupper()
        assert text.endswith(".")
        assert not set("\\$\n") & set(text)
        assert "  " not in text
    assert ". " not in theorem.sentence
    assert [t.name for t in ca.theorems if t.sentence == theorem.sentence] == [theorem.name]


@pytest.mark.parametrize("theorem", list(ca.theorems), ids=lambda t: t.name)
def test_theorem_is_proved(theorem: Theorem) -> None:
    verdict = theorem.prove()
    assert verdict.status == "proved", verdict
    assert verdict.claim == theorem.statement
    assert verdict.scope
    assert verdict.method


@pytest.mark.parametrize("pair", CLAIMS, ids=_words)
def test_claim_holds_at_all_small_sizes(pair: tuple[str, Equality]) -> None:
    sides = pair[1].sides()
    found, compared = brute.violation(sides)
    names = brute.symbols_of(sides)
    if len(names) > 6:
        # Too many sizes for all of them.
        every = (dict(zip(names, v, strict=True)) for v in product((1, 2), repeat=len(names)))
        chosen = brute.spread((v for v in every if brute.both_exist(sides, v)), 30)
        answers = [brute.differ(sides, sizes) for sizes in chosen]
        compared, found = answers.count(False), True if True in answers else None
    elif compared < 6:
        found, compared = brute.violation(sides, 12 if len(names) == 1 else 7)
    assert found is None
    assert compared >= 6


@pytest.mark.thorough
@pytest.mark.parametrize("pair", CLAIMS, ids=_words)
def test_claim_holds_at_larger_sizes(pair: tuple[str, Equality]) -> None:
    sides = pair[1].sides()
    largest = {1: 12, 2: 9, 3: 7, 4: 5, 5: 4, 6: 3, 7: 1}[len(brute.symbols_of(sides))]
    assert brute.violation(sides, largest)[0] is None


@pytest.mark.parametrize("pair", CLAIMS, ids=_words)
def test_the_domain_is_where_both_sides_exist(pair: tuple[str, Equality]) -> None:
    sides = pair[1].sides()
    domain = pair[1].domain
    letters = {letter.name: letter for letter in domain.symbols}
    folds = any("folds" in note for note in str(domain).split(";")[1:])
    for sizes in brute.spread(brute.small_sizes(sides, 3 if len(letters) < 5 else 2), 120):
        inside = domain.holds_at({letters[name]: value for name, value in sizes.items()})
        # Numbers fold a border any number of times, a family once.
        exist = brute.both_exist(sides, sizes)
        assert inside <= exist if folds else inside == exist, sizes


# -- what is printed --------------------------------------------------------------------------


@pytest.mark.parametrize("theorem", list(ca.theorems), ids=lambda t: t.name)
def test_the_statement_is_printed_from_the_parts(theorem: Theorem) -> None:
    assert all(part.formula in theorem.statement for part in theorem.parts)
    for part in theorem.parts:
        verdict = part.decide()
        assert verdict, (part.claim, verdict)
        assert verdict.claim == part.claim
        assert verdict.scope == str(part.domain)
        # Nothing is said of an operator that has no formula.
        assert "\\text{" not in part.formula.replace("\\text{ independent}", "")


@pytest.mark.parametrize("pair", CLAIMS, ids=_words)
def test_no_formula_has_equal_sides(pair: tuple[str, Equality]) -> None:
    left, _, right = pair[1].formula.partition(" = ")
    assert not right.startswith(left)


@pytest.mark.parametrize("theorem", list(ca.theorems), ids=lambda t: t.name)
def test_the_domain_is_the_intersection(theorem: Theorem) -> None:
    """At sizes in the domain every part holds; at sizes outside it one of them is left out."""
    letters = theorem.where.symbols
    for values in brute.spread(product(range(1, 6), repeat=len(letters)), 60):
        sizes = dict(zip(letters, values, strict=True))
        inside = theorem.where.holds_at(sizes)
        assert inside == all(part.domain.holds_at(sizes) for part in theorem.parts)


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
    "theorem", [t for t in COUNTERS if isinstance(t.counter, Equality)], ids=lambda t: t.name
)
def test_outside_is_the_smallest(theorem: Theorem) -> None:
    assert isinstance(theorem.counter, Equality)
    sides = theorem.counter.sides()
    brute.check_refuted(sides, theorem.counter.decide())


def test_counters_cover_the_unstated_domains() -> None:
    assert {"flip", "adjoint-1d", "adjoint-2d", "relationship-13", "commutativity"} <= {
        theorem.name for theorem in COUNTERS
    }


# -- mutants --------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", CLAIMS, ids=_words)
def test_mutants_are_refuted(pair: tuple[str, Equality], most: int) -> None:
    """Each broken statement is refuted; one that is proved is equal at all small sizes too."""
    first, second = pair[1].sides()
    counts: Counter[str] = Counter()
    ranges = {name: range(1, 4) for name in brute.swept_letters((first, second))}
    for words, broken in brute.spread(brute.mutants(second), most):
        sides = (first, broken)
        verdict = equality.decide(*sides, claim=words, ranges=ranges)
        counts[verdict.status] += 1
        if verdict.status == "refuted":
            brute.check_refuted(sides, verdict)
        else:
            # A kernel of equal numbers is the same when flipped, and a mean of all outputs does not
            # change when they are shifted: no mutants after all.
            found, compared = brute.violation(sides)
            assert found is None, (words, verdict)
            assert verdict or not compared, (words, verdict)
    assert counts["refuted"] >= 4
    assert counts["proved"] <= counts["refuted"] + 1


# -- a second decision procedure ------------------------------------------------------------


def by_z3(sides: brute.Sides) -> set[str]:
    """What z3 says, for each value of a letter that is a stride, dilation or factor of a size.

    The claim is skipped if it has operators that the second procedure does not speak of.
    """
    z3_family = pytest.importorskip("z3_family", reason="needs z3")
    ranges = {name: range(1, 4) for name in sorted(brute.swept_letters(sides))}
    ranges |= {name: range(1, 3) for name in sorted(brute.multiplied_letters(sides))}
    answers = set()
    for values in product(*ranges.values()):
        numbers = dict(zip(ranges, values, strict=True))
        chosen = [brute.exists(side, numbers) for side in sides]
        if None in chosen:
            continue
        try:
            answers.add(z3_family.decide(chosen[0], chosen[1]))
        except z3_family.OutsideError as error:
            pytest.skip(f"beyond the second procedure: {error}")
    return answers


@pytest.mark.parametrize("pair", CLAIMS, ids=_words)
def test_z3_proves_the_claim_too(pair: tuple[str, Equality]) -> None:
    assert by_z3(pair[1].sides()) == {"equal"}


@pytest.mark.parametrize("pair", CLAIMS, ids=_words)
def test_z3_speaks_of_the_same_sizes(pair: tuple[str, Equality]) -> None:
    z3_family = pytest.importorskip("z3_family", reason="needs z3")
    sides = pair[1].sides()
    swept = dict.fromkeys(brute.swept_letters(sides) | brute.multiplied_letters(sides), 2)
    sides = tuple(brute.at(side, swept) for side in sides)
    for sizes in brute.spread(brute.small_sizes(sides, 2), 81):
        assert z3_family.exists_at(sides, sizes) == brute.both_exist(sides, sizes)


@pytest.mark.parametrize("pair", CLAIMS, ids=_words)
def test_z3_refutes_the_mutants_too(pair: tuple[str, Equality], most: int) -> None:
    first, second = pair[1].sides()
    for words, side in brute.spread(brute.mutants(second), most // 4):
        sides = (first, side)
        ranges = {name: range(1, 4) for name in brute.swept_letters(sides)}
        refuted = equality.decide(*sides, claim=words, ranges=ranges).status == "refuted"
        assert ("different" in by_z3(sides)) == refuted, words

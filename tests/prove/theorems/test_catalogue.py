"""The catalogue: every claim against brute force, and every claim broken in many ways."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from itertools import product
from typing import Any

import brute
import pytest

import convalg as ca
from convalg.errors import ArgumentError, UndecidableError
from convalg.geometry import Geometry
from convalg.operators.leaves import Convolution
from convalg.prove import equality
from convalg.prove.theorems.formulas import operator_latex
from convalg.prove.theorems.parts import Decided, Length, Positions
from convalg.prove.theorems.theorem import Equality, Part, Theorem

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


def test_a_theorem_shows_itself() -> None:
    theorem = ca.theorems["flip"]
    assert repr(theorem) == f"Theorem('flip', {theorem.domain})"
    assert theorem._repr_latex_() == f"$\\displaystyle {theorem.statement}$"


def test_the_catalogue_proves_itself() -> None:
    start = time.process_time()
    found = ca.theorems.prove()
    assert time.process_time() - start < 20
    assert [theorem.name for theorem, _, _ in found] == [theorem.name for theorem in ca.theorems]
    assert all(verdict for _, verdict, _ in found)
    assert all(seconds > 0 for _, _, seconds in found)


def test_a_theorem_with_a_false_part_is_not_proved() -> None:
    true = ca.theorems["flip"]
    assert isinstance(true.counter, Equality)
    false = replace(true, parts=(*true.parts, true.counter))
    verdict = false.prove()
    assert verdict.status == "refuted"
    assert verdict.claim == false.statement


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
def test_claim_holds_at_all_small_sizes(pair: tuple[str, Equality]) -> None:
    sides = pair[1].sides()
    found, compared = brute.violation(sides)
    names = brute.symbols_of(sides)
    if len(names) > 6:
        # Too many sizes for all of them.
        chosen = brute.spread(product((1, 2), repeat=len(names)), 30)
        answers = [brute.differ(sides, dict(zip(names, v, strict=True))) for v in chosen]
        compared, found = answers.count(False), True if True in answers else None
    elif compared < 6:
        found, compared = brute.violation(sides, 7)
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


def test_a_wider_part_does_not_widen_the_domain() -> None:
    assert str(ca.theorems["modes"].parts[1].domain) == "all n >= 1, K >= 1"
    assert ca.theorems["modes"].domain == "all n >= K >= 1, m >= L >= 1"


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
            # A kernel of equal numbers is the same when flipped: no mutant after all.
            assert brute.violation(sides)[0] is None, (words, verdict)
    assert counts["refuted"] >= 4
    assert counts["proved"] <= 1
    assert counts["unknown"] == 0


def _changed(part: Any, **changes: Any) -> Part:
    """A part with something wrong in it."""
    changed: Part = replace(part, **changes)
    return changed


N, K, P, S, D, H, L = ca.sizes("n K p s d h L")
WRONG: dict[str, Part] = {
    "linearity": Decided("with a constant", lambda: ca.prove.linear(lambda x: x + 1, 2)),
    **{
        f"relationship-{k}": Positions("wrong", count, taps, padding, stride, dilation)
        for k, (count, taps, padding, stride, dilation) in {
            1: (N - K, K, 0, 1, 1),
            2: (N - K + P + 1, K, P, 1, 1),
            3: (N + 1, 2 * H + 1, H, 1, 1),
            4: (N + K, K, K - 1, 1, 1),
            5: (-(-(N - K) // S) + 1, K, 0, S, 1),
            6: ((N + P - K) // S + 1, K, P, S, 1),
            7: ((N - K) // S, K, 0, S, 1),
            15: ((N + 2 * P - K - (K - 1) * D) // S + 1, K, P, S, D),
        }.items()
    },
    **{
        f"relationship-{k}": Length("wrong", claimed, padding, stride)
        for k, (claimed, padding, stride) in {
            8: (lambda o, a: o + K, 0, 1),
            9: (lambda o, a: o + K - 1 - P, P, 1),
            11: (lambda o, a: o - K, K - 1, 1),
            12: (lambda o, a: S * o + K + a, 0, S),
            13: (lambda o, a: S * (o - 1) + K - 2 * P, P, S),
            14: (lambda o, a: S * (o - 1) + K - 2 * P + 2 * a, P, S),
        }.items()
    },
    "transposed-output-padding": Length("wrong", lambda o, a: S * (o - 1) + K - 2 * P, P, S),
    "circular-dft": _changed(ca.theorems["circular-dft"].parts[0], exponent=lambda t, p: t + p),
    "average-pooling-adjoint": _changed(ca.theorems["average-pooling-adjoint"].parts[0], factor=K),
    "max-pooling-adjoint": replace(
        ca.theorems["max-pooling-adjoint"].parts[0], weight=lambda o, t: (o, 0, 0)
    ),
    "sum-of-random-variables": _changed(ca.theorems["sum-of-random-variables"].parts[0], sign=-1),
    "difference-of-random-variables": replace(
        ca.theorems["difference-of-random-variables"].parts[0], value=lambda k: k - K
    ),
    "parameters": _changed(ca.theorems["parameters"].parts[0], count=K * L),
    "receptive-field": _changed(ca.theorems["receptive-field"].parts[0], width=K + L - 1),
}
"""A wrong part for each theorem that is not about two operators."""
OTHER_WRONG: list[tuple[str, Part]] = [
    *WRONG.items(),
    (
        "average-pooling-adjoint",
        _changed(ca.theorems["average-pooling-adjoint"].parts[0], column=lambda i: (i // K + 1,)),
    ),
    (
        "max-pooling-adjoint",
        _changed(ca.theorems["max-pooling-adjoint"].parts[0], column=lambda o, t: (t, 0)),
    ),
    (
        "receptive-field",
        _changed(ca.theorems["receptive-field"].parts[0], start=lambda u: S * u - P),
    ),
    (
        "circular-dft",
        replace(
            ca.theorems["circular-dft"].parts[0],
            layer=lambda: ca.correlation(N, ca.kernel(K), padding=((P, K - 1 - P),)),
        ),
    ),
]


@pytest.mark.parametrize(
    ("name", "part"), OTHER_WRONG, ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_wrong_part_is_not_proved(name: str, part: Part) -> None:
    verdict = part.decide()
    assert not verdict
    theorem = replace(ca.theorems[name], parts=(*ca.theorems[name].parts, part))
    assert not theorem.prove()
    if verdict.counterexample is not None:
        assert verdict.counterexample.claimed != verdict.counterexample.actual


def test_every_theorem_has_a_wrong_version() -> None:
    """Those with two operators are broken in many ways above."""
    assert {t.name for t in ca.theorems} == {name for name, _ in CLAIMS} | set(WRONG)


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
def test_z3_proves_the_claim_too(pair: tuple[str, Equality]) -> None:
    assert by_z3(pair[1].sides()) == {"equal"}


@pytest.mark.parametrize("pair", CLAIMS, ids=_words)
def test_z3_speaks_of_the_same_sizes(pair: tuple[str, Equality]) -> None:
    z3_family = pytest.importorskip("z3_family", reason="needs z3")
    sides = pair[1].sides()
    swept = dict.fromkeys(brute.swept_letters(sides), 2)
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


def test_a_kernel_flipped_on_one_axis_has_no_formula() -> None:
    axes = ca.correlation((4, 4), ca.kernel(2, 2)).geometry.axes
    mixed = Geometry((axes[0], replace(axes[1], dilation=-1, padding=-1)))
    with pytest.raises(UndecidableError, match=r"kernel is flipped only on axes \[1\]"):
        operator_latex(Convolution(mixed, ca.kernel(2, 2)))

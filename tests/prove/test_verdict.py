"""Verdicts: truth, words, counterexamples that replay."""

from __future__ import annotations

import pytest

import convalg as ca
from convalg.prove import Counterexample, Verdict, equal

n, K, p = ca.sizes("n K p")
A = ca.correlation(n, ca.kernel(K))
WRONG = ca.correlation(A.out_shape, A.kernel, padding="full")


def test_only_a_proof_is_true() -> None:
    for status in ("proved", "refuted", "unknown"):
        verdict = Verdict(status, "claim", "scope", "method")
        assert bool(verdict) == (status == "proved")


def test_words_of_a_proof() -> None:
    verdict = equal(A, A)
    assert repr(verdict) == "Proved for all n >= K >= 1"
    assert verdict.counterexample is None
    assert verdict.explain().splitlines() == [
        f"Claim: {A!r} = {A!r}",
        "Proved for all n >= K >= 1.",
        "Method: Presburger arithmetic (isl): the sets of triples (row, column, weight) compared.",
    ]


def test_words_of_a_refutation() -> None:
    verdict = equal(A.T, WRONG)
    words = "n = 2, K = 2; row 0; column 0; claimed w1, actual w0"
    assert repr(verdict) == f"Refuted: {words} (hint: flip the kernel)"
    lines = verdict.explain().splitlines()
    assert lines[1:3] == ["Refuted.", f"Smallest counterexample: {words}."]
    assert lines[-1] == "Hint: flip the kernel."


def test_words_of_what_is_unknown() -> None:
    pool = ca.sum_pool(n, n, stride=1)
    verdict = equal(pool @ pool.T, n * ca.identity(1))
    assert repr(verdict).startswith("Unknown: in the matrix of a product of these operators")
    assert "Unknown: in the matrix of a product of these operators" in verdict.explain()


def test_the_counterexample_of_the_design() -> None:
    found = equal(A.T, WRONG).counterexample
    assert found is not None
    assert found.sizes == {"n": 2, "K": 2}
    assert (found.row_index, found.column_index) == ((0,), (0,))
    assert (str(found.claimed), str(found.actual)) == ("w1", "w0")


def test_replay_evaluates_both_sides_with_numbers() -> None:
    found = equal(A.T, WRONG).counterexample
    assert found is not None
    claimed, actual = found.replay()
    assert {claimed, actual} == {2, 3}
    assert found.replay() == (claimed, actual)


def test_replay_is_what_was_seen_where_there_is_nothing_to_evaluate() -> None:
    found = Counterexample({}, None, None, "shape (1,)", "shape (2,)")
    assert found.replay() == ("shape (1,)", "shape (2,)")
    assert str(found) == "claimed shape (1,), actual shape (2,)"


def test_products_of_weights_differ_when_replayed() -> None:
    """w0 v1 and w1 v0 are both one weight times another, and still replay as two numbers."""
    v = ca.kernel(K, name="v")
    first = ca.correlation(n - K + 1, v) @ A
    second = ca.correlation(n - K + 1, ca.flip(v)) @ ca.correlation(n, ca.flip(A.kernel))
    found = equal(first, second).counterexample
    assert found is not None
    claimed, actual = found.replay()
    assert claimed != actual


@pytest.mark.parametrize(
    ("index", "words"), [((3,), "row 3; column 3"), ((1, 2), "row (1, 2); column (1, 2)")]
)
def test_an_index_of_one_axis_is_a_number(index: tuple[int, ...], words: str) -> None:
    assert words in str(Counterexample({"n": 1}, index, index, 0, 1))

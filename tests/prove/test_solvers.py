"""The solvers: their answers, and the limit of their work in total."""

from __future__ import annotations

import pytest

from convalg.prove import solvers
from convalg.prove.solvers import Solvers, ask_cvc5, ask_z3, installed

SAT = "(set-logic QF_LIA)\n(declare-const n Int)\n(assert (> n 1))\n(check-sat)\n"
UNSAT = "(set-logic QF_LIA)\n(declare-const n Int)\n(assert (= (* 2 n) 1))\n(check-sat)\n"
CUBES = (
    "(set-logic QF_NIA)\n(declare-const a Int)\n(declare-const b Int)\n(declare-const c Int)\n"
    "(assert (and (> a 0) (> b 0) (> c 0)))\n"
    "(assert (= (+ (* a a a) (* b b b)) (* c c c)))\n(check-sat)\n"
)


@pytest.mark.parametrize(("text", "answer"), [(SAT, "sat"), (UNSAT, "unsat")])
def test_both_solvers_give_the_answer(text: str, answer: str) -> None:
    assert ask_z3(text, 100_000)[0] == answer
    pytest.importorskip("cvc5", reason="needs cvc5")
    assert ask_cvc5(text, 100_000)[0] == answer
    assert Solvers(installed()).answers(text) == {"z3": answer, "cvc5": answer}


def test_hard_questions_end() -> None:
    answer, used = ask_z3(CUBES, 20_000)
    assert answer == "unknown"
    assert used >= 20_000
    pytest.importorskip("cvc5", reason="needs cvc5")
    answer, used = ask_cvc5(CUBES, 2000)
    assert answer == "unknown"
    assert used >= 2000


def test_the_work_is_limited_in_total(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question is within the limit of one, and the sum is not within that of all."""
    cost = ask_z3(SAT, 100_000)[1]
    monkeypatch.setitem(solvers.UNITS_OF_ALL, "z3", 2 * cost)
    z3 = Solvers({"z3": ask_z3})
    answers = [z3.answers(SAT)["z3"] for _ in range(4)]
    assert answers[:2] == ["sat", "sat"]
    assert answers[3] == "unknown"
    assert z3.used_up == ["z3"]


def test_without_cvc5_z3_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solvers, "find_spec", lambda name: None)
    assert list(installed()) == ["z3"]

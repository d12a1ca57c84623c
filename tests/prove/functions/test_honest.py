"""Two tables of user functions: those that deceive are never proved, honest ones always are.

Run with -s to see the tables of outcomes.
"""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import deceiving_functions
import honest_functions
import numpy as np
import pytest

import convalg as ca
from convalg.prove import Verdict

IDENTITY = ca.identity(3)
DECEIVERS = [
    (family, name) for family, functions in deceiving_functions.TABLE.items() for name in functions
]
# A few of each kind run by default.
QUICK_DECEIVERS = [
    pair
    for family, functions in deceiving_functions.TABLE.items()
    for pair in [(family, name) for name in functions][:3]
]
QUICK_HONEST = list(honest_functions.CLAIMS)[::7]


def deceiver(family: str, name: str) -> Verdict:
    return ca.prove.implements(deceiving_functions.TABLE[family][name](), IDENTITY)


def honest(name: str) -> Verdict:
    claim, operator, f = honest_functions.CLAIMS[name]
    found: Verdict = getattr(ca.prove, claim)(f, operator)
    return found


def check_deceiver(family: str, name: str) -> str:
    """Not proved, unless the scope names the dtype that it rounds to; refuted ones replay."""
    verdict = deceiver(family, name)
    outcome = verdict.status
    if verdict.status == "proved":
        assert name in deceiving_functions.SCOPED, (family, name, verdict)
        assert "writes into arrays of float" in verdict.scope
        outcome = "scoped"
    if verdict.status == "refuted":
        assert verdict.counterexample is not None
        claimed, actual = verdict.counterexample.replay()
        assert claimed != actual
    if verdict.status == "unknown":
        assert verdict.reason
    return outcome


@pytest.mark.parametrize(("family", "name"), QUICK_DECEIVERS)
def test_some_deceivers_are_not_proved(family: str, name: str) -> None:
    check_deceiver(family, name)


@pytest.mark.parametrize("name", QUICK_HONEST)
def test_some_honest_functions_are_proved(name: str) -> None:
    assert honest(name), name


@pytest.mark.thorough
def test_no_deceiver_is_proved() -> None:
    outcomes: dict[str, Counter[str]] = {}
    for family, name in DECEIVERS:
        outcomes.setdefault(family, Counter())[check_deceiver(family, name)] += 1
    assert sum(len(functions) for functions in deceiving_functions.TABLE.values()) >= 80
    print(f"\n{'family':24}{'refuted':>9}{'unknown':>9}{'scoped':>9}")
    for family, counts in outcomes.items():
        columns = (counts[status] for status in ("refuted", "unknown", "scoped"))
        print(f"{family:24}{''.join(f'{count:9}' for count in columns)}")


@pytest.mark.thorough
def test_every_honest_function_is_proved() -> None:
    outcomes = {name: honest(name) for name in honest_functions.CLAIMS}
    assert len(outcomes) >= 40
    counts = Counter(verdict.status for verdict in outcomes.values())
    print(f"\nhonest functions: {dict(counts)}")
    assert {name: v for name, v in outcomes.items() if not v} == {}


def test_the_deceivers_do_deceive() -> None:
    """Each differs from the identity on some numbers, unless it is chance, time or memory."""
    samples: list[Any] = [
        np.array([0.3, -1.7, 2.5]),
        np.array([1e6 + 0.25, -3e9, 1e300]),
        np.array([7.25, 3.5, 2.5]),
        np.array([12345.675, 1, 0]),
        np.array([-0.30012345, 0.0, 12345.123456789]),
        np.array([0.0, 1, 2]),
        np.zeros(3),
        np.array([1e3, -1e3, 12.5], np.float32),
        np.array([1.0, 2, 3]),
        np.array([1.0, 1, 1]),
        np.array([1, 2, 3]),
        np.array([0.3, -1.7, 2.5], np.float32),
        np.array([0.3, -1.7, 2.5], np.float16),
    ]
    hidden = {"memory", "randomness", "looking"}
    same = []
    for family, name in DECEIVERS:
        if family in hidden:
            continue
        if all(_is_identity(deceiving_functions.TABLE[family][name](), x) for x in samples):
            same.append(name)
    assert same == [], same


def _is_identity(f: Any, x: Any) -> bool:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = np.array(f(x.copy()))
        except (TypeError, ValueError, AttributeError, ArithmeticError):
            return False
        return found.shape == x.shape and bool(np.all(found == x))

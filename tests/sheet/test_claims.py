"""Claims and derivations on a sheet follow the verdicts of what they compare."""

from __future__ import annotations

from dataclasses import replace

import pytest

import convalg as ca
from convalg.sheet import claims

LAYER = ca.correlation((4, 5), ca.kernel(2, 3), stride=2, padding=1)


def test_a_verdict_becomes_a_claim_only_where_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = ca.correlation(3, [1]), ca.correlation(3, [2])
    (held,) = claims.equal("s", LAYER, LAYER)
    assert held.verdict == "proved at this size, 4 x 5"
    (failed,) = claims.equal("s", one, two)
    assert not failed.check.passed
    family = ca.correlation(ca.sizes("n")[0], ca.kernel(3))
    (proved,) = claims.equal("s", family, family)
    assert proved.verdict == "proved for all n >= 3"
    (same,) = claims.compared("alike", "different", family, family, about=family)
    assert (same.statement, same.check.verdict) == ("alike", "proved")
    (apart,) = claims.compared("alike", "different", one, two)
    assert (apart.statement, apart.check.verdict) == ("different", "shown by a counterexample")
    unknown = replace(ca.prove.equal(LAYER, LAYER), status="unknown")
    monkeypatch.setattr(claims, "decide", lambda *_, **__: unknown)
    assert claims.equal("s", one, one) == claims.compared("a", "b", one, two) == []


def test_a_derivation_with_an_unknown_step_is_left_out() -> None:
    derived = ca.derive.linearity(ca.correlation(4, ca.kernel(2)))
    (shown,) = claims.steps(derived)
    assert len(shown.lines) == len(derived.steps)
    unknown = replace(derived.steps[0].verdict, status="unknown")
    first = replace(derived.steps[0], check=lambda: unknown)
    assert claims.steps(replace(derived, steps=(first, *derived.steps[1:]))) == []

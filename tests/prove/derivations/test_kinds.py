"""The claims of steps: made again from the text of their operator, they have the same formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import convalg as ca
from convalg.errors import ArgumentError, UndecidableError
from convalg.prove import notation
from convalg.prove.derivations.kinds import STEPS, StepClaim

n, K, p, s, d = ca.sizes("n K p s d")
LAYERS: list[Any] = [
    ca.correlation(n, ca.kernel(K), stride=s, padding=p),
    ca.transposed_correlation(n, ca.kernel(K), stride=s, output_padding=s - 1),
    ca.correlation(n, ca.kernel(K), stride=s, padding="same"),
    ca.average_pool(n, K, stride=s),
    ca.correlation(n - K + 1, ca.kernel(2)) @ ca.correlation(n, ca.kernel(K)),
]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
@pytest.mark.parametrize("kind", STEPS)
def test_each_step_names_its_derivation(kind: str, layer: Any) -> None:
    if kind == "kernel_gradient" and "pool" in str(layer):
        return
    found = getattr(ca.derive, kind)(layer)
    for number, step in enumerate(found.steps):
        (claim,) = step.evidence
        assert isinstance(claim, StepClaim)
        entry = claim.manifest()
        assert (entry["derivation"], entry["step"], entry["claim"]) == (kind, number, step.formula)
        again = STEPS[kind](notation.read(entry["operator"]))[number]
        assert (again.formula, again.scope) == (step.formula, entry["scope"])
        texts = [obligation.text for obligation in claim.obligations()]
        domain = again.formulas()[1]
        assert texts
        assert str(domain) == entry["scope"]
        assert all(text.count("(check-sat)") == 1 for text in texts)


def test_a_derivation_and_a_step_have_certificates(tmp_path: Path) -> None:
    found = ca.derive.adjoint(LAYERS[0])
    whole = found.verify().certificate(tmp_path / "whole")
    one = found.steps[3].verdict.certificate(tmp_path / "one")
    assert len(list(whole.iterdir())) > len(list(one.iterdir())) > 2
    for folder in (whole, one):
        result = ca.prove.verify(folder)
        assert result.status == "proved", result.problems


def test_steps_that_are_not_about_integers_have_none(tmp_path: Path) -> None:
    found = ca.derive.batch_norm()
    with pytest.raises(UndecidableError, match="is not a formula of integers, and has no cert"):
        found.steps[0].formulas()
    with pytest.raises(ArgumentError, match="only a proved or refuted claim about operators"):
        found.verify().certificate(tmp_path / "none")

"""The claims of steps: made again from the text of their operator, they have the same formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import convalg as ca
from convalg.errors import ArgumentError, KindError, UndecidableError
from convalg.prove import notation
from convalg.prove.derivations.kinds import STEPS, StepClaim, read_claim

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
        wanted = [obligation.text for obligation in again.formulas().obligations()]
        assert [strip(text) for text in texts] == [strip(text) for text in wanted]
        assert len(texts) >= 1
        assert read_claim(kind, entry["operator"], number).manifest() == entry


def strip(text: str) -> str:
    """The script without its comments."""
    return "\n".join(line for line in text.splitlines() if not line.startswith(";"))


@pytest.mark.parametrize(
    ("kind", "number", "words"),
    [
        ("poetry", 0, "'poetry' is not a kind of derivation: choose from adjoint, kernel_gradient"),
        ("adjoint", 99, "step must be an integer from 0 to 6, not 99"),
        ("adjoint", True, "step must be an integer from 0 to 6, not True"),
        ("adjoint", None, "step must be an integer from 0 to 6, not None"),
    ],
)
def test_a_step_that_does_not_exist_is_refused(kind: str, number: object, words: str) -> None:
    text = notation.write(ca.correlation(n, ca.kernel(K)))
    with pytest.raises(KindError, match=words):
        read_claim(kind, text, number)


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

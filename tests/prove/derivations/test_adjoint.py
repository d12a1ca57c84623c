"""Derivations of adjoints."""

from __future__ import annotations

import convalg as ca


def test_d2_each_step_of_a_border_is_about_its_own_operator() -> None:
    layer = ca.correlation(4, ca.kernel(3), padding=1, boundary="circular")
    formulas = [step.formula for step in ca.derive.adjoint(layer).steps]
    for formula in formulas[4:10]:
        assert not formula.startswith((r"\langle g, A x", r"(A^"))
    assert formulas[-1] == r"A^{\mathsf T} = P^{\mathsf T}\, A'\, P'"


def test_d5_the_adjoint_of_a_convolution_is_a_convolution() -> None:
    found = ca.derive.adjoint(ca.convolution(6, ca.kernel(3), padding=1))
    assert "correlation" not in " ".join(step.reason for step in found.steps)
    assert found.steps[-1].formula == r"A^{\mathsf T} = A'\, P"
    assert found.steps[-2].pieces[-1] == r"(A' v)_{i} = \sum_{t} w_{2 - t}\, v_{i - t + 2}"

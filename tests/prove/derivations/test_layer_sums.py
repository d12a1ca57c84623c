"""Names and sums of a layer in derivations."""

from __future__ import annotations

import convalg as ca

KINDS = ("linearity", "adjoint", "kernel_gradient", "output_size", "receptive_field")


def test_names_of_sizes_are_told_apart_from_those_of_formulas() -> None:
    w, o, t, u = ca.sizes("w o t u")
    layer = ca.correlation(w, ca.kernel(t), padding=o, stride=2)
    for kind in KINDS:
        found = getattr(ca.derive, kind)(layer)
        assert found.verify()
    formulas = [step.formula for step in ca.derive.linearity(layer).steps]
    assert r"\sum_{\hat{t}} \hat{w}_{\hat{t}}\, x_{2 \hat{o} + \hat{t} - o}" in formulas[0]
    border = ca.correlation(u, ca.kernel(3), padding=1, boundary="circular")
    assert r"\rho(\hat{u}) = \hat{u} \bmod u" in ca.derive.linearity(border).steps[0].formula
    channels = ca.correlation(5, ca.kernel(*ca.sizes("A B"), 3))
    assert ca.derive.kernel_gradient(channels).verify()
    assert r"\mathcal{A}" in ca.derive.linearity(channels).steps[0].formula

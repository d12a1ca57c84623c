"""Derivations of kernel gradients."""

from __future__ import annotations

import pytest
from written import formulas

import convalg as ca

n, K = ca.sizes("n K")


def test_the_gradient_is_the_input_correlated_with_the_output_gradient() -> None:
    assert formulas(ca.derive.kernel_gradient(ca.correlation(n, ca.kernel(K), stride=2)))[1:] == [
        r"\frac{\partial}{\partial w_{t}} (A x)_{o} = x_{2 o + t}",
        r"\frac{\partial}{\partial w_{t}} \langle g, A x \rangle = \sum_{o} g_{o}\, x_{2 o + t}",
        r"B \colon \mathbf{R}^{K} \to \mathbf{R}^{\left\lfloor \frac{n - K}{2} \right\rfloor + 1}"
        r",\quad x \in \mathbf{R}^{n},\quad (B u)_{o} = \sum_{t} u_{t}\, x_{2 o + t}",
        r"A x = B w",
        r"\frac{\partial}{\partial w_{t}} \langle g, A x \rangle = (B^{\mathsf T} g)_{t}",
    ]


def test_for_a_transposed_layer_the_output_gradient_and_the_input_are_exchanged() -> None:
    layer = ca.transposed_correlation(n, ca.kernel(K), stride=2)
    assert formulas(ca.derive.kernel_gradient(layer))[2] == (
        r"\frac{\partial}{\partial w_{t}} \langle g, A x \rangle = \sum_{i} x_{i}\, g_{2 i + t}"
    )


@pytest.mark.parametrize(
    ("layer", "tail"),
    [
        (ca.correlation(9, ca.kernel(3)), "x correlated with g"),
        (ca.correlation(9, ca.kernel(3), stride=2), "with g; g dilated by the stride"),
        (ca.convolution(9, ca.kernel(3)), "with g; the taps in reverse order"),
        (
            ca.convolution(9, ca.kernel(3), stride=3),
            "with g; g dilated by the stride, the taps in reverse order",
        ),
        (
            ca.transposed_correlation(9, ca.kernel(3), stride=2),
            "g correlated with x; x dilated by the stride",
        ),
    ],
    ids=str,
)
def test_the_reason_names_the_roles_of_input_and_gradient(layer: ca.Operator, tail: str) -> None:
    assert ca.derive.kernel_gradient(layer).steps[2].reason.endswith(tail)

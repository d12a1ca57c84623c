"""Derivations of products of layers: their gradients in numbers, and factors that are no layer."""

from __future__ import annotations

import numpy as np
import pytest

import convalg as ca
from convalg.errors import KindError
from convalg.prove.derivations.layer_products import LayerProduct

n, s = ca.sizes("n s")
PRODUCT = ca.correlation(n - 2, ca.kernel(2, name="v"), stride=s) @ ca.correlation(n, ca.kernel(3))


def test_the_layers_of_a_product_are_numbered_from_the_first() -> None:
    formulas = [step.formula for step in ca.derive.adjoint(PRODUCT).steps]
    assert formulas[0].startswith(r"A_{1} \colon \mathbf{R}^{n} \to \mathbf{R}^{n - 2}")
    assert formulas[-1] == (
        r"\frac{\partial}{\partial x_{i}} \langle g, A_{2}\, A_{1} x \rangle = "
        r"(A_{1}^{\mathsf T}\, A_{2}^{\mathsf T} g)_{i}"
    )
    gradients = [step.formula for step in ca.derive.kernel_gradient(PRODUCT).steps[2:]]
    assert gradients == [
        r"\frac{\partial}{\partial w^{(1)}_{t}} \langle g, A_{2}\, A_{1} x \rangle = "
        r"\sum_{o} (A_{2}^{\mathsf T} g)_{o}\, x_{o + t}",
        r"\frac{\partial}{\partial w^{(2)}_{t}} \langle g, A_{2}\, A_{1} x \rangle = "
        r"\sum_{o} g_{o}\, (A_{1} x)_{s o + t}",
    ]


def test_the_printed_gradients_are_those_of_numbers() -> None:
    rng = np.random.default_rng(0)
    x, w, v = rng.integers(-4, 5, 9), rng.integers(-4, 5, 3), rng.integers(-4, 5, 2)
    one, two = ca.correlation(9, w), ca.correlation(7, v, stride=2)
    g = rng.integers(-4, 5, two.out_shape)
    back = two.T(g)
    first = [sum(back[o] * x[o + t] for o in range(7)) for t in range(3)]
    second = [sum(g[o] * one(x)[2 * o + t] for o in range(len(g))) for t in range(2)]
    for tap, wanted in enumerate(first):
        unit = ca.correlation(9, np.eye(3, dtype=int)[tap])
        assert wanted == g @ two(unit(x))
    for tap, wanted in enumerate(second):
        unit = ca.correlation(7, np.eye(2, dtype=int)[tap], stride=2)
        assert wanted == g @ unit(one(x))


def test_a_factor_that_is_no_layer_is_refused() -> None:
    with pytest.raises(KindError, match="the adjoint can be derived for a correlation"):
        LayerProduct.of(ca.correlation(6, [1, 2]) @ ca.pad(4, 1), "the adjoint")  # type: ignore[arg-type]

"""Elementwise functions as layers, against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

import convalg as ca
from convalg.network.layers.pointwise import FUNCTIONS, Pointwise

WRONG: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: Pointwise("cosh"), ca.errors.ArgumentError, "function must be one of"),
]


@pytest.mark.parametrize(("make", "error", "message"), WRONG)
def test_arguments_that_do_not_fit_are_refused(
    make: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make()


PARAMETERS = {
    "clip": (-0.5, 0.7),
    "elu": (0.7,),
    "hard_sigmoid": (0.3, 0.4),
    "power": (3,),
    "scaled_tanh": (1.7, 0.6),
}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_derivatives_are_slopes(name: str) -> None:
    # All functions are defined and smooth at these points.
    x = np.array([0.11, 0.45, 0.9, 1.7, 3.3])
    net = ca.sequential((5,), [Pointwise(name, PARAMETERS.get(name, ()))])
    slope = (net(x + 1e-6) - net(x - 1e-6)) / 2e-6
    np.testing.assert_allclose(net.jacobian(x).to_numpy(), np.diag(slope), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("gelu", lambda x: x * stats.norm.cdf(x)),
        ("swish", lambda x: x * special.expit(x)),
        ("softplus", lambda x: np.log1p(np.exp(x))),
        ("hard_swish", lambda x: x * np.clip(x + 3, 0, 6) / 6),
        ("erf", special.erf),
    ],
)
def test_values_are_those_of_the_definition(name: str, formula: Any) -> None:
    x = np.linspace(-5, 5, 41)
    np.testing.assert_allclose(
        ca.sequential((41,), [Pointwise(name)])(x), formula(x), rtol=1e-9, atol=1e-12
    )

"""The derivation of batch normalisation: against numbers, automatic differentiation and mutants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from written import check_latex, check_text

import convalg as ca
from convalg.prove.derivations.batch_norm import (
    LOSS,
    STEPS,
    BatchIdentity,
    beta,
    g,
    gamma,
    i,
    latex,
    m,
    mu,
    sigma,
    total,
    value,
    x,
    z,
)

IDENTITIES = [identity for _, _, identity in STEPS]


def test_every_step_is_proved_and_printed() -> None:
    found = ca.derive.batch_norm()
    assert found.verify()
    check_latex(found)
    check_text(found)
    assert found.steps[-2].formula == (
        r"\frac{\partial}{\partial x_{j}} \sum_{i} g_{i} y_{i} = \frac{\gamma}{\sigma} "
        r"(g_{j} - \frac{1}{m} \sum_{i} g_{i} - \frac{1}{m} z_{j} \sum_{i} g_{i} z_{i})"
    )


@pytest.mark.parametrize("identity", IDENTITIES, ids=str)
def test_a_wrong_step_is_refuted(identity: BatchIdentity) -> None:
    for wrong in (2 * identity.right, identity.right + mu, identity.right / sigma):
        verdict = replace(identity, right=wrong).decide()
        assert verdict.status == "refuted"
        assert verdict.counterexample is not None
    if identity.by == x[sympy.Symbol("j", integer=True)] and identity.left == LOSS:
        # The terms through the mean and the deviation vanish only where these are constants.
        assert not replace(identity, is_fixed=not identity.is_fixed).decide()


@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=2, max_size=6))
def test_the_gradient_is_that_of_automatic_differentiation(batch: list[tuple[int, int]]) -> None:
    torch = pytest.importorskip("torch")
    data = torch.tensor([float(a) for a, _ in batch], dtype=torch.float64, requires_grad=True)
    slopes = torch.tensor([float(b) for _, b in batch], dtype=torch.float64)
    scale, shift, epsilon = 3.0, -2.0, 0.5
    mean = data.mean()
    deviation = ((data - mean) ** 2).mean().add(epsilon).sqrt()
    loss = (slopes * (scale * (data - mean) / deviation + shift)).sum()
    (wanted,) = torch.autograd.grad(loss, data)
    values, own = data.detach().numpy(), slopes.numpy()
    spread = float(deviation.detach())
    normal = (values - values.mean()) / spread
    count = len(batch)
    # The printed right-hand side of the last step but one, with numbers.
    shown = IDENTITIES[-2].right
    for j in range(count):
        sums = {total(g[i]): own.sum(), total(g[i] * z[i]): own @ normal}
        numbers = {gamma: scale, sigma: spread, m: count, beta: shift}
        index = sympy.Symbol("j", integer=True)
        at = shown.subs(sums).subs({g[index]: own[j], z[index]: normal[j]}).subs(numbers)
        assert np.isclose(float(at), float(wanted[j]), atol=1e-9)


def test_sums_are_taken_over_all_samples() -> None:
    assert value(total(sympy.Integer(1))) == m
    assert latex(total(x[i] - mu)) == r"\sum_{i} (x_{i} - \mu)"
    assert BatchIdentity(total(x[i] - mu), sympy.Integer(0)).decide()
    assert BatchIdentity(total(z[i]), sympy.Integer(0)).decide()

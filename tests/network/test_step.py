"""One step of back-propagation as a chain of transposed matrices."""

from __future__ import annotations

import numpy as np
import pytest

import convalg as ca
from convalg import limits

L = ca.layers


def branched() -> ca.Network:
    net = ca.Network((2, 6))
    first = net.add(L.Conv(2, 3, padding=1))
    second = net.add(L.ReLU())
    net.add(L.Concat(), [first, second, "input"])
    net.add(L.Add(), ["concat1", "concat1"])
    net.add(L.Dense(3))
    return net.initialise(1, dtype=np.float64)


def straight() -> ca.Network:
    layers = [L.Conv(3, 3, padding=1), L.BatchNorm(), L.MaxPool(2), L.Tanh(), L.Dense(4)]
    return ca.sequential((1, 6, 6), layers).initialise(1, dtype=np.float64)


@pytest.mark.parametrize("make", [branched, straight])
def test_gradients_are_the_products_and_the_slopes(make: object) -> None:
    net = make()  # type: ignore[operator]
    x = np.random.default_rng(2).standard_normal(net.in_shape)
    step = net.explain_step(x, 1)

    def loss() -> float:
        y = net(x)
        return float(np.log(np.exp(y).sum()) - y[1])

    assert step.loss == pytest.approx(loss())
    for row in step.parameters:
        chain = step.product(row.node, row.parameter)
        np.testing.assert_allclose(chain(step.loss_gradient), row.gradient, atol=1e-12)
        assert (step.gradient(row.node, row.parameter) == row.gradient).all()
        array = net.weights[row.node][row.parameter]
        place = (0,) * array.ndim
        values = []
        for move in (1e-6, -1e-6):
            moved = array.copy()
            moved[place] += move
            net.weights[row.node][row.parameter] = moved
            values.append(loss())
        net.weights[row.node][row.parameter] = array
        assert row.gradient[place] == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-7)


def test_the_chain_has_the_transposed_shapes() -> None:
    net = straight()
    step = net.explain_step(np.zeros((1, 6, 6)), 0)
    shapes = {row.node: row.shape for row in step.back}
    assert shapes["conv1"] == (36, 108)
    assert shapes["maxpool1"] == (108, 27)
    assert [row.nonzeros for row in step.back if row.node == "maxpool1"] == [27]
    text = str(step)
    assert "one step of back-propagation" in text
    assert "36 x 108" in text


def test_a_matrix_that_would_not_fit_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    step = straight().explain_step(np.zeros((1, 6, 6)), 0)
    monkeypatch.setattr(limits, "MEMORY_LIMIT", 1000)
    counted = {row.node: row.nonzeros for row in step.back}
    assert counted["conv1"] is None
    assert "-" in str(step)


def test_what_there_is_not() -> None:
    step = straight().explain_step(np.zeros((1, 6, 6)), 0)
    with pytest.raises(ca.errors.ArgumentError, match=r"there is no parameter relu1\.kernel"):
        step.gradient("relu1", "kernel")
    with pytest.raises(
        ca.errors.ArgumentError, match="labels must be between 0 and 3 for 4 classes"
    ):
        straight().explain_step(np.zeros((1, 6, 6)), 4)

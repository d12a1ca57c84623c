"""LeNet-5 and the perceptron: the counts of the paper of 1998."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from published_networks import check_slope

import convalg as ca

zoo = ca.zoo


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("lenet5", {}, 60_000),
    ],
)
def test_published_parameters(name: str, options: dict[str, Any], count: int) -> None:
    assert getattr(zoo, name)(**options).parameters == count


@pytest.mark.parametrize(
    ("name", "options", "node", "shape"),
    [
        ("mlp", {}, None, (10,)),
    ],
)
def test_published_shapes(
    name: str, options: dict[str, Any], node: str | None, shape: tuple[int, ...]
) -> None:
    net = getattr(zoo, name)(**options)
    assert (net.out_shape if node is None else net.shapes[node]) == shape


@pytest.mark.parametrize(
    ("make", "count"),
    [
        pytest.param(lambda: zoo.lenet5(), 10, id="lenet5"),
        pytest.param(lambda: zoo.mlp((1, 6, 6), 4, hidden=(5,)), 4, id="mlp"),
    ],
)
def test_small_ones_have_their_slope_as_jacobian(make: Callable[[], Any], count: int) -> None:
    check_slope(make(), count)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: zoo.lenet5(output="rbf"), "output must be one of"),
        (lambda: zoo.lenet5((1, 9, 9)), "cannot be applied to"),
    ],
)
def test_bad_choices(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ca.errors.ConvalgError, match=words):
        call()


def test_lenet_is_the_one_of_1998() -> None:
    net = zoo.lenet5()
    wanted = {
        "C1": (156, 122_304, 5),
        "S2": (12, 5_880, 6),
        "C3": (1_516, 151_600, 14),
        "S4": (32, 2_000, 16),
        "C5": (48_120, 48_120, 32),
        "F6": (10_164, 10_164, 32),
    }
    for node, (parameters, connections, size) in wanted.items():
        cost = net.cost(node)
        # A connection for each weight that is used and each bias: unshared, all are parameters.
        assert (cost.parameters, cost.unshared) == (parameters, connections), node
        assert net.receptive_field(node).size == (size, size), node

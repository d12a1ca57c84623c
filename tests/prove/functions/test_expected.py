"""The polynomials that a function should return, against NumPy and loops on numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.prove.decisions.polynomials import Polynomial
from convalg.prove.functions.expected import gradients, has_kernel, outputs, polynomials
from convalg.prove.functions.trace import unknowns

LAYERS = {
    "one axis": ca.correlation(6, [2, -1, 3], stride=2, padding=1),
    "two axes": ca.correlation((3, 4), [[1, 2], [3, 4]]),
    "channels": ca.correlation(4, np.arange(1, 9).reshape(2, 2, 2), padding=1),
}


def at(array: Any, inputs: dict[str, Any], numbers: dict[str, Any]) -> Any:
    """Polynomials at numbers."""
    values = {
        next(iter(unknown.generators)): int(number)
        for name, held in inputs.items()
        for unknown, number in zip(held.ravel(), numbers[name].ravel(), strict=True)
    }
    found = [value.at(values) for value in array.ravel()]
    return np.array(found, dtype=int).reshape(array.shape)


@pytest.mark.parametrize("name", LAYERS)
def test_outputs_and_gradients_are_those_of_numbers(name: str) -> None:
    layer = LAYERS[name]
    random = np.random.default_rng(0)
    shapes = {"x": layer.in_shape, "w": layer.kernel.shape, "g": layer.out_shape}
    inputs = {key: unknowns(shape, key) for key, shape in shapes.items()}
    numbers = {key: random.integers(-5, 6, shape) for key, shape in shapes.items()}
    filled = layer.refill(numbers["w"])
    y = at(outputs(layer, {k: inputs[k] for k in "xw"})["y"], inputs, numbers)
    assert np.array_equal(y, filled(numbers["x"]))
    expected = {key: at(held, inputs, numbers) for key, held in gradients(layer, inputs).items()}
    assert np.array_equal(expected["dx"], filled.T(numbers["g"]))
    # The gradient of L = sum of g y, by the difference of L: y is linear in w.
    for index in np.ndindex(*layer.kernel.shape):
        more = numbers["w"].copy()
        more[index] += 1
        gap = layer.refill(more)(numbers["x"]) - filled(numbers["x"])
        assert expected["dw"][index] == (numbers["g"] * gap).sum()
    per_channel = numbers["g"].sum(axis=-1) if name == "channels" else numbers["g"].sum()
    assert np.array_equal(expected["db"], per_channel)


def test_without_x_there_is_no_gradient_of_the_kernel() -> None:
    layer = LAYERS["one axis"]
    assert set(gradients(layer, {"g": unknowns(layer.out_shape, "g")})) == {"dx", "db"}


def test_without_a_kernel_there_is_only_one_gradient() -> None:
    pool = ca.sum_pool(4, 2)
    assert not has_kernel(pool)
    g = unknowns((2,), "g")
    (dx,) = gradients(pool, {"g": g}).values()
    assert [a.same(b) for a, b in zip(dx, np.repeat(g, 2), strict=True)] == [True] * 4


def test_numbers_are_constant_polynomials() -> None:
    assert polynomials(np.array([0.5, 2])).tolist() == [Polynomial.of(0.5), Polynomial.of(2)]

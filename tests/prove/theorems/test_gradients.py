"""Kernel gradients at numbers, against the chain rule on every single product."""

from __future__ import annotations

import brute
import naive
import numbered
import numpy as np
import pytest

import convalg as ca
from convalg.prove.theorems import gradients
from convalg.prove.theorems.theorem import Equality

CLAIMS = numbered.claims(gradients.THEOREMS)


@pytest.mark.parametrize("case", CLAIMS, ids=numbered.named)
def test_both_sides_return_the_same_numbers(case: tuple[str, Equality]) -> None:
    numbered.check_applied(case[1])


@pytest.mark.parametrize(
    ("outputs", "taps", "stride", "dilation", "padding", "rest"),
    [(3, 2, 2, 3, 1, 1), (2, 3, 1, 2, 0, 1), (4, 2, 3, 1, 2, 2)],
)
def test_stride_and_dilation_are_exchanged(
    outputs: int, taps: int, stride: int, dilation: int, padding: int, rest: int
) -> None:
    (claim,) = ca.theorems["kernel-gradient-dilation"].claims()
    letters = {"o": outputs, "K": taps, "s": stride, "d": dilation, "p": padding, "a": rest}
    gradient = brute.at(claim.sides()[1], letters)
    size = stride * (outputs - 1) + dilation * (taps - 1) + 1 - 2 * padding + rest
    layer = naive.correlation(size, (taps,), stride=stride, dilation=dilation, padding=padding)
    g = np.array([*range(1, outputs + 1)] + [0] * (layer.out_shape[0] - outputs))
    expected = layer.kernel_back(numbered.kernel(size, name="x"), g)
    assert numbered.valued(gradient(g[:outputs])).tolist() == expected.tolist()


@pytest.mark.parametrize(("name", "groups"), [("channels", 1), ("depthwise", 3)])
def test_gradients_of_channels_are_those_of_the_loops(name: str, groups: int) -> None:
    (claim,) = ca.theorems[f"kernel-gradient-{name}"].claims()
    gradient = brute.at(claim.sides()[1], {"n": 4, "C": 3, "K": 2, "p": 1, "D": 2})
    inputs = 3 if groups > 1 else 2
    shape = (3, inputs // groups, 2)
    layer = naive.correlation((4,), shape, padding=1, groups=groups)
    g = np.arange(np.prod(layer.out_shape)).reshape(layer.out_shape) % 5 - 2
    expected = layer.kernel_back(numbered.kernel(inputs, 4, name="x"), g)
    assert numbered.valued(gradient(g)).tolist() == expected.tolist()


def test_the_bias_receives_the_sum_over_the_pixels() -> None:
    (claim,) = ca.theorems["bias-gradient"].claims()
    for side in claim.sides():
        summing = brute.at(side, {"C": 2, "n": 2, "m": 3})
        assert summing(np.arange(12).reshape(2, 2, 3)).ravel().tolist() == [15, 51]

"""Tensors of PyTorch through operators: the same numbers, gradients, devices and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import NAMED, Case, trees
from hypothesis import given
from strategies import Drawn, layers

import convalg as ca

torch = pytest.importorskip("torch")


def held(operator: ca.Operator, x: np.ndarray) -> None:
    """A(tensor) is A(array), and autograd's gradient is A.T."""
    tensor = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    y = operator(tensor)
    assert isinstance(y, torch.Tensor)
    np.testing.assert_array_equal(y.detach().numpy(), operator(x))
    g = np.arange(1, y.numel() + 1).reshape(y.shape)
    y.backward(torch.tensor(g, dtype=torch.float64))
    np.testing.assert_array_equal(tensor.grad.numpy(), operator.T(g))


def whole(operator: ca.Operator, *batch: int) -> np.ndarray:
    shape = (*batch, *operator.in_shape)
    return np.random.default_rng(0).integers(-4, 5, size=shape)


@given(layers())
def test_layers_are_pytorchs_convolutions(drawn: Drawn) -> None:
    operator = drawn.operator
    held(operator, whole(operator, 2))
    held(operator.T, whole(operator.T))


@given(trees())
def test_trees(case: Case) -> None:
    held(case.operator, whole(case.operator, 2, 1))


@pytest.mark.parametrize("name", sorted(NAMED))
def test_named_operators(name: str) -> None:
    operator = NAMED[name]().operator
    held(operator, whole(operator, 1))


@given(layers())
def test_kernel_gradients(drawn: Drawn) -> None:
    operator = drawn.operator
    x, g = whole(operator, 2), whole(operator.T, 2)
    found = operator.kernel_gradient(torch.tensor(x).double(), torch.tensor(g).double())
    assert isinstance(found, torch.Tensor)
    np.testing.assert_array_equal(found.numpy(), operator.kernel_gradient(x, g))


def test_types_and_devices_stay() -> None:
    layer = ca.correlation((8, 8), np.ones((4, 2, 3, 3)), padding=1)
    for kind in (torch.float32, torch.float64):
        assert layer(torch.ones((2, 8, 8), dtype=kind)).dtype == kind
    on_no_device = torch.ones((5, 2, 8, 8), device="meta")
    assert layer(on_no_device).device.type == "meta"
    assert layer(on_no_device).shape == (5, 4, 8, 8)


def test_nothing_made_in_inference_mode_stays() -> None:
    # Negative strides have no convolution of PyTorch's.
    layer = ca.flip_axes(4) @ ca.correlation(5, [1, 2])
    x = torch.arange(5.0, dtype=torch.float64)
    with torch.inference_mode():
        layer(x)
    held(layer, x.numpy())


BAD: list[tuple[Any, str]] = [
    (lambda: ca.identity(3)(torch.ones(3, dtype=torch.int64)), "a tensor must be floating-point"),
    (lambda: ca.identity(3)(torch.ones(4)), "the tensor must have shape"),
    (lambda: ca.correlation(3, ca.kernel(2))(torch.ones(3)), "symbols, which no tensor can hold"),
]


@pytest.mark.parametrize(("call", "words"), BAD, ids=["kind", "shape", "symbols"])
def test_bad_tensors(call: Any, words: str) -> None:
    with pytest.raises(ca.errors.ConvalgError, match=words):
        call()

"""Derivatives with respect to the kernel, through everything that may stand around a layer."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import Drawn, integers, layers

import convalg as ca
from convalg.errors import ArgumentError, KindError, ShapeError

W = np.array([[1, -2], [3, 4]])
DEEP = np.arange(12).reshape(3, 2, 2) - 5

AROUND: dict[str, Callable[[], ca.Operator]] = {
    "layer": lambda: ca.correlation((4, 4), W, padding=1),
    "convolution": lambda: ca.convolution((4, 4), W, stride=2),
    "channels": lambda: ca.correlation(5, DEEP, boundary="circular", padding="same"),
    "adjoint": lambda: ca.correlation(5, DEEP, stride=2).T,
    "transposed": lambda: ca.transposed_correlation(3, [1, 2, 3], stride=2, output_padding=1),
    "scaled": lambda: 3 * ca.correlation(5, [1, 2]),
    "scaled by a fraction": lambda: Fraction(1, 4) * ca.correlation(5, [1, 2]),
    "negative": lambda: -ca.correlation(5, [1, 2]).T,
    "after a pad": lambda: ca.correlation(6, [1, 2]) @ ca.pad(4, 1, boundary="edge"),
    "before a crop": lambda: ca.crop(5, 1) @ ca.correlation(6, [1, 2]),
    "in the middle": lambda: (
        ca.downsample(5, 2) @ (2 * ca.correlation(6, [1, 2])) @ ca.flip_axes(6)
    ),
    "adjoint in the middle": lambda: (
        ca.crop(6, 1) @ ca.correlation(6, [1, 2]).T @ ca.diagonal([1, 2, 3, 4, 5])
    ),
    "masked": lambda: ca.diagonal([1, 0, 1, 0]) @ ca.correlation(5, [1, 2]),
    "flattened": lambda: (
        ca.dense(np.arange(18).reshape(2, 9)) @ ca.reshape((3, 3), 9) @ ca.correlation((4, 4), W)
    ),
    "two factors around": lambda: -2 * (ca.crop(5, 1) @ (3 * ca.correlation(6, [1, 2]))),
}


@pytest.mark.parametrize("name", AROUND)
def test_by_kernel_is_the_operator_seen_from_the_kernel(name: str) -> None:
    """Column by column: A with a kernel of one 1, applied to x."""
    operator = AROUND[name]()
    w = operator.kernel
    x = np.arange(operator.shape[1]).reshape(operator.in_shape) ** 2 % 7 - 3
    turned = operator.by_kernel(x)
    assert turned.in_shape == w.shape
    assert turned.out_shape == operator.out_shape
    basis = np.eye(w.size, dtype=int).reshape(-1, *w.shape)
    columns = [operator.refill(one)(x).ravel() for one in basis]
    assert np.array_equal(turned.to_numpy(), np.stack(columns, axis=1))
    assert np.array_equal(turned(w), operator(x))
    assert np.array_equal(turned(basis).reshape(w.size, -1), np.stack(columns))


@pytest.mark.parametrize("name", AROUND)
def test_kernel_gradient_is_the_adjoint_of_by_kernel(name: str) -> None:
    operator = AROUND[name]()
    w = operator.kernel
    x = (np.arange(3 * operator.shape[1]) ** 2 % 7 - 3).reshape(3, *operator.in_shape)
    g = (np.arange(3 * operator.shape[0]) ** 2 % 5 - 2).reshape(3, *operator.out_shape)
    each = [operator.kernel_gradient(a, b) for a, b in zip(x, g, strict=True)]
    for a, b, found in zip(x, g, each, strict=True):
        assert found.shape == w.shape
        assert np.array_equal(found, operator.by_kernel(a).T(b))
    assert np.array_equal(operator.kernel_gradient(x, g), sum(each))
    nested = operator.kernel_gradient(x[:, None], g[:, None])
    assert np.array_equal(nested, sum(each))


@pytest.mark.parametrize("name", AROUND)
def test_kernel_gradient_is_a_difference_quotient(name: str) -> None:
    """L(w) = <g, A(w) x> is linear in w, so one step of 1 along each weight is exact."""
    operator = AROUND[name]()
    w = operator.kernel
    x = np.arange(operator.shape[1]).reshape(operator.in_shape) % 5 - 2
    g = np.arange(operator.shape[0]).reshape(operator.out_shape) % 3 - 1
    gradient = operator.kernel_gradient(x, g)
    for index in np.ndindex(*w.shape):
        moved = np.array(w)
        moved[index] += 1
        step = (g * operator.refill(moved)(x)).sum() - (g * operator(x)).sum()
        assert gradient[index] == step


@given(layers(), st.data())
def test_a_layer_is_linear_in_its_kernel(drawn: Drawn, data: st.DataObject) -> None:
    operator = drawn.operator
    x = data.draw(integers(operator.in_shape), label="x")
    v = data.draw(integers(drawn.weights.shape), label="v")
    joint = operator.refill(2 * drawn.weights - 3 * v)(x)
    assert np.array_equal(joint, 2 * operator(x) - 3 * operator.refill(v)(x))


@pytest.mark.parametrize("name", AROUND)
def test_refill_reaches_the_layer_inside(name: str) -> None:
    operator = AROUND[name]()
    w = np.arange(operator.kernel.size).reshape(operator.kernel.shape)
    again = operator.refill(w)
    assert type(again) is type(operator)
    assert np.array_equal(again.kernel, w)
    assert np.array_equal(again.refill(operator.kernel).to_numpy(), operator.to_numpy())
    assert np.array_equal(again.T.refill(w).to_numpy(), again.to_numpy().T)


def test_the_adjoint_shares_the_kernel() -> None:
    layer = ca.correlation((4, 4), W)
    assert layer.T.kernel is layer.kernel
    assert np.array_equal(layer.T.refill(2 * W).T.kernel, 2 * W)


def test_by_kernel_keeps_the_sample_it_was_given() -> None:
    x = np.array([1, 2, 3])
    turned = ca.correlation(3, [1, 1]).by_kernel(x)
    x[:] = 0
    assert turned([1, 0]).tolist() == [1, 2]


@pytest.mark.parametrize("face", ["by_kernel", "kernel_gradient"])
def test_what_cannot_be_differentiated_says_so(face: str) -> None:
    layer, x, g = ca.correlation(3, [1, 2, 3], padding=1), np.ones((3, 1)), np.ones((3, 1))
    arguments = (x,) if face == "by_kernel" else (x, g)
    with pytest.raises(
        KindError, match="derivative by a kernel inside an operator of type Kron is not"
    ):
        getattr(layer.kron(ca.identity(1)), face)(*arguments)
    with pytest.raises(KindError, match=r"exactly one kernel, but .* contains 2: use"):
        getattr(layer @ layer.T, face)(*arguments)
    with pytest.raises(KindError, match=r"exactly one kernel, but .* contains 0: use"):
        getattr(ca.identity(3), face)(*arguments)


def test_shapes_are_checked() -> None:
    layer = ca.correlation(4, [1, 2])
    with pytest.raises(ShapeError, match=r"kernel must have shape \(2,\), not \(3,\)"):
        layer.refill([1, 2, 3])
    with pytest.raises(ShapeError, match="x must be one sample"):
        layer.by_kernel(np.ones((2, 4)))
    with pytest.raises(ShapeError, match="x and g must have the same batch axes"):
        layer.kernel_gradient(np.ones((2, 4)), np.ones((3, 3)))
    with pytest.raises(ShapeError, match="x and g must have the same batch axes"):
        layer.kernel_gradient(np.ones((2, 4)), np.ones(3))
    with pytest.raises(ArgumentError, match="finite"):
        layer.refill([1.0, np.nan])

"""Maps made of maps: chains, sums, concatenations and biases, their Jacobians and parameters."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import naive_layers as naive
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layer_strategies import STEP, check_adjoint, check_slope, distinct
from strategies import integers

import convalg as ca
from convalg.errors import ExactnessError, KindError, ShapeError

Weights = dict[str, np.ndarray]


def network(p: Weights) -> ca.Map:
    """Convolution, ReLU, pooling, two branches beside each other, a dense layer, a residual.

    The names of the arrays are those of the parameters of the whole.
    """
    first = ca.affine(ca.correlation((4, 4), p["0.kernel"], padding=1), p["0.bias"])
    left = ca.affine(ca.correlation((2, 2), p["3.0.0.kernel"]), p["3.0.0.bias"])
    right = ca.correlation((2, 2), p["3.1.kernel"], padding="same")
    branches = ca.concat([ca.leaky_relu((1, 2, 2), 2) @ left, right])
    head = ca.affine(ca.dense(p["4.weights"], (2, 2, 2)), p["4.bias"])
    return head @ branches @ ca.max_pool((4, 4), 2, channels=2) @ ca.relu((2, 4, 4)) @ first


SHAPES = {
    "0.kernel": (2, 1, 3, 3),
    "0.bias": (2,),
    "3.0.0.kernel": (1, 2, 1, 1),
    "3.0.0.bias": (1,),
    "3.1.kernel": (1, 2, 1, 1),
    "4.weights": (3, 8),
    "4.bias": (3,),
}


def weights(seed: int) -> Weights:
    random = np.random.default_rng(seed)
    return {name: random.integers(-3, 4, shape) for name, shape in SHAPES.items()}


@settings(max_examples=25)
@given(st.integers(0, 10**6), integers((1, 4, 4)), integers((3,)))
def test_parameters_by_their_effect(seed: int, x: np.ndarray, g: np.ndarray) -> None:
    """Column k of `by` is what one more of weight k adds, where all pieces stay the same.

    Twice as much changes twice as much just there; one weight at a time, all of every array.
    """
    p, seen = weights(seed), 0
    net = network(p)
    assert {name: value.shape for name, value in net.parameters.items()} == SHAPES
    gradients = net.parameter_gradients(x, g)
    for name, shape in SHAPES.items():
        jacobian = net.by(name, x)
        assert (jacobian.in_shape, jacobian.out_shape) == (shape, (3,))
        check_adjoint(jacobian, g, p[name])
        assert np.array_equal(gradients[name], jacobian.T(g))
        for place in np.ndindex(*shape):
            unit = np.zeros(shape, dtype=int)
            unit[place] = 1
            moved = [network({**p, name: p[name] + k * unit})(x) - net(x) for k in (-1, 1)]
            if np.array_equal(moved[0], -moved[1]):
                seen += 1
                assert np.array_equal(jacobian(unit), moved[1])
                assert gradients[name][place] == naive.inner(g, moved[1])
    assert seen > 20


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.data())
def test_the_jacobian_of_a_network(seed: int, data: st.DataObject) -> None:
    """f(x + e) - f(x) = J(x) e where both sides of x agree, and <g, J v> = <J^T g, v>."""
    net = network(weights(seed))
    x, step = data.draw(distinct((1, 4, 4))), data.draw(integers((1, 4, 4), size=1))
    g = data.draw(integers((3,)))
    jacobian = net.at(x)
    check_adjoint(jacobian, g, step)
    assert np.array_equal(net.gradient(x, g), jacobian.T(g))
    scaled = 100 * x
    assume(np.array_equal(net(scaled + step) - net(scaled), net(scaled) - net(scaled - step)))
    check_slope(net, scaled, step)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.data())
def test_gradients_of_a_batch(seed: int, data: st.DataObject) -> None:
    net = network(weights(seed))
    x, g = data.draw(integers((2, 3, 1, 4, 4))), data.draw(integers((2, 3, 3)))
    back = net.gradient(x, g)
    totals = dict.fromkeys(SHAPES, 0)
    for place in np.ndindex(2, 3):
        assert np.array_equal(back[place], net.gradient(x[place], g[place]))
        for name, value in net.parameter_gradients(x[place], g[place]).items():
            totals[name] = totals[name] + value
    found = net.parameter_gradients(x, g)
    assert all(np.array_equal(found[name], totals[name]) for name in SHAPES)
    assert net(x).shape == (2, 3, 3)


PIECES: list[Callable[[], ca.Map]] = [
    lambda: ca.relu(3),
    lambda: ca.affine(ca.dense([[1, 2, 0], [0, -1, 1], [1, 1, 1]]), [1, 2, 3]),
    lambda: ca.correlation(3, [1, -1, 2], padding=1),
    lambda: ca.identity(3),
    lambda: ca.leaky_relu(3, 2) + ca.identity(3),
]


@pytest.mark.parametrize("trio", list(itertools.permutations(range(len(PIECES)), 3)))
def test_composition_is_associative(trio: tuple[int, int, int]) -> None:
    a, b, c = (PIECES[k]() for k in trio)
    left, right = (a @ b) @ c, a @ (b @ c)
    for x in ([1, -2, 3], [-4, 0, 5], [0, 0, 0]):
        assert np.array_equal(left(x), right(x))
        assert np.array_equal(left(x), a(b(c(x))))
        assert np.array_equal(left.at(x).to_numpy(), right.at(x).to_numpy())
        chained = a.at(b(c(x))).to_numpy() @ b.at(c(x)).to_numpy() @ c.at(x).to_numpy()
        assert np.array_equal(left.at(x).to_numpy(), chained)


def test_maps_and_operators_mix() -> None:
    operator, f = ca.correlation(3, [1, 2], padding=((0, 1),)), ca.relu(3)
    x = np.array([3, -5, 1])
    assert np.array_equal((operator @ f)(x), operator(f(x)))
    assert np.array_equal((f @ operator)(x), f(operator(x)))
    assert np.array_equal((operator + f)(x), operator(x) + f(x))
    assert np.array_equal((f + operator)(x), f(x) + operator(x))
    assert np.array_equal(
        (f + f + operator).at(x).to_numpy(), 2 * f.at(x).to_numpy() + operator.to_numpy()
    )
    for made in (operator @ f, f @ operator, operator + f, f + operator):
        assert not isinstance(made, ca.Operator)
        assert isinstance(made.at(x), ca.Operator)
    # Products and sums of operators alone stay operators.
    assert isinstance(operator @ operator, ca.Operator)
    assert isinstance(ca.concat([operator, operator]), ca.Operator)


def test_names_count_the_parts_from_the_input_on() -> None:
    layer = ca.affine(ca.correlation(4, [1, 2], padding=((0, 1),)), 1)
    net = ca.relu(4) @ layer @ ca.relu(4) @ layer
    assert list(net.parameters) == ["0.kernel", "0.bias", "2.kernel", "2.bias"]
    both = ca.concat([net, ca.relu(4), layer])
    assert list(both.parameters) == [
        *(f"0.{name}" for name in net.parameters),
        "2.kernel",
        "2.bias",
    ]
    added = ca.identity(4) + layer + (layer + ca.relu(4))
    assert list(added.parameters) == ["1.kernel", "1.bias", "2.kernel", "2.bias"]
    assert list((ca.identity(4) @ ca.dense(np.eye(4, dtype=int))).parameters) == ["weights"]
    # Ten parts and more: the number is a number, not a digit.
    deep = ca.relu(4)
    for _ in range(12):
        deep = layer @ deep
    assert list(deep.parameters)[-1] == "12.bias"
    assert deep.by("12.bias", [1, 2, 3, 4]).to_numpy().tolist() == [[1]] * 4


@given(st.integers(1, 3), st.data())
def test_concatenation_on_every_axis(dims: int, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-dims, dims - 1))
    shape = [data.draw(st.integers(1, 3)) for _ in range(dims)]
    before = tuple(shape)
    parts: list[ca.Map] = []
    for _ in range(data.draw(st.integers(1, 3))):
        after = list(shape)
        after[axis] = data.draw(st.integers(1, 3))
        count = int(np.prod(after))
        matrix = data.draw(integers((count, int(np.prod(before)))))
        part: ca.Map = ca.dense(matrix, before, out_shape=tuple(after))
        parts.append(ca.relu(tuple(after)) @ part if data.draw(st.booleans()) else part)
    joined = ca.concat(parts, axis)
    x = data.draw(integers((2, *before)))
    place = axis if axis < 0 else axis + 1
    assert np.array_equal(joined(x), np.concatenate([part(x) for part in parts], place))
    assert joined.out_shape == joined(x).shape[1:]
    g = data.draw(integers((2, *joined.out_shape)))
    cuts = np.cumsum([part.out_shape[axis] for part in parts])[:-1]
    pieces = np.split(g, cuts, axis=place)
    right = sum(part.gradient(x, piece) for part, piece in zip(parts, pieces, strict=True))
    assert np.array_equal(joined.gradient(x, g), right)
    check_adjoint(joined.at(x[0]), g[0], x[0])


def test_embeddings_are_the_identity_in_parts() -> None:
    shapes = [(2, 1), (2, 3), (2, 2)]
    parts = ca.embeddings(shapes, -1)
    total = sum((part @ part.T for part in parts[1:]), parts[0] @ parts[0].T)
    assert ca.prove.equal(total, ca.identity((2, 6)))
    for part, shape in zip(parts, shapes, strict=True):
        assert (part.in_shape, part.out_shape) == (shape, (2, 6))
        assert ca.prove.equal(part.T @ part, ca.identity(shape))
    assert (parts[0].T @ parts[1]).to_numpy().any() == np.False_
    assert ca.embeddings([5, 3])[1].out_shape == (8,)
    n = ca.sizes("n")[0]
    assert [part.out_shape for part in ca.embeddings([(n, 2), (3, 2)])] == [(n + 3, 2)] * 2


LAYER = ca.correlation((3, 3), np.arange(8).reshape(2, 1, 2, 2) - 3)


@pytest.mark.parametrize("bias", [5, [1, -2], np.arange(8).reshape(2, 2, 2)], ids=str)
def test_a_bias_is_spread_and_its_gradient_gathered(bias: Any) -> None:
    values = np.asarray(bias)
    layer = ca.affine(LAYER, bias)
    x = np.arange(18).reshape(2, 1, 3, 3) % 7
    wide = values.reshape(-1, 1, 1) if values.ndim == 1 else values
    assert np.array_equal(layer(x), LAYER(x) + wide)
    assert layer.at(x[0]) is LAYER
    jacobian = layer.by("bias", x[0])
    assert (jacobian.in_shape, jacobian.out_shape) == (values.shape, (2, 2, 2))
    assert np.array_equal(jacobian(values), np.broadcast_to(wide, (2, 2, 2)))
    g = np.arange(16).reshape(2, 2, 2, 2)
    found = layer.parameter_gradients(x, g)["bias"]
    assert found.shape == values.shape
    right = {0: g.sum(), 1: g.sum(axis=(0, 2, 3)), 3: g.sum(axis=0)}[values.ndim]
    assert np.array_equal(found, right)
    check_adjoint(jacobian, g[0], values)


def test_affine_is_linear_only_without_its_bias() -> None:
    verdict = ca.prove.linear(ca.affine(ca.correlation(3, [1, 2]), [0, 1]))
    assert verdict.status == "refuted"
    assert verdict.counterexample is not None
    # f(0) is not 0.
    assert not np.any(np.asarray(list(verdict.counterexample.inputs.values())))
    assert ca.prove.linear(ca.affine(ca.correlation(3, [1, 2]), 0))


def test_small_integers_do_not_wrap() -> None:
    x = np.array([100, 120, 127], dtype=np.int8)
    kernel = np.array([100], dtype=np.int8)
    layer = ca.affine(ca.correlation(3, kernel), np.array(127, dtype=np.int8))
    assert layer(x).tolist() == [10_127, 12_127, 12_827]
    assert (ca.relu(3) + ca.relu(3))(x).tolist() == [200, 240, 254]
    assert (ca.relu(3) @ layer)(x).tolist() == [10_127, 12_127, 12_827]
    assert ca.affine(ca.identity(2), -1)(np.array([0, 5], dtype=np.uint8)).tolist() == [-1, 4]
    with pytest.raises(ExactnessError, match="which does not fit in a signed 64-bit integer"):
        ca.affine(ca.identity(1), 1)([2**63 - 1])
    with pytest.raises(ExactnessError, match="which does not fit in a signed 64-bit integer"):
        (ca.relu(1) + ca.relu(1))([2**62])


def test_gradients_of_a_batch_do_not_wrap() -> None:
    layer = ca.affine(ca.identity(1), 0)
    try:
        found = layer.parameter_gradients([[1], [1]], [[2**62], [2**62]])["bias"]
    except ExactnessError:
        return
    assert int(found) == 2**63


def test_a_bias_of_one_number_is_a_relation_too() -> None:
    jacobian = ca.affine(ca.identity(3), 7).by("bias", [1, 2, 3])
    assert jacobian.to_isl().wrap().count_val().to_python() == 3


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_the_type_of_floats_is_kept(kind: str) -> None:
    x = np.array([1, -2, 3], dtype=kind)
    kernel = np.array([1, 2], dtype=kind)
    layer = ca.affine(ca.correlation(3, kernel), np.array(0.5, dtype=kind))
    for f in (layer, ca.relu(2) @ layer, ca.concat([layer, layer]), layer + layer):
        assert f(x).dtype == kind
        assert f.gradient(x, f(x)).dtype == kind
        found = f.parameter_gradients(x, f(x))
        assert {value.dtype for value in found.values()} == {np.dtype(kind)}


def test_empty_batches_everywhere() -> None:
    net = network(weights(0))
    x, g = np.zeros((2, 0, 1, 4, 4), dtype=int), np.zeros((2, 0, 3), dtype=int)
    assert net(x).shape == (2, 0, 3)
    assert net.gradient(x, g).shape == x.shape
    found = net.parameter_gradients(x, g)
    assert {name: value.shape for name, value in found.items()} == SHAPES
    assert not any(value.any() for value in found.values())


def test_the_input_and_the_parameters_are_left_alone() -> None:
    bias = np.array([1, 2, 3])
    layer = ca.affine(ca.identity(3), bias)
    bias[:] = 9
    x = np.array([1, 2, 3])
    for f in (layer, ca.concat([layer, ca.relu(3)]), ca.relu(3) @ layer, ca.relu(3) + layer):
        f(x)[...] = 7
        f.gradient(x, f(x))[...] = 7
        assert x.tolist() == [1, 2, 3]
    assert layer.parameters["bias"].tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="read-only"):
        layer.parameters["bias"][0] = 5


@given(st.sampled_from(range(len(PIECES))), st.sampled_from(range(len(PIECES))), st.data())
def test_multiples_and_differences(one: int, other: int, data: st.DataObject) -> None:
    f, g = PIECES[one](), PIECES[other]()
    x, slope = data.draw(integers((2, 3))), data.draw(integers((2, 3)))
    for made, right, jacobian in (
        (3 * f, 3 * f(x), 3 * f.at(x[0]).to_numpy()),
        (f * 3, 3 * f(x), 3 * f.at(x[0]).to_numpy()),
        (np.int64(-2) * f, -2 * f(x), -2 * f.at(x[0]).to_numpy()),
        (-f, -f(x), -f.at(x[0]).to_numpy()),
        (f - g, f(x) - g(x), f.at(x[0]).to_numpy() - g.at(x[0]).to_numpy()),
        (f - 2 * g, f(x) - 2 * g(x), f.at(x[0]).to_numpy() - 2 * g.at(x[0]).to_numpy()),
    ):
        assert np.array_equal(made(x), right)
        assert np.array_equal(made.at(x[0]).to_numpy(), jacobian)
        both = isinstance(f, ca.Operator) and isinstance(g, ca.Operator)
        assert isinstance(made, ca.Operator) >= both
        assert np.array_equal(made.gradient(x[0], slope[0]), jacobian.T @ slope[0])
    half = Fraction(1, 2) * f
    assert half(x).tolist() == (f(x) * Fraction(1, 2)).tolist()


def test_parameters_of_multiples_and_differences() -> None:
    layer = ca.affine(ca.correlation(3, [1, 2], padding=((0, 1),)), [1, 2, 3])
    twice, rest = 2 * layer, ca.identity(3) - layer
    assert list(twice.parameters) == ["0.kernel", "0.bias"]
    assert list(rest.parameters) == ["1.0.kernel", "1.0.bias"]
    x = [5, 6, 7]
    assert np.array_equal(twice.by("0.kernel", x).to_numpy(), 2 * layer.by("kernel", x).to_numpy())
    assert np.array_equal(rest.by("1.0.bias", x).to_numpy(), -np.eye(3, dtype=int))


NOT_LINEAR = ca.relu(2) @ ca.affine(ca.correlation(3, [1, 2]), 1)


@pytest.mark.parametrize(
    "name", ["to_numpy", "to_scipy", "kernel", "structure", "counts", "kron", "shape", "symbols"]
)
def test_what_only_linear_maps_have(name: str) -> None:
    with pytest.raises(KindError, match=rf"is not linear; f\.at\(x\)\.{name} is that of its"):
        getattr(NOT_LINEAR, name)
    assert not hasattr(NOT_LINEAR, name)
    assert hasattr(NOT_LINEAR.at([1, 2, 3]), name)


def test_the_adjoint_of_what_is_not_linear() -> None:
    said = (
        r"relu\(2\) @ affine\(correlation\(3, \[1, 2\]\), 1\) is not linear; f\.at\(x\)\.T is the "
        r"adjoint of its Jacobian at x"
    )
    with pytest.raises(KindError, match=said):
        NOT_LINEAR.T  # noqa: B018
    with pytest.raises(AttributeError, match="'Chain' object has no attribute 'weights'"):
        NOT_LINEAR.weights  # noqa: B018
    assert copy.deepcopy(NOT_LINEAR)([1, 2, 3]).tolist() == NOT_LINEAR([1, 2, 3]).tolist()


SPATIAL = ca.correlation((2, 3), [[1, 2]])
CHANNELS = ca.correlation((2, 3), [[[[1, 2]]], [[[3, 4]]]])


@pytest.mark.parametrize(
    ("operator", "has_channels"),
    [
        (SPATIAL, False),
        (SPATIAL.T, False),
        (ca.transposed_correlation((2, 3), [[1, 2]], stride=2), False),
        (-1 * SPATIAL, False),
        (SPATIAL + SPATIAL, False),
        (ca.downsample((2, 2), (1, 2)) @ SPATIAL, False),
        (SPATIAL @ ca.correlation((2, 4), [[1, 1]]), False),
        (CHANNELS, True),
        (CHANNELS.T, True),
        (ca.transposed_correlation((2, 3), [[[[1, 2]], [[3, 4]]]]), True),
        (ca.identity(2).kron(SPATIAL), True),
        (ca.reshape((2, 2), (1, 2, 2)) @ SPATIAL, True),
        (ca.sum_pool((2, 4), 2, channels=3), True),
    ],
    ids=repr,
)
def test_a_bias_by_channel_where_there_are_channels(
    operator: ca.Operator, has_channels: bool
) -> None:
    """The transposed layer as the correlation: of a single channel, the first axis is spatial."""
    bias = np.arange(operator.out_shape[0])
    if has_channels:
        zero = np.zeros(operator.in_shape, dtype=int)
        rest = (1,) * (len(operator.out_shape) - 1)
        right = np.broadcast_to(bias.reshape(-1, *rest), operator.out_shape)
        assert np.array_equal(ca.affine(operator, bias)(zero), right)
    else:
        with pytest.raises(ShapeError, match="bias must be one number or an array of shape"):
            ca.affine(operator, bias)


def test_each_parameter_that_is_listed_can_be_differentiated() -> None:
    layer = ca.correlation(3, [1, 2], padding=((0, 1),))
    for operator in (ca.concat([layer, ca.identity(3)]), ca.identity(3) - 2 * layer):
        assert list(operator.parameters) == ["kernel"]
        jacobian = operator.by("kernel", [5, 6, 7])
        g = np.arange(operator.out_shape[0])
        assert np.array_equal(operator.kernel_gradient([5, 6, 7], g), jacobian.T(g))
        for place in range(2):
            kernel = np.eye(2, dtype=int)[place]
            moved = operator.refill(layer.kernel + kernel)([5, 6, 7]) - operator([5, 6, 7])
            assert np.array_equal(jacobian(kernel), moved)


def test_a_deep_chain() -> None:
    """As many layers as anyone stacks, without recursion."""
    deep: ca.Map = ca.relu(2)
    for _ in range(1500):
        deep = ca.leaky_relu(2, 1) @ deep
    assert deep([STEP, -STEP]).tolist() == [STEP, 0]
    assert deep.gradient([STEP, -STEP], [1, 1]).tolist() == [1, 0]


def test_reprs_are_one_line() -> None:
    layer = ca.affine(ca.correlation((9, 9), np.zeros((4, 3, 3, 3))), np.zeros(4))
    net = ca.relu((4, 7, 7)) @ layer
    for f in (layer, net, net + net, ca.concat([net, net], axis=1), net.at(np.zeros((3, 9, 9)))):
        assert "\n" not in repr(f)
        assert len(repr(f)) < 400
    assert repr(ca.affine(ca.identity(2), 3)) == "affine(identity(2), 3)"
    assert repr(2 * ca.relu(3) - ca.relu(3)) == (
        "(2 * identity(3)) @ relu(3) + (-1 * identity(3)) @ relu(3)"
    )
    assert repr(ca.relu(3) @ (ca.relu(3) + ca.tanh(3))) == "relu(3) @ (relu(3) + tanh(3))"
    assert repr(ca.concat([ca.relu((1, 2)), ca.relu((1, 2))], -1)) == (
        "concat([relu((1, 2)), relu((1, 2))], axis=1)"
    )


@pytest.mark.parametrize("count", [8, 9, 1000])
def test_long_reprs_show_their_ends(count: int) -> None:
    chain: ca.Map = ca.relu(3)
    total, wide = chain, ca.concat([ca.tanh(1), *[ca.relu(1)] * (count - 1)])
    for _ in range(count - 1):
        chain, total = ca.tanh(3) @ chain, total + ca.tanh(3)
    cut = f"<{count - 7} more>"
    for f, first, last in (
        (chain, "tanh(3) @ tanh(3)", "@ relu(3)"),
        (total, "relu(3) + tanh(3)", "+ tanh(3)"),
        (wide, "concat([tanh(1), relu(1)", ", relu(1)])"),
    ):
        assert repr(f).startswith(first)
        assert repr(f).endswith(last)
        assert (cut in repr(f)) == (count > 8)
        assert len(repr(f)) < 200
    nested: ca.Map = ca.relu(2)
    for _ in range(12):
        nested = ca.concat([nested, nested]) if len(repr(nested)) % 2 else nested + nested
        nested = ca.dense(np.ones((2, nested.out_shape[0]), dtype=int)) @ nested
    assert len(repr(nested)) <= 400

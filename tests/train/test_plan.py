"""Whole networks: forward and gradients over a batch against the operators' transposes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transposes import batch_first, batch_last, exactly, fill, reference, trained

import convalg as ca
from convalg.errors import ArgumentError, ConvalgError
from convalg.network.layers.base import Layer
from convalg.size import size_product
from convalg.train import tiles
from convalg.train.plan import TrainingPlan

L = ca.layers
ENGINES = ("sparse", "blas")
MOST = 150
"""Numbers at a node that a layer may make more of, or a Dense may read."""


@st.composite
def networks(draw: st.DrawFn) -> ca.Network:
    """A network with branches over few samples in one to three axes, of exact layers."""
    dims = draw(st.sampled_from([1, 2, 2, 3]))
    most = {1: 16, 2: 9, 3: 4}[dims]
    shape = (draw(st.integers(1, 2)), *(draw(st.integers(3, most)) for _ in range(dims)))
    net = ca.Network(shape)
    # The gradient of a shift of zeros is that of the input.
    net.add(L.Shift(shape))
    for _ in range(draw(st.integers(1, 5))):
        _grow(draw, net)
    if draw(st.booleans()) and size_product(net.out_shape) <= MOST:
        net.add(L.Dense(draw(st.integers(1, 3))))
    return net


def _grow(draw: st.DrawFn, net: ca.Network) -> None:
    """One more layer, where it fits; else none."""
    kind = draw(st.sampled_from(["conv", "conv", "pool", "relu", "relu", "other", "branch"]))
    try:
        if kind == "conv":
            net.add(_conv(draw, net.out_shape))
        elif kind == "pool":
            net.add(_pool(draw))
        elif kind == "relu":
            net.add(L.ReLU())
        elif kind == "other":
            layer = _other(draw, net.out_shape)
            if size_product(layer.out_shape(net.out_shape)) <= MOST:
                net.add(layer)
        else:
            same = [n for n in list(net)[1:] if net.shapes[n][1:] == net.out_shape[1:]]
            other = draw(st.sampled_from(same))
            summed = net.shapes[other] == net.out_shape and draw(st.booleans())
            net.add(L.Add() if summed else L.Concat(), [other, net.output])
    except ConvalgError:
        # A layer that does not fit is not added.
        return


def _conv(draw: st.DrawFn, shape: tuple[int, ...]) -> Layer:
    groups = draw(st.sampled_from([g for g in (1, 1, 1, 2) if shape[0] % g == 0]))
    size = draw(st.integers(1, 5)) if len(shape) < 4 else draw(st.integers(1, 4))
    outputs = groups * draw(st.integers(1, 2))
    return L.Conv(
        outputs,
        size,
        stride=draw(st.sampled_from([1, 1, 2])),
        padding=draw(st.integers(0, 2)),
        dilation=draw(st.sampled_from([1, 1, 2])),
        groups=groups,
        bias=draw(st.booleans()),
        boundary=draw(st.sampled_from(["zeros", "zeros", "zeros", "circular", "edge"])),
    )


def _pool(draw: st.DrawFn) -> Layer:
    size = draw(st.sampled_from([2, 2, 3]))
    if draw(st.booleans()):
        return L.MaxPool(size)
    return L.MaxPool(
        size,
        stride=draw(st.integers(1, 3)),
        padding=draw(st.integers(0, 1)),
        ceil_mode=draw(st.booleans()),
    )


def _other(draw: st.DrawFn, shape: tuple[int, ...]) -> Layer:
    return draw(
        st.sampled_from(
            [
                L.Dropout(0.5),
                L.ConvTranspose(2, 2, stride=2),
                L.AvgPool(2),
                L.Subsample(2),
                L.LeakyReLU(0.5),
                L.Upsample(2),
                L.Pad(1),
                L.Slice(1, 1, shape[1]),
                L.Scale((shape[0], *[1] * (len(shape) - 1))),
                L.TableConv(((0,), (0, shape[0] - 1)) if shape[0] > 1 else ((0,),), 2),
                L.Pointwise("abs"),
                L.Identity(),
            ]
        )
    )


@pytest.mark.parametrize("engine", ENGINES)
@given(networks(), st.integers(1, 3), st.integers(0, 99), st.booleans(), st.data())
def test_a_batch_has_the_outputs_and_gradients_of_the_operators(
    engine: Any, net: ca.Network, batch: int, seed: int, training: bool, data: st.DataObject
) -> None:
    most = data.draw(st.sampled_from([tiles.MOST_COLUMNS, 200]))
    with pytest.MonkeyPatch.context() as patched:
        # A layer that is done in several parts.
        patched.setattr(tiles, "MOST_COLUMNS", most)
        exactly(net, batch, seed, engine, training=training)


def test_one_node_read_twice_has_both_gradients() -> None:
    net = ca.Network((2, 4))
    a = net.add(L.Conv(2, 3, padding=1))
    net.add(L.Add(), [a, a])
    net.add(L.Concat(), [net.output, a, a])
    for engine in ENGINES:
        exactly(net, 2, 1, engine, training=False)


@pytest.mark.parametrize("engine", ENGINES)
def test_batches_of_several_sizes_keep_out_of_each_others_way(engine: Any) -> None:
    net = ca.sequential((1, 8, 8), [L.Conv(2, 5, padding=2), L.ReLU(), L.MaxPool(2), L.Dense(3)])
    random = np.random.default_rng(0)
    fill(net, random)
    plan = TrainingPlan(net, engine=engine, dtype=np.float64)
    x = random.integers(-3, 4, size=(5, 1, 8, 8)).astype(np.float64)
    g = random.integers(-3, 4, size=(5, 3)).astype(np.float64)
    found = []
    for part in (slice(0, 4), slice(4, 5), slice(0, 4)):
        program = plan.program(len(x[part]))
        np.testing.assert_array_equal(
            batch_first(program.forward(batch_last(x[part]))), net(x[part])
        )
        program.backward(batch_last(g[part]))
        found.append(plan.gradients.copy())
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[0] + found[1], _whole(net, x, g))


def _whole(net: ca.Network, x: Any, g: Any) -> Any:
    _, slopes, _ = trained(net, x, g, engine="auto")
    return np.concatenate([a.reshape(-1) for own in slopes.values() for a in own.values()])


@pytest.mark.parametrize("engine", ENGINES)
def test_many_layers_agree_to_rounding(engine: Any) -> None:
    layers = [
        L.Conv(4, 5, stride=2, padding=2),
        L.BatchNorm(),
        L.Sigmoid(),
        L.Conv(4, (4, 5), padding=1),
        L.LRN(3),
        L.MaxPool(3, stride=2, padding=1),
        L.Tanh(),
        L.AvgPool(2, stride=1, count_include_pad=False, padding=1),
        L.Dense(6),
        L.Softmax(),
        L.Radial(2),
    ]
    net = fill(
        ca.sequential((2, 11, 13), [L.Shift((2, 11, 13)), *layers]), np.random.default_rng(1)
    )
    random = np.random.default_rng(0)
    x, g = random.standard_normal((3, 2, 11, 13)), random.standard_normal((3, 2))
    y, slopes, _ = trained(net, x, g, engine=engine)
    output, wanted, back = reference(net, x, g)
    np.testing.assert_allclose(y, output, rtol=1e-11)
    np.testing.assert_allclose(slopes["shift1"]["bias"], back.sum(axis=0), rtol=1e-9, atol=1e-11)
    for node, arrays in wanted.items():
        for name, gradient in arrays.items():
            np.testing.assert_allclose(slopes[node][name], gradient, rtol=1e-8, atol=1e-9)


def test_a_plan_takes_and_gives_back_the_arrays() -> None:
    net = ca.sequential((2, 4), [L.Conv(3, 2), L.BatchNorm(), L.ReLU(), L.Dense(2)]).initialise(3)
    before = {node: {k: v.copy() for k, v in own.items()} for node, own in net.weights.items()}
    plan = TrainingPlan(net)
    assert plan.parameters.size == net.parameters
    assert plan.trained == [
        ("conv1", "kernel"),
        ("conv1", "bias"),
        ("batchnorm1", "scale"),
        ("batchnorm1", "offset"),
        ("dense1", "weights"),
        ("dense1", "bias"),
    ]
    plan.parameters += 1
    for node, own in before.items():
        for name, array in own.items():
            np.testing.assert_array_equal(net.weights[node][name], array)
    plan.store()
    assert (net.weights["conv1"]["kernel"] == before["conv1"]["kernel"] + 1).all()
    assert (net.weights["batchnorm1"]["mean"] == before["batchnorm1"]["mean"]).all()
    plan.parameters += 1
    assert (net.weights["conv1"]["kernel"] == before["conv1"]["kernel"] + 1).all()
    plan.load()
    assert (plan.weights["conv1"]["kernel"] == before["conv1"]["kernel"] + 1).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_first_layer_that_is_not_finite_is_named(engine: Any) -> None:
    net = fill(
        ca.sequential((1, 6), [L.Conv(2, 3), L.ReLU(), L.Dense(2)]), np.random.default_rng(0)
    )
    program = TrainingPlan(net, engine=engine, dtype=np.float64).program(1)
    x = np.ones((1, 6, 1))
    program.forward(x)
    assert program.first_not_finite() == "dense1"
    net.set_weights("conv1", bias=[np.inf, 0])
    program = TrainingPlan(net, engine=engine, dtype=np.float64).program(1)
    with np.errstate(all="ignore"):
        program.forward(x)
    # The tiles do the ReLU behind as well.
    assert program.first_not_finite() == {"sparse": "conv1", "blas": "relu1"}[engine]


class Unruled(Layer):
    """A layer of several inputs for which training has no rule."""

    many = True

    def out_shape(self, *shapes: Any) -> Any:
        return shapes[0]

    def map(self, shapes: Any, weights: Any) -> Any:
        raise NotImplementedError


def unruled() -> ca.Network:
    net = ca.Network((2, 4))
    net.add(Unruled(), ["input", net.add(L.ReLU())])
    return net


n, *_ = ca.sizes("n")
BAD: list[tuple[Any, dict[str, Any], str]] = [
    (lambda: ca.sequential((1, n), [L.Conv(2, 3)]), {}, "needs a network with integer sizes"),
    (
        lambda: ca.sequential((1, 5), [L.Conv(2, 3)]).initialise(),
        {"engine": "torch"},
        "engine must be one of auto, sparse, blas, not 'torch'",
    ),
    (unruled, {}, "which joins several inputs: use Add or Concat"),
    (lambda: ca.sequential((1, 5), [L.Conv(2, 3)]), {}, "kernel, bias of node conv1 have not"),
]


@pytest.mark.parametrize(("make", "options", "words"), BAD)
def test_bad_input_is_refused_in_words(make: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        TrainingPlan(make(), **options).program(1)

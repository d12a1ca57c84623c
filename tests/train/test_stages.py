"""Each kind of layer, forward and back over a batch, against its map and its transpose."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
from transposes import batch_first, batch_last, by_differences, fill

import convalg as ca
from convalg.errors import ArgumentError
from convalg.network.layers.pointwise import FUNCTIONS
from convalg.train import tiles
from convalg.train.plan import TrainingPlan

L = ca.layers
ENGINES = ("sparse", "blas", "auto")
TABLE = ((0, 1), (1,), (0, 2, 1))
REGIONS = ((0, 0, 5, 6), (2, 1, 3, 6))

# Small whole numbers stay whole, or fractions of powers of two: floats hold them exactly.
EXACT: list[tuple[tuple[int, ...], Any]] = [
    ((2, 9), L.Conv(3, 5)),
    ((2, 10), L.Conv(3, 4, padding=2, bias=False)),
    ((4, 11), L.Conv(2, 5, stride=2, dilation=2, padding=3, groups=2)),
    ((1, 9, 8), L.Conv(3, 5, padding=2)),
    ((1, 8, 9), L.Conv(3, 4)),
    ((2, 7, 7), L.Conv(3, 5, padding=((2, 1), (1, 2)))),
    ((2, 7, 6), L.Conv(3, (5, 2), stride=(1, 2))),
    ((2, 9, 9), L.Conv(3, 4, stride=(2, 1))),
    ((2, 9, 9), L.Conv(3, 3, stride=2, padding="same")),
    ((2, 5, 5), L.Conv(2, 1, stride=3)),
    ((1, 11, 10), L.Conv(2, 4, dilation=(2, 1), padding="full")),
    ((6, 5, 5), L.Conv(6, 3, groups=6, padding=1)),
    ((2, 6, 5, 6), L.Conv(2, 4, padding=2)),
    ((1, 4, 5, 5), L.Conv(2, (1, 4, 3), stride=(2, 1, 1))),
    ((2, 6, 5), L.Conv(2, 3, padding=1, boundary="circular")),
    ((2, 6, 5), L.Conv(2, 3, padding=2, stride=2, boundary="reflect")),
    ((2, 6, 5), L.Conv(2, 3, padding=1, groups=2, boundary="edge", bias=False)),
    ((2, 5), L.ConvTranspose(3, 3, stride=2, output_padding=1)),
    ((4, 4, 3), L.ConvTranspose(6, (3, 2), stride=(1, 2), padding=1, groups=2)),
    ((2, 3, 3), L.ConvTranspose(2, 2, stride=2, dilation=2, bias=False)),
    ((5,), L.Dense(3)),
    ((2, 3, 4), L.Dense(3, bias=False)),
    ((3, 5, 6), L.TableConv(TABLE, 3, stride=2, padding=1)),
    ((3, 4, 6), L.Subsample(2)),
    ((2, 4, 5), L.Project(3)),
    ((5,), L.Project(3)),
    ((2, 9), L.MaxPool(3)),
    ((2, 7, 6), L.MaxPool(3, stride=2, padding=1)),
    ((2, 7, 8), L.MaxPool(2, stride=2, ceil_mode=True)),
    ((1, 7, 8), L.MaxPool((2, 3), stride=1, dilation=2)),
    ((1, 4, 4, 5), L.MaxPool(2)),
    ((2, 4, 5), L.GlobalMaxPool()),
    ((2, 6, 7), L.AvgPool(2)),
    ((2, 5, 5), L.AvgPool(2, stride=1, padding=1)),
    ((2, 5, 6), L.AvgPool((1, 2), padding=(0, 1), ceil_mode=True)),
    ((2, 4, 2), L.GlobalAvgPool()),
    ((2, 4, 6), L.AdaptiveAvgPool((2, 3))),
    ((3, 4, 4), L.ReLU()),
    ((3, 4), L.LeakyReLU(0.25)),
    ((3, 4), L.Dropout(0.5)),
    ((3, 4), L.Identity()),
    ((3, 4, 2), L.Flatten()),
    ((3, 4), L.Reshape((2, 6))),
    ((2, 3, 4), L.Pad(1)),
    ((2, 4, 4), L.Pad(((1, 2), (0, 1)), boundary="reflect")),
    ((2, 3, 4), L.Permute((2, 0, 1))),
    ((2, 1, 3), L.Expand((2, 4, 3))),
    ((3, 6), L.Slice(1, 1, 6, 2)),
    ((2, 3), L.Upsample(2)),
    ((2, 3, 3), L.Upsample(2, mode="linear")),
    ((1, 3, 4), L.Resize((6, 2))),
    ((2, 3, 4), L.Scale((2, 1, 1))),
    ((2, 3, 4), L.Scale((3, 4))),
    ((2, 3, 4), L.Scale()),
    ((2, 3, 4), L.Shift((1, 3, 1))),
    ((2, 3, 4), L.Shift()),
    ((4, 3), L.Product()),
    ((4,), L.Radial(3)),
    ((2, 7, 8), L.RoIPool(2, REGIONS)),
    ((2, 7, 8), L.RoIPool((3, 2), REGIONS, Fraction(1, 2))),
    ((3, 4), L.Pointwise("abs")),
    ((3, 4), L.Pointwise("clip", (-1, 1))),
]
NUMBERS = {
    "clip": (-1, 2),
    "elu": (0.5,),
    "hard_sigmoid": (0.2, 0.5),
    "power": (2,),
    "scaled_tanh": (1.7, 0.6),
}
ROUNDED: list[tuple[tuple[int, ...], Any]] = [
    ((2, 5, 5), L.AvgPool(3, stride=2, padding=1, count_include_pad=False)),
    ((2, 5, 7), L.AdaptiveAvgPool((2, 3))),
    ((2, 3, 3), L.GlobalAvgPool()),
    ((3, 4, 2), L.BatchNorm()),
    ((5, 3), L.LRN(3, alpha=0.5)),
    ((3, 4), L.Sigmoid()),
    ((3, 4), L.Tanh()),
    ((4, 3), L.Softmax()),
    ((4, 3), L.SoftmaxAlong(1)),
    ((4, 3), L.Sample()),
    *[((2, 3), L.Pointwise(name, NUMBERS.get(name, ()))) for name in FUNCTIONS],
]
# In these a batch's samples depend on each other, or inputs are many: see test_plan.py.
ELSEWHERE = {"Add", "Concat"}
UNTRAINABLE = {"Layer": "what the others are kinds of", "Opaque": "known by its shape alone"}


def test_every_kind_of_layer_is_trained_or_said_not_to_be() -> None:
    tested = {type(layer).__name__ for _, layer in EXACT + ROUNDED}
    assert tested | ELSEWHERE | UNTRAINABLE.keys() == set(L.__all__)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_cannot_be_trained_says_so(engine: Any) -> None:
    opaque = L.Opaque("NonZero", (3, 3), "its shape depends on the values")
    net = ca.sequential((3, 3), [opaque, L.Dense(2)]).initialise(0)
    with pytest.raises(ArgumentError, match="NonZero"):
        TrainingPlan(net, engine=engine).program(2)


def stage_of(layer: Any, shape: tuple[int, ...], engine: Any, batch: int, seed: int) -> Any:
    """The stage of a layer behind another, so that it has to give dL/dx."""
    random = np.random.default_rng(seed)
    net = fill(ca.sequential(shape, [L.Identity(), layer]), random)
    plan = TrainingPlan(net, engine=engine, dtype=np.float64)
    return net, plan, plan.program(batch).steps[-1][2], random


def compare(
    shape: tuple[int, ...], layer: Any, engine: Any, batch: int, *, exact: bool, seed: int = 3
) -> None:
    net, plan, stage, random = stage_of(layer, shape, engine, batch, seed)
    # Only some functions have values at 0 and below.
    least = 1 if getattr(layer, "function", "") in ("log", "sqrt") else -3
    rounding = 0 if exact else 1e-12
    same = partial(np.testing.assert_allclose, rtol=rounding, atol=rounding)
    node = net.output
    # Twice: buffers that keep something of the batch before would show.
    for _ in range(2):
        x = random.integers(least, 4, size=(batch, *shape)).astype(np.float64)
        g = random.integers(-3, 4, size=(batch, *net.out_shape)).astype(np.float64)
        stage.begin(None)
        same(batch_first(stage.forward(batch_last(x))), net(x))
        (back,) = stage.backward(batch_last(g))
        function = net.map(node)
        same(batch_first(back), np.stack([function.at(a).T(b) for a, b in zip(x, g, strict=True)]))
        own = net.weights.get(node, {})
        wanted = by_differences(layer, (shape,), own, x, g)
        assert plan.slopes[node].keys() == wanted.keys()
        for name, gradient in wanted.items():
            same(plan.slopes[node][name], gradient)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("shape", "layer"), EXACT, ids=str)
def test_whole_numbers_give_the_transposes_exactly(
    shape: tuple[int, ...], layer: Any, engine: Any, batch: int
) -> None:
    compare(shape, layer, engine, batch, exact=True)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("shape", "layer"), ROUNDED, ids=str)
def test_others_give_the_transposes_to_rounding(
    shape: tuple[int, ...], layer: Any, engine: Any
) -> None:
    compare(shape, layer, engine, 3, exact=False)


CONVS = [case for case in EXACT if isinstance(case[1], L.Conv) and case[1].boundary == "zeros"]


@pytest.mark.parametrize("most", [1, 300, 2000])
@pytest.mark.parametrize(("shape", "layer"), CONVS, ids=str)
def test_a_layer_done_in_parts_is_the_same(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], layer: Any, most: int
) -> None:
    monkeypatch.setattr(tiles, "MOST_COLUMNS", most)
    compare(shape, layer, "blas", 3, exact=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_parameter_gradients_of_the_maps_are_the_same(engine: Any) -> None:
    for shape, layer in EXACT:
        net, plan, stage, random = stage_of(layer, shape, engine, 2, 5)
        function = net.map(net.output)
        own = plan.slopes[net.output]
        if set(own) - function.parameters.keys() or isinstance(
            layer, L.Scale | L.Shift | L.Project
        ):
            # The maps of some have other parameters, spread over the input, or no rule for them.
            continue
        x = random.integers(-3, 4, size=(2, *shape)).astype(np.float64)
        g = random.integers(-3, 4, size=(2, *net.out_shape)).astype(np.float64)
        stage.forward(batch_last(x))
        stage.backward(batch_last(g))
        for name, gradient in function.parameter_gradients(x, g).items():
            np.testing.assert_array_equal(own[name], gradient)


# Training mode.


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rate", [0.0, 0.5, 0.75, 1.0])
def test_dropout_is_a_diagonal_in_training_and_nothing_in_use(engine: Any, rate: float) -> None:
    net, _, stage, random = stage_of(L.Dropout(rate), (40, 5), engine, 8, 1)
    x = random.integers(1, 5, size=(8, 40, 5)).astype(np.float64)
    g = random.integers(1, 5, size=(8, 40, 5)).astype(np.float64)
    stage.begin(np.random.default_rng(0))
    y = batch_first(stage.forward(batch_last(x)))
    factors = y / x
    assert set(np.unique(factors)) <= {0.0, 1 / (1 - rate) if rate < 1 else 0.0}
    # 1,600 draws: six standard deviations.
    assert abs((factors == 0).mean() - rate) <= 6 * np.sqrt(rate * (1 - rate) / factors.size)
    np.testing.assert_array_equal(batch_first(stage.backward(batch_last(g))[0]), g * factors)
    stage.begin(None)
    np.testing.assert_array_equal(batch_first(stage.forward(batch_last(x))), net(x))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("batch", [2, 5])
@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 3, 3)])
def test_batch_norm_uses_the_statistics_of_the_batch(
    engine: Any, batch: int, shape: tuple[int, ...]
) -> None:
    net, plan, stage, random = stage_of(L.BatchNorm(), shape, engine, batch, 2)
    node = net.output
    x, g = random.standard_normal((2, batch, *shape))
    own = {name: array.copy() for name, array in plan.weights[node].items()}
    stage.begin(np.random.default_rng(0))
    found = batch_first(stage.forward(batch_last(x)))
    (back,) = stage.backward(batch_last(g))
    wanted = ca.batch_norm_training((batch, *shape), scale=own["scale"], offset=own["offset"])
    np.testing.assert_allclose(found, wanted(x), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(batch_first(back), wanted.at(x).T(g), rtol=1e-8, atol=1e-10)
    for name, gradient in wanted.parameter_gradients(x, g).items():
        np.testing.assert_allclose(plan.slopes[node][name], gradient, rtol=1e-9, atol=1e-11)
    axes = tuple(k for k in range(x.ndim) if k != 1)
    count = x[:, 0].size
    for name, now in (("mean", x.mean(axes)), ("variance", x.var(axes) * count / (count - 1))):
        moved = 0.9 * own[name] + 0.1 * now
        np.testing.assert_allclose(plan.weights[node][name], moved, rtol=1e-12)


# Ties.


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "layers",
    [
        [L.MaxPool(2)],
        [L.MaxPool(3, stride=2, padding=1)],
        [L.ReLU()],
        [L.Conv(2, 1), L.MaxPool(2), L.ReLU()],
        [L.Conv(2, 1), L.ReLU(), L.MaxPool(2)],
        [L.Conv(2, 4, padding=2), L.ReLU()],
    ],
    ids=str,
)
def test_ties_are_broken_as_pytorch_does(engine: Any, layers: list[Any]) -> None:
    torch = pytest.importorskip("torch")
    net = fill(ca.sequential((2, 6, 6), [L.Shift((2, 6, 6)), *layers]), np.random.default_rng(1))
    net.set_weights("shift1", bias=np.zeros((2, 6, 6)))
    random = np.random.default_rng(2)
    # Many equal values and many zeros.
    x = random.integers(-1, 2, size=(1, 2, 6, 6)).astype(np.float64)
    modules = []
    for node, layer in list(net.layers())[1:]:
        if isinstance(layer, L.Conv):
            kernel = net.weights[node]["kernel"]
            module = torch.nn.Conv2d(*kernel.shape[1::-1], kernel.shape[2], padding=layer.padding)
            module.double()
            module.weight.data = torch.from_numpy(kernel)
            module.bias.data = torch.from_numpy(net.weights[node]["bias"])
        elif isinstance(layer, L.MaxPool):
            module = torch.nn.MaxPool2d(layer.kernel_size, layer.stride, layer.padding)
        else:
            module = torch.nn.ReLU()
        modules.append(module)
    theirs = torch.from_numpy(x).requires_grad_()
    y = torch.nn.Sequential(*modules)(theirs)
    g = random.integers(-3, 4, size=tuple(y.shape)).astype(np.float64)
    y.backward(torch.from_numpy(g))
    plan = TrainingPlan(net, engine=engine, dtype=np.float64)
    program = plan.program(1)
    np.testing.assert_array_equal(batch_first(program.forward(batch_last(x))), y.detach().numpy())
    program.backward(batch_last(g))
    np.testing.assert_array_equal(plan.slopes["shift1"]["bias"], theirs.grad.numpy()[0])

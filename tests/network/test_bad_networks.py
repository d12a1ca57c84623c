"""Layers, published networks and methods of networks given nonsense, argument by argument."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import MISSING, fields
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.errors import ConvalgError, KindError
from convalg.network import layers
from convalg.network.layers.base import Layer
from convalg.network.layers.opaque import Opaque
from convalg.network.layers.pooling import LpPool
from convalg.network.layers.scale import Standardise

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    MATRIX = np.matrix([[1, 2]])

NONSENSE: list[Any] = [
    *("abc", b"x", 1j, object(), {}, {1}, lambda x: x, ca.relu(3)),
    *((None,), ("a",), np.array([1.5]), np.array([[1, 2]]), MATRIX, float("nan")),
]
"""Values that no argument takes, but for texts where one is wanted."""
NUMBERS: list[Any] = [2.5, 0, -1, True, None, float("inf"), np.float64(1.5), Fraction(1, 2)]
TEXTS = {"operator", "reason", "function", "at"}
REQUIRED: dict[str, Any] = {
    "out_channels": 2,
    "kernel_size": 3,
    "shape": (2, 8, 8),
    "size": (8, 8),
    "out_size": 2,
    "operator": "X",
    "axis": 1,
    "start": 0,
    "stop": 3,
    "axes": (1, 2, 0),
    "function": "abs",
    "rows": 2,
    "table": ((0,), (1,)),
    "regions": ((0, 0, 3, 3),),
}
LAYERS: list[type[Layer]] = [
    *(getattr(layers, name) for name in layers.__all__ if name != "Layer"),
    *(LpPool, Standardise),
]


def arguments() -> list[Any]:
    return [
        pytest.param(kind, entry.name, id=f"{kind.__name__}.{entry.name}")
        for kind in LAYERS
        for entry in fields(kind)
    ]


def built(kind: type[Layer], **given: Any) -> None:
    """All that is asked of a layer when it is put into a network."""
    needed = {f.name: REQUIRED[f.name] for f in fields(kind) if f.default is MISSING}
    net = ca.Network((2,) if kind is layers.Radial else (2, 8, 8))
    net.add(kind(**{**needed, **given}))
    net.summary()
    repr(net.receptive_field())
    net.receptive_field().box()


@pytest.mark.parametrize(("kind", "name"), arguments())
def test_each_argument_of_a_layer_refuses_nonsense(kind: type[Layer], name: str) -> None:
    built(kind)
    for value in NONSENSE:
        is_list = isinstance(value, np.ndarray) and value.ndim == 1
        if (isinstance(value, str) and name in TEXTS) or (is_list and name == "numbers"):
            continue
        with pytest.raises(ConvalgError) as caught:
            built(kind, **{name: value})
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize(("kind", "name"), arguments())
def test_numbers_are_taken_or_refused_in_words(kind: type[Layer], name: str) -> None:
    outcomes = []
    for value in NUMBERS:
        try:
            built(kind, **{name: value})
        except ConvalgError as error:
            outcomes.append(str(error))
    # No argument takes all of these, and whatever is refused says why in a sentence.
    assert outcomes
    assert all(10 < len(words) < 500 for words in outcomes)


WHOLE = {"out_channels", "groups", "factor", "rows", "kernel_size", "stride", "dilation", "bias"}


@pytest.mark.parametrize(("kind", "name"), arguments())
def test_integers_and_flags_take_nothing_else(kind: type[Layer], name: str) -> None:
    if name not in WHOLE:
        return
    for value in (2.5, float("nan"), "no", Fraction(1, 2), *(() if name == "bias" else (True, 0))):
        with pytest.raises(ConvalgError, match=name):
            built(kind, **{name: value})


def zoo_arguments() -> list[Any]:
    return [
        pytest.param(name, argument, id=f"{name}.{argument}")
        for name in ca.zoo.__all__
        for argument in inspect.signature(getattr(ca.zoo, name)).parameters
    ]


@pytest.mark.parametrize(("name", "argument"), zoo_arguments())
def test_each_argument_of_the_zoo_refuses_nonsense(name: str, argument: str) -> None:
    more = [] if argument in ("width", "at", "in_shape") else [2.5, -1]
    for value in [*NONSENSE, *more]:
        if argument == "in_shape" and isinstance(value, int | float):
            continue
        with pytest.raises(ConvalgError) as caught:
            getattr(ca.zoo, name)(**{argument: value})
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ca.zoo.resnet18(width=1.5), "width must be an integer, not 1.5"),
        (lambda: ca.zoo.resnet18(width=float("nan")), "width must be an integer, not nan"),
        (lambda: ca.zoo.resnet18(classes="abc"), "classes must be an integer, not 'abc'"),
        (lambda: ca.zoo.unet(depth=-1), "depth must be at least 1, not -1"),
        (lambda: ca.zoo.mobilenet_v1(width=0), "width must be greater than 0, not 0"),
        (lambda: ca.zoo.mobilenet_v1(width=float("inf")), "width must be a finite number"),
        (lambda: ca.zoo.mlp(hidden=5), "hidden must be a list or a tuple, not 5"),
        (lambda: ca.zoo.rcnn(5), "backbone must be a ca.Network, not 5"),
        (lambda: ca.zoo.vgg11(batch_norm="no"), "batch_norm must be True or False, not 'no'"),
        (lambda: layers.Conv(2.5, 3), "out_channels must be an integer, not 2.5"),
        (lambda: layers.Conv(2, 3, bias="no"), "bias must be True or False, not 'no'"),
        (lambda: layers.Conv(2, 3, groups=0), "groups must be at least 1, not 0"),
        (lambda: layers.Conv(2, ()), "kernel_size must be one value for all axes, or one value"),
        (lambda: layers.Dropout(float("nan")), "rate must be a number, not nan"),
        (lambda: layers.LeakyReLU("x"), "slope must be a number, not 'x'"),
        (lambda: layers.Resize(4), "must be a tuple with one integer for each axis, not 4"),
        (
            lambda: layers.Resize((4,), scale=(1, 2)),
            "scale must be one number for all axes, or one for each of the 1 axes",
        ),
        (lambda: layers.RoIPool(2, ()), "regions must contain at least one region"),
        (
            lambda: layers.TableConv((), 3).out_shape((1, 5)),
            "table must have one row for each output",
        ),
        (lambda: Opaque("X", (2,), like=5), "like must be a layer or None, not 5"),
        (lambda: Opaque(5, (2,)), "operator must be a string, not 5"),
        (
            lambda: Opaque("X", (2,), arrays=5),
            "arrays must be a tuple of pairs .name, shape., not 5",
        ),
        (lambda: ca.sequential((1, 9), None), "layers must be a list of layers, not None"),
        (lambda: ca.Network((1, 9), name=5), "name must be a string, not 5"),
        (lambda: ca.Network((1, 9)).add(layers.ReLU(), 5), "inputs must be the name of a node"),
        (
            lambda: ca.sequential((1, 10**9), [layers.Conv(1, 10**8)]).counts,
            "non-zeros are counted tap by tap, for up to 1000000 taps",
        ),
    ],
)
def test_the_argument_at_fault_is_named(call: Any, words: str) -> None:
    with pytest.raises(ConvalgError, match=words):
        call()


NET = ca.sequential((2, 9, 9), [layers.Conv(3, 3), layers.AvgPool(2)])
FIELD = NET.receptive_field()
METHODS: dict[str, Any] = {
    "box": FIELD.box,
    "mask": FIELD.mask,
    "positions": FIELD.positions,
    "holes": FIELD.holes,
    "center": FIELD.center,
    "readers": FIELD.readers,
    "channels": FIELD.channels,
    "relation": FIELD.relation,
    "clip": lambda v: FIELD.box(0, clip=v),
    "seed": NET.initialise,
    "method": lambda v: NET.initialise(method=v),
    "dtype": lambda v: NET.initialise(dtype=v),
    "node": NET.receptive_field,
    "cost": NET.cost,
    "sources": NET.sources,
    "item": NET.__getitem__,
    "weights": lambda v: NET.set_weights("conv1", kernel=v),
    "run": NET,
    "jacobian": NET.jacobian,
    "effective": NET.effective_receptive_field,
    "in_shape": ca.Network,
    "read_onnx": ca.read_onnx,
    "from_torch": lambda v: ca.from_torch(v, (1, 3, 3)),
}
BEYOND = [1.5, 10**9, -1, True, "abc", np.array([[1, 2]]), MATRIX, object(), {}]


@pytest.mark.parametrize("name", METHODS)
def test_methods_of_networks_refuse_nonsense(name: str) -> None:
    if name == "from_torch":
        pytest.importorskip("torch")
    taken = {"seed": [10**9], "in_shape": [10**9], "clip": [True]}.get(name, [])
    for value in BEYOND:
        if any(value is one or value == one for one in taken if isinstance(value, (int, bool))):
            continue
        with pytest.raises(ConvalgError):
            METHODS[name](value)


def test_seeds() -> None:
    for seed in (1.5, -1, "abc", MATRIX, [1, 2], True, np.nan):
        with pytest.raises(ConvalgError, match="seed must be"):
            NET.initialise(seed)
    first, second = (
        NET.initialise(seed).weights["conv1"]["kernel"].copy() for seed in (np.int64(3), 3)
    )
    assert np.array_equal(first, second)
    drawn = [NET.initialise(None).weights["conv1"]["kernel"].copy() for _ in range(2)]
    assert not np.array_equal(*drawn)
    with pytest.raises(KindError, match="dtype must be a floating-point type"):
        NET.initialise(dtype=int)


def test_shapes_are_a_mapping() -> None:
    assert list(NET.shapes) == list(NET) == ["input", "conv1", "avgpool1"]
    assert dict(NET.shapes)["conv1"] == (3, 7, 7)
    assert len(NET.shapes) == 3
    assert repr(NET.shapes) == repr(dict(NET.shapes))


def test_two_sizes_are_said_to_be_channels_and_samples() -> None:
    net = ca.sequential((28, 28), [layers.Conv(6, 5)])
    words = "one axis of 28 samples in 28 channels"
    assert words in repr(net)
    assert words in str(net.summary())
    assert "one axis" not in repr(ca.sequential((1, 28), [layers.Conv(6, 5)]))
    assert "one axis" not in repr(ca.sequential((1, 28, 28), [layers.Conv(6, 5)]))
    with pytest.raises(ConvalgError, match=r"has one axis of 28 samples .* an image is \(1, h"):
        ca.sequential((28, 28), [layers.Conv(6, (5, 5))])


def test_one_name_for_variants() -> None:
    assert repr(ca.zoo.resnet18(variant="v1.5")["maxpool"]) == "MaxPool(3, stride=2, padding=1)"
    assert ca.zoo.resnet18(version="v1.5")["maxpool"] == ca.zoo.resnet18(variant="v1.5")["maxpool"]


def test_a_path_is_a_text_or_a_path() -> None:
    with pytest.raises(KindError, match="path must be the path of a file, not None"):
        ca.read_onnx(None)

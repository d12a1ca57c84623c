"""Each argument of each layer, given values of wrong types and sizes."""

from __future__ import annotations

from dataclasses import MISSING, fields
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from nonsense import NONSENSE

import convalg as ca
from convalg.errors import ConvalgError
from convalg.network import layers
from convalg.network.layers.base import Layer
from convalg.network.layers.opaque import Opaque
from convalg.network.layers.pooling import LpPool
from convalg.network.layers.scale import Standardise

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


@pytest.mark.parametrize(
    ("call", "words"),
    [
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
            "arrays must be a tuple of .name, shape. pairs, not 5",
        ),
    ],
)
def test_the_argument_at_fault_is_named(call: Any, words: str) -> None:
    with pytest.raises(ConvalgError, match=words):
        call()

"""The checks of the arguments of published networks, and the blocks that they share."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from nonsense import NONSENSE

import convalg as ca
from convalg.errors import ConvalgError
from convalg.network.zoo.blocks import ceil_pool


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
    ],
)
def test_the_argument_at_fault_is_named(call: Any, words: str) -> None:
    with pytest.raises(ConvalgError, match=words):
        call()


@pytest.mark.parametrize("kernel_size", [2, 3])
@pytest.mark.parametrize("size", range(4, 12))
def test_one_sample_of_padding_has_the_windows_of_ceil_mode(kernel_size: int, size: int) -> None:
    net = ca.Network((1, size, size))
    net.add(ceil_pool(net, kernel_size))
    wanted = ca.sequential((1, size, size), [ca.layers.MaxPool(kernel_size, 2, ceil_mode=True)])
    x = np.random.default_rng(size).integers(-9, 0, (1, size, size))
    assert (net(x) == wanted(x)).all()

"""Shapes, parameters and receptive fields of a deep network; and the time of an import."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.harness import Array, Job
from benchmarks.jobs.layers import Maker

DEPTH = 150
CHANNELS = 8
SIZE = 512
STRIDED = (10, 60)
"""Layers with a stride of 2; the others have 1. All have 3x3 taps and a padding of 1."""


def _strides() -> list[int]:
    return [2 if number in STRIDED else 1 for number in range(DEPTH)]


def _layers() -> list[Any]:
    import convalg as ca

    return [ca.layers.Conv(CHANNELS, 3, stride=stride, padding=1) for stride in _strides()]


def _read(net: Any) -> list[int]:
    field = net.receptive_field()
    shape = net.shapes[list(net)[-1]]
    return [int(n) for n in (*shape, net.parameters, *field.size, *field.stride, *field.padding)]


def complete() -> Callable[[], Any]:
    """Building the network and reading all numbers."""
    import convalg as ca

    layers = _layers()
    return lambda: _read(ca.sequential((CHANNELS, SIZE, SIZE), layers))


def analysis() -> Callable[[], Any]:
    """Reading all numbers from a network that is built already."""
    import convalg as ca

    net = ca.sequential((CHANNELS, SIZE, SIZE), _layers())
    return lambda: _read(net)


def recurrence() -> Callable[[], Any]:
    """The textbook's recurrences for a chain, in plain Python: all numbers of every layer."""
    strides = _strides()

    def call() -> list[int]:
        parameters, channels, sizes = 0, CHANNELS, (SIZE, SIZE)
        field, jump, padding = (1, 1), (1, 1), (0, 0)
        layers = []
        for stride in strides:
            parameters += CHANNELS * (channels * 9 + 1)
            channels = CHANNELS
            sizes = (sizes[0] - 1) // stride + 1, (sizes[1] - 1) // stride + 1
            field = field[0] + 2 * jump[0], field[1] + 2 * jump[1]
            padding = padding[0] + jump[0], padding[1] + jump[1]
            jump = jump[0] * stride, jump[1] * stride
            layers.append((channels, sizes, parameters, field, jump, padding))
        channels, sizes, parameters, field, jump, padding = layers[-1]
        return [channels, *sizes, parameters, *field, *jump, *padding]

    return call


def torchinfo() -> Callable[[], Any]:
    """torchinfo's summary: shapes and parameters; it has no receptive fields."""
    import torch
    from torchinfo import summary

    net = torch.nn.Sequential(
        *(torch.nn.Conv2d(CHANNELS, CHANNELS, 3, stride, 1) for stride in _strides())
    )
    # A small image: torchinfo runs the network, and its own work is what is timed.
    return lambda: summary(net, (1, CHANNELS, 8, 8), verbose=0)


def _numbers(result: Any) -> Array:
    if hasattr(result, "total_params"):
        # torchinfo gives one of the ten numbers; the others are copied.
        numbers = recurrence()()
        numbers[3] = result.total_params
        return np.array(numbers)
    return np.array(result)


def _start(statement: str, *needs: str) -> Maker:
    def make() -> Callable[[], Any]:
        for name in needs:
            if importlib.util.find_spec(name) is None:
                raise ImportError(f"No module named {name!r}")

        def call() -> str:
            subprocess.run([sys.executable, "-c", statement], check=True)
            return statement

        return call

    return make


def _nothing(result: Any) -> Array:
    return np.zeros(1)


def jobs(quick: bool) -> list[Job]:
    """The aim of an import is 3 ms over bare Python's 9; of an analysis 0.4 ms where the
    recurrences take 46 us."""
    return [
        Job(
            "import, whole process",
            "python",
            {
                "convalg": _start("import convalg"),
                "python": _start("pass"),
                "numpy": _start("import numpy", "numpy"),
                "sympy": _start("import sympy", "sympy"),
                "torch": _start("import torch", "torch"),
                "pylops": _start("import pylops", "pylops"),
            },
            aim=12 / 9,
            answer=_nothing,
        ),
        Job(
            f"analysis of {DEPTH} convolutions",
            "plain recurrences",
            {
                "convalg": complete,
                "convalg, of a built network": analysis,
                "plain recurrences": recurrence,
                "torchinfo": torchinfo,
            },
            aim=400 / 46,
            answer=_numbers,
        ),
    ]

"""Modules of PyTorch with given weights, and their outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from convalg.network.layers.opaque import Opaque

torch = pytest.importorskip("torch")
nn = torch.nn
Array = np.ndarray


TOLERANCE = {"rtol": 2e-5, "atol": 2e-6}


class Calls(nn.Module):
    """A module that calls a function of its input, and of a convolution's output."""

    def __init__(self, function: Callable[..., Any], layer: Any = None) -> None:
        super().__init__()
        self.function, self.layer = function, layer or nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Any) -> Any:
        return self.function(self.layer(x), x)


def settled(module: Any) -> Any:
    """A module whose parameters and running statistics are no defaults."""
    torch.manual_seed(3)
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) - 0.3 * (tensor.ndim > 1))
    return module.eval()


def inputs(*shape: int) -> Any:
    return torch.from_numpy(np.random.default_rng(5).standard_normal(shape).astype(np.float32))


def outputs(module: Any, x: Any) -> Array:
    with torch.no_grad():
        return module(x.clone()).numpy()


def opaque(net: Any) -> dict[str, str]:
    return {k: f"{v.operator}: {v.reason}" for k, v in net.layers() if isinstance(v, Opaque)}


IMAGE = (4, 9, 8)


SERIES = (4, 9)

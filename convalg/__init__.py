"""convalg: convolution as linear algebra that you can see, prove, check and train.

Every convolution, pooling and padding layer is an explicit sparse Toeplitz operator.
Names load on first use, so that importing convalg imports nothing else.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convalg import draw, errors, kernels, prove
    from convalg.base import Operator
    from convalg.kernels import flip, kernel
    from convalg.linear import (
        average_pool,
        convolution,
        correlation,
        crop,
        dense,
        diagonal,
        downsample,
        flip_axes,
        identity,
        pad,
        reshape,
        shift,
        sum_pool,
        transposed_correlation,
        upsample,
    )
    from convalg.prove import derive
    from convalg.prove.theorems import theorems
    from convalg.sheet import explain
    from convalg.spec import sizes

__version__ = "0.1.0"

_NAMES = {
    "correlation": "linear",
    "convolution": "linear",
    "transposed_correlation": "linear",
    "pad": "linear",
    "crop": "linear",
    "flip_axes": "linear",
    "shift": "linear",
    "downsample": "linear",
    "upsample": "linear",
    "sum_pool": "linear",
    "average_pool": "linear",
    "identity": "linear",
    "dense": "linear",
    "diagonal": "linear",
    "reshape": "linear",
    "sizes": "spec",
    "kernel": "kernels",
    "flip": "kernels",
    "Operator": "base",
    "theorems": "prove.theorems",
    "explain": "sheet",
}
_ROOMS = {
    "derive": "prove.derive",
    "draw": "draw",
    "errors": "errors",
    "kernels": "kernels",
    "prove": "prove",
}

__all__ = [
    "Operator",
    "average_pool",
    "convolution",
    "correlation",
    "crop",
    "dense",
    "derive",
    "diagonal",
    "downsample",
    "draw",
    "errors",
    "explain",
    "flip",
    "flip_axes",
    "identity",
    "kernel",
    "kernels",
    "pad",
    "prove",
    "reshape",
    "shift",
    "sizes",
    "sum_pool",
    "theorems",
    "transposed_correlation",
    "upsample",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"convalg.{_ROOMS[name]}")
    if name not in _NAMES:
        raise AttributeError(f"module 'convalg' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"convalg.{_NAMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__"})

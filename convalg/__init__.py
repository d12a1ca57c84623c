"""convalg: convolution as linear algebra that you can see, prove, check and train.

Every convolution, pooling and padding layer is an explicit sparse Toeplitz operator.
Names load on first use, so that importing convalg imports nothing else.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convalg import check, draw, errors, kernels, prove
    from convalg.base import Map, Operator
    from convalg.check.identify import identify
    from convalg.kernels import flip, kernel
    from convalg.kinds.classify import classify
    from convalg.kinds.separate import separate
    from convalg.layers.activations import (
        leaky_relu,
        relu,
        sigmoid,
        softmax,
        tanh,
    )
    from convalg.layers.maps import affine, concat, embeddings
    from convalg.layers.normalisation import (
        batch_norm,
        batch_norm_training,
        local_response_norm,
    )
    from convalg.layers.pooling import (
        adaptive_max_pool,
        adaptive_pool,
        average_pool,
        global_max_pool,
        global_pool,
        lp_pool,
        max_pool,
        max_unpool,
        min_pool,
        sum_pool,
    )
    from convalg.layers.recurrent import gru, linear_recurrence, lstm, rnn
    from convalg.layers.resampling import (
        dropout,
        flatten,
        fold,
        permute,
        pixel_shuffle,
        pixel_unshuffle,
        resize,
        unfold,
    )
    from convalg.linear import (
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
        transposed_correlation,
        upsample,
    )
    from convalg.network import layers
    from convalg.network.graph import Network, sequential
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
    "sum_pool": "layers.pooling",
    "average_pool": "layers.pooling",
    "global_pool": "layers.pooling",
    "adaptive_pool": "layers.pooling",
    "max_pool": "layers.pooling",
    "min_pool": "layers.pooling",
    "global_max_pool": "layers.pooling",
    "adaptive_max_pool": "layers.pooling",
    "lp_pool": "layers.pooling",
    "max_unpool": "layers.pooling",
    "leaky_relu": "layers.activations",
    "relu": "layers.activations",
    "sigmoid": "layers.activations",
    "softmax": "layers.activations",
    "tanh": "layers.activations",
    "batch_norm": "layers.normalisation",
    "batch_norm_training": "layers.normalisation",
    "local_response_norm": "layers.normalisation",
    "dropout": "layers.resampling",
    "flatten": "layers.resampling",
    "fold": "layers.resampling",
    "permute": "layers.resampling",
    "pixel_shuffle": "layers.resampling",
    "pixel_unshuffle": "layers.resampling",
    "resize": "layers.resampling",
    "unfold": "layers.resampling",
    "identify": "check.identify",
    "classify": "kinds.classify",
    "separate": "kinds.separate",
    "gru": "layers.recurrent",
    "linear_recurrence": "layers.recurrent",
    "lstm": "layers.recurrent",
    "rnn": "layers.recurrent",
    "affine": "layers.maps",
    "concat": "layers.maps",
    "embeddings": "layers.maps",
    "identity": "linear",
    "dense": "linear",
    "diagonal": "linear",
    "reshape": "linear",
    "sizes": "spec",
    "kernel": "kernels",
    "flip": "kernels",
    "Map": "base",
    "Operator": "base",
    "Network": "network.graph",
    "sequential": "network.graph",
    "theorems": "prove.theorems",
    "explain": "sheet",
}
_ROOMS = {
    "check": "check",
    "derive": "prove.derive",
    "draw": "draw",
    "errors": "errors",
    "kernels": "kernels",
    "layers": "network.layers",
    "prove": "prove",
}

__all__ = [
    "Map",
    "Network",
    "Operator",
    "adaptive_max_pool",
    "adaptive_pool",
    "affine",
    "average_pool",
    "batch_norm",
    "batch_norm_training",
    "check",
    "classify",
    "concat",
    "convolution",
    "correlation",
    "crop",
    "dense",
    "derive",
    "diagonal",
    "downsample",
    "draw",
    "dropout",
    "embeddings",
    "errors",
    "explain",
    "flatten",
    "flip",
    "flip_axes",
    "fold",
    "global_max_pool",
    "global_pool",
    "gru",
    "identify",
    "identity",
    "kernel",
    "kernels",
    "layers",
    "leaky_relu",
    "linear_recurrence",
    "local_response_norm",
    "lp_pool",
    "lstm",
    "max_pool",
    "max_unpool",
    "min_pool",
    "pad",
    "permute",
    "pixel_shuffle",
    "pixel_unshuffle",
    "prove",
    "relu",
    "reshape",
    "resize",
    "rnn",
    "separate",
    "sequential",
    "shift",
    "sigmoid",
    "sizes",
    "softmax",
    "sum_pool",
    "tanh",
    "theorems",
    "transposed_correlation",
    "unfold",
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

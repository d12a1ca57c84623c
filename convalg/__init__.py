"""convalg: convolution as linear algebra that you can see, prove, check and train.

Every convolution, pooling and padding layer is an explicit sparse Toeplitz operator.
Names load on first use, so that importing convalg imports nothing else.
"""

from __future__ import annotations

# Importing `typing` and `importlib` would take longer than all that this file does.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from convalg import check, draw, errors, kernels, prove, train
    from convalg.base import Map, Operator
    from convalg.check.identify import identify
    from convalg.draw import tikz
    from convalg.kernels import flip, kernel
    from convalg.kinds.classify import classify
    from convalg.kinds.separate import separate
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
    from convalg.maps.activations import (
        leaky_relu,
        relu,
        sigmoid,
        softmax,
        tanh,
    )
    from convalg.maps.chains import affine, concat, embeddings
    from convalg.maps.lp_pooling import lp_pool
    from convalg.maps.normalisation import (
        batch_norm,
        batch_norm_training,
        local_response_norm,
    )
    from convalg.maps.pooling import (
        adaptive_max_pool,
        adaptive_pool,
        average_pool,
        global_max_pool,
        global_pool,
        max_pool,
        max_unpool,
        min_pool,
        sum_pool,
    )
    from convalg.maps.recurrent import gru, linear_recurrence, lstm, rnn
    from convalg.maps.resampling import (
        dropout,
        flatten,
        fold,
        permute,
        pixel_shuffle,
        pixel_unshuffle,
        resize,
        unfold,
    )
    from convalg.network import layers, zoo
    from convalg.network.graph import Network, sequential
    from convalg.network.onnx.model import read_onnx
    from convalg.network.torch_reader import from_torch
    from convalg.prove import derive
    from convalg.prove.theorems import theorems
    from convalg.sheet import explain
    from convalg.spec import sizes
    from convalg.spectra.bounds import norm_bounds
    from convalg.spectra.coverage import coverage
    from convalg.spectra.rank import null_space, rank
    from convalg.spectra.solve import solve
    from convalg.spectra.values import norm, spectrum
    from convalg.train import data
    from convalg.train.loop import fit

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
    "sum_pool": "maps.pooling",
    "average_pool": "maps.pooling",
    "global_pool": "maps.pooling",
    "adaptive_pool": "maps.pooling",
    "max_pool": "maps.pooling",
    "min_pool": "maps.pooling",
    "global_max_pool": "maps.pooling",
    "adaptive_max_pool": "maps.pooling",
    "lp_pool": "maps.lp_pooling",
    "max_unpool": "maps.pooling",
    "leaky_relu": "maps.activations",
    "relu": "maps.activations",
    "sigmoid": "maps.activations",
    "softmax": "maps.activations",
    "tanh": "maps.activations",
    "batch_norm": "maps.normalisation",
    "batch_norm_training": "maps.normalisation",
    "local_response_norm": "maps.normalisation",
    "dropout": "maps.resampling",
    "flatten": "maps.resampling",
    "fold": "maps.resampling",
    "permute": "maps.resampling",
    "pixel_shuffle": "maps.resampling",
    "pixel_unshuffle": "maps.resampling",
    "resize": "maps.resampling",
    "unfold": "maps.resampling",
    "norm_bounds": "spectra.bounds",
    "coverage": "spectra.coverage",
    "null_space": "spectra.rank",
    "rank": "spectra.rank",
    "solve": "spectra.solve",
    "norm": "spectra.values",
    "spectrum": "spectra.values",
    "identify": "check.identify",
    "classify": "kinds.classify",
    "separate": "kinds.separate",
    "gru": "maps.recurrent",
    "linear_recurrence": "maps.recurrent",
    "lstm": "maps.recurrent",
    "rnn": "maps.recurrent",
    "affine": "maps.chains",
    "concat": "maps.chains",
    "embeddings": "maps.chains",
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
    "from_torch": "network.torch_reader",
    "read_onnx": "network.onnx.model",
    "sequential": "network.graph",
    "theorems": "prove.theorems",
    "explain": "sheet",
    "fit": "train.loop",
}
_ROOMS = {
    "check": "check",
    "data": "train.data",
    "derive": "prove.derive",
    "draw": "draw",
    "errors": "errors",
    "kernels": "kernels",
    "layers": "network.layers",
    "prove": "prove",
    "tikz": "draw.tikz",
    "train": "train",
    "zoo": "network.zoo",
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
    "coverage",
    "crop",
    "data",
    "dense",
    "derive",
    "diagonal",
    "downsample",
    "draw",
    "dropout",
    "embeddings",
    "errors",
    "explain",
    "fit",
    "flatten",
    "flip",
    "flip_axes",
    "fold",
    "from_torch",
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
    "norm",
    "norm_bounds",
    "null_space",
    "pad",
    "permute",
    "pixel_shuffle",
    "pixel_unshuffle",
    "prove",
    "rank",
    "read_onnx",
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
    "solve",
    "spectrum",
    "sum_pool",
    "tanh",
    "theorems",
    "tikz",
    "train",
    "transposed_correlation",
    "unfold",
    "upsample",
    "zoo",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS and name not in _NAMES:
        raise AttributeError(f"module 'convalg' has no attribute {name!r}")
    import importlib

    if name in _ROOMS:
        return importlib.import_module(f"convalg.{_ROOMS[name]}")
    value = getattr(importlib.import_module(f"convalg.{_NAMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__"})

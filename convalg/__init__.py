"""convalg: convolution as linear algebra that you can see, prove, check and train.

Every convolution, pooling and padding layer is an explicit sparse Toeplitz operator. A public name
is loaded on first use: importing convalg loads only this file and the version.
"""

from __future__ import annotations

from convalg.version import __version__ as __version__

# Importing `typing` and `importlib` would take longer than everything else in this file.
TYPE_CHECKING = False

_PUBLIC = {
    "": "check draw errors kernels prove train",
    "draw": "tikz",
    "kernels": "flip kernel",
    "linalg.bounds": "norm_bounds",
    "linalg.coverage": "coverage",
    "linalg.rank": "null_space rank",
    "linalg.solve": "solve",
    "linalg.spectrum": "norm spectrum",
    "maps.activations": "leaky_relu relu sigmoid softmax tanh",
    "maps.chains": "affine concat embeddings",
    "maps.lp_pooling": "lp_pool",
    "maps.max_pooling": "adaptive_max_pool global_max_pool max_pool min_pool",
    "maps.normalisation": "batch_norm batch_norm_training local_response_norm",
    "maps.recurrent": "gru linear_recurrence lstm rnn",
    "network": "layers zoo",
    "network.network": "Network sequential",
    "network.readers.onnx.reader": "read_onnx",
    "network.readers.torch.reader": "from_torch",
    "operators.convolution": "convolution correlation transposed_correlation",
    "operators.dense": "dense diagonal dropout identity",
    "operators.padding": "crop pad",
    "operators.pooling": "adaptive_pool average_pool global_pool max_unpool sum_pool",
    "operators.rearrange": "flatten permute pixel_shuffle pixel_unshuffle reshape",
    "operators.resize": "resize",
    "operators.sampling": "downsample upsample",
    "operators.shifts": "flip_axes shift",
    "operators.tree": "Map Operator",
    "operators.unfold": "fold unfold",
    "prove": "derive",
    "prove.structures": "classify",
    "prove.theorems.catalogue": "theorems",
    "recognise.identify": "identify",
    "recognise.separate": "separate",
    "sheet": "explain",
    "size": "sizes",
    "train": "data",
    "train.loop": "fit",
}
"""The public names by the module that defines them; the names of "" are modules."""

_HOME = {name: module for module, names in _PUBLIC.items() for name in names.split()}
__all__ = sorted(_HOME)

if TYPE_CHECKING:
    # The same names for type checkers and editors; a test compares the two lists.
    from typing import Any

    from convalg import check as check
    from convalg import draw as draw
    from convalg import errors as errors
    from convalg import kernels as kernels
    from convalg import prove as prove
    from convalg import train as train
    from convalg.draw import tikz as tikz
    from convalg.kernels import flip as flip
    from convalg.kernels import kernel as kernel
    from convalg.linalg.bounds import norm_bounds as norm_bounds
    from convalg.linalg.coverage import coverage as coverage
    from convalg.linalg.rank import null_space as null_space
    from convalg.linalg.rank import rank as rank
    from convalg.linalg.solve import solve as solve
    from convalg.linalg.spectrum import norm as norm
    from convalg.linalg.spectrum import spectrum as spectrum
    from convalg.maps.activations import leaky_relu as leaky_relu
    from convalg.maps.activations import relu as relu
    from convalg.maps.activations import sigmoid as sigmoid
    from convalg.maps.activations import softmax as softmax
    from convalg.maps.activations import tanh as tanh
    from convalg.maps.chains import affine as affine
    from convalg.maps.chains import concat as concat
    from convalg.maps.chains import embeddings as embeddings
    from convalg.maps.lp_pooling import lp_pool as lp_pool
    from convalg.maps.max_pooling import adaptive_max_pool as adaptive_max_pool
    from convalg.maps.max_pooling import global_max_pool as global_max_pool
    from convalg.maps.max_pooling import max_pool as max_pool
    from convalg.maps.max_pooling import min_pool as min_pool
    from convalg.maps.normalisation import batch_norm as batch_norm
    from convalg.maps.normalisation import batch_norm_training as batch_norm_training
    from convalg.maps.normalisation import local_response_norm as local_response_norm
    from convalg.maps.recurrent import gru as gru
    from convalg.maps.recurrent import linear_recurrence as linear_recurrence
    from convalg.maps.recurrent import lstm as lstm
    from convalg.maps.recurrent import rnn as rnn
    from convalg.network import layers as layers
    from convalg.network import zoo as zoo
    from convalg.network.network import Network as Network
    from convalg.network.network import sequential as sequential
    from convalg.network.readers.onnx.reader import read_onnx as read_onnx
    from convalg.network.readers.torch.reader import from_torch as from_torch
    from convalg.operators.convolution import convolution as convolution
    from convalg.operators.convolution import correlation as correlation
    from convalg.operators.convolution import transposed_correlation as transposed_correlation
    from convalg.operators.dense import dense as dense
    from convalg.operators.dense import diagonal as diagonal
    from convalg.operators.dense import dropout as dropout
    from convalg.operators.dense import identity as identity
    from convalg.operators.padding import crop as crop
    from convalg.operators.padding import pad as pad
    from convalg.operators.pooling import adaptive_pool as adaptive_pool
    from convalg.operators.pooling import average_pool as average_pool
    from convalg.operators.pooling import global_pool as global_pool
    from convalg.operators.pooling import max_unpool as max_unpool
    from convalg.operators.pooling import sum_pool as sum_pool
    from convalg.operators.rearrange import flatten as flatten
    from convalg.operators.rearrange import permute as permute
    from convalg.operators.rearrange import pixel_shuffle as pixel_shuffle
    from convalg.operators.rearrange import pixel_unshuffle as pixel_unshuffle
    from convalg.operators.rearrange import reshape as reshape
    from convalg.operators.resize import resize as resize
    from convalg.operators.sampling import downsample as downsample
    from convalg.operators.sampling import upsample as upsample
    from convalg.operators.shifts import flip_axes as flip_axes
    from convalg.operators.shifts import shift as shift
    from convalg.operators.tree import Map as Map
    from convalg.operators.tree import Operator as Operator
    from convalg.operators.unfold import fold as fold
    from convalg.operators.unfold import unfold as unfold
    from convalg.prove import derive as derive
    from convalg.prove.structures import classify as classify
    from convalg.prove.theorems.catalogue import theorems as theorems
    from convalg.recognise.identify import identify as identify
    from convalg.recognise.separate import separate as separate
    from convalg.sheet import explain as explain
    from convalg.size import sizes as sizes
    from convalg.train import data as data
    from convalg.train.loop import fit as fit


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'convalg' has no attribute {name!r}")
    import importlib

    if not _HOME[name]:
        return importlib.import_module(f"convalg.{name}")
    home = importlib.import_module(f"convalg.{_HOME[name]}")
    if not hasattr(home, name):
        # A module in a room.
        return importlib.import_module(f"{home.__name__}.{name}")
    value = getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__"})

"""Singular values: all of a circular layer, and the largest of a zero-padded one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.harness import Array, Job, as_array
from benchmarks.jobs.layers import Maker


def _kernel(inputs: int, outputs: int) -> Array:
    return np.random.default_rng(0).standard_normal((outputs, inputs, 3, 3)) / (3 * inputs**0.5)


def _ours(size: int, inputs: int, outputs: int, *, circular: bool) -> Maker:
    def make() -> Callable[[], Any]:
        import convalg as ca

        weights = _kernel(inputs, outputs)
        shape = (size, size)
        if circular:
            layer = ca.correlation(shape, weights, padding=1, boundary="circular")
            return lambda: ca.spectrum(layer)
        padded = ca.correlation(shape, weights, padding=1)
        return lambda: ca.norm(padded)

    return make


def _numpy(size: int, inputs: int, outputs: int) -> Maker:
    def make() -> Callable[[], Any]:
        weights = _kernel(inputs, outputs)

        def call() -> Array:
            blocks = np.fft.fft2(weights, (size, size)).transpose(2, 3, 0, 1)
            return np.linalg.svd(blocks, compute_uv=False)

        return call

    return make


def _torch(size: int, inputs: int, outputs: int) -> Maker:
    def make() -> Callable[[], Any]:
        import torch

        weights = torch.from_numpy(_kernel(inputs, outputs))

        def call() -> Any:
            blocks = torch.fft.fft2(weights, (size, size)).permute(2, 3, 0, 1)
            return torch.linalg.svdvals(blocks)

        return call

    return make


def _svds(size: int, inputs: int, outputs: int) -> Maker:
    def make() -> Callable[[], Any]:
        from scipy.sparse.linalg import svds

        from benchmarks.jobs.layers import Layer
        from benchmarks.jobs.peers import from_triples

        layer = Layer("", (size, size), 3, 1, (inputs, outputs))
        rows = from_triples(layer, _kernel(inputs, outputs))
        random = np.random.default_rng(0)
        start = random.standard_normal(min(rows.shape))
        return lambda: svds(rows, k=1, v0=start, return_singular_vectors=False)

    return make


def _descending(result: Any) -> Array:
    return np.sort(as_array(result).reshape(-1))[::-1]


def circular(size: int, inputs: int, outputs: int) -> Job:
    """All singular values of a layer that wraps around; Sedghi, Gupta, Long 2019, section 2."""
    sizes = (size, inputs, outputs)
    return Job(
        f"all singular values, circular {inputs}->{outputs} {size}x{size}",
        "np.fft.fft2 + svd",
        {
            "convalg": _ours(*sizes, circular=True),
            "np.fft.fft2 + svd": _numpy(*sizes),
            "torch fft2 + svdvals": _torch(*sizes),
        },
        aim=0.4,
        answer=_descending,
        tolerance=1e-6,
    )


def padded(size: int, inputs: int, outputs: int, *, heavy: bool = False) -> Job:
    """The norm of a zero-padded layer."""
    sizes = (size, inputs, outputs)
    return Job(
        f"norm, zero-padded {inputs}->{outputs} {size}x{size}",
        "scipy svds",
        {"convalg": _ours(*sizes, circular=False), "scipy svds": _svds(*sizes)},
        aim=0.1,
        answer=_descending,
        tolerance=1e-6,
        heavy=heavy,
    )


def jobs(quick: bool) -> list[Job]:
    """Two circular layers and two padded ones."""
    return [
        circular(32, 16, 32),
        circular(32, 64, 64),
        padded(32, 16, 32),
        padded(32, 64, 64, heavy=True),
    ]

"""The layers that several jobs share; every contestant creates their arrays for itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness import Array


@dataclass(frozen=True)
class Layer:
    """A correlation: channels, an image, a kernel and zero padding; single-channel without both."""

    name: str
    spatial: tuple[int, ...]
    taps: int
    padding: int = 0
    channels: tuple[int, int] | None = None
    heavy: bool = False

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """Shape of the kernel, as convalg takes it."""
        lead = () if self.channels is None else self.channels[::-1]
        return (*lead, *(self.taps for _ in self.spatial))

    @property
    def inputs(self) -> int:
        """Input channels."""
        return 1 if self.channels is None else self.channels[0]

    @property
    def outputs(self) -> int:
        """Output channels."""
        return 1 if self.channels is None else self.channels[1]

    @property
    def out_spatial(self) -> tuple[int, ...]:
        """Sizes of the output's axes."""
        return tuple(n + 2 * self.padding - self.taps + 1 for n in self.spatial)

    @property
    def in_shape(self) -> tuple[int, ...]:
        """Shape of one input, as convalg takes it."""
        return self.spatial if self.channels is None else (self.inputs, *self.spatial)

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Shape of one output, as convalg gives it."""
        return self.out_spatial if self.channels is None else (self.outputs, *self.out_spatial)

    @property
    def nonzeros(self) -> int:
        """Entries of the matrix: taps that fall outside the image have none."""
        pairs = 1
        for size, out in zip(self.spatial, self.out_spatial, strict=True):
            # Output o reads o + t - padding: of each tap, the outputs for which that is inside.
            pairs *= sum(
                max(min(out, size + self.padding - t) - max(self.padding - t, 0), 0)
                for t in range(self.taps)
            )
        return self.inputs * self.outputs * pairs

    def weights(self, seed: int = 0) -> Array:
        """The kernel, float32, of about unit variance at the output."""
        random = np.random.default_rng(seed)
        scale = 1 / math.sqrt(self.inputs * self.taps ** len(self.spatial))
        return (random.random(self.kernel_shape, dtype=np.float32) - np.float32(0.5)) * np.float32(
            2 * scale
        )

    def operator(self, seed: int = 0) -> Any:
        """The layer as convalg's operator."""
        import convalg as ca

        return ca.correlation(self.spatial, self.weights(seed), padding=self.padding)


def samples(shape: tuple[int, ...], seed: int = 1) -> Array:
    """Float32 numbers between -0.5 and 0.5."""
    values = np.random.default_rng(seed).random(shape, dtype=np.float32)
    # In place, so that making the input is no peak of memory.
    values -= np.float32(0.5)
    return values


def batch_innermost(x: Array) -> Array:
    """The same batch of samples with the batch as the last axis in memory."""
    order = (*range(1, x.ndim), 0)
    memory = np.ascontiguousarray(x.transpose(order))
    return memory.transpose(x.ndim - 1, *range(x.ndim - 1))


def torch_form(layer: Layer, array: Array) -> Any:
    """An array of samples or the kernel of the layer in PyTorch's form, with channels."""
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if layer.channels is not None:
        return tensor
    dims = len(layer.spatial)
    return tensor[None, None] if tensor.ndim == dims else tensor[:, None]


def channels_last(tensor: Any) -> Any:
    """A tensor with its channels innermost in memory."""
    import torch

    forms = {4: torch.channels_last, 5: torch.channels_last_3d}
    return tensor.contiguous(memory_format=forms[tensor.ndim])


Maker = Callable[[], Callable[[], Any]]

WIDE = (
    Layer("64->64 56x56 k3", (56, 56), 3, 1, (64, 64), heavy=True),
    Layer("16->32 32x32 k3", (32, 32), 3, 1, (16, 32)),
)
LENET = (
    Layer("1->8 28x28 k5", (28, 28), 5, 0, (1, 8)),
    Layer("6->16 14x14 k5", (14, 14), 5, 0, (6, 16)),
)
LINE = Layer("1-D n=100000 k9", (100_000,), 9, 4)
LONG_LINE = Layer("1-D n=1000000 k9", (1_000_000,), 9, 4)
CUBE = Layer("4->8 16x16x16 k3", (16, 16, 16), 3, 1, (4, 8))

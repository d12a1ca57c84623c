"""Operators applied to PyTorch tensors, by PyTorch's own convolutions.

The result is on the device of the input, and autograd works. Layers that no convolution of PyTorch
supports (more than three axes, negative strides) are computed as for other libraries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convalg.axis import Axis
from convalg.devices.libraries import Library
from convalg.operators.leaves import Convolution

if TYPE_CHECKING:
    import torch


class Torch(Library):
    """PyTorch, whose functions have names other than the standard's."""

    word = "tensor"
    # Tensors created in inference mode cannot be used by autograd outside it.
    caches = False
    # PyTorch cannot multiply integer matrices on a GPU.
    takes_integers = False

    def kind(self, x: torch.Tensor) -> str:
        """Return "f" for floating-point tensors, "?" for others."""
        return "f" if x.is_floating_point() else "?"

    def put(
        self, values: np.ndarray, like: torch.Tensor, dtype: torch.dtype | None = None
    ) -> torch.Tensor:
        """Return a host array as a tensor on the device of `like`."""
        import torch

        # A copy, since tensors cannot have negative strides or be read-only.
        return torch.from_numpy(values.copy()).to(device=like.device, dtype=dtype)

    def take(self, x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        """Return the entries of x at some indices along the second axis."""
        return x.index_select(1, indices)

    def join(self, parts: list[torch.Tensor], axis: int) -> torch.Tensor:
        """Return tensors concatenated along an axis."""
        import torch

        return parts[0] if len(parts) == 1 else torch.cat(parts, axis)

    def zeros(self, x: torch.Tensor) -> torch.Tensor:
        """Return zeros with the shape, type and device of x."""
        import torch

        return torch.zeros_like(x)

    def reshape(self, x: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        """Return the tensor in another shape, in row-major order."""
        return x.reshape(shape)

    def permute(self, x: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
        """Return the tensor with its axes permuted."""
        return x.permute(axes)

    def sum(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        """Return sums over an axis."""
        return x.sum(axis)

    def matmul(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Return the matrix products of two stacks of matrices."""
        return left @ right

    def convolve(self, layer: Convolution, x: torch.Tensor) -> torch.Tensor | None:
        """Return A(x), computed by a convolution of PyTorch, or None if none supports the layer."""
        return _convolved(layer, x) if _runs(layer) else None

    def convolve_adjoint(self, layer: Convolution, g: torch.Tensor) -> torch.Tensor | None:
        """Return A.T(g), computed by a transposed convolution of PyTorch, or None."""
        return _transposed(layer, g) if _runs(layer) else None


TORCH = Torch(None)


def _runs(operator: Convolution) -> bool:
    """Return whether PyTorch supports the layer: one to three axes with positive strides."""
    axes = operator.geometry.axes
    return 1 <= len(axes) <= 3 and all(axis.stride >= 1 for axis in axes)


def _kernel(operator: Convolution, like: torch.Tensor) -> torch.Tensor:
    """Return the weights (C_out, C_in // groups, *taps), flipped for negative dilations."""
    import torch

    geometry = operator.geometry
    groups, outputs, inputs = geometry.channels
    taps = [axis.numbers.taps for axis in geometry.axes]
    values = np.asarray(operator.weights).astype(np.float64)
    values = values.reshape(groups * outputs, inputs, *taps)
    flipped = [k + 2 for k, axis in enumerate(geometry.axes) if axis.is_backwards]
    # A copy, since tensors cannot have negative strides.
    values = np.flip(values, tuple(flipped)).copy()
    return torch.from_numpy(values).to(device=like.device, dtype=like.dtype)


def _options(operator: Convolution) -> dict[str, Any]:
    axes = operator.geometry.axes
    return {
        "stride": tuple(axis.numbers.stride for axis in axes),
        "dilation": tuple(abs(axis.numbers.dilation) for axis in axes),
        "groups": int(operator.geometry.channels[0]),
    }


def _borders(axis: Axis) -> np.ndarray:
    """Return the input index at each position of the padded axis, or -1 for a zero."""
    before, after = axis.numbers.before, axis.numbers.after
    size = axis.numbers.in_size
    return Axis(size, size + before + after, padding=before, boundary=axis.boundary).columns()[:, 0]


def _convolved(operator: Convolution, x: torch.Tensor) -> torch.Tensor:
    import torch
    import torch.nn.functional as functional

    geometry = operator.geometry
    axes = geometry.axes
    x = x.reshape(x.shape[0], -1, *(axis.numbers.in_size for axis in axes))
    pads: list[int] = []
    for k, axis in enumerate(axes):
        if axis.boundary == "zeros":
            pads = [axis.numbers.before, axis.numbers.after, *pads]
            continue
        pads = [0, 0, *pads]
        indices = torch.from_numpy(_borders(axis).copy()).to(x.device)
        x = x.index_select(k + 2, indices)
    convolve = getattr(functional, f"conv{len(axes)}d")
    y = convolve(functional.pad(x, pads), _kernel(operator, x), **_options(operator))
    output: torch.Tensor = y.reshape(y.shape[0], *operator.out_shape)
    return output


def _transposed(operator: Convolution, g: torch.Tensor) -> torch.Tensor:
    import torch
    import torch.nn.functional as functional

    geometry = operator.geometry
    axes = geometry.axes
    sizes = [axis.numbers.out_size for axis in axes]
    g = g.reshape(g.shape[0], -1, *sizes)
    convolve = getattr(functional, f"conv_transpose{len(axes)}d")
    x = convolve(g, _kernel(operator, g), **_options(operator))
    pads: list[int] = []
    for k, axis in enumerate(axes):
        if axis.boundary == "zeros":
            # The padding is cropped, and samples that no output reads become zeros.
            pads = [-axis.numbers.before, -axis.numbers.after, *pads]
            continue
        pads = [0, 0, *pads]
        size = [*x.shape[: k + 2], axis.numbers.in_size, *x.shape[k + 3 :]]
        indices = torch.from_numpy(_borders(axis).copy()).to(x.device)
        x = torch.zeros(size, dtype=x.dtype, device=x.device).index_add(k + 2, indices, x)
    padded: torch.Tensor = functional.pad(x, pads)
    return padded.reshape(x.shape[0], *operator.in_shape)

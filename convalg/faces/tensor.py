"""PyTorch tensors as input: PyTorch's own convolutions, with the geometry of the operator.

A tensor stays where it is, on its device, and autograd works through it. What no convolution of
PyTorch does (several axes more, a winners' matrix, a Kronecker product) goes through the sparse
matrix, as a tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from convalg.axis import Axis
from convalg.base import Operator, fold
from convalg.errors import KindError, ShapeError
from convalg.faces.sparse import to_scipy
from convalg.operators import Adjoint, Compose, Convolution, Kron, Scaled, Sum

if TYPE_CHECKING:
    import torch

Step = Callable[["torch.Tensor"], "torch.Tensor"]


def apply(operator: Operator, x: torch.Tensor) -> torch.Tensor:
    """A(x) as a tensor, for a tensor of shape (*batch, *in_shape).

    Raises: KindError unless x is floating-point, ShapeError for another shape.
    """
    if not x.is_floating_point():
        raise KindError(
            f"a tensor must be floating-point, not {x.dtype}: whole numbers stay exact as NumPy "
            f"arrays"
        )
    split = x.dim() - len(operator.in_shape)
    if split < 0 or tuple(x.shape[split:]) != operator.in_shape:
        raise ShapeError(
            f"the tensor must have shape (*batch, {', '.join(map(str, operator.in_shape))}), not "
            f"{tuple(x.shape)}"
        )
    batch = x.shape[:split]
    step = fold(operator, _RULES, _leaf)
    y = step(x.reshape(math.prod(batch), *operator.in_shape))
    return y.reshape(*batch, *operator.out_shape)


def _composed(node: Compose, *steps: Step) -> Step:
    def run(x: torch.Tensor) -> torch.Tensor:
        for step in reversed(steps):
            x = step(x)
        return x

    return run


def _summed(node: Sum, *steps: Step) -> Step:
    return lambda x: sum((step(x) for step in steps[1:]), start=steps[0](x))


def _scaled(node: Scaled, step: Step) -> Step:
    return lambda x: step(x) * float(node.factor)


def _adjoint(node: Adjoint, step: Step) -> Step:
    found = node.operator
    if not isinstance(found, Convolution) or not _runs(found):
        return _by_matrix(node)
    return lambda g: _transposed(found, g)


def _leaf(operator: Operator) -> Step:
    if isinstance(operator, Convolution) and _runs(operator):
        return lambda x: _convolved(operator, x)
    return _by_matrix(operator)


def _by_matrix(operator: Operator) -> Step:
    """The sparse matrix as a tensor, made when it is first needed."""

    def run(x: torch.Tensor) -> torch.Tensor:
        import torch

        found = to_scipy(operator, dtype=np.float64, format="coo")
        places = torch.from_numpy(np.stack([found.row, found.col]).astype(np.int64))
        matrix = torch.sparse_coo_tensor(
            places, torch.from_numpy(found.data), found.shape, check_invariants=True
        ).to(device=x.device, dtype=x.dtype)
        columns = x.reshape(x.shape[0], -1).T
        return torch.sparse.mm(matrix, columns).T.reshape(x.shape[0], *operator.out_shape)

    return run


_RULES: dict[type, Callable[..., Step]] = {
    Compose: _composed,
    Sum: _summed,
    Scaled: _scaled,
    Adjoint: _adjoint,
    Kron: lambda node, *steps: _by_matrix(node),
}


def _runs(operator: Convolution) -> bool:
    """Whether PyTorch has the convolution: up to three axes, walked forwards."""
    axes = operator.geometry.axes
    return 1 <= len(axes) <= 3 and all(axis.stride >= 1 for axis in axes)


def _kernel(operator: Convolution, like: torch.Tensor) -> torch.Tensor:
    """The weights (C_out, C_in // groups, *taps), turned where the kernel is walked backwards."""
    import torch

    geometry = operator.geometry
    groups, outputs, inputs = geometry.channels
    taps = [int(axis.taps) for axis in geometry.axes]  # type: ignore[arg-type]
    values = np.asarray(operator.weights).astype(np.float64)
    values = values.reshape(groups * outputs, inputs, *taps)
    turned = [k + 2 for k, axis in enumerate(geometry.axes) if axis.is_backwards]
    # A copy without negative steps, which tensors have not.
    values = np.flip(values, tuple(turned)).copy()
    return torch.from_numpy(values).to(device=like.device, dtype=like.dtype)


def _options(operator: Convolution) -> dict[str, Any]:
    axes = operator.geometry.axes
    return {
        "stride": tuple(int(axis.stride) for axis in axes),
        "dilation": tuple(abs(int(axis.dilation)) for axis in axes),
        "groups": int(operator.geometry.channels[0]),
    }


def _borders(axis: Axis) -> np.ndarray:
    """Which sample each position of the padded input repeats, -1 for a zero."""
    before, after = int(axis.before), int(axis.after)  # type: ignore[arg-type]
    size = int(axis.in_size)  # type: ignore[arg-type]
    return Axis(size, size + before + after, padding=before, boundary=axis.boundary).columns()[:, 0]


def _convolved(operator: Convolution, x: torch.Tensor) -> torch.Tensor:
    import torch
    import torch.nn.functional as functional

    geometry = operator.geometry
    axes = geometry.axes
    x = x.reshape(x.shape[0], -1, *(int(axis.in_size) for axis in axes))  # type: ignore[arg-type]
    pads: list[int] = []
    for k, axis in enumerate(axes):
        if axis.boundary == "zeros":
            pads = [int(axis.before), int(axis.after), *pads]  # type: ignore[arg-type]
            continue
        pads = [0, 0, *pads]
        places = torch.from_numpy(_borders(axis).copy()).to(x.device)
        x = x.index_select(k + 2, places)
    convolve = getattr(functional, f"conv{len(axes)}d")
    y = convolve(functional.pad(x, pads), _kernel(operator, x), **_options(operator))
    return y.reshape(y.shape[0], *operator.out_shape)


def _transposed(operator: Convolution, g: torch.Tensor) -> torch.Tensor:
    import torch
    import torch.nn.functional as functional

    geometry = operator.geometry
    axes = geometry.axes
    sizes = [int(axis.out_size) for axis in axes]  # type: ignore[arg-type]
    g = g.reshape(g.shape[0], -1, *sizes)
    convolve = getattr(functional, f"conv_transpose{len(axes)}d")
    x = convolve(g, _kernel(operator, g), **_options(operator))
    pads: list[int] = []
    for k, axis in enumerate(axes):
        if axis.boundary == "zeros":
            # What the padding read is cut off; what nothing read is zero.
            pads = [-int(axis.before), -int(axis.after), *pads]  # type: ignore[arg-type]
            continue
        pads = [0, 0, *pads]
        size = [*x.shape[: k + 2], int(axis.in_size), *x.shape[k + 3 :]]  # type: ignore[arg-type]
        places = torch.from_numpy(_borders(axis).copy()).to(x.device)
        x = torch.zeros(size, dtype=x.dtype, device=x.device).index_add(k + 2, places, x)
    return functional.pad(x, pads).reshape(x.shape[0], *operator.in_shape)

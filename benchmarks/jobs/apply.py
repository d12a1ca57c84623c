"""A(x), A.T(g) and the kernel gradient of a batch, compared with PyTorch's convolutions."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from benchmarks.harness import Array, Job, Work, as_array
from benchmarks.jobs.layers import (
    CUBE,
    LENET,
    LINE,
    WIDE,
    Layer,
    Maker,
    batch_innermost,
    channels_last,
    samples,
    torch_form,
)

BATCH = 64

Task = Literal["A(x)", "A.T(g)", "kernel gradient"]


def _arrays(layer: Layer) -> tuple[Array, Array]:
    """The batch of inputs, and that of gradients at the output."""
    return samples((BATCH, *layer.in_shape)), samples((BATCH, *layer.out_shape), seed=2)


def ours(layer: Layer, task: Task, *, innermost: bool = False) -> Maker:
    """convalg's call, with samples one after another in memory or with the batch innermost."""

    def make() -> Callable[[], Any]:
        operator = layer.operator()
        x, g = _arrays(layer)
        if innermost:
            x, g = batch_innermost(x), batch_innermost(g)
        match task:
            case "A(x)":
                return lambda: operator(x)
            case "A.T(g)":
                adjoint = operator.T
                return lambda: adjoint(g)
            case "kernel gradient":
                return lambda: operator.kernel_gradient(x, g)

    return make


def matrix(layer: Layer, task: Task) -> Maker:
    """SciPy's product of the sparse matrix with the batch as columns, transposed in advance."""

    def make() -> Callable[[], Any]:
        from benchmarks.jobs.peers import from_triples

        rows = from_triples(layer, layer.weights())
        x, g = _arrays(layer)
        if task == "A.T(g)":
            rows, x = rows.T.tocsr(), g
        columns = np.ascontiguousarray(x.reshape(BATCH, -1).T)
        return lambda: rows @ columns

    return make


def torch_call(layer: Layer, task: Task, *, last: bool = False) -> Maker:
    """PyTorch's call on the same arrays."""

    def make() -> Callable[[], Any]:
        import torch

        axis = len(layer.spatial) - 1
        functions, gradients = torch.nn.functional, importlib.import_module("torch.nn.grad")
        forward = (functions.conv1d, functions.conv2d, functions.conv3d)[axis]
        to_input = (gradients.conv1d_input, gradients.conv2d_input, gradients.conv3d_input)[axis]
        to_kernel = (gradients.conv1d_weight, gradients.conv2d_weight, gradients.conv3d_weight)[
            axis
        ]
        tensors = [torch_form(layer, array) for array in (*_arrays(layer), layer.weights())]
        x, g, w = map(channels_last, tensors) if last else tensors
        calls: dict[Task, Callable[[], Any]] = {
            "A(x)": lambda: forward(x, w, padding=layer.padding),
            "A.T(g)": lambda: to_input(x.shape, w, g, padding=layer.padding),
            "kernel gradient": lambda: to_kernel(x, w.shape, g, padding=layer.padding),
        }
        call = calls[task]

        def without_graph() -> Any:
            with torch.no_grad():
                return call()

        return without_graph

    return make


def answer(layer: Layer, task: Task) -> Callable[[Any], Array]:
    """The result of any contestant in convalg's shape, samples first."""
    shapes: dict[Task, tuple[int, ...]] = {
        "A(x)": (BATCH, *layer.out_shape),
        "A.T(g)": (BATCH, *layer.in_shape),
        "kernel gradient": layer.kernel_shape,
    }
    shape = shapes[task]

    def read(result: Any) -> Array:
        array = as_array(result)
        if array.ndim == 2 and task != "kernel gradient" and array.shape[1] == BATCH:
            array = array.T
        return array.reshape(shape)

    return read


def job(layer: Layer, task: Task, aim: float | None) -> Job:
    """One task of one layer, in both forms of memory."""
    contestants = {
        "convalg": ours(layer, task),
        "convalg, batch innermost": ours(layer, task, innermost=True),
        "torch": torch_call(layer, task),
    }
    if len(layer.spatial) > 1:
        contestants["torch channels_last"] = torch_call(layer, task, last=True)
    if task != "kernel gradient":
        contestants["SciPy CSR @ x"] = matrix(layer, task)
    return Job(
        f"{task} {layer.name}",
        "torch",
        contestants,
        aim=aim,
        work=Work(flops=2 * layer.nonzeros * BATCH),
        answer=answer(layer, task),
        # PyTorch's sum of six million products of both signs is off by 1e-4 on the line.
        tolerance=1e-3 if task == "kernel gradient" else 1e-4,
        heavy=layer.heavy or layer is LINE,
    )


AIMS: tuple[tuple[Layer, float | None, float | None, float | None], ...] = (
    (WIDE[0], 1.5, None, 2.0),
    (WIDE[1], 1.9, None, 2.0),
    (LENET[0], 1.3, 0.6, 1.5),
    (LENET[1], None, None, 1.5),
    (LINE, 0.15, 0.05, 0.35),
    (CUBE, 2.5, 1.0, 0.9),
)
"""Of each layer: aims of A(x), A.T(g) and the kernel's gradient, where one was set."""


def jobs(quick: bool) -> list[Job]:
    """Each task of each layer."""
    tasks: tuple[Task, ...] = ("A(x)", "A.T(g)", "kernel gradient")
    return [
        job(layer, task, aims[number]) for number, task in enumerate(tasks) for layer, *aims in AIMS
    ]

"""Other methods of building the matrix of a layer with NumPy and SciPy, optimised for speed."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from benchmarks.harness import Array
from benchmarks.jobs.layers import Layer


def triples(layer: Layer) -> tuple[Array, Array, Array]:
    """Row, column and kernel index of every entry: one broadcast, then a mask."""
    dims = len(layer.spatial)
    o = np.arange(layer.outputs).reshape(-1, *(1,) * (2 * dims + 1))
    c = np.arange(layer.inputs).reshape(-1, *(1,) * (2 * dims))
    row, column, label = o, c, o * layer.inputs + c
    inside: Array = np.ones((1,) * (2 * dims + 2), dtype=bool)
    for axis, (size, out) in enumerate(zip(layer.spatial, layer.out_spatial, strict=True)):
        output = np.arange(out).reshape(-1, *(1,) * (2 * dims - axis - 1))
        tap = np.arange(layer.taps).reshape(-1, *(1,) * (dims - axis - 1))
        reached = output + tap - layer.padding
        inside = inside & (reached >= 0) & (reached < size)
        row, column = row * out + output, column * size + reached
        label = label * layer.taps + tap
    shape = np.broadcast_shapes(row.shape, column.shape, label.shape)
    mask = np.broadcast_to(inside, shape)
    return tuple(np.broadcast_to(part, shape)[mask] for part in (row, column, label))  # type: ignore[return-value]


def from_triples(layer: Layer, weights: Array) -> Any:
    """The matrix in compressed rows, built from coordinates."""
    import scipy.sparse

    row, column, label = triples(layer)
    shape = (int(np.prod(layer.out_shape)), int(np.prod(layer.in_shape)))
    matrix = scipy.sparse.coo_array((weights.reshape(-1)[label], (row, column)), shape=shape)
    return matrix.tocsr()


def from_kronecker(layer: Layer, weights: Array) -> Any:
    """The matrix as a sum, over taps, of Kronecker products of shifts."""
    import scipy.sparse

    weights = weights.reshape(layer.outputs, layer.inputs, *(layer.taps for _ in layer.spatial))
    total = None
    for taps in product(range(layer.taps), repeat=len(layer.spatial)):
        term = scipy.sparse.csr_array(np.moveaxis(weights, (0, 1), (-2, -1))[taps])
        for size, out, tap in zip(layer.spatial, layer.out_spatial, taps, strict=True):
            shift = scipy.sparse.eye_array(
                out, size, k=tap - layer.padding, format="csr", dtype=np.float32
            )
            term = scipy.sparse.kron(term, shift, format="csr")
        total = term if total is None else total + term
    return total


def from_impulses(layer: Layer, weights: Array) -> Any:
    """The matrix from PyTorch's convolution of every unit vector."""
    import scipy.sparse
    import torch

    functions = torch.nn.functional
    call = (functions.conv1d, functions.conv2d, functions.conv3d)[len(layer.spatial) - 1]
    columns = int(np.prod(layer.in_shape))
    units = torch.eye(columns).reshape(columns, layer.inputs, *layer.spatial)
    kernel = torch.from_numpy(
        weights.reshape(layer.outputs, layer.inputs, *weights.shape[-len(layer.spatial) :])
    )
    with torch.no_grad():
        outputs = call(units, kernel, padding=layer.padding)
    return scipy.sparse.csr_array(outputs.reshape(columns, -1).numpy().T)


def from_loops(layer: Layer, weights: Array) -> Any:
    """The matrix from plain loops over outputs and taps, into lists."""
    import scipy.sparse

    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    weights = weights.reshape(layer.outputs, layer.inputs, -1)
    offsets = list(product(range(layer.taps), repeat=len(layer.spatial)))
    row = -1
    for o in range(layer.outputs):
        for output in product(*map(range, layer.out_spatial)):
            row += 1
            for c in range(layer.inputs):
                for number, tap in enumerate(offsets):
                    column = c
                    for i, t, size in zip(output, tap, layer.spatial, strict=True):
                        at = i + t - layer.padding
                        if not 0 <= at < size:
                            break
                        column = column * size + at
                    else:
                        rows.append(row)
                        columns.append(column)
                        values.append(weights[o, c, number])
    shape = (int(np.prod(layer.out_shape)), int(np.prod(layer.in_shape)))
    data = np.array(values, dtype=np.float32)
    return scipy.sparse.coo_array((data, (rows, columns)), shape=shape).tocsr()

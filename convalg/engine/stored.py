"""The engine "csr": a stored CSR matrix with a cached structure, applied by SciPy."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from convalg.engine.arithmetic import Array
from convalg.engine.time_model import Work
from convalg.geometry import Geometry
from convalg.limits import check_memory
from convalg.pattern.pattern import Pattern
from convalg.size import size_product

if TYPE_CHECKING:
    import scipy.sparse

KEPT = 1 << 25
"""The largest size in bytes of a structure that is cached for the next call."""


def matrix(geometry: Geometry, kernel: Array) -> scipy.sparse.csr_array:
    """Return the CSR matrix of a layer. Raises: TooLargeError when it does not fit in memory."""
    import scipy.sparse

    pattern = Pattern(geometry)
    needed = pattern.csr_bytes(kernel.dtype.itemsize)
    instead = "choose another engine, or use engine='auto'"
    check_memory(needed, None, what="the stored matrix", instead=instead)
    made = _structure if needed <= KEPT else _structure.__wrapped__
    indptr, indices = made(geometry)
    values = pattern.csr_values(kernel.reshape(geometry.kernel_shape))
    shape = (indptr.size - 1, int(size_product(geometry.in_shape)))
    return scipy.sparse.csr_array((values, indices, indptr), shape=shape)


@lru_cache(maxsize=16)
def _structure(geometry: Geometry) -> tuple[Any, Any]:
    return Pattern(geometry).csr_structure()


def apply(geometry: Geometry, kernel: Array, x: Array, *, adjoint: bool) -> Array:
    """Return A x, or with `adjoint` A^T x, as an array (batch, size), batch innermost in memory.

    Raises: TooLargeError when the matrix does not fit in memory.
    """
    stored = matrix(geometry, kernel)
    columns = x.reshape(len(x), -1).T
    y: Array = (stored.T if adjoint else stored) @ columns
    return y.T


def work(geometry: Geometry, batch: int, *, last: bool) -> Work:
    """Return the work of this engine; `last`: the batch is innermost in memory."""
    rows, columns = int(size_product(geometry.out_shape)), int(size_product(geometry.in_shape))
    entries = Pattern(geometry).nonzeros
    cost = Work(calls=30 + geometry.channels[0] * geometry.channels[1])
    # The weights are filled in at each call.
    cost.stored += entries * (batch + 8)
    if last or batch == 1:
        cost.copied += columns * batch
    else:
        cost.transposed += columns * batch
    cost.copied += rows * batch
    return cost

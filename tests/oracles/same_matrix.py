"""Whether an identification has the matrix of the layer it was made from, and is not a chance."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import convalg as ca
from convalg.recognise.identification import Identification


def has_matrix(found: Identification, matrix: Any) -> bool:
    """Whether the operator found has this matrix, entry by entry."""
    return isinstance(found.operator, ca.Operator) and bool(
        (found.operator.to_numpy() == np.asarray(matrix)).all()
    )


def matrix_of(f: Callable[[Any], Any], shape: tuple[int, ...]) -> np.ndarray:
    """The matrix of a linear function, one impulse after the other."""
    basis = np.eye(math.prod(shape)).reshape(-1, *shape)
    return np.stack([np.asarray(f(x), dtype=float).ravel() for x in basis], axis=1)


def are_shifts(first: np.ndarray, second: np.ndarray, axis: int, step: int) -> bool:
    """Whether some stride moves one row onto another that is `step` outputs behind on an axis."""
    n = first.shape[axis]
    for stride in range(1, n):
        offset = stride * step
        if offset >= n:
            break
        kept = np.take(first, range(n - offset), axis)
        moved = np.take(second, range(offset, n), axis)
        if np.array_equal(kept, moved):
            return True
    return False


def is_genuine(found: Identification, matrix: np.ndarray) -> bool:
    """Whether the two rows of a witness are no shifts of one another, or not of one another's
    entries."""
    places = found.witness["rows"]
    flat = [int(np.ravel_multi_index(place, found.out_shape)) for place in places]
    if "of one row" not in found.words:
        return len(set(flat)) == 2
    shape = found.in_shape
    if len(shape) != len(found.out_shape):
        places, shape = [(k,) for k in flat], (matrix.shape[1],)
    differ = [k for k, (a, b) in enumerate(zip(*places, strict=True)) if a != b]
    rows = [matrix[k].reshape(shape) for k in flat]
    step = places[1][differ[0]] - places[0][differ[0]]
    return len(differ) == 1 and not are_shifts(*rows, differ[0], step)

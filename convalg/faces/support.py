"""Bounds on the number of non-zeros of an operator, computed from shapes and patterns only."""

from __future__ import annotations

import math
from collections.abc import Callable

from convalg.operators.leaves import (
    Adjoint,
    Convolution,
    Diagonal,
    Matrix,
    Patches,
    Selection,
    SparseMatrix,
)
from convalg.operators.tree import Compose, Kron, Operator, Scaled, Sum, fold
from convalg.pattern.pattern import Pattern


def nonzero_bound(operator: Operator) -> int:
    """Return an upper bound on the number of non-zeros of the matrix, without computing entries."""
    rows, columns = operator.shape

    def clipped(node: Operator, *images: int) -> int:
        bound = _BOUND[type(node)](*images)
        return min(bound, node.shape[0] * node.shape[1])

    bound: int = fold(operator, dict.fromkeys(_BOUND, clipped), leaf_nonzeros)
    return min(bound, rows * columns)


def leaf_nonzeros(leaf: object) -> int:
    """Return the number of entries in the pattern of a leaf."""
    match leaf:
        case Convolution() | Selection():
            return leaf.pattern.nonzeros
        case Patches():
            return Pattern(leaf.geometry).products
        case Diagonal(values=values) | Matrix(values=values) | SparseMatrix(values=values):
            return int(values.size)
    raise AssertionError(leaf)


_BOUND: dict[type, Callable[..., int]] = {
    Compose: lambda *images: math.prod(images),
    Sum: lambda *images: sum(images),
    Scaled: lambda image: image,
    Adjoint: lambda image: image,
    Kron: lambda left, right: left * right,
}

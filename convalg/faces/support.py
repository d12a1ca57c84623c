"""Bounds on the number of an operator's entries, from its shapes and patterns alone."""

from __future__ import annotations

import math
from typing import Any

from convalg.operators.leaves import Adjoint, Convolution, Patches, Selection
from convalg.operators.tree import Compose, Kron, Operator, Scaled, Sum, fold
from convalg.pattern.pattern import Pattern


def nonzero_bound(operator: Operator) -> int:
    """Return an upper bound on the number of non-zeros, from the shapes and patterns alone."""
    rows, columns = operator.shape

    def clipped(node: Operator, *images: int) -> int:
        return min(_BOUND[type(node)](*images), node.shape[0] * node.shape[1])

    return min(fold(operator, dict.fromkeys(_BOUND, clipped), leaf_nonzeros), rows * columns)


def leaf_nonzeros(leaf: Any) -> int:
    """Return the number of a leaf's entries in its pattern."""
    match leaf:
        case Convolution() | Selection():
            return leaf.pattern.nonzeros
        case Patches():
            return Pattern(leaf.geometry).products
    return leaf.values.size


_BOUND: dict[type, Any] = {
    Compose: lambda *images: math.prod(images),
    Sum: lambda *images: sum(images),
    Scaled: lambda image: image,
    Adjoint: lambda image: image,
    Kron: lambda left, right: left * right,
}

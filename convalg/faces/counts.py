"""The counts of an operator: parameters, non-zeros, multiplications, weight sharing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convalg.arguments import plural
from convalg.faces import family_counts
from convalg.faces.sparse import support_matrix
from convalg.faces.support import leaf_nonzeros, nonzero_bound
from convalg.limits import check_memory
from convalg.operators.leaves import Adjoint, Convolution, Diagonal, Matrix, Selection, SparseMatrix
from convalg.operators.tree import Compose, Kron, Operator, Scaled, Sum, fold
from convalg.pattern.pattern import Pattern

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True, eq=False, repr=False)
class Counts:
    """The counts of an operator: exact integers, and for a family expressions in its sizes.

    Attributes:
        dense: The number of entries of the matrix, zeros included.
        nonzeros: The number of entries in the pattern; weights whose value is zero are included.
        parameters: The number of weights; a weight that several layers share is counted once.
        multiplications: The number of products of a weight and an input sample; products with zero
            padding are excluded, and so are operators that only move samples.
        sharing: The number of uses of each weight, an integer array with the shape of the kernel;
            None for an operator without a kernel or with several, and for a family.

    >>> import convalg as ca
    >>> ca.correlation(5, [1, 2, 3]).counts
    Counts(dense=15, nonzeros=9, parameters=3, multiplications=9, each weight used 3 times)
    """

    dense: int | sympy.Expr
    nonzeros: int | sympy.Expr
    parameters: int | sympy.Expr
    multiplications: int | sympy.Expr
    sharing: np.ndarray | None = None

    def __repr__(self) -> str:
        parts = [
            f"dense={self.dense}",
            f"nonzeros={self.nonzeros}",
            f"parameters={self.parameters}",
            f"multiplications={self.multiplications}",
        ]
        return f"Counts({', '.join(parts + self._sharing_text())})"

    def _sharing_text(self) -> list[str]:
        if self.sharing is None:
            return []
        low, high = int(self.sharing.min()), int(self.sharing.max())
        times = plural(low, "time") if low == high else f"{low} to {high} times"
        return [f"each weight used {times}"]


def counts(operator: Operator) -> Counts:
    """Return the numbers of entries, non-zeros, parameters and multiplications of an operator.

    Raises: TooLargeError when the support of a product or sum does not fit in memory,
    UndecidableError for families without closed forms.
    """
    rows, columns = operator.shape
    if not operator.is_concrete:
        return Counts(
            dense=rows * columns,
            nonzeros=family_counts.nonzeros(operator),
            parameters=family_counts.parameters(operator),
            multiplications=family_counts.multiplications(operator),
        )
    kernels = _kernels(operator)
    sharing = Pattern(kernels[0].geometry).sharing() if len(kernels) == 1 else None
    return Counts(
        dense=rows * columns,
        nonzeros=_nonzeros(operator),
        parameters=sum({id(w): size for w, size in _weights(operator)}.values()),
        multiplications=fold(operator, _MULTIPLICATIONS, _leaf_multiplications),
        sharing=sharing,
    )


def _kernels(operator: Operator) -> list[Convolution]:
    """Return the leaves with a kernel, whose weights are shared among outputs."""
    if isinstance(operator, Convolution):
        return [operator]
    return [leaf for child in operator.children for leaf in _kernels(child)]


def _weights(operator: Operator) -> list[tuple[np.ndarray, int]]:
    """Return the arrays of parameters with their sizes; an array may occur several times."""
    match operator:
        case Convolution(weights=values) | Diagonal(values=values) | Matrix(values=values):
            return [(values, values.size)]
    return [pair for child in operator.children for pair in _weights(child)]


def _nonzeros(operator: Operator) -> int:
    """Return the number of entries of the support; only products and sums need a matrix."""
    match operator:
        case Compose() | Sum():
            return _support_size(operator)
        case Kron(left=left, right=right):
            return _nonzeros(left) * _nonzeros(right)
        case Scaled(operator=inner) | Adjoint(operator=inner):
            return _nonzeros(inner)
    return leaf_nonzeros(operator)


def _support_size(operator: Operator) -> int:
    bound = nonzero_bound(operator)
    check_memory(
        bound * 16,
        None,
        what="the support of a product or sum",
        instead="count its factors separately",
        fixed=True,
    )
    return int(support_matrix(operator).nnz)


def _leaf_multiplications(leaf: object) -> int:
    match leaf:
        case Convolution():
            return leaf.pattern.products
        case Selection():
            return 0
        case SparseMatrix(values=values):
            # Entries of 1 only move and add samples.
            return int(np.sum(values != 1))
    return leaf_nonzeros(leaf)


_MULTIPLICATIONS: dict[type, Callable[..., int]] = {
    Compose: lambda node, *images: sum(images),
    Sum: lambda node, *images: sum(images),
    Scaled: lambda node, image: image + math.prod(node.out_shape),
    Adjoint: lambda node, image: image,
    Kron: lambda node, left, right: right * node.left.shape[1] + left * node.right.shape[0],
}

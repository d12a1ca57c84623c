"""The counts of families: expressions in the sizes, such as n k - p (p + 1)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from convalg.axis import Size
from convalg.errors import UndecidableError
from convalg.faces.axis_counts import axis_nonzeros, axis_triples
from convalg.faces.bands import product_nonzeros
from convalg.faces.relation import to_isl
from convalg.geometry import Geometry
from convalg.operators.families import conditions_of
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
from convalg.presburger import parameter_set
from convalg.size import size_product

if TYPE_CHECKING:
    import islpy


def nonzeros(operator: Operator) -> Any:
    """Return the number of entries in the pattern of a family.

    A product has a closed form if it relates outputs and inputs by a band on each axis, as `bands`
    describes it; a sum if the patterns of its terms are separate or one contains the other.

    Raises: UndecidableError where a closed form does not exist.

    >>> import convalg as ca
    >>> n, K = ca.sizes("n K")
    >>> nonzeros(ca.correlation(n, ca.kernel(K)))
    K*(-K + n + 1)
    """
    match operator:
        case Compose(factors=factors):
            return product_nonzeros(factors, _premises(operator))
        case Sum():
            return _sum_nonzeros(operator)
        case Kron(left=left, right=right):
            return nonzeros(left) * nonzeros(right)
        case Scaled(operator=inner) | Adjoint(operator=inner):
            return nonzeros(inner)
    return _leaf_nonzeros(operator)


def multiplications(operator: Operator) -> Any:
    """Return the number of products of a weight and a sample of a family.

    Raises: UndecidableError as `nonzeros`.
    """
    return fold(operator, _MULTIPLICATIONS, _leaf_multiplications)


def parameters(operator: Operator) -> Any:
    """Return the number of weights of a family; the weights of a named kernel are counted once."""
    weights: dict[object, Any] = {}

    def collect(node: Operator) -> None:
        match node:
            case Convolution(weights=values) | Diagonal(values=values) | Matrix(values=values):
                weights[getattr(values, "name", id(values))] = size_product(values.shape)
        for child in node.children:
            collect(child)

    collect(operator)
    return sum(weights.values())


def triples(geometry: Geometry) -> Any:
    """Return the number of triples (output, input, weight) of a layer."""
    return size_product(geometry.channels) * size_product(map(axis_triples, geometry.axes))


def _leaf_nonzeros(leaf: object) -> Any:
    match leaf:
        case Convolution(geometry=geometry) | Selection(geometry=geometry):
            return size_product(geometry.channels) * size_product(map(axis_nonzeros, geometry.axes))
        case Patches(geometry=geometry):
            return triples(geometry)
        case Diagonal(values=values) | Matrix(values=values) | SparseMatrix(values=values):
            return int(values.size)
    raise AssertionError(leaf)


def _leaf_multiplications(leaf: object) -> Any:
    match leaf:
        case Convolution():
            return triples(leaf.geometry)
        case Selection():
            return 0
        case SparseMatrix(values=values):
            return int((values != 1).sum())
    return _leaf_nonzeros(leaf)


def _scaled(node: Scaled, image: Size) -> Any:
    """Return the multiplications of a scaled operator, which has no factor where it is 1."""
    import sympy

    total = image + math.prod(node.out_shape)
    is_one = sympy.Eq(sympy.sympify(node.factor), 1)
    return total if is_one == False else sympy.Piecewise((image, is_one), (total, True))  # noqa: E712


def _premises(operator: Operator) -> tuple[Size, ...]:
    return tuple(condition.value for condition in conditions_of(operator))


def _sum_nonzeros(operator: Sum) -> Any:
    """Return the non-zeros of a sum whose terms have separate patterns, or patterns in another."""
    sizes = parameter_set(_premises(operator))
    kept: list[tuple[islpy.Map, Operator]] = []
    for term in operator.terms:
        relation = to_isl(term).intersect_params(sizes)
        if any(relation.is_subset(other) for other, _ in kept):
            continue
        kept = [(other, inner) for other, inner in kept if not other.is_subset(relation)]
        if not all(relation.is_disjoint(other) for other, _ in kept):
            raise UndecidableError(
                "the non-zeros of a sum of operators whose patterns overlap have no closed form "
                "here: use numbers for its sizes with A.at(), or the counts of its terms"
            )
        kept.append((relation, term))
    return sum(nonzeros(term) for _, term in kept)


_MULTIPLICATIONS: dict[type, Callable[..., Any]] = {
    Compose: lambda node, *images: sum(images),
    Sum: lambda node, *images: sum(images),
    Scaled: lambda node, image: _scaled(node, image),
    Adjoint: lambda node, image: image,
    Kron: lambda node, left, right: right * node.left.shape[1] + left * node.right.shape[0],
}

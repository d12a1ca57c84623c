"""Operators in double precision, the input of the numerical methods."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from convalg.arrays import Array
from convalg.errors import ArgumentError, KindError, SymbolicError
from convalg.faces.limits import check_axes
from convalg.faces.sparse import cast, exact_kind, unguarded
from convalg.operators.leaves import Convolution
from convalg.operators.tree import Operator, Scaled, scale


def as_float(A: object, call: str) -> Operator:  # noqa: N803
    """Return the operator with entries in double precision.

    Raises: KindError unless it is an operator, SymbolicError for symbolic sizes or entries.
    """
    operator = checked(A, call)
    if exact_kind(operator) == "symbols":
        raise SymbolicError(
            f"{call} needs numbers, but {operator!r} has symbols: pass numbers with "
            f"A.refill(kernel)"
        )
    return mapped(operator, lambda values: cast(values, np.dtype(float)))


def checked(A: object, call: str) -> Operator:  # noqa: N803
    """Return A. Raises: KindError unless it is an operator, SymbolicError for symbolic sizes."""
    if not isinstance(A, Operator):
        raise KindError(
            f"{call} takes an operator, not {type(A).__name__}: write ca.dense(M) for a matrix, "
            f"or f.at(x) for a map"
        )
    A._need_numbers(call)
    check_axes(A, call)
    return A


def mapped(operator: Operator, change: Callable[[Array], Array]) -> Operator:
    """The same tree with `change` applied to every array of weights and every factor."""
    match operator:
        case Convolution(weights=values):
            return replace(operator, weights=change(values))
        case Scaled(factor=factor, operator=inner):
            return scale(change(np.asarray(factor)).item(), mapped(inner, change))
    if operator.children:
        return operator.rebuild(tuple(mapped(child, change) for child in operator.children))
    if not hasattr(operator, "values"):
        return operator
    return replace(operator, values=change(operator.values))  # type: ignore[type-var]  # a dataclass, with values


def dense(operator: Operator) -> Array:
    """Return the dense matrix of an operator of floats."""
    matrix = unguarded(operator).toarray().astype(float)
    check_overflow(float(np.abs(matrix).max()), operator)
    return matrix


def check_overflow(size: float, operator: Operator) -> None:
    """Raises: ArgumentError when products of entries overflowed."""
    if not math.isfinite(size):
        raise ArgumentError(
            f"entries of {operator!r} overflow double precision: scale its factors down"
        )

"""Checks of the operators passed to numerical methods, and their conversion to double precision."""

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
    """Return an operator with its weights and factors in double precision.

    `call` is the name of the public function, for the error messages.

    Raises: KindError when A is not an operator, SymbolicError for symbolic sizes or entries,
    ArgumentError or TooLargeError when the indices of an axis are too large.
    """
    operator = checked(A, call)
    if exact_kind(operator) == "symbols":
        raise SymbolicError(
            f"{call} needs numbers, but {operator!r} has symbols as entries: replace them by "
            f"numbers with A.refill(kernel)"
        )
    return mapped(operator, lambda values: cast(values, np.dtype(float)))


def checked(A: object, call: str) -> Operator:  # noqa: N803
    """Return A if it is an operator whose sizes are numbers, with indices of a possible size.

    `call` is the name of the public function, for the error messages.

    Raises: KindError when A is not an operator, SymbolicError for symbolic sizes, ArgumentError or
    TooLargeError when the indices of an axis are too large.
    """
    if not isinstance(A, Operator):
        raise KindError(
            f"{call} takes an operator, not {type(A).__name__}: convert a matrix M with "
            f"ca.dense(M), or replace a map f by its Jacobian f.at(x)"
        )
    A._need_numbers(call)
    check_axes(A, call)
    return A


def mapped(operator: Operator, change: Callable[[Array], Array]) -> Operator:
    """Return the same tree with `change` applied to every array of weights and every factor."""
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
    """Return the dense matrix of an operator, in double precision and without a memory limit.

    Raises: ArgumentError when entries overflow.
    """
    matrix: Array = unguarded(operator).toarray().astype(float)
    check_overflow(float(np.abs(matrix).max()), operator)
    return matrix


def check_overflow(size: float, operator: Operator) -> None:
    """Raise ArgumentError when `size`, a value computed from the operator, is not finite."""
    if not math.isfinite(size):
        raise ArgumentError(
            f"products of entries of {operator!r} overflow double precision: divide its weights or "
            f"factors by a constant"
        )

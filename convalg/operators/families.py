"""Families, which are operators with symbolic sizes: when they exist, and their members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from convalg.arrays import Array, as_kernel
from convalg.errors import ArgumentError
from convalg.kernels import SymbolicKernel
from convalg.operators.leaves import Convolution, Diagonal, Matrix, Patches, Selection
from convalg.operators.tree import Operator, Scaled, leaves, scale, symbols_of
from convalg.size import Condition, Numbers, as_integer, check_conditions, is_symbolic, substituted


def conditions_of(operator: Operator) -> tuple[Condition, ...]:
    """Return the conditions on its symbols under which an operator exists, each of them once."""
    conditions: dict[Any, Condition] = {}
    for leaf in leaves(operator):
        geometry = getattr(leaf, "geometry", None)
        if geometry is not None and not leaf.is_concrete:
            for condition in geometry.existence:
                conditions.setdefault(condition.value, condition)
    return tuple(conditions.values())


def at_sizes(operator: Operator, numbers: Mapping[str, object]) -> Operator:
    """Return the operator with some symbols replaced by numbers; see `Operator.at`.

    Args:
        operator: A family.
        numbers: Integers of at least 0, by the names of symbols of the family.

    Raises:
        ArgumentError: when a name is not a symbol of the operator, a number is negative, or the
            operator does not exist at these sizes.
        KindError: when a value is not an integer.
    """
    symbols = {symbol.name: symbol for symbol in symbols_of(operator)}
    chosen = {}
    for name, value in numbers.items():
        if name not in symbols:
            raise ArgumentError(
                f"A.at({name}={value}) needs a symbol of the operator, but {name} is not one: "
                f"its symbols are {', '.join(symbols) or 'none'}"
            )
        chosen[symbols[name]] = as_integer(value, name, least=0)
    return replaced(operator, chosen)


def replaced(operator: Operator, numbers: Numbers) -> Operator:
    """Return the operator with some symbols replaced by numbers, in sizes, factors and weights.

    Raises: ArgumentError, with the message of the constructor, when the operator does not exist at
    these sizes.
    """
    check_conditions(conditions_of(operator), numbers)
    return _at(operator, numbers)


def _at(operator: Operator, numbers: Numbers) -> Operator:
    match operator:
        case Convolution(geometry=geometry, weights=weights):
            return Convolution(geometry.at(numbers), _weights_at(weights, numbers))
        case Patches(geometry=geometry, values=values, transposed=is_transposed):
            return Patches(geometry.at(numbers), _weights_at(values, numbers), is_transposed)
        case Selection(in_shape=before, out_shape=after):
            shapes = [tuple(substituted(n, numbers) for n in s) for s in (before, after)]
            geometry = operator.geometry.at(numbers)
            return Selection(geometry.axes, shapes[0], shapes[1], geometry.conditions)
        case Scaled(factor=factor, operator=inner):
            return scale(substituted(factor, numbers), _at(inner, numbers))
        case Diagonal(values=values):
            return Diagonal(_array_at(values, numbers))
        case Matrix(values=values, in_shape=before, out_shape=after):
            return Matrix(_array_at(values, numbers), before, after)
    if not operator.children:
        return operator
    return operator.rebuild(tuple(_at(child, numbers) for child in operator.children))


def _weights_at(weights: Array | SymbolicKernel, numbers: Numbers) -> Array | SymbolicKernel:
    """Return the weights of a family with the symbols of sizes replaced by numbers."""
    if isinstance(weights, SymbolicKernel):
        return weights.at(numbers)
    return _array_at(weights, numbers)


def _array_at(weights: Array, numbers: Numbers) -> Array:
    """Return an array with the symbols of sizes in its entries replaced by numbers.

    Raises: ArgumentError when an entry is undefined, such as 1 / (K - 1) at K = 1.
    """
    if weights.dtype.kind != "O" or not any(
        is_symbolic(value) and not value.free_symbols.isdisjoint(numbers)
        for value in weights.ravel()
    ):
        return weights
    entries = np.empty(weights.size, dtype=object)
    entries[:] = [substituted(value, numbers) for value in weights.ravel()]
    return as_kernel(entries.reshape(weights.shape))

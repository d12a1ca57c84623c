"""Derivatives by the kernel, B(x) and dL/dw, and the replacement of a kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from convalg import engine
from convalg.arguments import a_kind, shown
from convalg.arrays import as_kernel, batch_of, is_foreign
from convalg.axis import Axis
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.kernels import SymbolicKernel
from convalg.operators.leaves import (
    Adjoint,
    Convolution,
    Matrix,
    Patches,
    Selection,
    checked_kernel,
)
from convalg.operators.tree import (
    Compose,
    Kron,
    Operator,
    Scaled,
    Sum,
    compose,
    kron,
    leaves,
    scale,
)


def only_convolution(operator: Operator) -> Convolution:
    """Return the only convolution of a tree.

    Raises: KindError when the tree has none or several, or is not an operator.
    """
    a_kind(operator, Operator, "only an operator has a kernel")
    layers = convolutions(operator)
    if len(layers) != 1:
        raise KindError(
            f"the operator must contain exactly one kernel, but {operator!r} contains "
            f"{len(layers)}: use one of its parts, or merge them with simplify()"
        )
    return layers[0]


def refill(operator: Operator, kernel: object) -> Operator:
    """Return the same tree with another kernel in its only convolution; see `Operator.refill`."""
    layer = only_convolution(operator)
    weights = checked_kernel(kernel, layer.geometry.kernel_shape)
    return _replace(operator, Convolution(layer.geometry, weights))


def parameters(operator: Operator) -> dict[str, np.ndarray]:
    """Return the trainable arrays of an operator by name; see `Operator.parameters`."""
    return {name: _values(leaf) for name, leaf in _layers(operator).items()}


def by(operator: Operator, name: str, x: object) -> Operator:
    """Return the operator that maps a parameter to the output at x; see `Operator.by`.

    Raises: ArgumentError when no parameter has this name.
    """
    layers = _layers(operator)
    if not isinstance(name, str) or name not in layers:
        raise ArgumentError(
            f"{operator!r} has no parameter {shown(name)}; it has {', '.join(layers) or 'none'}"
        )
    return _by(operator, layers[name], _sample(operator, x))


def by_kernel(operator: Operator, x: object) -> Operator:
    """Return B(x) of an operator with one kernel; see `Operator.by_kernel`.

    Rule: (L A R)(x) = L B(R x) w, for factors L and R without a kernel.
    """
    return _by(operator, only_convolution(operator), _sample(operator, x))


def kernel_gradient(operator: Operator, x: object, g: object) -> np.ndarray:
    """Return dL/dw, summed over the batch; see `Operator.kernel_gradient`.

    Rule: <g, L A R x> = <L^T g, A (R x)>: for the layer A alone, the input is R x and the gradient
    of its output is L^T g.
    """
    layer = only_convolution(operator)
    if is_foreign(x) or is_foreign(g):
        from convalg.devices.array_api import pair

        library, inputs, upstream = pair(operator, x, g)
        with library.on(inputs):
            return _gradient(operator, inputs, upstream)
    inputs, batch = batch_of(x, operator.in_shape, "x")
    upstream, other = batch_of(g, operator.out_shape, "g")
    if batch != other:
        raise ShapeError(
            f"x and g must have the same batch axes, but x has {batch or 'none'} and g has "
            f"{other or 'none'}"
        )
    return _gradient(operator, inputs, upstream).reshape(layer.geometry.kernel_shape)


def convolutions(operator: Operator) -> list[Convolution]:
    """Return the convolutions of a tree, from left to right."""
    if isinstance(operator, Convolution):
        return [operator]
    return [layer for child in operator.children for layer in convolutions(child)]


def _replace(operator: Operator, layer: Convolution) -> Operator:
    if isinstance(operator, Convolution):
        return layer
    if not convolutions(operator):
        return operator
    return operator.rebuild(tuple(_replace(child, layer) for child in operator.children))


def _sample(operator: Operator, x: object) -> Any:
    """Return one sample as an array, or unchanged when it is symbolic. Raises: ShapeError."""
    values = x if isinstance(x, SymbolicKernel) else as_kernel(x, "x")
    if values.shape != operator.in_shape:
        raise ShapeError(
            f"x must be one sample of shape {operator.in_shape}, without a batch, not an array of "
            f"shape {values.shape}"
        )
    return values


def _layers(operator: Operator) -> dict[str, Convolution | Matrix]:
    """Return the only convolution as "kernel" and the only matrix as "weights".

    A kind of leaf that occurs several times is left out.
    """
    nodes = leaves(operator)
    kinds: dict[str, list[Any]] = {
        "kernel": [leaf for leaf in nodes if isinstance(leaf, Convolution)],
        "weights": [leaf for leaf in nodes if isinstance(leaf, Matrix)],
    }
    return {name: each[0] for name, each in kinds.items() if len(each) == 1}


def _values(leaf: Convolution | Matrix) -> np.ndarray:
    return leaf.weights if isinstance(leaf, Convolution) else leaf.values


def _by(operator: Operator, layer: Convolution | Matrix, x: Any) -> Operator:
    """Return the operator that maps the weights of one leaf to the output."""
    match operator:
        case Convolution(geometry=geometry):
            return Patches(geometry, x)
        case Adjoint(operator=Convolution(geometry=geometry)):
            return Patches(geometry, x, transposed=True)
        case Matrix():
            row = Matrix(x.reshape(1, -1), (operator.shape[1],), (1,))
            rows = operator.shape[0]
            every = kron(Selection((Axis(rows, rows),), (rows,), (rows,)), row)
            flat = (Axis(rows, rows),)
            return compose(Selection(flat, (rows, 1), operator.out_shape), every)
        case Scaled(factor=factor, operator=inner):
            return scale(factor, _by(inner, layer, x))
        case Sum(terms=terms):
            return _by(next(term for term in terms if layer in leaves(term)), layer, x)
        case Compose(factors=factors):
            index = next(k for k, f in enumerate(factors) if layer in leaves(f))
            if factors[index + 1 :] and isinstance(x, SymbolicKernel):
                raise _no_rule(operator)
            around = compose(*factors[index + 1 :])(x) if factors[index + 1 :] else x
            return compose(*factors[:index], _by(factors[index], layer, around))
    raise _no_rule(operator)


def _gradient(operator: Operator, x: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Return dL/dw summed over the batch; x and g are (batch, *shape)."""
    match operator:
        case Convolution():
            return _products(operator, x, g)
        case Adjoint(operator=Convolution() as layer):
            return _products(layer, g, x)
        case Scaled(factor=factor, operator=inner):
            gradient = _gradient(inner, x, g)
            return gradient * float(factor) if is_foreign(x) else engine.scaled(factor, gradient)
        case Sum(terms=terms):
            return _gradient(terms[_index_of_layer(terms)], x, g)
        case Compose(factors=factors):
            index = _index_of_layer(factors)
            before, after = factors[index + 1 :], factors[:index]
            inner_x = compose(*before)(x) if before else x
            inner_g = compose(*after).T(g) if after else g
            return _gradient(factors[index], inner_x, inner_g)
    raise _no_rule(operator)


def _products(layer: Convolution, x: np.ndarray, g: np.ndarray) -> np.ndarray:
    if is_foreign(x):
        from convalg.devices.array_api import kernel_gradient

        gradient: np.ndarray = kernel_gradient(layer, x, g)
        return gradient
    return engine.kernel_gradient(layer.geometry, x, g)


def _index_of_layer(factors: tuple[Operator, ...]) -> int:
    return next(k for k, factor in enumerate(factors) if convolutions(factor))


def _no_rule(operator: Sum | Kron | Operator) -> KindError:
    return KindError(
        f"the derivative by a kernel inside an operator of type {type(operator).__name__} is not "
        f"available: merge it to one convolution with simplify(), or differentiate its parts"
    )

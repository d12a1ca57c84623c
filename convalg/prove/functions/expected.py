"""The polynomials that a function should return: the outputs and gradients of an operator."""

from __future__ import annotations

import numpy as np

from convalg.arrays import Array
from convalg.faces.exact import exact_rows
from convalg.operators.tree import Operator
from convalg.prove.decisions.polynomials import Polynomial


def outputs(operator: Operator, inputs: dict[str, Array]) -> dict[str, Array]:
    """Return the output y = A x as polynomials, with the kernel w if there is one.

    Args:
        operator: an operator with numbers as sizes.
        inputs: arrays of polynomials: x, and w for an arbitrary kernel.

    >>> import convalg as ca
    >>> x = np.array([Polynomial.generator("x0"), Polynomial.generator("x1")])
    >>> outputs(ca.correlation(2, [3, 4]), {"x": x})
    {'y': array([3*x0 + 4*x1], dtype=object)}
    """
    if "w" in inputs:
        operator = operator.refill(inputs["w"])
    return {"y": polynomials(applied(operator, inputs["x"]))}


def gradients(operator: Operator, inputs: dict[str, Array]) -> dict[str, Array]:
    """Return the gradients dx = A^T g, and for a layer with a kernel dw and db, as polynomials.

    Args:
        operator: an operator with numbers as sizes.
        inputs: arrays of polynomials: g, and x and w for dw and an arbitrary kernel.

    >>> import convalg as ca
    >>> g = np.array([Polynomial.generator("g")])
    >>> gradients(ca.correlation(2, [3, 4]), {"g": g})["dx"]
    array([3*g, 4*g], dtype=object)
    """
    g = inputs["g"]
    operator = operator.refill(inputs["w"]) if "w" in inputs else lifted(operator)
    expected = {"dx": applied(operator.T, g)}
    if has_kernel(operator):
        if "x" in inputs:
            expected["dw"] = operator.kernel_gradient(inputs["x"], g)
        expected["db"] = _bias_gradient(operator, g)
    return {name: polynomials(array) for name, array in expected.items()}


def has_kernel(operator: Operator) -> bool:
    """Return whether an operator has one kernel: whether it contains one layer."""
    from convalg.operators.gradients import convolutions

    return len(convolutions(operator)) == 1


def applied(operator: Operator, x: Array) -> Array:
    """Return A x for an array of polynomials, with the exact weights of A."""
    flat, nothing = x.ravel(), Polynomial({})
    rows = exact_rows(operator, Polynomial.of)
    outputs = np.empty(len(rows), dtype=object)
    for row, line in enumerate(rows):
        total = nothing
        for column, value in line.items():
            total = total + value * flat[column]
        outputs[row] = total
    return outputs.reshape(operator.out_shape)


def lifted(operator: Operator) -> Operator:
    """Return the operator with its weights as polynomials: floats are read as fractions."""
    if not has_kernel(operator):
        return operator
    # Factors and fixed matrices are unchanged: polynomials can be multiplied by their numbers.
    return operator.refill(np.frompyfunc(Polynomial.of, 1, 1)(operator.kernel.astype(object)))


def _bias_gradient(operator: Operator, g: Array) -> Array:
    """Return the sum of g over the positions of each output channel, or over all of g."""
    from convalg.operators.gradients import only_convolution

    geometry = only_convolution(operator).geometry
    channels = len(geometry.kernel_shape) > len(geometry.axes)
    rows = g.reshape(g.shape[0], -1) if channels and g.ndim > 1 else g.reshape(1, -1)
    sums = np.empty(len(rows), dtype=object)
    for channel, row in enumerate(rows):
        sums[channel] = sum(row, start=Polynomial({}))
    return sums if channels else sums.reshape(())


def polynomials(array: Array) -> Array:
    """Return an array of numbers and polynomials as an array of polynomials."""
    entries = np.empty(np.shape(array), dtype=object)
    for index, value in np.ndenumerate(np.asarray(array, dtype=object)):
        entries[index] = Polynomial.of(value)
    return entries

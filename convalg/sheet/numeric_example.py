"""A numerical example of a layer: forward, the three gradients, one step of gradient descent.

All numbers are integers or fractions, so everything printed is exact and can be recomputed by
hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from numbers import Rational

import numpy as np

from convalg.faces.latex import layer_of
from convalg.operators.gradients import only_convolution
from convalg.operators.tree import Operator

MOST_SHOWN = 10
"""The most rows and columns of an array that are printed, and five times the most channels."""

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Worked:
    """A layer with numbers for its kernel, a bias per output channel, an input `x` and dL/dy = `g`.

    Rule: y = A x + b and L = |y - t|^2 / 2; the target t = y - g is chosen to give the gradient g.
    """

    operator: Operator
    bias: Array
    x: Array
    g: Array

    @cached_property
    def y(self) -> Array:
        """The output of the layer with its bias."""
        return self.forward(self.operator, self.bias)

    @cached_property
    def target(self) -> Array:
        """The target t = y - g of the squared-error loss."""
        target: Array = self.y - self.g
        return target

    @cached_property
    def dx(self) -> Array:
        """dL/dx, the transposed matrix times g."""
        return self.operator.T(self.g)

    @cached_property
    def dw(self) -> Array:
        """dL/dw, the transpose of B(x) times g."""
        return self.operator.kernel_gradient(self.x, self.g)

    @cached_property
    def db(self) -> Array:
        """dL/db, the sum of g over each output channel."""
        sums: Array = self.g.reshape(self.bias.size, -1).sum(axis=1)
        return sums

    @cached_property
    def rate(self) -> Fraction:
        """The largest of the learning rates 1/10, 1/100, ... that reduces the loss."""
        step = Fraction(1, 10)
        while self.loss(*self.updated(step)) >= self.loss(self.operator, self.bias):
            step /= 10
        return step

    def forward(self, operator: Operator, bias: Array) -> Array:
        """Return the output A x + b of the layer with these weights and this bias."""
        channels = (bias.size, *(1,) * (len(operator.out_shape) - 1))
        shift = bias.reshape(channels) if bias.size > 1 else bias[0]
        outputs: Array = exact(operator(self.x)) + shift
        return outputs

    def loss(self, operator: Operator, bias: Array) -> Fraction:
        """Return half of the squared distance between the output and the target."""
        apart = (self.forward(operator, bias) - self.target).ravel()
        return Fraction(sum(value * value for value in apart.tolist())) / 2

    def updated(self, rate: Fraction) -> tuple[Operator, Array]:
        """Return the layer and the bias after one step of gradient descent."""
        weights = exact(only_convolution(self.operator).weights) - rate * exact(self.dw)
        return self.operator.refill(weights), self.bias - rate * exact(self.db)


def worked(layer: Operator, small: Operator) -> Worked:
    """Return the numerical example for the small layer.

    It keeps the layer's own weights where they are exact and have the small layer's shape.

    >>> import convalg as ca
    >>> layer = ca.correlation(5, [1, 2])
    >>> worked(layer, layer).y.tolist()
    [9, 11, 12, 5]
    """
    own, shape = only_convolution(layer).weights, only_convolution(small).weights.shape
    if own.shape == shape and all(isinstance(value, Rational) for value in own.ravel().tolist()):
        weights = exact(own)
    else:
        weights = number_kernel(shape)
    geometry, transposed = layer_of(small)
    channels = (geometry.in_channels if transposed else geometry.out_channels) or 1
    inputs, outputs = (int(np.prod(s)) for s in (small.in_shape, small.out_shape))
    return Worked(
        small.refill(weights.reshape(shape)),
        exact(np.array([1 + k for k in range(channels)])),
        exact(np.array([(k * k + 3 * k) % 7 for k in range(inputs)])).reshape(small.in_shape),
        # No initial part of this sequence sums to zero, so the gradient of a single bias is not 0.
        exact(np.array([(1, 2, -1, 0)[k % 4] for k in range(outputs)])).reshape(small.out_shape),
    )


def number_kernel(shape: tuple[int, ...]) -> Array:
    """Return a kernel of small integers in which neighbouring weights differ.

    >>> number_kernel((2, 3)).tolist()
    [[-1, 1, -2], [0, 2, -1]]
    """
    count = int(np.prod(shape))
    return exact(np.array([(2 * k + 1) % 5 - 2 for k in range(count)])).reshape(shape)


def exact(values: object) -> Array:
    """Convert to an object array of Python numbers, which neither round nor overflow."""
    array = np.asarray(values)
    objects = np.empty(array.shape, dtype=object)
    objects[...] = array.astype(object)
    return objects


def slopes(case: Worked) -> tuple[Array, Array]:
    """Return dL/dw and dL/db by central differences, exact because L is quadratic in each number.

    Rule: (L(v + 1) - L(v - 1)) / 2 for each number v.
    """
    weights = exact(only_convolution(case.operator).weights)
    by_weight, by_bias = np.empty_like(weights), np.empty_like(case.bias)
    for index in np.ndindex(*weights.shape):
        losses = []
        for step in (1, -1):
            moved = weights.copy()
            moved[index] += step
            losses.append(case.loss(case.operator.refill(moved), case.bias))
        by_weight[index] = (losses[0] - losses[1]) / 2
    for channel in range(case.bias.size):
        unit = exact(np.eye(case.bias.size, dtype=int)[channel])
        losses = [case.loss(case.operator, case.bias + step * unit) for step in (1, -1)]
        by_bias[channel] = (losses[0] - losses[1]) / 2
    return by_weight, by_bias


def array_latex(name: str, values: Array) -> str:
    """Return an array in LaTeX: a row, a matrix, or one matrix for each of its first channels.

    >>> print(array_latex("x", np.array([1, 2])))
    x = \\begin{bmatrix}1 & 2\\end{bmatrix}
    """
    array = np.asarray(values, dtype=object)
    if array.ndim == 0:
        return f"{name} = {_number(array.item())}"
    if array.ndim <= 2:
        return f"{name} = {_matrix(np.atleast_2d(array))}"
    planes = array.reshape(-1, *array.shape[-2:])
    shown = min(len(planes), MOST_SHOWN // 5)
    parts = [f"{name}_{{{number}}} = {_matrix(planes[number])}" for number in range(shown)]
    return r",\quad ".join(parts) + (r",\ \ldots" if shown < len(planes) else "")


def _matrix(values: Array) -> str:
    rows, columns = values.shape
    lines = [
        [_number(value) for value in row[:MOST_SHOWN]] + [r"\cdots"] * (columns > MOST_SHOWN)
        for row in values[:MOST_SHOWN]
    ]
    if rows > MOST_SHOWN:
        lines.append([r"\vdots"] * len(lines[0]))
    body = r" \\ ".join(" & ".join(line) for line in lines)
    return rf"\begin{{bmatrix}}{body}\end{{bmatrix}}"


def _number(value: Rational) -> str:
    fraction = Fraction(value)
    if fraction.denominator == 1:
        return str(fraction.numerator)
    sign = "-" if fraction < 0 else ""
    return rf"{sign}\tfrac{{{abs(fraction.numerator)}}}{{{fraction.denominator}}}"

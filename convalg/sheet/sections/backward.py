"""Forward and backward pass with numbers: gradients of input, kernel and bias, and one update."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from convalg import draw
from convalg.faces.latex import layer_of
from convalg.geometry import Geometry
from convalg.operators.gradients import only_convolution
from convalg.operators.leaves import Adjoint, Convolution
from convalg.operators.padding import pad
from convalg.operators.sampling import downsample
from convalg.operators.tree import Compose, Operator, compose
from convalg.sheet import verify_layer, verify_numbers
from convalg.sheet.blocks import Block, Code, Formula, Section, Text
from convalg.sheet.calls import layer_name
from convalg.sheet.claims import equal
from convalg.sheet.numeric_example import Worked, array_latex
from convalg.sheet.pictures import pictured, row_of
from convalg.sheet.sections import all_sizes


def forward_section(case: Worked) -> Section:
    """The forward pass with numbers."""
    blocks: list[Block] = [
        Text(
            "This section applies the layer to numbers: the kernel is applied to x, and a bias b "
            "is added to each output channel. All numbers are exact, so that every result can be "
            "recomputed by hand."
        ),
        Formula(r"y = A_w\, x + b"),
        Formula(array_latex("x", case.x)),
        Formula(array_latex("w", only_convolution(case.operator).weights)),
        Formula(array_latex("b", case.bias if case.bias.size > 1 else case.bias[0])),
        verify_numbers.forward(case),
        *pictured(
            "forward",
            (
                "One output before the bias is added: the kernel on the patch of x that it reads, "
                "and the sum of the products.",
                partial(draw.window, case.operator, x=case.x),
            ),
            ("The matrix with the numbers of w as entries.", partial(draw.matrix, case.operator)),
        ),
    ]
    return Section("The forward pass with numbers", tuple(blocks))


def input_section(small: Operator, case: Worked) -> Section:
    """The gradient of the input: the transposed matrix, and the layer that has this matrix."""
    named = named_adjoint(small)
    steps = all_sizes.adjoint_steps(small)
    blocks: list[Block] = [
        Text(
            "The transposed matrix, which is the matrix of the adjoint of A, propagates the "
            "gradient g of the output back to the input:"
        ),
        Formula(r"\frac{\partial L}{\partial x} = A^{\mathsf{T}} g"),
        Text("In the next sum, x and y are the input and the output of the adjoint."),
        verify_layer.adjoint_sum(small),
        Text(_adjoint_text(small, named)),
        *equal(
            "The transposed matrix is the matrix of this expression.",
            small.T,
            named,
            about=small,
        ),
        *all_sizes.adjoint_claims(small),
        *[Text("Step by step, for every size:") for _ in steps],
        *steps,
        *pictured(
            "adjoint",
            (
                "The transposed matrix. Rows become columns, and each weight keeps its colour.",
                partial(draw.matrix, small.T),
            ),
        ),
        verify_layer.pairing(small),
        Text("With the numbers from above, and a gradient g of the output:"),
        Formula(array_latex("g", case.g)),
        verify_numbers.back(case),
        Code("ca.derive.adjoint(A).verify()", runs=True),
    ]
    return Section("The gradient of the input", tuple(blocks))


def kernel_section(small: Operator, case: Worked) -> Section:
    """The gradient of the kernel: the input correlated with the gradient of the output."""
    blocks: list[Block] = [
        Text(
            "The layer is also linear in its kernel: y = B(x) w, where each row of B(x) contains "
            "the samples under the kernel. The gradient of the kernel is therefore the transpose "
            "of B(x) times g. For each weight, this is a sum over the outputs that use the weight: "
            "the gradient of the output times the sample that the weight multiplies."
        ),
        Formula(r"y = B(x)\, w, \qquad \frac{\partial L}{\partial w} = B(x)^{\mathsf{T}} g"),
        verify_layer.kernel_sum(small),
        *all_sizes.kernel_steps(small),
        *pictured(
            "patches",
            (
                "The matrices A, its transpose, and B(x) along the last axis. B(x) w is the same "
                "sum as A x, with the roles of x and w exchanged.",
                partial(draw.faces, row_of(small)),
            ),
            (
                "The matrix along the last axis. Entries of one colour share a trainable weight.",
                partial(draw.matrix, row_of(small)),
            ),
        ),
        Text("With the numbers from above:"),
        verify_numbers.kernel_slopes(case),
    ]
    return Section("The gradient of the kernel", tuple(blocks))


def update_section(case: Worked) -> Section:
    """The gradient of the bias, and one step of gradient descent, with numbers."""
    rate = case.rate
    layer, bias = case.updated(rate)
    before, after = case.loss(case.operator, case.bias), case.loss(layer, bias)
    share = rf"\tfrac{{1}}{{{rate.denominator}}}"
    blocks: list[Block] = [
        Text(
            "The bias is added to every output of its channel, so its gradient is the sum of g "
            "over that channel. The formulas below are one step of gradient descent. The loss L is "
            "half the squared distance between y and a target t, which is chosen such that "
            "y - t = g."
        ),
        Formula(r"\frac{\partial L}{\partial b_o} = \sum_i g_{o,\,i}"),
        Formula(
            r"w \leftarrow w - \eta\, \frac{\partial L}{\partial w}, \qquad "
            r"b \leftarrow b - \eta\, \frac{\partial L}{\partial b}"
        ),
        verify_numbers.bias_slopes(case),
        Formula(
            array_latex(
                rf"w - {share}\, \frac{{\partial L}}{{\partial w}}",
                only_convolution(layer).weights,
            )
        ),
        Formula(
            array_latex(
                rf"b - {share}\, \frac{{\partial L}}{{\partial b}}",
                bias if bias.size > 1 else bias[0],
            )
        ),
        *pictured(
            "update",
            (
                f"The kernel after one step with the learning rate {rate}, in exact fractions.",
                partial(draw.kernel, layer),
            ),
        ),
        verify_numbers.fall(case, before, after),
    ]
    return Section("The gradient of the bias, and an update", tuple(blocks))


def _adjoint_text(small: Operator, named: Operator) -> str:
    geometry, transposed = layer_of(small)
    if transposed:
        return "This layer is itself the adjoint of a layer, and its adjoint is that layer:"
    if isinstance(named, Convolution):
        return f"The adjoint is again a single {layer_name(named)}:"
    parts = ["upsampling with zeros"] if any(a.stride != 1 for a in geometry.axes) else []
    parts += [f"a {layer_name(factor)}" for factor in _factors(named) if _is_layer(factor)]
    if any(axis.boundary != "zeros" for axis in geometry.axes):
        parts.append("adding the border to the samples that it was copied from")
    if len(parts) == 1:
        return f"The adjoint is {parts[0]}:"
    return f"The adjoint applies several operators in this order: {', then '.join(parts)}."


def _factors(operator: Operator) -> tuple[Operator, ...]:
    return operator.factors if isinstance(operator, Compose) else (operator,)


def _is_layer(operator: Operator) -> bool:
    inner = operator.operator if isinstance(operator, Adjoint) else operator
    return isinstance(inner, Convolution)


def named_adjoint(operator: Operator) -> Operator:
    """Return the adjoint as one correlation, or as a product of one and elementary operators.

    Rule: A = downsample . correlation . pad; the adjoint is the product of the adjoints, reversed.
    """
    adjoint = operator.T.simplify()
    if isinstance(adjoint, Convolution) or not isinstance(operator, Convolution):
        return adjoint
    geometry = operator.geometry
    inputs, outputs = geometry.in_channels, geometry.out_channels
    folded = any(axis.boundary != "zeros" for axis in geometry.axes)
    pads = [
        # `pad` must not crop the whole input; samples that no tap reads may remain.
        (max(axis.before, 1 - axis.in_size), max(axis.after, 1 - axis.in_size))
        if axis.boundary != "zeros"
        else (0, 0)
        for axis in geometry.axes
    ]
    axes = tuple(
        replace(
            axis,
            in_size=axis.in_size + before + after,
            out_size=axis.tight_size,
            stride=1,
            padding=axis.padding - before,
            boundary="zeros",
        )
        for axis, (before, after) in zip(geometry.axes, pads, strict=True)
    )
    dense = Convolution(Geometry(axes, inputs, outputs, geometry.groups), operator.weights)
    factors = [dense.T.simplify()]
    if folded:
        boundary = next(a.boundary for a in geometry.axes if a.boundary != "zeros")
        border = pad(geometry.in_spatial, pads, boundary=boundary, channels=inputs)
        factors.insert(0, border.T)
    strides = tuple(axis.stride for axis in geometry.axes)
    if any(step != 1 for step in strides):
        sizes = dense.geometry.out_spatial
        factors.append(downsample(sizes, strides, channels=outputs).T)
    return compose(*factors)

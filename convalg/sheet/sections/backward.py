"""Back through a layer: the gradients of its input, its kernel and its bias, and one step."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from convalg import draw
from convalg.faces.latex import layer_of
from convalg.geometry import Geometry
from convalg.operators.gradients import only_convolution
from convalg.operators.leaves import Convolution
from convalg.operators.make import downsample, pad
from convalg.operators.tree import Operator, compose
from convalg.sheet import verify_layer, verify_numbers
from convalg.sheet.blocks import Block, Code, Formula, Section, Text
from convalg.sheet.calls import layer_name
from convalg.sheet.claims import equal
from convalg.sheet.numeric_example import Worked, array_latex
from convalg.sheet.pictures import pictured, row_of
from convalg.sheet.sections.definition import all_sizes


def forward_section(case: Worked) -> Section:
    """One step forward, with numbers."""
    blocks: list[Block] = [
        Text(
            "The layer with numbers: x comes in, the kernel is laid on, a bias b is added to each "
            "output channel. The numbers are small integers, to be redone by hand."
        ),
        Formula(r"y = A_w\, x + b"),
        Formula(array_latex("x", case.x)),
        Formula(array_latex("w", only_convolution(case.operator).weights)),
        Formula(array_latex("b", case.bias if case.bias.size > 1 else case.bias[0])),
        verify_numbers.forward(case),
        *pictured(
            "forward",
            (
                "One output before the bias: the kernel on its patch of x, the products added up.",
                partial(draw.window, case.operator, x=case.x),
            ),
            ("The matrix with the numbers of w.", partial(draw.matrix, case.operator)),
        ),
    ]
    return Section("One step forward", tuple(blocks))


def input_section(small: Operator, case: Worked) -> Section:
    """The gradient of the input: the transposed matrix, and the layer that it is."""
    named = named_adjoint(small)
    steps = all_sizes.adjoint_steps(small)
    blocks: list[Block] = [
        Text(
            "The gradient g of the output comes back to the input through the transposed matrix, "
            "the adjoint of A. With its own input called x and its own output y:"
        ),
        Formula(r"\frac{\partial L}{\partial x} = A^{\mathsf{T}} g"),
        verify_layer.adjoint_sum(small),
        Text(_adjoint_words(small, named)),
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
                "The transposed matrix: rows have become columns, and each weight kept its colour.",
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
            "The layer is linear in its kernel too: y = B(x) w, where B(x) holds in each row the "
            "samples under the kernel. So the gradient of the kernel is the transpose of B(x), "
            "times g: each weight adds up, over the outputs that use it, the sample that it met "
            "times the gradient."
        ),
        Formula(r"y = B(x)\, w, \qquad \frac{\partial L}{\partial w} = B(x)^{\mathsf{T}} g"),
        verify_layer.kernel_sum(small),
        *all_sizes.kernel_steps(small),
        *pictured(
            "patches",
            (
                "Along the last axis: A, its transpose, and B(x), the same sums with x and w in "
                "each other's places.",
                partial(draw.faces, row_of(small)),
            ),
            (
                "The weights that learn: where each stands in the matrix along the last axis.",
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
            "over that channel. One step of stochastic gradient descent, for the loss L that is "
            "half the squared distance of y from a target t with y - t = g:"
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
                f"The kernel after one step at the rate {rate}, in exact fractions.",
                partial(draw.kernel, layer),
            ),
        ),
        verify_numbers.fall(case, before, after),
    ]
    return Section("The gradient of the bias, and an update", tuple(blocks))


def _adjoint_words(small: Operator, named: Operator) -> str:
    geometry, transposed = layer_of(small)
    if transposed:
        return "This layer is itself an adjoint, so its own adjoint is the layer behind it:"
    if isinstance(named, Convolution):
        return f"It is one {layer_name(named)} again:"
    parts = ["zeros between the samples"] if any(a.stride != 1 for a in geometry.axes) else []
    parts.append(f"the {layer_name(only_convolution(named))}")
    if any(axis.boundary != "zeros" for axis in geometry.axes):
        parts.append("the border added back to the samples that it was read from")
    return f"It is a product: {', then '.join(parts)} (the last step is on the left):"


def named_adjoint(operator: Operator) -> Operator:
    """The adjoint as one correlation, or as one between elementary operators.

    Rule: A = downsample . correlation . pad; the adjoint is the product of the adjoints, reversed.
    """
    found = operator.T.simplify()
    if isinstance(found, Convolution) or not isinstance(operator, Convolution):
        return found
    geometry = operator.geometry
    inputs, outputs = geometry.in_channels, geometry.out_channels
    folded = any(axis.boundary != "zeros" for axis in geometry.axes)
    pads = [
        # Samples that no tap reads may stay: a border never crops all of the input.
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
    plain = Convolution(Geometry(axes, inputs, outputs, geometry.groups), operator.weights)
    factors = [plain.T.simplify()]
    if folded:
        boundary = next(a.boundary for a in geometry.axes if a.boundary != "zeros")
        border = pad(geometry.in_spatial, pads, boundary=boundary, channels=inputs)
        factors.insert(0, border.T)
    strides = tuple(axis.stride for axis in geometry.axes)
    if any(step != 1 for step in strides):
        sizes = plain.geometry.out_spatial
        factors.append(downsample(sizes, strides, channels=outputs).T)
    return compose(*factors)

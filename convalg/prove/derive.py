"""Derivations: step by step from the definition of a layer to a result, each step verified.

The steps are made from the operator at hand: its stride, dilation, padding, boundary and
channels stand in the formulas, as numbers or letters, and every step carries the check that
proves it for this operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import islpy
import numpy as np
import sympy

from convalg.axis import Axis
from convalg.base import Operator
from convalg.errors import KindError
from convalg.faces.relation import to_isl, triples
from convalg.kernels import LetterKernel, kernel
from convalg.linear import pad, upsample
from convalg.operators import Convolution, compose
from convalg.prove import family
from convalg.prove.claims import decide
from convalg.prove.derivation import (
    Derivation,
    Notation,
    Step,
    affine,
    defined,
    definition,
    one_layer,
    scope_of,
)
from convalg.prove.derive_fields import receptive_field
from convalg.prove.derive_sizes import output_size
from convalg.prove.functions import linear
from convalg.prove.verdict import ISL, Verdict
from convalg.spec import Geometry

__all__ = [
    "Derivation",
    "Step",
    "adjoint",
    "kernel_gradient",
    "linearity",
    "output_size",
    "receptive_field",
]


def adjoint(operator: Operator) -> Derivation:
    """Why the adjoint is a correlation with the flipped kernel: back-propagation to the input.

    Shapes: any layer with numbers or letters; strides and dilations as numbers.
    Raises: KindError unless the operator is one correlation or convolution.

    >>> import convalg as ca
    >>> n, K = ca.sizes("n K")
    >>> adjoint(ca.correlation(n, ca.kernel(K))).steps[-1].formula
    'A_w^{\\\\mathsf T} = A_{\\\\operatorname{flip} w}\\\\, P_{K - 1}'
    """
    layer = one_layer(operator, "the adjoint")
    axes = layer.geometry.axes
    inside, border = _without_border(layer)
    notation = Notation(inside.geometry)
    weight = f"w_{{{notation.channel('k', 'c')}{notation.index('t')}}}"
    pairing = (
        f"\\langle g, A x \\rangle = \\sum_{{{notation.channel('k')}{notation.index('o')}}} "
        f"g_{{{notation.channel('k')}{notation.index('o')}}} {notation.summed('t')} {weight}\\, "
        f"x_{{{notation.channel('c')}{notation.raw()}}}"
    )
    steps = [definition(layer)]
    if border is not None:
        steps.append(
            Step(
                "A = A_0\\, P",
                f"the border ({axes[0].boundary}) is an operator P in front of a valid layer A_0",
                lambda: _same("A = A_0 P", layer, inside @ border),
            )
        )
    steps.append(Step(pairing, "pair the output with a gradient g", lambda: defined(inside)))
    steps.append(_solved(inside, notation, weight))
    steps += _as_correlation(inside, notation)
    if border is not None:
        steps.append(
            Step(
                "A^{\\mathsf T} = P^{\\mathsf T} A_0^{\\mathsf T}",
                "what the border repeated is added up where it came from",
                lambda: _same("A^T = P^T A_0^T", layer.T, compose(border.T, inside.T)),
            )
        )
    return Derivation(f"The adjoint of {layer!r}", tuple(steps))


def _same(claim: str, first: Operator, second: Operator) -> Verdict:
    return decide(first, second, claim=claim)


def _without_border(layer: Convolution) -> tuple[Convolution, Operator | None]:
    """The layer over zeros; with another boundary, a valid layer and the border before it."""
    axes = layer.geometry.axes
    if all(axis.boundary == "zeros" for axis in axes):
        return layer, None
    pairs, inner = [], []
    for axis in axes:
        before = axis.before
        # The stride may leave samples at the end unread: only what is read is padded.
        after = axis.after
        length = axis.in_size + before + after
        pairs.append((before, after))
        start = axis.padding - before
        inner.append(Axis(length, axis.out_size, axis.taps, axis.stride, axis.dilation, start))
    geometry = layer.geometry
    border = pad(
        geometry.in_spatial, pairs, boundary=axes[0].boundary, channels=geometry.in_channels
    )
    valid = Geometry(tuple(inner), geometry.in_channels, geometry.out_channels, geometry.groups)
    return Convolution(valid, layer.weights), border


def _solved(layer: Convolution, notation: Notation, weight: str) -> Step:
    """Collect what multiplies x_i: every output and tap that read it."""

    def reads(axis: Axis, sub: str) -> str:
        raw = affine([(axis.stride, f"o{sub}"), (axis.dilation, f"t{sub}")], -axis.padding)
        return f"{raw} = i{sub}"

    condition = notation.each(reads, ",\\, ")
    over = "k, " if layer.geometry.has_channels else ""
    formula = (
        f"(A^{{\\mathsf T}} g)_{{{notation.channel('c')}{notation.index('i')}}} = "
        f"\\sum_{{{over}{notation.index('o')}, {notation.index('t')}:\\, {condition}}} "
        f"{weight}\\, g_{{{notation.channel('k')}{notation.index('o')}}}"
    )
    reason = "exchange the sums and collect what multiplies one input"
    return Step(formula, reason, lambda: _transposed_support(layer))


def _transposed_support(layer: Convolution) -> Verdict:
    """<g, A x> = <A^T g, x>: the adjoint's entries are those of A with rows and columns swapped."""
    claim, scope = "rows and columns change places", scope_of(layer)
    if layer.T.to_isl().is_equal(to_isl(layer).reverse()):
        return Verdict("proved", claim, scope, ISL)
    return Verdict("unknown", claim, scope, ISL, reason="the supports differ")


def _as_correlation(layer: Convolution, notation: Notation) -> list[Step]:
    """Undo the stride by zeros, the kernel by flipping it, the offset by padding."""
    geometry = layer.geometry
    axes = geometry.axes
    steps = []
    strided = any(axis.stride != 1 for axis in axes)
    lengths = [axis.stride * (axis.out_size - 1) + 1 for axis in axes]
    lead = geometry.out_channels
    stretched: Operator | None = None
    if strided:
        factors = tuple(axis.stride for axis in axes)
        stretched = upsample(geometry.out_spatial, factors, size=lengths, channels=lead)
        steps.append(
            Step(
                f"g'_{{{notation.channel('k')}"
                + notation.each(lambda axis, sub: affine([(axis.stride, f"o{sub}")], 0))
                + f"}} = g_{{{notation.channel('k')}{notation.index('o')}}},\\quad "
                + "g' = 0 \\text{ elsewhere}",
                "the stride is undone by stretching g with zeros",
                lambda: _same("A^T = A_1^T S", layer.T, _dense(layer, lengths).T @ stretched),
            )
        )
    pads, flipped = _turned(layer, lengths)
    padded = pad([*lengths], pads, channels=lead)
    target = compose(flipped, padded, *([stretched] if stretched is not None else []))
    name = "g'" if strided else "g"
    weight = f"w_{{{notation.channel('k', 'c')}" + notation.each(_flipped_index) + "}"
    source = notation.each(
        lambda axis, sub: affine(
            [(1, f"i{sub}"), (abs(axis.dilation), f"t{sub}")], -(axis.span - 1 - axis.before)
        )
    )
    over = "k, " if geometry.has_channels else ""
    rotated = " (in two dimensions: turned by 180 degrees)" if len(axes) == 2 else ""
    steps.append(
        Step(
            f"(A^{{\\mathsf T}} g)_{{{notation.channel('c')}{notation.index('i')}}} = "
            f"\\sum_{{{over}{notation.index('t')}}} {weight}\\, "
            f"{name}_{{{notation.channel('k')}{source}}}",
            f"count the taps from the other end: the kernel is flipped{rotated}",
            lambda: _same("A^T is a correlation", layer.T, target),
        )
    )
    margins = ", ".join(sympy.latex(sympy.sympify(before)) for before, _ in pads)
    walk = "w" if all(axis.is_backwards for axis in axes) else "\\operatorname{flip} w"
    tail = "\\, S" if strided else ""
    steps.append(
        Step(
            f"A_w^{{\\mathsf T}} = A_{{{walk}}}\\, P_{{{margins}}}{tail}",
            "in matrices: pad, then correlate with the flipped kernel"
            + (", on the stretched gradient" if strided else ""),
            lambda: _same("A^T = A' P S", layer.T, target),
        )
    )
    return steps


def _flipped_index(axis: Axis, sub: str) -> str:
    if axis.is_backwards:
        return f"t{sub}"
    return affine([(-1, f"t{sub}")], axis.taps - 1)


def _dense(layer: Convolution, lengths: Sequence[Any]) -> Operator:
    """The layer without its stride: one output for every position up to the last.

    Padding stands as an operator, which may crop what the stride leaves unread.
    """
    geometry = layer.geometry
    pads, axes = [], []
    for axis, length in zip(geometry.axes, lengths, strict=True):
        total = length + axis.span - 1
        pads.append((axis.before, total - axis.before - axis.in_size))
        start = axis.padding - axis.before
        axes.append(Axis(total, length, axis.taps, 1, axis.dilation, start))
    wide = Geometry(tuple(axes), geometry.in_channels, geometry.out_channels, geometry.groups)
    padded = pad(geometry.in_spatial, pads, channels=geometry.in_channels)
    return compose(Convolution(wide, layer.weights), padded)


def _turned(layer: Convolution, lengths: Sequence[Any]) -> tuple[list[Any], Convolution]:
    """Padding d (k - 1) - p before, what is missing after, and the flipped valid layer."""
    geometry = layer.geometry
    pads, axes, backwards = [], [], []
    lead = 2 if geometry.has_channels else 0
    for k, (axis, length) in enumerate(zip(geometry.axes, lengths, strict=True)):
        before = axis.span - 1 - axis.before
        after = axis.in_size + axis.span - 1 - before - length
        pads.append((before, after))
        axes.append(
            Axis(length + before + after, axis.in_size, axis.taps, 1, abs(axis.dilation), 0)
        )
        if not axis.is_backwards:
            backwards.append(lead + k)
    groups, outputs, inputs = geometry.channels
    weights = layer.weights
    weights = (
        weights.flip(tuple(backwards))
        if isinstance(weights, LetterKernel)
        else np.flip(weights, axis=tuple(backwards))
    )
    if geometry.has_channels:
        weights = _swapped_channels(weights, groups, outputs, inputs)
    turned = Geometry(tuple(axes), geometry.out_channels, geometry.in_channels, geometry.groups)
    return pads, Convolution(turned, weights)


def _swapped_channels(weights: Any, groups: Any, outputs: Any, inputs: Any) -> Any:
    if isinstance(weights, LetterKernel):
        if groups != 1:
            raise KindError(
                f"the adjoint of {groups} groups with letters is not derived: use ca.prove.equal"
            )
        return weights.swapaxes(0, 1)
    taps = weights.shape[2:]
    grouped = weights.reshape(groups, outputs, inputs, *taps).swapaxes(1, 2)
    return grouped.reshape(groups * inputs, outputs, *taps)


def kernel_gradient(operator: Operator) -> Derivation:
    """Why dL/dw is the input correlated with the output gradient, dilated by the stride.

    Raises: KindError unless the operator is one correlation or convolution.

    >>> import convalg as ca
    >>> bool(kernel_gradient(ca.correlation(6, ca.kernel(3), stride=2, padding=1)).verify())
    True
    """
    layer = one_layer(operator, "the kernel gradient")
    notation = Notation(layer.geometry)
    weight = f"w_{{{notation.channel('k', 'c')}{notation.index('t')}}}"
    output = f"y_{{{notation.channel('k')}{notation.index('o')}}}"
    read = f"x_{{{notation.channel('c')}{notation.raw()}}}"
    gradient = f"g_{{{notation.channel('k')}{notation.index('o')}}}"
    strided = any(axis.stride != 1 for axis in layer.geometry.axes)
    dilated = ", g dilated by the stride" if strided else ""
    by_kernel = lambda: _kernel_roles(layer)  # noqa: E731 - the same check for two steps
    steps = (
        definition(layer),
        Step(
            f"\\frac{{\\partial {output}}}{{\\partial {weight}}} = {read}",
            "the output is linear in each weight",
            by_kernel,
        ),
        Step(
            f"\\frac{{\\partial L}}{{\\partial {weight}}} = "
            f"\\sum_{{{notation.index('o')}}} {gradient}\\, {read}",
            f"chain rule with g = dL/dy: the input correlated with g{dilated}",
            lambda: _gradient_is_correlation(layer),
        ),
        Step(
            "y = B(x)\\, w,\\quad \\nabla_w L = B(x)^{\\mathsf T} g",
            "in matrices: x fills B(x), and its transpose takes g to the weights",
            by_kernel,
        ),
    )
    return Derivation(f"The kernel gradient of {layer!r}", steps)


def _input_kernel(layer: Convolution) -> Any:
    return kernel(*layer.geometry.in_shape, name="x")


def _kernel_roles(layer: Convolution) -> Verdict:
    """B(x) has the entry x_i at (o, t) exactly where A has w_t at (o, i)."""
    named = Convolution(layer.geometry, kernel(*layer.geometry.kernel_shape, name="w"))
    claim, scope = "B(x) holds the same triples as A(w)", scope_of(layer)
    x = _input_kernel(layer)
    found = named.by_kernel(x).to_isl()
    taken = triples(layer.geometry)
    rows, columns = len(layer.out_shape), len(layer.in_shape)
    kept = taken.project_out(islpy.dim_type.set, rows, columns)
    pair = islpy.Map.from_domain(kept)
    pair = pair.move_dims(
        islpy.dim_type.out, 0, islpy.dim_type.in_, rows, len(layer.geometry.kernel_shape)
    )
    if found.is_equal(pair):
        return Verdict("proved", claim, scope, ISL)
    return Verdict("unknown", claim, scope, ISL, reason="the triples differ")


def _gradient_is_correlation(layer: Convolution) -> Verdict:
    """B(x)^T = the correlation of x with g as its kernel, stride and dilation exchanged."""
    geometry = layer.geometry
    if geometry.has_channels:
        # Channels only pair up: (k, c) of the weight with k of g and c of x.
        return _kernel_roles(layer)
    x = _input_kernel(layer)
    axes = tuple(
        Axis(a.in_size, a.taps, a.out_size, a.dilation, a.stride, a.padding, a.boundary)
        for a in geometry.axes
    )
    turned = Convolution(Geometry(axes), kernel(*geometry.out_shape, name="g"))
    named = Convolution(geometry, kernel(*geometry.kernel_shape, name="w"))
    claim, scope = "dL/dw is the correlation of x with g", scope_of(layer)
    if geometry.is_concrete:
        return decide(named.by_kernel(x).T, turned.by_kernel(x), claim=claim)
    # Over the sizes of the layer alone: what its stride leaves unread, the correlation crops.
    domain = family.domain_set(family.conditions([layer]), layer.letters)
    if family.difference(named.by_kernel(x).T, turned.by_kernel(x), domain):
        return Verdict("unknown", claim, scope, ISL, reason="the triples differ")
    return Verdict("proved", claim, scope, ISL)


def linearity(operator: Operator) -> Derivation:
    """Why a layer is linear: the sum over taps takes sums and multiples apart.

    >>> import convalg as ca
    >>> bool(linearity(ca.correlation(4, ca.kernel(2))).verify())
    True
    """
    layer = one_layer(operator, "linearity")
    notation = Notation(layer.geometry)
    weight = f"w_{{{notation.channel('k', 'c')}{notation.index('t')}}}"
    place = f"{{{notation.channel('c')}{notation.raw()}}}"
    total = notation.summed("t")
    check = lambda: linear(layer)  # noqa: E731 - the identity that all three lines rest on
    steps = (
        definition(layer),
        Step(
            f"(A(\\alpha x + \\beta z))_{{{notation.channel('k')}{notation.index('o')}}} = "
            f"{total} {weight} (\\alpha x_{place} + \\beta z_{place})",
            "put a combination of two inputs in",
            check,
        ),
        Step(
            f"= \\alpha {total} {weight}\\, x_{place} + \\beta {total} {weight}\\, z_{place}",
            "multiplication distributes over the finite sum",
            check,
        ),
        Step("A(\\alpha x + \\beta z) = \\alpha A x + \\beta A z", "read the sums off", check),
    )
    return Derivation(f"Linearity of {layer!r}", steps)

"""The sections of a derivation sheet, from an operator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convalg import draw
from convalg.axis import output_size as outputs_of
from convalg.axis import transposed_size
from convalg.base import Operator
from convalg.errors import KindError, check_memory
from convalg.faces import latex
from convalg.faces.latex import layer_of
from convalg.faces.text import one_line, padding_after
from convalg.gradients import only_convolution
from convalg.kernels import kernel as symbols
from convalg.linear import downsample, pad
from convalg.operators import Convolution, compose
from convalg.sheet import checks, everywhere
from convalg.sheet.document import Block, Claim, Code, Formula, Picture, Section, Sheet, Table, Text
from convalg.sheet.image import Image, image_sections
from convalg.sheet.small import by, differences, has_symbols, small_form
from convalg.spec import Geometry, size_product


def explain(operator: Operator, *, image: Image | None = None) -> Sheet:
    """A derivation sheet of a layer, every statement verified while it is made.

    `image`: a PNG or JPEG file, or an array `(channels, height, width)` of bytes, for a
    layer over two axes; by default the embedded photograph. It goes through a layer of the same
    form at its own size. Letters for weights become ones there. What is written out in
    letters is shown for a small layer of the same form where the layer itself is large.

    Raises: KindError unless the operator is, or simplifies to, one correlation, convolution or
    adjoint of one; SymbolicError for a family; FileError for an image that cannot be read;
    ShapeError for one that does not fit the layer.

    >>> import convalg as ca
    >>> sheet = explain(ca.correlation(8, ca.kernel(3), stride=2, padding=1))
    >>> [section.heading for section in sheet.sections][:3]
    ['The sum that defines it', 'The size of the output', 'The matrix']
    """
    if not isinstance(operator, Operator):
        raise KindError(
            f"explain takes an operator such as ca.correlation(...), not {type(operator).__name__}"
        )
    operator._need_numbers("explain")
    layer = _one_layer(operator)
    work = sum(int(axis.out_size) * int(axis.taps) for axis in layer_of(layer)[0].axes)
    check_memory(
        32 * work, None, what="counting this layer's pattern", instead="use a smaller shape"
    )
    small = small_form(layer)
    sections = [_definition(layer, small), _sizes(layer), *image_sections(layer, image)]
    sections += [_matrix(small), _modes(small), _counts(layer, small), _adjoint(small)]
    return Sheet(one_line(layer), _lead(layer, small), tuple(sections))


def _one_layer(operator: Operator) -> Operator:
    """The operator as one layer. Raises: KindError when it is none."""
    try:
        layer_of(operator)
    except KindError:
        operator = operator.simplify()
        layer_of(operator)
    return operator


def _lead(layer: Operator, small: Operator) -> str:
    words = (
        f"A linear map from {by(layer.in_shape)} samples to {by(layer.out_shape)}, "
        f"written as a matrix of {layer.shape[0]:,} x {layer.shape[1]:,}."
    )
    changed = differences(layer, small)
    if changed:
        words += (
            f" This layer is too large to write out: what stands in letters below is for a small "
            f"layer of the same form ({', '.join(changed)})."
        )
    return words


def _definition(layer: Operator, small: Operator) -> Section:
    geometry, turned = layer_of(layer)
    blocks: list[Block] = [Formula(latex.layer_sum(layer))]
    rule = latex.boundary_rule(layer)
    if rule:
        blocks.append(Formula(rule))
    blocks.append(Text(_words(geometry, turned)))
    kernel = only_convolution(layer).weights
    same = kernel.shape == only_convolution(small).weights.shape
    shown = layer if same else small
    names = None if has_symbols(shown) else symbols(*kernel.shape)
    caption = "The kernel: each weight has this colour in the matrix below."
    if not same:
        caption = "The kernel of the small layer, in the colours of the matrix below."
    blocks.append(Picture("kernel", draw.kernel(shown, letters=names).svg(), caption))
    flipped = geometry.axes[0].is_backwards
    blocks.append(
        Claim(
            f"The operator computes this sum{_at_small(layer, small)}.",
            checks.check_definition(small, flipped),
        )
    )
    blocks.extend(everywhere.linear_claims(layer))
    return Section("The sum that defines it", tuple(blocks))


def _words(geometry: Geometry, turned: bool) -> str:
    """What the letters of the definition mean."""
    flipped = geometry.axes[0].is_backwards
    words = "Here w is the kernel, x the input and y the output; indices start at 0. "
    if geometry.has_channels:
        groups, outputs, inputs = geometry.channels
        first, second = ("input", "output") if turned else ("output", "input")
        if groups == 1:
            words += f"o counts {first} channels and c counts {second} channels. "
        else:
            words += f"g counts the {groups} groups"
            words += f", o the {first} channels of each" if outputs > 1 else ""
            words += f", c the {second} channels of each. " if inputs > 1 else ". "
    if turned:
        return words + "Every sample of x is spread over the outputs that its weights reach."
    if flipped:
        return words + "The kernel is walked backwards: a convolution in the sense of mathematics."
    return (
        words
        + "The kernel is walked forwards: a correlation, which deep learning calls a convolution."
    )


def _at_small(layer: Operator, small: Operator) -> str:
    return f", for the small layer {one_line(small)}" if differences(layer, small) else ""


def _sizes(layer: Operator) -> Section:
    geometry, turned = layer_of(layer)
    formulas: dict[str, list[str]] = {}
    claimed = []
    for number, axis in enumerate(geometry.axes):
        formulas.setdefault(latex.output_size(axis, transposed=turned), []).append(str(number))
        n, k, s, d = axis.in_size, axis.taps, axis.stride, abs(axis.dilation)
        claimed.append(
            transposed_size(axis.out_size, k, s, d, axis.before, axis.after)
            if turned
            else outputs_of(n, k, s, d, axis.before, padding_after(axis))
        )
    blocks: list[Block] = []
    for formula, numbers in formulas.items():
        if len(formulas) > 1:
            blocks.append(Text(f"On axis {' and '.join(numbers)}:"))
        elif len(numbers) > 1:
            blocks.append(Text("On each axis:"))
        blocks.append(Formula(formula))
    blocks.append(
        Text(
            "n samples come in, k taps are d apart, the kernel moves by s, and p0 and p1 are the "
            "samples of padding before and after"
            + (", less the output padding." if turned else ".")
        )
    )
    statement = f"The output has {by(tuple(claimed))} samples" + (
        f" in each of {layer.out_shape[0]} channels." if geometry.has_channels else "."
    )
    blocks.append(Claim(statement, checks.check_sizes(layer, claimed)))
    blocks.extend(everywhere.size_claims(layer))
    return Section("The size of the output", tuple(blocks))


def _matrix(small: Operator) -> Section:
    geometry, _ = layer_of(small)
    weights, entries = size_product(geometry.kernel_shape), small.counts.nonzeros
    shape = f"{small.shape[0]} x {small.shape[1]}"
    blocks: list[Block] = [
        Code(one_line(small)),
        Text(
            f"Rows are outputs and columns are inputs, both in row-major order. The {entries} "
            f"entries that are not zero hold {weights} weights; lines separate the blocks of the "
            f"axes. Structure: {small.structure()}."
        ),
        Picture(
            "matrix",
            draw.matrix(small).svg(),
            f"The {shape} matrix, each entry in the colour of its weight; zeros are blank.",
        ),
        Formula(r"\operatorname{vec}(y) = A \, \operatorname{vec}(x)"),
        Claim(
            f"This {shape} matrix times vec(x) is vec(A(x)), for all weights and all inputs.",
            checks.check_matrix(small),
        ),
    ]
    return Section("The matrix", tuple(blocks))


def _modes(small: Operator) -> Section:
    layer = only_convolution(small)
    axis = layer.geometry.axes[-1]
    full, *parts = checks.mode_layers(layer)
    firsts = [
        [
            int(whole.before - kept.before)
            for whole, kept in zip(full.geometry.axes, part.geometry.axes, strict=True)
        ]
        for part in parts
    ]
    n, d = full.geometry.axes[-1].in_size, abs(axis.dilation)
    where = "" if len(layer.geometry.axes) == 1 else " along the last axis"
    blocks: list[Block] = [
        Text(
            "Full keeps every place where kernel and input meet, same as many outputs as inputs, "
            "valid only the places where the kernel lies inside. They are rows of one matrix: "
            "outlines mark the rows that a mode drops (stride 1, zeros outside)."
        ),
        Picture(
            "modes",
            draw.modes(n, axis.taps, dilation=d).svg(),  # type: ignore[arg-type]
            f"{n} samples, {axis.taps} taps{where}: full, same and valid, in colours of their own.",
        ),
        Claim(
            f"The rows of same are rows of full, from output {_place(firsts[0])} on, and so are "
            f"those of valid, from output {_place(firsts[1])} on.",
            checks.check_modes(small, firsts),
        ),
        *everywhere.mode_claims(small),
    ]
    return Section("Full, same and valid", tuple(blocks))


def _place(index: list[int]) -> str:
    return str(index[0]) if len(index) == 1 else f"({', '.join(map(str, index))})"


def _counts(layer: Operator, small: Operator) -> Section:
    geometry, _ = layer_of(layer)
    counts = layer.counts
    each, claimed = checks.multiplications(geometry)
    sharing = np.asarray(counts.sharing)
    low, high = int(sharing.min()), int(sharing.max())
    times = f"{low:,} times" if low == high else f"{low:,} to {high:,} times"
    rows = (
        ("entries of the matrix", f"{counts.dense:,}", f"{counts.dense:,}"),
        ("entries that are not zero", f"{counts.nonzeros:,}", f"{counts.dense:,}"),
        ("weights to learn", f"{counts.parameters:,}", f"{counts.dense:,}"),
        ("multiplications", f"{counts.multiplications:,}", f"{counts.dense:,}"),
        ("each weight is used", times, "once"),
        ("share of zeros", f"{1 - counts.nonzeros / counts.dense:.1%}", "0.0%"),
    )
    groups, outputs, inputs = geometry.channels
    links = [str(groups * outputs * inputs)] if geometry.has_channels else []
    product = r" \cdot ".join([*links, *map(str, each)])
    has_zeros = any(axis.boundary == "zeros" for axis in geometry.axes)
    used = (
        r"u_t = \max\left(0,\; \min\left(o - 1,\, \left\lfloor \frac{n - 1 - d t + p_0}{s} "
        r"\right\rfloor\right) - \max\left(0,\, \left\lceil \frac{p_0 - d t}{s} \right\rceil"
        r"\right) + 1\right)"
        if has_zeros
        else r"u_t = o"
    )
    lead = r"C_{\text{links}}\,\prod" if geometry.has_channels else r"\prod"
    blocks: list[Block] = [
        Table(("", "this layer", "a dense layer of the same shapes"), rows),
        Text(
            "A weight that happens to be zero counts"
            + ("; a tap on padding multiplies nothing" if has_zeros else "")
            + ". On one axis, tap t meets the input at u_t of the o outputs:"
        ),
        Formula(used),
        Formula(rf"{lead}_{{\text{{axes}}}} \sum_{{t=0}}^{{k-1}} u_t = {product} = {claimed}"),
        Claim(
            f"The layer takes {claimed:,} multiplications by this formula.",
            checks.check_counts(layer, small, claimed),
        ),
    ]
    if geometry.has_channels:
        blocks.insert(3, Text("C_links counts the pairs of input and output channels."))
    return Section("What it costs", tuple(blocks))


def _adjoint(small: Operator) -> Section:
    named = _named_adjoint(small)
    blocks: list[Block] = [
        Text(
            "The adjoint is the transposed matrix. It carries the gradient of the output back to "
            "the input (back-propagation). With its own input called x and its own output y:"
        ),
        Formula(latex.layer_sum(small.T)),
        Text(_adjoint_words(small, named)),
        Code(f"A   = {one_line(small)}"),
        Code(f"A.T = {one_line(named)}"),
        Claim(
            "The transposed matrix is the matrix of this expression.",
            checks.check_adjoint(small, named),
        ),
        *everywhere.adjoint_claims(small),
        Formula(r"\langle A x,\, g \rangle = \langle x,\, A^{\mathsf{T}} g \rangle"),
        Claim(
            "This identity holds for all weights, all x and all g.",
            checks.check_pairing(small, small.T),
        ),
    ]
    return Section("The adjoint", tuple(blocks))


def _adjoint_words(small: Operator, named: Operator) -> str:
    geometry, turned = layer_of(small)
    if turned:
        return "This layer is itself an adjoint, so its own adjoint is a correlation:"
    if isinstance(named, Convolution):
        return "It is one correlation again, with the kernel turned round:"
    parts = ["zeros between the samples"] if any(a.stride != 1 for a in geometry.axes) else []
    parts.append("the correlation with the kernel turned round")
    if any(axis.boundary != "zeros" for axis in geometry.axes):
        parts.append("the border added back to the samples that it was read from")
    return (
        f"It is a transposed correlation: {', then '.join(parts)} (the last step is on the left):"
    )


def _named_adjoint(operator: Operator) -> Operator:
    """The adjoint as one correlation, or as one between elementary operators.

    Rule: A = downsample . correlation . pad, each adjoint is known, and their order turns.
    """
    found = operator.T.simplify()
    if isinstance(found, Convolution) or not isinstance(operator, Convolution):
        return found
    geometry = operator.geometry
    inputs, outputs = geometry.in_channels, geometry.out_channels
    folded = any(axis.boundary != "zeros" for axis in geometry.axes)
    pads = [
        (axis.before, axis.after) if axis.boundary != "zeros" else (0, 0) for axis in geometry.axes
    ]
    axes = tuple(
        replace(
            axis,
            in_size=axis.in_size + before + after,
            out_size=axis.stride * (axis.out_size - 1) + 1,
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

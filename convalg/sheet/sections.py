"""The sections of a derivation sheet, from an operator, in the order of a lecture."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

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
from convalg.kinds.classify import classify
from convalg.sheet import backward, checks, everywhere, forward, reach, trials
from convalg.sheet.blocks import Block, Claim, Code, Formula, Picture, Section, Text
from convalg.sheet.document import Sheet
from convalg.sheet.explorer import explorer
from convalg.sheet.image import Image, image_sections
from convalg.sheet.layers import drawn_window, source
from convalg.sheet.pools import pooling_section
from convalg.sheet.small import by, differences, has_symbols, small_form
from convalg.sheet.worked import worked
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
    ['What is computed', 'The size of the output', 'The matrix']
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
    with _uncollected():
        sections = _sections(layer, small, image)
    return Sheet(one_line(layer), _lead(layer, small), sections, source(small))


def _sections(layer: Operator, small: Operator, image: Image | None) -> tuple[Section, ...]:
    case = worked(layer, small)
    return (
        _definition(layer, small),
        *image_sections(layer, image),
        _sizes(layer, small),
        _matrix(small),
        forward.linearity_section(layer, small),
        forward.modes_section(small),
        forward.operators_section(small),
        forward.sharing_section(layer, small),
        backward.forward_section(case),
        backward.input_section(small, case),
        backward.kernel_section(small, case),
        backward.update_section(case),
        pooling_section(layer),
        reach.field_section(small),
        reach.shift_section(small),
        reach.cost_section(layer, small),
    )


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """No collection of garbage meanwhile.

    Figures are many objects in cycles that stay: to look through them again and again for
    garbage takes as long as to make them.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


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
    blocks.append(Picture("kernel", draw.kernel(shown, letters=names), caption))
    blocks += drawn_window(
        "window", small, "One output: the kernel on the input, each weight on what it multiplies."
    )
    blocks += _flip_blocks(layer, geometry)
    flipped = geometry.axes[0].is_backwards
    blocks.append(
        Claim(
            f"The operator computes this sum{_at_small(layer, small)}.",
            checks.check_definition(small, flipped),
        )
    )
    blocks += everywhere.flip_claims(layer)
    return Section("What is computed", tuple(blocks))


def _flip_blocks(layer: Operator, geometry: Geometry) -> list[Block]:
    """Where the kernel is flipped, and why that is a half turn in two dimensions."""
    formula = (
        r"(w * x)_i = \sum_a w_a\, x_{i-a} = \sum_a w_{k-1-a}\, x_{i+a-(k-1)} "
        r"= (\operatorname{flip} w \star x)_{i-(k-1)}"
    )
    words = (
        "A convolution counts the tap and the sample in opposite directions, so that both add up "
        "to the index of the output; a correlation counts them in the same direction. Counted from "
        "the other end, the taps of the one are those of the other: the kernel is flipped."
    )
    blocks: list[Block] = [Text(words), Formula(formula)]
    if len(geometry.axes) == 2:
        blocks += [
            Text(
                "In two dimensions both indices turn round, rows and columns. Two mirrors one "
                "after the other are a turn by 180 degrees; one alone would be another kernel."
            ),
            Formula(
                r"\operatorname{flip}(w)_{a,\,b} = w_{k-1-a,\;l-1-b} "
                r"= \operatorname{rot}_{180}(w)_{a,\,b}"
            ),
            Claim(
                "A kernel flipped on both axes is the kernel turned by 180 degrees.",
                trials.check_rotation(layer, tuple(map(int, geometry.taps))),
            ),
        ]
    return blocks


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


def _sizes(layer: Operator, small: Operator) -> Section:
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
    blocks += drawn_window(
        "last", small, "The last output: here the kernel reaches the end of the input.", last=True
    )
    statement = f"The output has {by(tuple(claimed))} samples" + (
        f" in each of {layer.out_shape[0]} channels." if geometry.has_channels else "."
    )
    blocks.append(Claim(statement, checks.check_sizes(layer, claimed)))
    blocks.extend(everywhere.size_claims(layer))
    if not turned:
        blocks.append(Code("ca.derive.output_size(A).verify()", runs=True))
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
            draw.matrix(small),
            f"The {shape} matrix, each entry in the colour of its weight; zeros are blank.",
        ),
        Formula(r"\operatorname{vec}(y) = A \, \operatorname{vec}(x)"),
        Claim(
            f"This {shape} matrix times vec(x) is vec(A(x)), for all weights and all inputs.",
            checks.check_matrix(small),
        ),
        *_structure(small),
        explorer(small),
        Code("ca.draw.matrix(A)", runs=True),
    ]
    return Section("The matrix", tuple(blocks))


def _structure(small: Operator) -> list[Block]:
    """Toeplitz or doubly block Toeplitz, and why."""
    dims = len(layer_of(small)[0].axes)
    found = classify(small)
    formula = r"A_{o+1,\,i+s} = A_{o,\,i}"
    words = (
        "Why Toeplitz: the next output uses the same weights on samples s further on, so each row "
        "is the one before it, moved by s; with s = 1 every diagonal is constant."
    )
    theorem = "toeplitz"
    if dims > 1:
        formula = (
            r"A_{(o_1+1,\,o_2),(i_1+s,\,i_2)} = A_{(o_1,\,o_2+1),(i_1,\,i_2+s)} "
            r"= A_{(o_1,\,o_2),(i_1,\,i_2)}"
        )
        words += (
            " Over two axes that holds for each: the blocks of rows of the image are Toeplitz, and "
            "they stand in the matrix like the entries of a Toeplitz matrix; hence doubly block "
            "Toeplitz."
        )
        theorem = "doubly-block-toeplitz"
    return [
        Text(words),
        Formula(formula),
        Claim(f"The matrix is {found.kind}.", trials.check_shifts(small)),
        *everywhere.theorem_claims(theorem),
    ]

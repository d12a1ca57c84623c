"""The sections of a derivation sheet, from an operator, in the order of a lecture."""

from __future__ import annotations

from functools import partial

from convalg import draw
from convalg.errors import KindError
from convalg.faces import latex
from convalg.faces.latex import layer_of
from convalg.faces.text import one_line
from convalg.geometry import Geometry
from convalg.kernels import kernel as symbols
from convalg.limits import check_memory
from convalg.operators.gradients import only_convolution
from convalg.operators.tree import Operator
from convalg.sheet import backward, checks, everywhere, forward, reach
from convalg.sheet.blocks import Block, Code, Formula, Picture, Section, Text
from convalg.sheet.claims import by
from convalg.sheet.document import Sheet
from convalg.sheet.explorer import explorer
from convalg.sheet.image import Image, image_sections
from convalg.sheet.layers import drawn_window, pictured, source
from convalg.sheet.pools import pooling_section
from convalg.sheet.small import differences, has_symbols, small_form
from convalg.sheet.worked import worked
from convalg.size import size_product


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
    sections = _sections(layer, small, image)
    return Sheet(one_line(layer), _lead(layer, small), sections, source(small))


def _sections(layer: Operator, small: Operator, image: Image | None) -> tuple[Section, ...]:
    case = worked(layer, small)
    return (
        _definition(layer, small),
        *image_sections(layer, image),
        _sizes(layer, small),
        _matrix(small),
        forward.linearity_section(small),
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
    geometry, _ = layer_of(layer)
    blocks: list[Block] = [Formula(latex.layer_sum(layer))]
    rule = latex.boundary_rule(layer)
    if rule:
        blocks.append(Formula(rule))
    blocks.append(Text(_words(layer)))
    kernel = only_convolution(layer).weights
    same = kernel.shape == only_convolution(small).weights.shape
    shown = layer if same else small
    names = None if has_symbols(shown) else symbols(*kernel.shape)
    caption = "The kernel: each weight has this colour in the matrix below."
    if not same:
        caption = "The kernel of the small layer, in the colours of the matrix below."
    blocks.append(Picture("kernel", ((caption, partial(draw.kernel, shown, letters=names)),)))
    blocks += drawn_window(
        "window", small, "One output: the kernel on the input, each weight on what it multiplies."
    )
    blocks += _flip_blocks(geometry)
    blocks.append(checks.definition(small))
    blocks += everywhere.flip_claims(small)
    return Section("What is computed", tuple(blocks))


def _flip_blocks(geometry: Geometry) -> list[Block]:
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
                "In two dimensions both indices are reversed, rows and columns: two mirrors one "
                "after the other are a rotation by 180 degrees; one alone would be another kernel."
            ),
            checks.rotation(tuple(map(int, geometry.taps))),
        ]
    return blocks


def _words(layer: Operator) -> str:
    """What the symbols of the definition mean."""
    geometry, transposed = layer_of(layer)
    words = "Here w is the kernel, x the input and y the output; indices start at 0. "
    if geometry.has_channels:
        groups, outputs, inputs = geometry.channels
        first, second = ("input", "output") if transposed else ("output", "input")
        if groups == 1:
            words += f"o counts {first} channels and c counts {second} channels. "
        else:
            words += f"g counts the {groups} groups"
            words += f", o the {first} channels of each" if outputs > 1 else ""
            words += f", c the {second} channels of each. " if inputs > 1 else ". "
    if transposed:
        return words + "Every sample of x is spread over the outputs that its weights reach."
    if geometry.axes[0].is_backwards:
        return words + "Tap and sample run in opposite directions: a convolution in mathematics."
    return (
        words
        + "Tap and sample run in the same direction: a correlation, which deep learning calls a "
        "convolution."
    )


def _sizes(layer: Operator, small: Operator) -> Section:
    _, transposed = layer_of(layer)
    blocks: list[Block] = [
        Text(
            "n samples come in, k taps are d apart, the kernel moves by s, and p0 and p1 are the "
            "samples of padding before and after"
            + (", less the output padding." if transposed else ".")
        ),
        *checks.sizes(layer),
        *drawn_window(
            "last",
            small,
            "The last output: here the kernel reaches the end of the input.",
            last=True,
        ),
        *everywhere.size_steps(layer),
    ]
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
        *pictured(
            "matrix",
            (
                f"The {shape} matrix, each entry in the colour of its weight; zeros are blank.",
                partial(draw.matrix, small),
            ),
        ),
        checks.matrix(small),
        Text(_toeplitz_words(small)),
        *everywhere.toeplitz_claims(small),
        explorer(small),
        Code("ca.draw.matrix(A)", runs=True),
    ]
    return Section("The matrix", tuple(blocks))


def _toeplitz_words(small: Operator) -> str:
    """Why rows, or columns of a transposed layer, repeat."""
    geometry, transposed = layer_of(small)
    words = (
        "The next input is spread by the same weights, s rows further on, so each column is the "
        "one before it, moved down by s"
        if transposed
        else "The next output uses the same weights on samples s further on, so each row is the "
        "one before it, moved by s"
    )
    words += ", as long as the windows are inside the input"
    words += "; with s = 1 every diagonal is constant: Toeplitz."
    if len(geometry.axes) > 1:
        words += (
            " Over several axes that holds for each: with s = 1 the blocks of the matrix are "
            "Toeplitz, and they stand in it like the entries of a Toeplitz matrix."
        )
    return words

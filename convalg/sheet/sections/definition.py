"""The sections of a derivation sheet, from an operator, in the order of a lecture."""

from __future__ import annotations

from functools import partial

from convalg import draw
from convalg.faces import latex
from convalg.faces.latex import layer_of
from convalg.faces.text import one_line
from convalg.geometry import Geometry
from convalg.kernels import kernel as symbols
from convalg.operators.gradients import only_convolution
from convalg.operators.tree import Operator
from convalg.sheet import verify_layer
from convalg.sheet.blocks import Block, Code, Formula, Picture, Section, Text
from convalg.sheet.explorer import explorer
from convalg.sheet.miniature import has_symbols
from convalg.sheet.pictures import drawn_window, pictured
from convalg.sheet.sections import all_sizes
from convalg.size import size_product


def definition_section(layer: Operator, small: Operator) -> Section:
    """What the layer computes: the sum, the kernel, the window, the flip."""
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
    blocks.append(verify_layer.definition(small))
    blocks += all_sizes.flip_claims(small)
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
            verify_layer.rotation(tuple(map(int, geometry.taps))),
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


def sizes_section(layer: Operator, small: Operator) -> Section:
    """The output size, derived."""
    _, transposed = layer_of(layer)
    blocks: list[Block] = [
        Text(
            "n samples come in, k taps are d apart, the kernel moves by s, and p0 and p1 are the "
            "samples of padding before and after"
            + (", less the output padding." if transposed else ".")
        ),
        *verify_layer.sizes(layer),
        *drawn_window(
            "last",
            small,
            "The last output: here the kernel reaches the end of the input.",
            last=True,
        ),
        *all_sizes.size_steps(layer),
    ]
    blocks.append(Code("ca.derive.output_size(A).verify()", runs=True))
    return Section("The size of the output", tuple(blocks))


def matrix_section(small: Operator) -> Section:
    """The weight matrix, coloured by shared weight."""
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
        verify_layer.matrix(small),
        Text(_toeplitz_words(small)),
        *all_sizes.toeplitz_claims(small),
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

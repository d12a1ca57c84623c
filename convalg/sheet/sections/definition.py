"""The first sections of a sheet: definition, output size and matrix."""

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
    """The definition of the layer: the sum, the kernel, the window, the flip."""
    geometry, _ = layer_of(layer)
    blocks: list[Block] = [Formula(latex.layer_sum(layer))]
    rule = latex.boundary_rule(layer)
    if rule:
        blocks.append(Formula(rule))
    blocks.append(Text(_symbols_text(layer)))
    kernel = only_convolution(layer).weights
    same = kernel.shape == only_convolution(small).weights.shape
    shown = layer if same else small
    names = None if has_symbols(shown) else symbols(*kernel.shape)
    of = "" if same else " of the small layer"
    caption = f"The kernel{of}. Each weight has the same colour in the matrix below."
    blocks.append(Picture("kernel", ((caption, partial(draw.kernel, shown, letters=names)),)))
    blocks += drawn_window(
        "window",
        small,
        "One output: each weight of the kernel is drawn on the sample that it multiplies.",
    )
    blocks += _flip_blocks(geometry)
    blocks.append(verify_layer.definition(small))
    blocks += all_sizes.flip_claims(small)
    return Section("Definition", tuple(blocks))


def _flip_blocks(geometry: Geometry) -> list[Block]:
    """Where the kernel is flipped, and why this is a rotation by 180 degrees in two dimensions."""
    formula = (
        r"(w * x)_i = \sum_a w_a\, x_{i-a} = \sum_a w_{k-1-a}\, x_{i+a-(k-1)} "
        r"= (\operatorname{flip} w \star x)_{i-(k-1)}"
    )
    text = (
        "In a convolution, the indices of tap and sample run in opposite directions, and their sum "
        "is the index of the output. In a correlation, they run in the same direction. Numbering "
        "the taps from the other end converts one into the other; this flips the kernel."
    )
    blocks: list[Block] = [Text(text), Formula(formula)]
    if len(geometry.axes) == 2:
        blocks += [
            Text(
                "In two dimensions, both the row index and the column index are reversed. These "
                "two reflections together are a rotation by 180 degrees. Flipping the kernel along "
                "one axis only would result in a different kernel."
            ),
            verify_layer.rotation(tuple(map(int, geometry.taps))),
        ]
    return blocks


def _symbols_text(layer: Operator) -> str:
    """The meaning of the symbols in the definition."""
    geometry, transposed = layer_of(layer)
    text = "Here w is the kernel, x the input and y the output; indices start at 0. "
    if geometry.has_channels:
        groups, outputs, inputs = geometry.channels
        first, second = ("input", "output") if transposed else ("output", "input")
        if groups == 1:
            text += f"The index o counts {first} channels and c counts {second} channels. "
        else:
            text += f"The index g counts the {groups} groups. "
            text += f"The index o counts the {first} channels of a group. " if outputs > 1 else ""
            text += f"The index c counts the {second} channels of a group. " if inputs > 1 else ""
    if transposed:
        return (
            text + "Every sample of x contributes to all outputs that the kernel reaches from it."
        )
    if geometry.axes[0].is_backwards:
        return (
            text + "The indices of tap and sample run in opposite directions, so this is a "
            "convolution in the mathematical sense."
        )
    return (
        text + "The indices of tap and sample run in the same direction, so this is a correlation, "
        "which deep learning calls a convolution."
    )


def sizes_section(layer: Operator, small: Operator) -> Section:
    """The output size, derived."""
    _, transposed = layer_of(layer)
    blocks: list[Block] = [
        Text(
            "The input has n samples. The kernel has k taps with dilation d, and it moves by the "
            "stride s. The numbers of padding samples before and after the input are p0 and p1"
            + ("; p1 is reduced by the output padding." if transposed else ".")
        ),
        *verify_layer.sizes(layer),
        *drawn_window(
            "last",
            small,
            "The last output: the kernel at its last position.",
            last=True,
        ),
        *all_sizes.size_steps(layer),
    ]
    blocks.append(Code("ca.derive.output_size(A).verify()", runs=True))
    return Section("The output size", tuple(blocks))


def matrix_section(small: Operator) -> Section:
    """The weight matrix, coloured by shared weight."""
    geometry, _ = layer_of(small)
    weights, entries = size_product(geometry.kernel_shape), small.counts.nonzeros
    shape = f"{small.shape[0]} x {small.shape[1]}"
    blocks: list[Block] = [
        Code(one_line(small)),
        Text(
            f"Rows are outputs and columns are inputs, both in row-major order. The {entries} "
            f"non-zeros contain {weights} different weights. In the figure, lines separate the "
            f"blocks of each axis. Structure: {small.structure()}."
        ),
        *pictured(
            "matrix",
            (
                f"The {shape} matrix, each entry in the colour of its weight; zeros are blank.",
                partial(draw.matrix, small),
            ),
        ),
        verify_layer.matrix(small),
        Text(_toeplitz_text(small)),
        *all_sizes.toeplitz_claims(small),
        explorer(small),
        Code("ca.draw.matrix(A)", runs=True),
    ]
    return Section("The matrix", tuple(blocks))


def _toeplitz_text(small: Operator) -> str:
    """Why rows, or columns of a transposed layer, repeat."""
    geometry, transposed = layer_of(small)
    text = (
        "The next input has the same weights, but they apply to outputs that are s samples "
        "further. Each column is therefore the previous column, shifted down by s rows"
        if transposed
        else "The next output has the same weights, but they apply to inputs that are s samples "
        "further. Each row is therefore the previous row, shifted to the right by s columns"
    )
    text += ", as long as the windows are inside the input."
    text += " If s = 1, every diagonal is constant, and the matrix is Toeplitz."
    if len(geometry.axes) > 1:
        text += (
            " With several axes, this is true along each axis: if s = 1, the blocks of the matrix "
            "are Toeplitz, and they are arranged like the entries of a Toeplitz matrix."
        )
    return text

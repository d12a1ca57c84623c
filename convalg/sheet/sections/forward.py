"""Properties of the matrix: linearity, the three modes, its factors, and weight sharing."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from convalg import draw
from convalg.arguments import plural
from convalg.faces.latex import layer_of
from convalg.faces.text import one_line, padding_after
from convalg.kernels import kernel as symbols
from convalg.operators.convolution import convolution, correlation
from convalg.operators.gradients import only_convolution
from convalg.operators.leaves import Convolution
from convalg.operators.padding import pad
from convalg.operators.sampling import downsample
from convalg.operators.tree import Operator, compose
from convalg.sheet import verify_layer, verify_numbers
from convalg.sheet.blocks import Block, Code, Formula, Picture, Section, Table, Text
from convalg.sheet.claims import equal
from convalg.sheet.pictures import pictured, row_of
from convalg.sheet.sections import all_sizes


def linearity_section(small: Operator) -> Section:
    """Linearity with its proof, and why a layer with a bias is not linear."""
    blocks: list[Block] = [
        Text(
            "Every output is a sum of inputs times weights, and the weights do not depend on the "
            "input. For a sum of two inputs, this sum can be split in two, and a constant factor "
            "can be moved out of it. This is what linearity means, and every linear map has a "
            "matrix."
        ),
        verify_layer.linear(small),
        *all_sizes.linear_steps(small),
        *pictured(
            "flow",
            (
                "The layer along its last axis, with one line for each entry of the matrix, in the "
                "colour of its weight. Forward, every output is a sum over its lines; backward, "
                "the gradient of every input is a sum over its lines.",
                partial(draw.flow, row_of(small)),
            ),
        ),
        verify_numbers.bias_ends_linearity(small),
        Code("ca.prove.linear(A)", runs=True),
    ]
    return Section("Linearity", tuple(blocks))


def modes_section(small: Operator) -> Section:
    """Full, same and valid: rows of one matrix."""
    layer = wide_enough(only_convolution(small))
    axis = layer.geometry.axes[-1]
    n, d = int(axis.in_size), abs(int(axis.dilation))
    where = "" if len(layer.geometry.axes) == 1 else " along the last axis"
    blocks: list[Block] = [
        Text(
            "Full keeps every position where kernel and input overlap, same keeps as many outputs "
            "as there are inputs, and valid keeps only the positions where the kernel is inside "
            "the input. The matrices of the three modes consist of rows of one matrix; in the "
            "figure, outlines mark the rows that a mode drops. The stride is 1, and the padding "
            "consists of zeros."
        ),
        verify_layer.mode_sizes(axis, all_sizes.mode_outputs(layer)),
        Picture(
            "modes",
            (
                (
                    f"Full, same and valid for {plural(n, 'sample')} and "
                    f"{plural(axis.taps, 'tap')}{where}. This figure has colours of its own.",
                    partial(draw.modes, n, axis.taps, dilation=d),
                ),
            ),
        ),
        *pictured(
            "overlap",
            (
                "Every position of the kernel that overlaps the input, completely or partly.",
                partial(draw.overlap, n, axis.taps, dilation=d),
            ),
        ),
        *all_sizes.modes_as_rows(layer),
        *all_sizes.mode_claims(layer),
    ]
    return Section("Full, same and valid", tuple(blocks))


def wide_enough(layer: Convolution) -> Convolution:
    """Return the layer over an input at least as long as its kernel, so each mode has an output."""
    shape = tuple(max(int(axis.in_size), int(axis.span)) for axis in layer.geometry.axes)
    return all_sizes.remade(layer.geometry, shape, layer.weights, padding=0, boundary="zeros")


def operators_section(small: Operator) -> Section:
    """Padding and stride as operators: pad, convolve, downsample; and their product."""
    parts = LayerParts(small)
    stride, before, after = parts.stride, *parts.padding
    blocks: list[Block] = [
        Formula(r"A = D_s\, A_1\, P_p" if not parts.transposed else _TRANSPOSED),
        Text(
            f"The factors along the last axis are the following. P adds "
            f"{plural(before, 'sample')} before and {after} after the input (boundary: "
            f"{parts.boundary}). A_1 applies the kernel at every position. D keeps the outputs "
            f"whose index is a multiple of {stride} and drops the others.{parts.note}"
        ),
    ]
    zeros = parts.boundary == "zeros"
    padding_caption = (
        "P: empty rows are the zeros of the padding."
        if zeros
        else "P: the rows at both ends read samples of the input a second time."
    )
    for name, operator, caption in (
        ("pad", parts.pad, padding_caption),
        (
            "dense",
            parts.dense,
            "A_1: the kernel at every position. Each row is shifted by one column.",
        ),
        ("drop", parts.drop, "D: one entry per row, in the column of the output that is kept."),
        (
            "product",
            parts.strided,
            "The product D A_1 P: one layer, which computes only the outputs that are kept.",
        ),
    ):
        blocks += pictured(name, (caption, partial(draw.matrix, operator)))
    product = compose(parts.drop, parts.dense, parts.pad)
    blocks += [
        *equal(
            "The product of downsampling, the layer with stride 1 and padding is one layer.",
            product,
            parts.strided,
        ),
        verify_numbers.strided_products(parts.strided, parts.unit_stride),
        *all_sizes.operator_claims(parts.strided),
    ]
    if parts.transposed:
        reversed_ = compose(parts.pad.T, parts.dense.T, parts.drop.T)
        blocks += equal(
            "The transpose is the product of the transposed factors in reverse order: upsampling "
            "with zeros, the transpose of A_1, the transpose of the padding.",
            parts.strided.T,
            reversed_,
        )
    return Section("Padding and stride as operators", tuple(blocks))


_TRANSPOSED = (
    r"A = (D_s\, A_1\, P_p)^{\mathsf{T}} = P_p^{\mathsf{T}} A_1^{\mathsf{T}} D_s^{\mathsf{T}}"
)


class LayerParts:
    """The factors of a layer along its last axis, with a padding and a stride if it has none."""

    def __init__(self, small: Operator) -> None:
        geometry, self.transposed = layer_of(small)
        axis = geometry.axes[-1]
        n, taps, d = int(axis.in_size), int(axis.taps), abs(int(axis.dilation))
        own = int(axis.before), int(padding_after(axis))
        self.padding = max(own[0], 0), max(own[1], 0)
        self.stride, self.boundary = int(axis.stride), axis.boundary
        lacking = ["crops its input"] if min(own) < 0 else []
        if not any(self.padding):
            # Without padding of its own the layer is shown with one sample at each end.
            self.padding = (1, 1)
            lacking += [] if lacking else ["does not pad"]
        if self.stride == 1:
            self.stride = 2
            lacking.append("has stride 1")
        self.note = ""
        if lacking:
            self.note = (
                f" Because this layer {' and '.join(lacking)}, its kernel is shown here with "
                f"padding {self.padding} and stride {self.stride}."
            )
        make: Any = convolution if axis.is_backwards else correlation
        weights = symbols(taps)
        options: Any = {"dilation": d, "boundary": axis.boundary, "padding": (self.padding,)}
        self.pad = pad(n, (self.padding,), boundary=axis.boundary)
        self.dense = make(n + sum(self.padding), weights, dilation=d)
        self.drop = downsample(self.dense.out_shape, self.stride)
        self.unit_stride = make(n, weights, **options)
        self.strided = make(n, weights, stride=self.stride, **options)


def sharing_section(layer: Operator, small: Operator) -> Section:
    """Weight sharing: the number of weights, their uses, and a dense layer for comparison."""
    counts = layer.counts
    sharing = np.asarray(counts.sharing)
    low, high = int(sharing.min()), int(sharing.max())
    times = verify_layer.counted_text(low, "time") if low == high else f"{low:,} to {high:,} times"
    dense = f"{counts.dense:,}"
    rows = (
        ("entries of the matrix", dense, dense),
        ("non-zeros", f"{counts.nonzeros:,}", dense),
        ("trainable weights", f"{counts.parameters:,}", dense),
        ("each weight is used", times, "once"),
        ("fraction of zeros", f"{1 - counts.nonzeros / counts.dense:.1%}", "0.0%"),
    )
    row = row_of(small)
    blocks: list[Block] = [
        Text(
            "Every position of the kernel uses the same weights, so a weight is used once at every "
            "position where it reads a sample of the input. A dense layer of the same shapes has "
            "a separate weight for every entry."
        ),
        verify_layer.sharing(small),
        Table(
            ("", "this layer", "a dense layer of the same shapes"),
            rows,
            f"Weights of {one_line(layer)}. Weights that happen to be zero are counted too.",
        ),
        *pictured(
            "row",
            (
                "One row of the matrix along the last axis, and the samples that it reads. The "
                "next row has the same weights in later columns.",
                partial(draw.matrix, row, row=row.out_shape[0] // 2),
            ),
        ),
        verify_layer.counts(layer),
        Code("A.counts", runs=True),
    ]
    return Section("Weight sharing", tuple(blocks))

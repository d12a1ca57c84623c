"""The matrix of a layer: linear, in three modes, a product of operators, its weights shared."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from convalg import draw
from convalg.arguments import plural
from convalg.faces.latex import layer_of
from convalg.faces.text import one_line, padding_after
from convalg.kernels import kernel as symbols
from convalg.operators.gradients import only_convolution
from convalg.operators.leaves import Convolution
from convalg.operators.make import convolution, correlation, downsample, pad
from convalg.operators.tree import Operator, compose
from convalg.sheet import verify_layer, verify_numbers
from convalg.sheet.blocks import Block, Code, Formula, Picture, Section, Table, Text
from convalg.sheet.claims import equal
from convalg.sheet.pictures import pictured, row_of
from convalg.sheet.sections.definition import all_sizes


def linearity_section(small: Operator) -> Section:
    """Linearity with its proof, and why a bias ends it."""
    blocks: list[Block] = [
        Text(
            "Every output is a sum of inputs times weights, and the weights do not depend on the "
            "input. A sum can be taken apart, and a factor drawn out of it; that is all that "
            "linearity needs, and why there is a matrix."
        ),
        verify_layer.linear(small),
        *all_sizes.linear_steps(small),
        *pictured(
            "flow",
            (
                "The layer along its last axis as lines, each the colour of its weight: forward "
                "every output adds up what comes in; back every input does, along the same lines.",
                partial(draw.flow, row_of(small)),
            ),
        ),
        verify_numbers.bias_ends_linearity(small),
        Code("ca.prove.linear(A)", runs=True),
    ]
    return Section("It is linear", tuple(blocks))


def modes_section(small: Operator) -> Section:
    """Full, same and valid: rows of one matrix."""
    layer = wide_enough(only_convolution(small))
    axis = layer.geometry.axes[-1]
    n, d = int(axis.in_size), abs(int(axis.dilation))
    where = "" if len(layer.geometry.axes) == 1 else " along the last axis"
    blocks: list[Block] = [
        Text(
            "Full keeps every position where kernel and input meet, same as many outputs as "
            "inputs, valid only the positions where the kernel is inside. They are rows of one "
            "matrix: outlines mark the rows that a mode drops (stride 1, zeros outside)."
        ),
        verify_layer.mode_sizes(axis, all_sizes.mode_outputs(layer)),
        Picture(
            "modes",
            (
                (
                    f"{n} samples, {axis.taps} taps{where}: full, same and valid, in colours of "
                    f"their own.",
                    partial(draw.modes, n, axis.taps, dilation=d),
                ),
            ),
        ),
        *pictured(
            "overlap",
            (
                "Every position of the kernel: where it is inside the input, and where only a part "
                "of it is.",
                partial(draw.overlap, n, axis.taps, dilation=d),
            ),
        ),
        *all_sizes.modes_as_rows(layer),
        *all_sizes.mode_claims(layer),
    ]
    return Section("Full, same and valid", tuple(blocks))


def wide_enough(layer: Convolution) -> Convolution:
    """The layer over an input that holds its kernel, so that each mode has an output."""
    shape = tuple(max(int(axis.in_size), int(axis.span)) for axis in layer.geometry.axes)
    return all_sizes.remade(layer.geometry, shape, layer.weights, padding=0, boundary="zeros")


def operators_section(small: Operator) -> Section:
    """Padding and stride as operators: pad, convolve, drop; and the three as one."""
    parts = LayerParts(small)
    stride, before, after = parts.stride, *parts.padding
    blocks: list[Block] = [
        Formula(r"A = D_s\, A_1\, P_p" if not parts.transposed else _TRANSPOSED),
        Text(
            f"Along the last axis: P puts {plural(before, 'sample')} before and {after} after "
            f"({parts.boundary}), A_1 has the kernel at every position, D keeps every output whose "
            f"index is a multiple of {stride} and drops the others.{parts.note}"
        ),
    ]
    zeros = parts.boundary == "zeros"
    filled = "zeros of the padding" if zeros else "samples of the border, read once more"
    empty = "rows without an entry are" if zeros else "the rows at the ends are"
    for name, operator, words in (
        ("pad", parts.pad, f"P: {empty} the {filled}."),
        ("everywhere", parts.dense, "A_1: the kernel at every position, one column further each."),
        ("drop", parts.drop, "D: one entry in a row, at the outputs that stay."),
        ("product", parts.whole, "The product D A_1 P: one layer, which computes only what stays."),
    ):
        blocks += pictured(name, (words, partial(draw.matrix, operator)))
    product = compose(parts.drop, parts.dense, parts.pad)
    blocks += [
        *equal(
            "Padding, the kernel at every position and dropping are one layer.",
            product,
            parts.whole,
        ),
        verify_numbers.strided_products(parts.whole, parts.every),
        *all_sizes.operator_claims(parts.whole),
    ]
    if parts.transposed:
        reversed_ = compose(parts.pad.T, parts.dense.T, parts.drop.T)
        blocks += equal(
            "Transposed, the factors are reversed: zeros between, the kernel, cutting off.",
            parts.whole.T,
            reversed_,
        )
    return Section("Padding and stride as operators", tuple(blocks))


_TRANSPOSED = (
    r"A = (D_s\, A_1\, P_p)^{\mathsf{T}} = P_p^{\mathsf{T}} A_1^{\mathsf{T}} D_s^{\mathsf{T}}"
)


class LayerParts:
    """The last axis of a layer taken apart; with a padding and a stride where it has none."""

    def __init__(self, small: Operator) -> None:
        geometry, self.transposed = layer_of(small)
        axis = geometry.axes[-1]
        n, taps, d = int(axis.in_size), int(axis.taps), abs(int(axis.dilation))
        own = int(axis.before), int(padding_after(axis))
        self.padding = max(own[0], 0), max(own[1], 0)
        self.stride, self.boundary = int(axis.stride), axis.boundary
        lacking = ["crops its input"] if min(own) < 0 else []
        if not any(self.padding):
            # A layer that never reads beyond its ends has zeros there, at any size.
            self.padding = (1, 1)
            lacking += [] if lacking else ["does not pad"]
        if self.stride == 1:
            self.stride = 2
            lacking.append("has stride 1")
        self.note = ""
        if lacking:
            self.note = (
                f" This layer {' and '.join(lacking)}: shown is its kernel with padding "
                f"{self.padding} and stride {self.stride}."
            )
        make: Any = convolution if axis.is_backwards else correlation
        weights = symbols(taps)
        options: Any = {"dilation": d, "boundary": axis.boundary, "padding": (self.padding,)}
        self.pad = pad(n, (self.padding,), boundary=axis.boundary)
        self.dense = make(n + sum(self.padding), weights, dilation=d)
        self.drop = downsample(self.dense.out_shape, self.stride)
        self.every = make(n, weights, **options)
        self.whole = make(n, weights, stride=self.stride, **options)


def sharing_section(layer: Operator, small: Operator) -> Section:
    """How few weights there are, how often each is used, and what a dense layer would have."""
    counts = layer.counts
    sharing = np.asarray(counts.sharing)
    low, high = int(sharing.min()), int(sharing.max())
    times = f"{low:,} times" if low == high else f"{low:,} to {high:,} times"
    dense = f"{counts.dense:,}"
    rows = (
        ("entries of the matrix", dense, dense),
        ("entries that are not zero", f"{counts.nonzeros:,}", dense),
        ("weights to learn", f"{counts.parameters:,}", dense),
        ("each weight is used", times, "once"),
        ("share of zeros", f"{1 - counts.nonzeros / counts.dense:.1%}", "0.0%"),
    )
    row = row_of(small)
    blocks: list[Block] = [
        Text(
            "Every position of the kernel uses the same weights, so a weight stands in the matrix "
            "as often as it meets the input. A dense layer of the same shapes has a weight of its "
            "own for every entry."
        ),
        verify_layer.sharing(small),
        Table(
            ("", "this layer", "a dense layer of the same shapes"),
            rows,
            f"Weights of {one_line(layer)}. A weight that happens to be zero counts.",
        ),
        *pictured(
            "row",
            (
                "Along the last axis: one row of the matrix, and what it looks at; the next row "
                "holds the same weights, further on.",
                partial(draw.matrix, row, row=row.out_shape[0] // 2),
            ),
        ),
        verify_layer.counts(layer),
        Code("A.counts", runs=True),
    ]
    return Section("Shared weights", tuple(blocks))

"""Receptive field, translation equivariance and cost of a layer."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from convalg import draw
from convalg.draw.figure import Drawing, plot
from convalg.draw.palette import HUES, INK
from convalg.faces.latex import layer_of
from convalg.faces.text import one_line
from convalg.geometry import Geometry
from convalg.network import layers
from convalg.network.network import Network, sequential
from convalg.operators.gradients import only_convolution
from convalg.operators.shifts import shift
from convalg.operators.tree import Operator
from convalg.sheet import verify_layer, verify_numbers
from convalg.sheet.blocks import Block, Code, Formula, Section, Table, Text
from convalg.sheet.pictures import pictured, row_of
from convalg.sheet.sections import all_sizes

DEPTH = 3
"""Copies of the layer that are stacked to show how the receptive field grows."""


def field_section(small: Operator) -> Section:
    """The receptive field of one layer and of a stack of copies."""
    geometry, transposed = layer_of(small)
    if transposed:
        return _transposed_field(small)
    net, last = _stack(geometry)
    fields = [net.receptive_field(f"conv{depth}") for depth in range(1, last + 1)]
    rows = tuple(
        (f"{depth}", f"{_one(field.size)}", f"{_one(field.stride)}", f"{_one(field.padding)}")
        for depth, field in enumerate(fields, 1)
    )
    blocks: list[Block] = [
        Text(
            "The receptive field of an output of one layer spans d (k - 1) + 1 samples of the "
            "input, including the samples between dilated taps. Each further layer adds "
            "d (k - 1) times the product of the strides of the layers before it."
        ),
        verify_numbers.fields(small, [int(_one(field.size)) for field in fields]),
        Table(
            ("layers", "receptive field", "step from one output to the next", "padding"),
            rows,
            f"Stacks of up to {last} copies of the layer along its last axis, without a boundary.",
        ),
        *pictured(
            "cone",
            (
                "The samples that one output reads, layer by layer down to the input. Blank "
                "samples between them are not read.",
                partial(draw.cone, net),
            ),
        ),
        *all_sizes.field_steps(small),
    ]
    return Section("Receptive field", tuple(blocks))


def _transposed_field(small: Operator) -> Section:
    geometry, _ = layer_of(small)
    apart = [int(a.stride) // math.gcd(int(a.stride), abs(int(a.dilation))) for a in geometry.axes]
    each = [-(-int(a.taps) // step) for a, step in zip(geometry.axes, apart, strict=True)]
    outputs, zeros = geometry.channels[1], all(a.boundary == "zeros" for a in geometry.axes)
    bound = int(outputs) * math.prod(each)
    factors = r" \cdot ".join(map(str, [outputs, *each]))
    formula = (
        r"r \le C \prod_{\text{axes}} \left\lceil \frac{k}{s / \gcd(s, d)} \right\rceil"
        f" = {factors} = {bound}"
    )
    blocks: list[Block] = [
        Text(
            "An output of a transposed layer reads only the samples whose windows contain it. With "
            "a stride, outputs may read different numbers of samples, which appears as a "
            "checkerboard pattern. In the formula, r is the number of samples that an output "
            "reads, and C is the number of their channels."
        ),
        verify_numbers.reads_claim(small, bound if zeros else None, formula),
        *all_sizes.field_steps(small),
        *pictured(
            "coverage",
            ("The number of times that each output is written.", partial(draw.coverage, small)),
        ),
    ]
    return Section("Receptive field", tuple(blocks))


def _stack(geometry: Geometry) -> tuple[Network, int]:
    """The layer along its last axis, stacked on an input that contains the whole field."""
    axis = geometry.axes[-1]
    s, k, d = int(axis.stride), int(axis.taps), abs(int(axis.dilation))
    depth = DEPTH
    while depth > 1 and _length(s, k, d, depth) > MOST_SAMPLES:
        depth -= 1
    length = _length(s, k, d, depth)
    stacked = [layers.Conv(1, k, stride=s, dilation=d, bias=False) for _ in range(depth)]
    return sequential((1, length), stacked), depth


def _length(stride: int, taps: int, dilation: int, depth: int) -> int:
    """The number of samples that contain the whole field of an output, plus one step."""
    reach = sum(dilation * (taps - 1) * stride**level for level in range(depth))
    return int(1 + reach + stride ** (depth - 1))


MOST_SAMPLES = 90
"""The longest input of a stack of layers that is drawn."""


def _one(value: object) -> Any:
    """The value for the only axis."""
    return value[0] if isinstance(value, tuple) else value


def shift_section(small: Operator) -> Section:
    """Where shifting the input shifts the output, and where it does not."""
    geometry, transposed = layer_of(small)
    layer = only_convolution(small)
    stride = int(geometry.axes[-1].stride)
    blocks: list[Block] = [
        Formula(
            r"A\, S_{s} = S_{1}\, A"
            if not transposed
            else r"A\, S_{1}^{\mathsf{T}} = S_{s}^{\mathsf{T}}\, A"
        ),
        Text(
            "The index of S is the number of samples by which S shifts. The same weights are "
            "applied at every position, so shifting the input shifts the output. This property is "
            "called translation equivariance. It does not hold at the border, and with a stride "
            "of s it holds only for shifts by multiples of s."
        ),
        *all_sizes.shift_claims(small),
        Text("Along the last axis alone:"),
    ]
    rows = [row_of(layer)]
    strided = all_sizes.with_stride(only_convolution(rows[0]), 2) if stride == 1 else None
    blocks += all_sizes.shift_limits(rows[0].T if transposed else rows[0])
    if strided is not None:
        rows.append(strided)
        other = strided.T if transposed else strided
        blocks.append(Text("The same kernel with stride 2, for comparison:"))
        blocks += [*all_sizes.shift_claims(other), *all_sizes.shift_limits(other)]
    circular = all(axis.boundary == "circular" for axis in geometry.axes)
    for number, row in enumerate(rows, 1):
        step = only_convolution(row).geometry.axes[0].stride
        caption = (
            f"The matrix A S - S A along the last axis, with stride {step} and a shift by 1. It "
            f"has entries where shifting the input by 1 does not shift the output by 1."
        )
        name = f"commutator-{number}"
        blocks += pictured(name, (caption, partial(draw.matrix, _commutator(row, circular))))
    blocks.append(Code("ca.prove.equivariant(A, 1, interior=True)", runs=not transposed))
    return Section("Translation equivariance", tuple(blocks))


def _commutator(row: Operator, circular: bool) -> Operator:
    boundary: Any = "circular" if circular else "zeros"
    before = shift(row.in_shape, 1, boundary=boundary)
    after = shift(row.out_shape, 1, boundary=boundary)
    return row @ before - after @ row


def cost_section(layer: Operator, small: Operator) -> Section:
    """Multiplications and memory, compared with a dense layer."""
    counts = layer.counts
    weights, entries = counts.parameters, counts.nonzeros
    rows = (
        ("multiplications, forward", f"{counts.multiplications:,}", f"{counts.dense:,}"),
        ("multiplications, input gradient", f"{counts.multiplications:,}", f"{counts.dense:,}"),
        ("multiplications, kernel gradient", f"{counts.multiplications:,}", f"{counts.dense:,}"),
        ("stored numbers, weights only", f"{weights:,}", f"{counts.dense:,}"),
        (
            "stored numbers, sparse matrix",
            f"{2 * entries + layer.shape[0] + 1:,}",
            f"{counts.dense:,}",
        ),
    )
    bars = {
        "dense layer: multiplications": counts.dense,
        "this layer: multiplications": counts.multiplications,
        "this layer: non-zeros": entries,
        "this layer: weights": weights,
    }
    blocks: list[Block] = [
        Table(
            ("", "this layer", "a dense layer of the same shapes"),
            rows,
            f"The cost of {one_line(layer)} for one input. A sparse matrix (CSR) stores a value "
            f"and a column for each entry, and the start of each row.",
        ),
        *_formula_blocks(layer, small),
        verify_layer.patches(small),
        *pictured("cost", ("The cost of the layer, on a logarithmic scale.", partial(_bars, bars))),
        Code("A.counts.multiplications, A.counts.dense", runs=True),
    ]
    return Section("Cost", tuple(blocks))


def _formula_blocks(layer: Operator, small: Operator) -> list[Block]:
    """The number of multiplications by a formula, tap by tap."""
    geometry, transposed = layer_of(layer)
    text = "Weights that happen to be zero are counted"
    if any(axis.boundary == "zeros" for axis in geometry.axes):
        text += "; taps on the padding are not counted"
    text += ". Along one axis, tap t reads a sample of the input for u_t of the o outputs."
    if transposed:
        text += " This layer is the adjoint of another layer, and n and o are the sizes of the "
        text += "input and output of that layer: n is the output size of this layer."
    if geometry.has_channels:
        text += " C_links is the number of connected pairs of input and output channels."
    return [Text(text), verify_layer.multiplications(layer, small)]


def _bars(counts: dict[str, int]) -> Drawing:
    """Horizontal bars on a logarithmic scale, labelled with their numbers."""
    figure = Drawing(7.0, 0.5 + 0.42 * len(counts))
    axes = plot(figure, 2.6, 0.4, 3.3, 0.42 * len(counts))
    axes.set_xscale("log")
    axes.set_xlim(0.8, 1.6 * max(counts.values()))
    axes.set_ylim(len(counts) - 0.4, -0.6)
    axes.grid(visible=False)
    for number, count in enumerate(counts.values()):
        colour = HUES[1] if number == 0 else HUES[0]
        axes.barh(number, count - 0.8, left=0.8, height=0.6, color=colour)
        axes.text(
            1.02,
            number,
            f"{count:,}",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8,
            color=INK,
        )
    axes.set_yticks(range(len(counts)), list(counts), fontsize=8)
    axes.minorticks_off()
    return figure

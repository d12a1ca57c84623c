"""How far a layer looks, how it moves with its input, and what it costs."""

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
from convalg.operators.make import shift
from convalg.operators.tree import Operator
from convalg.sheet import verify_layer, verify_numbers
from convalg.sheet.blocks import Block, Code, Formula, Section, Table, Text
from convalg.sheet.pictures import pictured, row_of
from convalg.sheet.sections.definition import all_sizes

DEPTH = 3
"""Copies of the layer that are stacked to show how the receptive field grows."""


def field_section(small: Operator) -> Section:
    """What one output sees, of one layer and of several."""
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
            "An output spans d (k - 1) + 1 samples of its input, those between dilated taps "
            "included. Each further layer adds as much again, in steps as long as the strides "
            "before it make them."
        ),
        verify_numbers.fields(small, [int(_one(field.size)) for field in fields]),
        Table(
            ("layers", "field", "step from one output to the next", "padding"),
            rows,
            f"The layer along its last axis, up to {last} times in a row, without its boundary.",
        ),
        *pictured(
            "cone",
            (
                "What one output reads, layer by layer down to the input; blank samples are holes.",
                partial(draw.cone, net),
            ),
        ),
        *all_sizes.field_steps(small),
    ]
    return Section("What an output sees", tuple(blocks))


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
            "An output of a transposed layer reads only the samples whose windows reach it: with "
            "a stride, different outputs read different numbers of them, which shows as a "
            "checkerboard. C counts the channels that an output reads."
        ),
        verify_numbers.reads_claim(small, bound if zeros else None, formula),
        *all_sizes.field_steps(small),
        *pictured("coverage", ("How often each output is written.", partial(draw.coverage, small))),
    ]
    return Section("What an output sees", tuple(blocks))


def _stack(geometry: Geometry) -> tuple[Network, int]:
    """The layer along its last axis, stacked on an input that holds its whole field."""
    axis = geometry.axes[-1]
    s, k, d = int(axis.stride), int(axis.taps), abs(int(axis.dilation))
    depth = DEPTH
    while depth > 1 and _length(s, k, d, depth) > MOST_SAMPLES:
        depth -= 1
    length = _length(s, k, d, depth)
    stacked = [layers.Conv(1, k, stride=s, dilation=d, bias=False) for _ in range(depth)]
    return sequential((1, length), stacked), depth


def _length(stride: int, taps: int, dilation: int, depth: int) -> int:
    """Samples that hold the whole field of an output, and a step more."""
    reach = sum(dilation * (taps - 1) * stride**place for place in range(depth))
    return int(1 + reach + stride ** (depth - 1))


MOST_SAMPLES = 90
"""Samples of an input under a stack of layers that is drawn."""


def _one(value: Any) -> Any:
    """The number of the one axis."""
    return value[0] if isinstance(value, tuple) else value


def shift_section(small: Operator) -> Section:
    """Where a shifted input gives a shifted output, and where it does not."""
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
            "S moves all samples. The same weights stand everywhere, so an input that is "
            "moved gives an output that is moved: translation equivariance. It ends at the "
            "border, and a stride of s keeps it only for shifts by multiples of s."
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
    for place, row in enumerate(rows, 1):
        step = only_convolution(row).geometry.axes[0].stride
        words = (
            f"A S - S A along the last axis, with stride {step}: blank where moving the input by 1 "
            f"moves the output by 1, entries where it does not."
        )
        name = f"commutator-{place}"
        blocks += pictured(name, (words, partial(draw.matrix, _commutator(row, circular))))
    blocks.append(Code("ca.prove.equivariant(A, 1, interior=True)", runs=not transposed))
    return Section("Moving the input", tuple(blocks))


def _commutator(row: Operator, circular: bool) -> Operator:
    boundary: Any = "circular" if circular else "zeros"
    before = shift(row.in_shape, 1, boundary=boundary)
    after = shift(row.out_shape, 1, boundary=boundary)
    return row @ before - after @ row


def cost_section(layer: Operator, small: Operator) -> Section:
    """Multiplications and memory, against a dense layer."""
    counts = layer.counts
    weights, entries = counts.parameters, counts.nonzeros
    rows = (
        ("multiplications forward", f"{counts.multiplications:,}", f"{counts.dense:,}"),
        ("back to the input", f"{counts.multiplications:,}", f"{counts.dense:,}"),
        ("back to the weights", f"{counts.multiplications:,}", f"{counts.dense:,}"),
        ("numbers to store, weights alone", f"{weights:,}", f"{counts.dense:,}"),
        (
            "numbers to store, as a sparse matrix",
            f"{2 * entries + layer.shape[0] + 1:,}",
            f"{counts.dense:,}",
        ),
    )
    bars = {
        "dense layer: multiplications": counts.dense,
        "this layer: multiplications": counts.multiplications,
        "this layer: entries that are not zero": entries,
        "this layer: weights": weights,
    }
    blocks: list[Block] = [
        Table(
            ("", "this layer", "a dense layer of the same shapes"),
            rows,
            f"What {one_line(layer)} takes for one input. A sparse matrix (CSR) holds a value and "
            f"a column for each entry, and where each row starts.",
        ),
        *_formula_blocks(layer, small),
        verify_layer.patches(small),
        *pictured("cost", ("What the layer takes, on a logarithmic scale.", partial(_bars, bars))),
        Code("A.counts.multiplications, A.counts.dense", runs=True),
    ]
    return Section("What it costs", tuple(blocks))


def _formula_blocks(layer: Operator, small: Operator) -> list[Block]:
    """The multiplications by a formula, tap by tap."""
    geometry, transposed = layer_of(layer)
    words = "A weight that happens to be zero counts"
    if any(axis.boundary == "zeros" for axis in geometry.axes):
        words += "; a tap on padding multiplies nothing"
    words += ". On one axis, tap t meets the input at u_t of the o outputs."
    if transposed:
        words += " Here n and o are the sizes of the layer whose adjoint this is: its input, n, is "
        words += "the output here."
    if geometry.has_channels:
        words += " C_links counts the pairs of input and output channels."
    return [Text(words), verify_layer.multiplications(layer, small)]


def _bars(counts: dict[str, int]) -> Drawing:
    """Bars on a logarithmic scale, with their numbers in words."""
    figure = Drawing(7.0, 0.5 + 0.42 * len(counts))
    axes = plot(figure, 2.6, 0.4, 3.3, 0.42 * len(counts))
    axes.set_xscale("log")
    axes.set_xlim(0.8, 1.6 * max(counts.values()))
    axes.set_ylim(len(counts) - 0.4, -0.6)
    axes.grid(visible=False)
    for place, count in enumerate(counts.values()):
        colour = HUES[1] if place == 0 else HUES[0]
        axes.barh(place, count - 0.8, left=0.8, height=0.6, color=colour)
        axes.text(
            1.02,
            place,
            f"{count:,}",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8,
            color=INK,
        )
    axes.set_yticks(range(len(counts)), list(counts), fontsize=8)
    axes.minorticks_off()
    return figure

"""How far a layer looks, how it moves with its input, and what it costs."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from convalg import draw
from convalg.base import Operator
from convalg.draw.figure import Drawing, plot
from convalg.draw.palette import HUES, INK
from convalg.errors import ConvalgError
from convalg.faces.latex import layer_of
from convalg.faces.text import one_line, padding_after
from convalg.gradients import only_convolution
from convalg.linear import convolution, correlation, shift
from convalg.network import layers
from convalg.network.graph import Network, sequential
from convalg.operators import Convolution
from convalg.prove import derive
from convalg.sheet import checks, everywhere, trials
from convalg.sheet.blocks import Block, Claim, Code, Formula, Picture, Section, Table, Text
from convalg.sheet.layers import pictured, row_of
from convalg.spec import Geometry

DEPTH = 3
"""Copies of the layer that are stacked to show how the receptive field grows."""


def field_section(small: Operator) -> Section:
    """What one output sees, of one layer and of several."""
    geometry, turned = layer_of(small)
    axis = geometry.axes[-1]
    if turned:
        return _transposed_field(small)
    net, last = _stack(geometry)
    fields = [net.receptive_field(f"conv{depth}") for depth in range(1, last + 1)]
    rows = tuple(
        (f"{depth}", f"{_one(field.size)}", f"{_one(field.stride)}", f"{_one(field.padding)}")
        for depth, field in enumerate(fields, 1)
    )
    s, k, d = int(axis.stride), int(axis.taps), abs(int(axis.dilation))
    terms = [f"{d} \\cdot ({k} - 1) \\cdot {s**depth}" for depth in range(last)]
    blocks: list[Block] = [
        Text(
            "An output sees d (k - 1) + 1 samples of its input. Each further layer adds as much "
            "again, in steps as long as the strides before it make them."
        ),
        Formula(
            r"r_L = 1 + \sum_{l=1}^{L} d_l\,(k_l - 1) \prod_{j \lt l} s_j = 1 + "
            rf"{' + '.join(terms)} = {_one(fields[-1].size)}"
        ),
        Table(
            ("layers", "field", "step from one output to the next", "padding"),
            rows,
            f"The layer along its last axis, up to {last} times in a row, without its boundary.",
        ),
        *pictured(
            "cone",
            (
                "What one output reads, layer by layer down to the input; blank samples are holes.",
                lambda: draw.cone(net),
            ),
        ),
        Claim(
            f"The fields are {', '.join(row[1] for row in rows)} samples long.",
            trials.check_fields(small, [int(_one(field.size)) for field in fields]),
        ),
    ]
    if isinstance(small, Convolution):
        derived = derive.receptive_field(small)
        blocks += everywhere.proved(
            f"The receptive field of {one_line(small)} is what its outputs read.", derived.verify()
        )
    blocks += everywhere.theorem_claims("receptive-field")
    return Section("What an output sees", tuple(blocks))


def _transposed_field(small: Operator) -> Section:
    geometry, _ = layer_of(small)
    fewest, most = trials.reads(small)
    apart = [int(a.stride) // math.gcd(int(a.stride), abs(int(a.dilation))) for a in geometry.axes]
    each = [-(-int(a.taps) // step) for a, step in zip(geometry.axes, apart, strict=True)]
    outputs, zeros = geometry.channels[1], all(a.boundary == "zeros" for a in geometry.axes)
    bound = int(outputs) * math.prod(each) if zeros else None
    factors = r" \cdot ".join(map(str, [outputs, *each]))
    tail = f" = {factors} = {bound}" if zeros else r" \quad \text{away from the border}"
    blocks: list[Block] = [
        Text(
            "An output of a transposed layer reads only the samples whose windows reach it: with "
            "a stride, different outputs read different numbers of them, which shows as a "
            "checkerboard."
        ),
        Formula(
            r"r \le C \prod_{\text{axes}} \left\lceil \frac{k}{s / \gcd(s, d)} \right\rceil" + tail
        ),
        *pictured("coverage", ("How often each output is written.", lambda: draw.coverage(small))),
        Claim(
            f"The outputs read between {fewest} and {most} samples.",
            trials.check_reads(small, (fewest, most), bound),
        ),
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
    geometry, turned = layer_of(small)
    layer = small if isinstance(small, Convolution) else small.T
    stride = int(geometry.axes[-1].stride)
    blocks: list[Block] = [
        Formula(r"A\, S_{s} = S_{1}\, A"),
        Text(
            "S moves all samples by one. The same weights stand everywhere, so an input that is "
            "moved gives an output that is moved: translation equivariance. It ends at the "
            "border, and a stride of s keeps it only for shifts by multiples of s."
        ),
    ]
    if turned:
        blocks.append(
            Text(
                "Said of the correlation whose adjoint this layer is; transposed, it says that an "
                "input of this layer moved by one gives an output moved by the stride."
            )
        )
    blocks += everywhere.shift_claims(layer)
    strided = _with_stride(layer, 2) if stride == 1 else layer
    if stride == 1 and strided is not None:
        blocks += [
            Text("The same kernel with stride 2, for comparison:"),
            *everywhere.shift_claims(strided),
        ]
    circular = all(axis.boundary == "circular" for axis in geometry.axes)
    rows = [row_of(layer)] if strided is None else [row_of(layer), row_of(strided)]
    for place, row in enumerate(rows[: 1 if strided is layer else 2], 1):
        words = "stride 1" if only_convolution(row).geometry.axes[0].stride == 1 else "a stride"
        words = (
            f"A S - S A along the last axis, with {words}: blank where moving the input moves the "
            f"output, entries where it does not."
        )
        name = f"commutator-{place}"
        blocks += pictured(name, (words, partial(draw.matrix, _commutator(row, circular))))
    blocks.append(
        Claim(
            "Away from the border the rows of A S - S A are zero with stride 1 alone.",
            trials.check_commutators([(row, _commutator(row, circular)) for row in rows]),
        )
    )
    blocks.append(Code("ca.prove.equivariant(A, 1, interior=True)", runs=not turned))
    return Section("Moving the input", tuple(blocks))


def _with_stride(layer: Operator, stride: int) -> Operator | None:
    """The same correlation with another stride; None where it does not exist."""
    geometry, _ = layer_of(layer)
    make: Any = convolution if geometry.axes[0].is_backwards else correlation
    try:
        found: Operator = make(
            geometry.in_spatial,
            layer.kernel,  # type: ignore[attr-defined]
            stride=stride,
            padding=[(int(a.before), int(padding_after(a))) for a in geometry.axes],
            dilation=tuple(abs(int(a.dilation)) for a in geometry.axes),
            groups=geometry.groups,
            boundary=geometry.axes[0].boundary,
        )
    except ConvalgError:
        return None
    return found


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
    blocks: list[Block] = [
        Table(
            ("", "this layer", "a dense layer of the same shapes"),
            rows,
            f"What {one_line(layer)} takes for one input. A sparse matrix (CSR) holds a value and "
            f"a column for each entry, and where each row starts.",
        ),
        *_formula_blocks(layer, small),
        Claim(
            "Back to the weights takes as many as forward: B(x) has an entry for each product.",
            trials.check_patches(small),
        ),
        Picture(
            "cost",
            _bars(
                {
                    "dense layer: multiplications": counts.dense,
                    "this layer: multiplications": counts.multiplications,
                    "this layer: entries that are not zero": entries,
                    "this layer: weights": weights,
                }
            ),
            "What the layer takes, on a logarithmic scale.",
        ),
        Code("A.counts.multiplications, A.counts.dense", runs=True),
    ]
    return Section("What it costs", tuple(blocks))


def _formula_blocks(layer: Operator, small: Operator) -> list[Block]:
    """The multiplications by a formula, tap by tap."""
    geometry, _ = layer_of(layer)
    each, claimed = checks.multiplications(geometry)
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
        Text(
            "A weight that happens to be zero counts"
            + ("; a tap on padding multiplies nothing" if has_zeros else "")
            + ". On one axis, tap t meets the input at u_t of the o outputs:"
        ),
        Formula(used),
    ]
    if geometry.has_channels:
        blocks.append(Text("C_links counts the pairs of input and output channels."))
    return [
        *blocks,
        Formula(rf"{lead}_{{\text{{axes}}}} \sum_{{t=0}}^{{k-1}} u_t = {product} = {claimed}"),
        Claim(
            f"The layer takes {claimed:,} multiplications by this formula.",
            checks.check_counts(layer, small, claimed),
        ),
    ]


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

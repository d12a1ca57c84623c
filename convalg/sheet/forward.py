"""The matrix of a layer: linear, in three modes, a product of operators, its weights shared."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from convalg import draw
from convalg.base import Operator
from convalg.draw.words import plural
from convalg.faces.latex import layer_of
from convalg.faces.text import one_line, padding_after
from convalg.gradients import only_convolution
from convalg.kernels import kernel as symbols
from convalg.linear import convolution, correlation, downsample, pad
from convalg.operators import Convolution, compose
from convalg.prove import derive
from convalg.prove.claims import decide
from convalg.prove.functions import linear
from convalg.sheet import checks, everywhere, trials
from convalg.sheet.blocks import Block, Claim, Code, Formula, Picture, Section, Table, Text
from convalg.sheet.layers import pictured, row_of


def linearity_section(layer: Operator, small: Operator) -> Section:
    """Linearity with its proof, and why a bias ends it."""
    blocks: list[Block] = [
        Formula(r"A(\alpha x + \beta z) = \alpha\, A x + \beta\, A z"),
        Text(
            "Every output is a sum of inputs times weights, and the weights do not depend on the "
            "input. A sum can be taken apart, and a factor drawn out of it; that is all that "
            "linearity needs, and why there is a matrix."
        ),
    ]
    # Weights called w, since the proof calls the samples x, as a user may call the weights.
    plain = small.refill(symbols(*only_convolution(small).weights.shape))
    family = everywhere.family_of(small)
    if family is not None and isinstance(small, Convolution):
        blocks.append(everywhere.steps_of(derive.linearity(family)))
    blocks += [
        *everywhere.linear_claims(layer),
        *everywhere.proved(f"{one_line(small)} is linear.", linear(plain)),
        *pictured(
            "flow",
            (
                "The layer along its last axis as lines, each the colour of its weight: forward "
                "every output adds up what comes in; back every input does, along the same lines.",
                lambda: draw.flow(row_of(small)),
            ),
        ),
        *everywhere.refuted(
            "With a bias b it is affine, and no longer linear: x = 0 gives b.",
            linear(lambda x: plain(x) + 1, small.in_shape),
        ),
        Code("ca.prove.linear(A)", runs=True),
    ]
    return Section("It is linear", tuple(blocks))


def modes_section(small: Operator) -> Section:
    """Full, same and valid: rows of one matrix."""
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
        Formula(
            r"o_{\text{full}} = n + d\,(k - 1), \qquad o_{\text{same}} = n, \qquad "
            r"o_{\text{valid}} = n - d\,(k - 1)"
        ),
        Picture(
            "modes",
            draw.modes(n, axis.taps, dilation=d),  # type: ignore[arg-type]
            f"{n} samples, {axis.taps} taps{where}: full, same and valid, in colours of their own.",
        ),
        *pictured(
            "overlap",
            (  # type: ignore[arg-type]
                "Every place of the kernel: where it lies inside the input, and where only a part "
                "of it does.",
                lambda: draw.overlap(n, axis.taps, dilation=d),
            ),
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


def operators_section(small: Operator) -> Section:
    """Padding and stride as operators: pad, convolve, drop; and the three as one."""
    parts = Parts(small)
    stride, before, after = parts.stride, *parts.padding
    blocks: list[Block] = [
        Formula(r"A = D_s\, A_1\, P_p" if not parts.turned else _TURNED),
        Text(
            f"Along the last axis: P puts {plural(before, 'sample')} before and {after} after "
            f"({parts.boundary}), A_1 lays the kernel everywhere, D keeps every output whose "
            f"index is a multiple of {stride} and drops the others.{parts.note}"
        ),
    ]
    for name, operator, words in (
        ("pad", parts.pad, "P: rows without an entry are the zeros of the padding."),
        ("everywhere", parts.dense, "A_1: the kernel at every place, one row further each time."),
        ("drop", parts.drop, "D: one entry in a row, at the outputs that stay."),
        ("product", parts.whole, "The product D A_1 P: one layer, which computes only what stays."),
    ):
        blocks += pictured(name, (words, partial(draw.matrix, operator)))
    computed, kept = parts.dense.counts.multiplications, parts.whole.counts.multiplications
    product = compose(parts.drop, parts.dense, parts.pad)
    verdict = decide(product, parts.whole, claim="convolve and drop")
    blocks += [
        *everywhere.proved(
            f"Pad, convolve and drop is the layer {one_line(parts.whole)}.", verdict
        ),
        Claim(
            f"In one step it takes {kept} multiplications; convolving everywhere and dropping "
            f"takes {computed}.",
            trials.check_products(parts.whole, kept, parts.dense, computed),
        ),
        *everywhere.theorem_claims("padding"),
        *everywhere.drop_claims(parts.whole),
    ]
    if parts.turned:
        verdict = decide(
            parts.whole.T, compose(parts.pad.T, parts.dense.T, parts.drop.T), claim="turned round"
        )
        blocks += everywhere.proved(
            "Transposed, the factors turn round: spread by zeros, convolve, cut off.", verdict
        )
    return Section("Padding and stride as operators", tuple(blocks))


_TURNED = r"A = (D_s\, A_1\, P_p)^{\mathsf{T}} = P_p^{\mathsf{T}} A_1^{\mathsf{T}} D_s^{\mathsf{T}}"


class Parts:
    """The last axis of a layer taken apart; with a padding and a stride where it has none."""

    def __init__(self, small: Operator) -> None:
        geometry, self.turned = layer_of(small)
        axis = geometry.axes[-1]
        n, taps, d = int(axis.in_size), int(axis.taps), abs(int(axis.dilation))
        self.padding = max(int(axis.before), 0), max(int(padding_after(axis)), 0)
        self.stride, self.boundary = int(axis.stride), axis.boundary
        lacking = []
        if not any(self.padding):
            # No reflection is wider than this one.
            self.padding = (1, 1) if n > 1 else (0, 0)
            lacking.append("does not pad")
        if self.stride == 1:
            self.stride = 2
            lacking.append("has stride 1")
        self.note = ""
        if lacking:
            self.note = (
                f" This layer {' and '.join(lacking)}: shown is its kernel with padding "
                f"{self.padding[0]} and stride {self.stride}."
            )
        make: Any = convolution if axis.is_backwards else correlation
        weights = symbols(taps)
        self.pad = pad(n, (self.padding,), boundary=axis.boundary)
        length = n + sum(self.padding)
        self.dense = make(length, weights, dilation=d)
        self.drop = downsample(self.dense.out_shape, self.stride)
        self.whole = make(
            n,
            weights,
            stride=self.stride,
            padding=(self.padding,),
            dilation=d,
            boundary=axis.boundary,
        )


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
    used = np.asarray(small.counts.sharing)
    listed = " + ".join(map(str, used.ravel().tolist())) if used.size <= MOST_SUMMED else r"\cdots"
    blocks: list[Block] = [
        Text(
            "Every place of the kernel uses the same weights, so a weight stands in the matrix as "
            "often as it meets the input. A dense layer of the same shapes has a weight of its own "
            "for every entry."
        ),
        Formula(
            r"\sum_t \#\{\text{entries with } w_t\} = "
            rf"{listed} = {int(used.sum())} = \#\{{\text{{entries}}\}}"
        ),
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
                lambda: draw.matrix(row, row=row.out_shape[0] // 2),
            ),
        ),
        Claim(
            "Each weight stands in the matrix as often as is said.",
            trials.check_sharing(layer, small),
        ),
        Code("A.counts", runs=True),
    ]
    return Section("Shared weights", tuple(blocks))


MOST_SUMMED = 16
"""Weights whose entries are added up one by one."""

"""The layer that has a given matrix: correlations, and transposed ones.

One axis at a time says its geometry (`lines`); the kernel is then read from the entries, and
the layer is accepted only when its own matrix is the one given.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from convalg.arrays import Array
from convalg.axis import Boundary
from convalg.errors import ConvalgError
from convalg.operators.make import correlation, pad, transposed_correlation
from convalg.operators.tree import Operator
from convalg.recognise.axes import AxisMatch, circular, folded, picks, plain
from convalg.recognise.entries import Entries

Around = Literal["zeros", "circular", "any", "loose"]
"""Which borders to look for; "loose" is zeros where every tap is read once."""


@dataclass(frozen=True, eq=False)
class ShapeSplit:
    """A matrix as blocks `(C_out, *outputs, C_in, *inputs)`, with or without channels."""

    blocks: Entries
    has_channels: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def profile_of(self, axis: int) -> Any:
        """The numbers of one spatial axis."""
        return self.blocks.profile(1 + axis, 2 + axis + len(self.inputs))

    @property
    def flat(self) -> Entries:
        """The matrix again."""
        rows = self.blocks.exact.shape[0] * math.prod(self.outputs)
        return self.blocks.reshape(rows, self.blocks.exact.size // rows)

    @property
    def adjoint(self) -> ShapeSplit:
        """The transposed matrix."""
        half = len(self.inputs) + 1
        blocks = self.blocks.transpose(*range(half, 2 * half), *range(half))
        return ShapeSplit(blocks, self.has_channels, self.outputs, self.inputs)


@dataclass(frozen=True, eq=False)
class LayerMatch:
    """A layer found: its operator, its kernel as the operator takes it, its geometry."""

    operator: Operator
    kernel: Array
    lines: tuple[AxisMatch, ...]
    groups: int
    has_channels: bool
    padding: tuple[tuple[int, int], ...]
    output_padding: tuple[int, ...] = ()

    @property
    def stride(self) -> tuple[int, ...]:
        """One per axis."""
        return tuple(line.stride for line in self.lines)

    @property
    def dilation(self) -> tuple[int, ...]:
        """One per axis."""
        return tuple(line.dilation for line in self.lines)

    @property
    def taps(self) -> tuple[int, ...]:
        """One number per axis."""
        return tuple(line.taps for line in self.lines)

    @property
    def boundary(self) -> str | tuple[str, ...]:
        """One word where all axes with a border have the same."""
        words = _borders(self.lines)
        return words.pop() if len(words) == 1 else tuple(line.boundary for line in self.lines)


def layouts(
    found: Entries, before: tuple[int, ...], after: tuple[int, ...]
) -> Iterator[ShapeSplit]:
    """The shapes with their first axis as channels, and as space.

    Two axes are an image before they are channels of signals, three are channels of images.
    """
    if len(before) != len(after):
        return
    space = ShapeSplit(found.reshape(1, *after, 1, *before), False, before, after)
    if len(before) == 1:
        yield space
        return
    channels = ShapeSplit(found.reshape(*after, *before), True, before[1:], after[1:])
    # An axis of one sample that becomes several is no space.
    if len(before) == 2 and not before[0] == 1 < after[0]:
        yield from (space, channels)
    else:
        yield from (channels, space)


def best_correlation(
    choices: list[ShapeSplit], around: Around, hint: Array | None
) -> LayerMatch | None:
    """The correlation with the fewest weights, of all ways to read the shapes."""
    found = [layer for layout in choices if (layer := layer_of(layout, around, hint)) is not None]
    if len(found) == 2 and len(choices[0].inputs) < len(choices[1].inputs):
        # Space that is treated sample by sample on its first axis is channels.
        found = found[:1] if found[1].taps[0] == 1 or _sums_all(found[1]) else found
    return min(found, key=lambda layer: layer.kernel.size, default=None)


def _sums_all(layer: LayerMatch) -> bool:
    """Whether the first axis is summed whole by every output, as channels of equal weights are."""
    line = layer.lines[0]
    reach = line.in_size + (line.out_size - 1) * (line.boundary == "zeros")
    return line.taps >= reach and bool((layer.kernel == layer.kernel[:1]).all())


def best_transposed(
    choices: list[ShapeSplit], around: Around, hint: Array | None
) -> LayerMatch | None:
    """The transposed correlation with the fewest weights; `around` is "zeros" or "loose"."""
    turned = [layout.adjoint for layout in choices]
    layer = best_correlation(turned, around, hint)
    if layer is None:
        return None
    layout = next(t for t in turned if t.has_channels == layer.has_channels)
    return _turned(layer, layout.adjoint)


def best_adjoint(choices: list[ShapeSplit], hint: Array | None) -> LayerMatch | None:
    """The adjoint of a correlation that is no transposed layer: its borders are not zeros."""
    layer = best_correlation([layout.adjoint for layout in choices], "any", hint)
    return None if layer is None else replace(layer, operator=layer.operator.T)


def layer_of(layout: ShapeSplit, around: Around, hint: Array | None = None) -> LayerMatch | None:
    """The correlation of one layout, with the kernel given as `hint` where that fits."""
    for lines in _lines(layout, around):
        for chosen in (*_hinted(lines, hint), lines):
            made = _made(layout, chosen)
            if made is None:
                continue
            if (
                chosen is lines
                or hint is None
                or is_turned(made.kernel, hint, len(lines)) is not None
            ):
                return made
    return None


def _lines(layout: ShapeSplit, around: Around) -> list[tuple[AxisMatch, ...]]:
    """Geometries of all axes, by taps: with one boundary for all, or with the best for each."""
    profiles = [layout.profile_of(axis) for axis in range(len(layout.inputs))]
    options: list[list[AxisMatch | None]] = [[plain(p, loose=around == "loose") for p in profiles]]
    if around in ("circular", "any"):
        options.append([circular(p) for p in profiles])
    if around == "any":
        words: tuple[Boundary, ...] = ("reflect", "symmetric", "edge")
        options += [[folded(p, word) for p in profiles] for word in words]
    fewest = [
        min(filter(None, axis), key=_taps, default=None) for axis in zip(*options, strict=True)
    ]
    found = [tuple(filter(None, lines)) for lines in (*options, fewest) if None not in lines]
    return sorted(dict.fromkeys(found), key=lambda lines: math.prod(map(_taps, lines)))


def _taps(line: AxisMatch) -> int:
    return line.taps


def _hinted(lines: tuple[AxisMatch, ...], hint: Array | None) -> Iterator[tuple[AxisMatch, ...]]:
    """The same geometry written with the taps of a kernel given, or of it turned round."""
    dims = len(lines)
    if hint is None or hint.ndim < dims or not (hint != 0).any():
        return
    for turned in (False, True):
        chosen = []
        for axis, line in zip(range(hint.ndim - dims, hint.ndim), lines, strict=True):
            used = (hint != 0).any(axis=tuple(k for k in range(hint.ndim) if k != axis))
            places = np.flatnonzero(used[::-1] if turned else used)
            chosen.append(line.spread(places.tolist(), len(used)))
        if None not in chosen:
            yield tuple(line for line in chosen if line is not None)


def _made(layout: ShapeSplit, lines: tuple[AxisMatch, ...]) -> LayerMatch | None:
    """The layer of this geometry, if it has the matrix."""
    weights = layout.blocks.exact
    dims = len(lines)
    for axis, line in enumerate(lines):
        # Axes that are done stand as taps at the end.
        weights = _contracted(weights, 1, 2 + dims - axis, line)
    kernel, groups = _grouped(weights) if layout.has_channels else (weights[0, 0], 1)
    kernel = whole(kernel)
    if any(min(line.padding) < 0 for line in lines):
        return None
    try:
        operator = _operator(layout.inputs, kernel, lines, groups)
    except ConvalgError:
        # A kernel or border that no layer has, such as a reflection wider than the input.
        return None
    if operator.out_shape[-dims:] != layout.outputs or not layout.flat.agree(operator):
        return None
    padding = tuple(line.padding for line in lines)
    return LayerMatch(operator, kernel, lines, groups, layout.has_channels, padding)


def _contracted(weights: Array, output: int, source: int, line: AxisMatch) -> Array:
    """The pair of axes of one line replaced by its taps, as the last axis."""
    moved = np.moveaxis(weights, (output, source), (0, 1))
    taps = [
        sum((factor * moved[place] for place, factor in one.items()), np.zeros_like(moved[0, 0]))
        for one in picks(line)
    ]
    return np.stack(taps, axis=-1)


def _grouped(weights: Array) -> tuple[Array, int]:
    """The weights with the most groups that their zeros allow."""
    outputs, inputs = weights.shape[:2]
    used = (weights != 0).any(axis=tuple(range(2, weights.ndim)))
    most = math.gcd(outputs, inputs)
    for groups in (g for g in range(most, 1, -1) if most % g == 0):
        a, b = outputs // groups, inputs // groups
        kept = np.kron(np.eye(groups, dtype=bool), np.ones((a, b), dtype=bool))
        if not used[~kept].any():
            parts = [weights[g * a : (g + 1) * a, g * b : (g + 1) * b] for g in range(groups)]
            return np.concatenate(parts), groups
    return weights, 1


def _operator(
    inputs: tuple[int, ...], kernel: Array, lines: tuple[AxisMatch, ...], groups: int
) -> Operator:
    """The correlation; where the borders differ by axis, after a padding for each of them."""
    options: dict[str, Any] = {
        "stride": tuple(line.stride for line in lines),
        "dilation": tuple(line.dilation for line in lines),
        "groups": groups,
    }
    words = sorted(_borders(lines))
    if len(words) == 1:
        padding = tuple(line.padding for line in lines)
        return correlation(inputs, kernel, padding=padding, boundary=words[0], **options)
    channels = kernel.shape[1] * groups if kernel.ndim > len(lines) else None
    sizes, before = inputs, None
    for word in words:
        padding = tuple(line.padding if line.boundary == word else (0, 0) for line in lines)
        step = pad(sizes, padding, boundary=word, channels=channels)
        before = step if before is None else step @ before
        sizes = step.out_shape[-len(lines) :]
    found = correlation(sizes, kernel, **options)
    return found if before is None else found @ before


def _borders(lines: tuple[AxisMatch, ...]) -> set[Boundary]:
    """The boundaries of the axes that have a border."""
    return {line.boundary for line in lines if line.is_padded} or {"zeros"}


def _turned(layer: LayerMatch, layout: ShapeSplit) -> LayerMatch | None:
    """The transposed layer whose adjoint is a layer found."""
    extra, pads = [], []
    for line in layer.lines:
        # What the output lacks behind; a lack that cannot be padding is output_padding.
        front, behind = -line.first, line.least
        longest = max(line.stride, line.dilation) - 1
        more = front - behind if 0 <= front - behind <= longest else max(-behind, 0)
        extra.append(more)
        pads.append((front, behind + more))
    operator = transposed_correlation(
        layout.inputs,
        layer.kernel,
        stride=layer.stride,
        padding=tuple(pads),
        output_padding=tuple(extra),
        dilation=layer.dilation,
        groups=layer.groups,
    )
    if not layout.flat.agree(operator):
        return None
    return replace(layer, operator=operator, padding=tuple(pads), output_padding=tuple(extra))


def whole(weights: Array) -> Array:
    """Weights as integers where all are."""
    if weights.dtype.kind == "f":
        rounded = np.round(weights)
        return rounded.astype(np.int64) if (weights == rounded).all() else weights
    if weights.dtype.kind == "O":
        integers = [int(v) for v in weights.ravel() if isinstance(v, (int, np.integer))]
        if len(integers) == weights.size and max(map(abs, integers)) < 2**63:
            return weights.astype(np.int64)
    return weights


def is_turned(found: Array, given: Array, dims: int) -> bool | None:
    """Whether a kernel is the one given turned round: no, yes, or neither (None)."""
    if found.shape != given.shape:
        return None
    if _equal(found, given):
        return False
    taps = tuple(range(given.ndim - dims, given.ndim))
    return True if _equal(found, np.flip(given, taps)) else None


def _equal(first: Array, second: Array) -> bool:
    if "f" in (first.dtype.kind, second.dtype.kind) and "O" not in (
        first.dtype.kind,
        second.dtype.kind,
    ):
        return bool(np.allclose(first, second, rtol=1e-9, atol=1e-12))
    return bool((first == second).all())

"""Find the correlation or transposed correlation that has a given matrix.

The geometry is recovered one axis at a time. The kernel is then read from the entries, and the
layer is accepted only if its matrix equals the given matrix.
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
from convalg.operators.convolution import correlation, transposed_correlation
from convalg.operators.padding import pad
from convalg.operators.tree import Operator
from convalg.recognise.axes import AxisMatch, circular, folded, picks, zero_padded
from convalg.recognise.entries import Entries, Profile

Borders = Literal["zeros", "circular", "any", "loose"]
"""The boundaries to search; "loose" is zero padding where each tap may have a single entry."""


@dataclass(frozen=True, eq=False)
class ShapeSplit:
    """A matrix as blocks of shape `(C_out, *outputs, C_in, *inputs)`.

    `has_channels`: whether the first axis of input and output is the channel axis; otherwise the
    blocks have one channel. `inputs`, `outputs`: the spatial sizes.
    """

    blocks: Entries
    has_channels: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def profile_of(self, axis: int) -> Profile:
        """Return the profile of one spatial axis."""
        return self.blocks.profile(1 + axis, 2 + axis + len(self.inputs))

    @property
    def flat(self) -> Entries:
        """The entries as a matrix."""
        rows = self.blocks.exact.shape[0] * math.prod(self.outputs)
        return self.blocks.reshape(rows, self.blocks.exact.size // rows)

    @property
    def adjoint(self) -> ShapeSplit:
        """The blocks of the transposed matrix."""
        half = len(self.inputs) + 1
        blocks = self.blocks.transpose(*range(half, 2 * half), *range(half))
        return ShapeSplit(blocks, self.has_channels, self.outputs, self.inputs)


@dataclass(frozen=True, eq=False)
class LayerMatch:
    """A layer that has a given matrix: its operator, the kernel of the operator, and its geometry.

    `lines`: the geometry of each spatial axis.
    """

    operator: Operator
    kernel: Array
    lines: tuple[AxisMatch, ...]
    groups: int
    has_channels: bool
    padding: tuple[tuple[int, int], ...]
    output_padding: tuple[int, ...] = ()

    @property
    def stride(self) -> tuple[int, ...]:
        """The stride of each axis."""
        return tuple(line.stride for line in self.lines)

    @property
    def dilation(self) -> tuple[int, ...]:
        """The dilation of each axis."""
        return tuple(line.dilation for line in self.lines)

    @property
    def taps(self) -> tuple[int, ...]:
        """The number of taps of each axis."""
        return tuple(line.taps for line in self.lines)

    @property
    def boundary(self) -> str | tuple[str, ...]:
        """One boundary if all padded axes have the same one, else one per axis."""
        boundaries = _borders(self.lines)
        return (
            boundaries.pop()
            if len(boundaries) == 1
            else tuple(line.boundary for line in self.lines)
        )


def layouts(
    matrix: Entries, in_shape: tuple[int, ...], out_shape: tuple[int, ...]
) -> Iterator[ShapeSplit]:
    """Yield the blocks with the first axis as channels and as a spatial axis, the likelier first.

    Two axes are more likely an image than channels of signals. Three axes are more likely channels
    of images than a volume.
    """
    if len(in_shape) != len(out_shape):
        return
    space = ShapeSplit(matrix.reshape(1, *out_shape, 1, *in_shape), False, in_shape, out_shape)
    if len(in_shape) == 1:
        yield space
        return
    channels = ShapeSplit(matrix.reshape(*out_shape, *in_shape), True, in_shape[1:], out_shape[1:])
    # An axis of size 1 whose output is larger is not spatial.
    if len(in_shape) == 2 and not in_shape[0] == 1 < out_shape[0]:
        yield from (space, channels)
    else:
        yield from (channels, space)


def best_correlation(
    choices: list[ShapeSplit], borders: Borders, hint: Array | None
) -> LayerMatch | None:
    """Return the correlation with the fewest weights for one of the `choices`, or None."""
    layers = [layer for layout in choices if (layer := layer_of(layout, borders, hint)) is not None]
    if len(layers) == 2 and len(choices[0].inputs) < len(choices[1].inputs):
        # A first axis has channels if its samples are not mixed, or all summed with equal weights.
        layers = layers[:1] if layers[1].taps[0] == 1 or _sums_all(layers[1]) else layers
    return min(layers, key=lambda layer: layer.kernel.size, default=None)


def _sums_all(layer: LayerMatch) -> bool:
    """Whether each output sums the entire first axis, as it sums channels of equal weights."""
    line = layer.lines[0]
    reach = line.in_size + (line.out_size - 1) * (line.boundary == "zeros")
    return line.taps >= reach and bool((layer.kernel == layer.kernel[:1]).all())


def best_transposed(
    choices: list[ShapeSplit], borders: Borders, hint: Array | None
) -> LayerMatch | None:
    """Return the transposed correlation with the fewest weights, or None.

    `borders`: "zeros" or "loose".
    """
    adjoints = [layout.adjoint for layout in choices]
    layer = best_correlation(adjoints, borders, hint)
    if layer is None:
        return None
    layout = next(t for t in adjoints if t.has_channels == layer.has_channels)
    return _transposed_layer(layer, layout.adjoint)


def best_adjoint(choices: list[ShapeSplit], hint: Array | None) -> LayerMatch | None:
    """Return the adjoint of a correlation with a boundary that no transposed layer has, or None."""
    layer = best_correlation([layout.adjoint for layout in choices], "any", hint)
    return None if layer is None else replace(layer, operator=layer.operator.T)


def layer_of(layout: ShapeSplit, borders: Borders, hint: Array | None = None) -> LayerMatch | None:
    """Return the correlation of some blocks, with the kernel `hint` if possible, or None."""
    for lines in _lines(layout, borders):
        for chosen in (*_hinted(lines, hint), lines):
            layer = _made(layout, chosen)
            if layer is None:
                continue
            if (
                chosen is lines
                or hint is None
                or is_flipped(layer.kernel, hint, len(lines)) is not None
            ):
                return layer
    return None


def _lines(layout: ShapeSplit, borders: Borders) -> list[tuple[AxisMatch, ...]]:
    """Return the geometries by number of taps: one boundary for all axes, or the best for each."""
    profiles = [layout.profile_of(axis) for axis in range(len(layout.inputs))]
    options: list[list[AxisMatch | None]] = [
        [zero_padded(p, loose=borders == "loose") for p in profiles]
    ]
    if borders in ("circular", "any"):
        options.append([circular(p) for p in profiles])
    if borders == "any":
        boundaries: tuple[Boundary, ...] = ("reflect", "symmetric", "edge")
        options += [[folded(p, boundary) for p in profiles] for boundary in boundaries]
    fewest = [
        min(filter(None, axis), key=_taps, default=None) for axis in zip(*options, strict=True)
    ]
    choices = [tuple(filter(None, lines)) for lines in (*options, fewest) if None not in lines]
    return sorted(dict.fromkeys(choices), key=lambda lines: math.prod(map(_taps, lines)))


def _taps(line: AxisMatch) -> int:
    """Return the number of taps of an axis."""
    return line.taps


def _hinted(lines: tuple[AxisMatch, ...], hint: Array | None) -> Iterator[tuple[AxisMatch, ...]]:
    """Yield the geometry with as many taps as a given kernel, or as the flipped kernel, has."""
    dims = len(lines)
    if hint is None or hint.ndim < dims or not (hint != 0).any():
        return
    for flipped in (False, True):
        chosen = []
        for axis, line in zip(range(hint.ndim - dims, hint.ndim), lines, strict=True):
            used = (hint != 0).any(axis=tuple(k for k in range(hint.ndim) if k != axis))
            tap_indices = np.flatnonzero(used[::-1] if flipped else used)
            chosen.append(line.spread(tap_indices.tolist(), len(used)))
        if None not in chosen:
            yield tuple(line for line in chosen if line is not None)


def _made(layout: ShapeSplit, lines: tuple[AxisMatch, ...]) -> LayerMatch | None:
    """Return the layer of a geometry if it has the given matrix, else None."""
    weights = layout.blocks.exact
    dims = len(lines)
    for axis, line in enumerate(lines):
        # The axes that are already replaced are the last axes, as taps.
        weights = _contracted(weights, 1, 2 + dims - axis, line)
    kernel, groups = _grouped(weights) if layout.has_channels else (weights[0, 0], 1)
    kernel = as_integers(kernel)
    if any(min(line.padding) < 0 for line in lines):
        return None
    try:
        operator = _operator(layout.inputs, kernel, lines, groups)
    except ConvalgError:
        # No layer has this kernel or boundary; for example, a reflection is wider than the input.
        return None
    if operator.out_shape[-dims:] != layout.outputs or not layout.flat.agree(operator):
        return None
    padding = tuple(line.padding for line in lines)
    return LayerMatch(operator, kernel, lines, groups, layout.has_channels, padding)


def _contracted(weights: Array, output: int, source: int, line: AxisMatch) -> Array:
    """Return weights with two axes replaced by the taps of a geometry, as the last axis."""
    moved = np.moveaxis(weights, (output, source), (0, 1))
    taps = [
        sum((factor * moved[entry] for entry, factor in one.items()), np.zeros_like(moved[0, 0]))
        for one in picks(line)
    ]
    return np.stack(taps, axis=-1)


def _grouped(weights: Array) -> tuple[Array, int]:
    """Return weights in as many groups as their zeros allow, and the number of groups.

    Shapes: weights `(C_out, C_in, *taps)`; the result is `(C_out, C_in // groups, *taps)`.
    """
    outputs, inputs = weights.shape[:2]
    used = (weights != 0).any(axis=tuple(range(2, weights.ndim)))
    most = math.gcd(outputs, inputs)
    for groups in (g for g in range(most, 1, -1) if most % g == 0):
        a, b = outputs // groups, inputs // groups
        allowed = np.kron(np.eye(groups, dtype=bool), np.ones((a, b), dtype=bool))
        if not used[~allowed].any():
            parts = [weights[g * a : (g + 1) * a, g * b : (g + 1) * b] for g in range(groups)]
            return np.concatenate(parts), groups
    return weights, 1


def _operator(
    inputs: tuple[int, ...], kernel: Array, lines: tuple[AxisMatch, ...], groups: int
) -> Operator:
    """Return the correlation of a geometry, after a padding for each boundary if they differ."""
    options: dict[str, Any] = {
        "stride": tuple(line.stride for line in lines),
        "dilation": tuple(line.dilation for line in lines),
        "groups": groups,
    }
    boundaries = sorted(_borders(lines))
    if len(boundaries) == 1:
        padding = tuple(line.padding for line in lines)
        return correlation(inputs, kernel, padding=padding, boundary=boundaries[0], **options)
    channels = kernel.shape[1] * groups if kernel.ndim > len(lines) else None
    sizes, padded = inputs, None
    for boundary in boundaries:
        padding = tuple(line.padding if line.boundary == boundary else (0, 0) for line in lines)
        step = pad(sizes, padding, boundary=boundary, channels=channels)
        padded = step if padded is None else step @ padded
        sizes = step.out_shape[-len(lines) :]
    layer = correlation(sizes, kernel, **options)
    return layer if padded is None else layer @ padded


def _borders(lines: tuple[AxisMatch, ...]) -> set[Boundary]:
    """Return the boundaries of the padded axes, or "zeros" if no axis is padded."""
    return {line.boundary for line in lines if line.is_padded} or {"zeros"}


def _transposed_layer(layer: LayerMatch, layout: ShapeSplit) -> LayerMatch | None:
    """Return the transposed layer whose adjoint is the given layer, or None."""
    extra, pads = [], []
    for line in layer.lines:
        # Samples missing at the end of the output that padding cannot explain are output_padding.
        before, after = -line.first, line.least
        longest = max(line.stride, line.dilation) - 1
        more = before - after if 0 <= before - after <= longest else max(-after, 0)
        extra.append(more)
        pads.append((before, after + more))
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


def as_integers(weights: Array) -> Array:
    """Return weights as int64 if all are integers, else unchanged."""
    if weights.dtype.kind == "f":
        rounded = np.round(weights)
        return rounded.astype(np.int64) if (weights == rounded).all() else weights
    if weights.dtype.kind == "O":
        integers = [int(v) for v in weights.ravel() if isinstance(v, (int, np.integer))]
        if len(integers) == weights.size and max(map(abs, integers)) < 2**63:
            return weights.astype(np.int64)
    return weights


def is_flipped(kernel: Array, given: Array, dims: int) -> bool | None:
    """Whether a kernel is the flipped `given` kernel (False: it is equal; None: it is neither).

    `dims`: the number of spatial axes, which are the last axes.
    """
    if kernel.shape != given.shape:
        return None
    if _equal(kernel, given):
        return False
    taps = tuple(range(given.ndim - dims, given.ndim))
    return True if _equal(kernel, np.flip(given, taps)) else None


def _equal(first: Array, second: Array) -> bool:
    """Whether two kernels are equal, up to rounding for floats."""
    if "f" in (first.dtype.kind, second.dtype.kind) and "O" not in (
        first.dtype.kind,
        second.dtype.kind,
    ):
        return bool(np.allclose(first, second, rtol=1e-9, atol=1e-12))
    return bool((first == second).all())

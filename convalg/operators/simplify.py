"""Simplification of an expression to one convolution.

Every rule proposes a geometry and then compares its pattern, axis by axis, with the composition of
the given patterns. No rule is trusted without this comparison.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np

from convalg.axis import Axis, Size
from convalg.geometry import Geometry
from convalg.operators.leaves import (
    Adjoint,
    Convolution,
    Diagonal,
    Selection,
    transposed_axis,
)
from convalg.operators.tree import Compose, Kron, Operator, Scaled, Sum, add, compose, kron, scale

TapMap = dict[tuple[int, int], int]


def simplify(operator: Operator) -> Operator:
    """Return an equal operator, one convolution if possible; see `Operator.simplify`."""
    match operator:
        case Adjoint(operator=Convolution() as layer):
            adjoint = _adjoint_layer(layer)
            return operator if adjoint is None or _has_no_call(adjoint) else adjoint
        case Scaled(factor=factor, operator=inner):
            return _scale(factor, simplify(inner))
        case Sum(terms=terms):
            return _simplify_sum([simplify(term) for term in terms])
        case Compose(factors=factors):
            return _simplify_product([simplify(factor) for factor in factors])
        case Kron(left=left, right=right):
            return _simplify_kron(simplify(left), simplify(right))
    return operator


def _scale(factor: object, operator: Operator) -> Operator:
    if isinstance(operator, Convolution):
        return _layer(operator.geometry, factor * _exact(operator.weights))
    return scale(factor, operator)


def _simplify_product(factors: list[Operator]) -> Operator:
    """Merge adjacent factors until no pair can be merged; scalar factors move to the front."""
    factor: Any = 1
    parts: list[Operator] = []
    for operator in factors:
        if isinstance(operator, Scaled):
            factor, operator = factor * operator.factor, operator.operator
        parts.extend(operator.factors if isinstance(operator, Compose) else [operator])
    unmerged = compose(*parts)
    index = 0
    while index < len(parts) - 1:
        merged = _merge(parts[index], parts[index + 1])
        if merged is None:
            index += 1
        else:
            parts[index : index + 2] = [merged]
            index = max(index - 1, 0)
    # A layer that crops or has a negative stride is useful only as an intermediate result.
    result = unmerged if any(map(_has_no_call, parts)) else compose(*parts)
    return _scale(factor, result) if factor != 1 else result


def _has_no_call(operator: Operator) -> bool:
    """Return whether no call creates this layer: with negative strides or mixed borders."""
    inner = operator.operator if isinstance(operator, Adjoint) else operator
    return isinstance(inner, Convolution) and (
        len(_borders(inner)) > 1 or any(map(_has_no_option, inner.geometry.axes))
    )


def _has_no_option(axis: Axis) -> bool:
    return (
        axis.stride < 0
        or axis.before < 0
        or axis.after + axis.stride < 1
        or (axis.boundary == "reflect" and max(axis.before, axis.after) >= axis.in_size)
    )


def _simplify_sum(terms: list[Operator]) -> Operator:
    kept: list[Operator] = []
    for term in terms:
        for index, other in enumerate(kept):
            merged = _merge_sum(other, term)
            if merged is not None:
                kept[index] = merged
                break
        else:
            kept.append(term)
    return add(*kept)


def _simplify_kron(left: Operator, right: Operator) -> Operator:
    if len(_borders(left) | _borders(right)) > 1:
        return kron(left, right)
    match left, right:
        case Selection(), Selection() if _keeps_axes(left) and _keeps_axes(right):
            return _selection((*left.axes, *right.axes))
        case (Convolution() | Selection(), Convolution() | Selection()):
            first, second = _as_layer(left, False), _as_layer(right, False)
            if (
                first
                and second
                and not (first.geometry.has_channels or second.geometry.has_channels)
            ):
                weights = np.multiply.outer(_exact(first.weights), _exact(second.weights))
                return _layer(Geometry((*first.geometry.axes, *second.geometry.axes)), weights)
    return kron(left, right)


def _borders(operator: Operator) -> set[str]:
    """Return the boundary rules by which an operator actually reads beyond its input."""
    inner = operator.operator if isinstance(operator, Adjoint) else operator
    if not isinstance(inner, (Convolution, Selection)):
        return set()
    axes = inner.geometry.axes
    return {axis.boundary for axis in axes if axis.before > 0 or axis.after > 0}


def _merge(left: Operator, right: Operator) -> Operator | None:
    """Return the product of two operators as one operator, or None."""
    if isinstance(left, Selection) and isinstance(right, Selection):
        merged = _merge_selections(left, right)
        if merged is not None or not has_sums(left, right):
            return merged
    direct = _merge_gains(left, right) or _merge_layers(left, right)
    if direct is not None:
        return direct
    # A product with a strided adjoint may be the adjoint of a strided layer.
    if isinstance(left, Adjoint) or isinstance(right, Adjoint):
        merged = _merge_layers(right.T, left.T)
        return None if merged is None else simplify(merged.T)
    return None


def has_sums(*operators: Selection) -> bool:
    """Return whether any of the selections adds entries, as sum pooling does."""
    return any(axis.taps != 1 for operator in operators for axis in operator.axes)


def _merge_selections(left: Selection, right: Selection) -> Operator | None:
    if has_sums(left, right) or not (_keeps_axes(left) and _keeps_axes(right)):
        return None
    axes = []
    for outer, inner in zip(left.axes, right.axes, strict=True):
        merged = merged_axis(outer, inner)
        if merged is None:
            return None
        axes.append(merged[0])
    return _selection(tuple(axes))


def _merge_gains(left: Operator, right: Operator) -> Operator | None:
    """Return the product with a diagonal of one factor per channel as one operator, or None.

    Rule: D A has the weights of A times the factor of their output channel, A D of their input
    channel, and D A^T = (A D)^T.
    """
    match left, right:
        case Diagonal(values=first), Diagonal(values=second):
            return _diagonal(_exact(first) * _exact(second))
        case (_, Convolution(weights=np.ndarray())):
            gains = _channel_gains(left, right.geometry)
            return None if gains is None else _with_gains(right, gains)
        case (Convolution(weights=np.ndarray()), _):
            gains = _channel_gains(right, left.geometry)
            if gains is not None and left.geometry.has_channels:
                groups, outputs, inputs = left.geometry.channels
                gains = np.repeat(gains.reshape(groups, inputs), outputs, axis=0)
            return None if gains is None else _with_gains(left, gains)
        case (Diagonal() | Kron(), Adjoint()) | (Adjoint(), Diagonal() | Kron()):
            merged = _merge_gains(right.T, left.T)
            return None if merged is None else merged.T
    return None


def _diagonal(values: np.ndarray) -> Diagonal:
    compact = _compact(values)
    compact.setflags(write=False)
    return Diagonal(compact)


def _channel_gains(operator: Operator, geometry: Geometry) -> np.ndarray | None:
    """Return the factor of each channel of a diagonal; None for other operators.

    Without channel axes the result has one entry.
    """
    match operator:
        case Diagonal(values=values):
            channels = len(values) if geometry.has_channels else 1
            each = _exact(values).reshape(channels, -1)
            return each[:, 0] if (each == each[:, :1]).all() else None
        case Kron(left=Diagonal(values=values), right=Selection(is_identity=True)) if (
            geometry.has_channels and values.ndim == 1
        ):
            return _exact(values)
    return None


def _with_gains(layer: Convolution, gains: np.ndarray) -> Convolution:
    """Return the layer with its weights multiplied by factors of shape (C_out) or (C_out, C_in)."""
    weights = _exact(layer.weights)
    if not layer.geometry.has_channels:
        return _layer(layer.geometry, weights * gains[0])
    shape = (*gains.shape, *(1,) * (weights.ndim - gains.ndim))
    return _layer(layer.geometry, weights * gains.reshape(shape))


def _merge_layers(left: Operator, right: Operator) -> Operator | None:
    has_channels = _has_channels(left) or _has_channels(right)
    outer, inner = _as_layer(left, has_channels), _as_layer(right, has_channels)
    if outer is None or inner is None or not _same_dims(outer, inner):
        return None
    pairs = [
        merged_axis(a, b) for a, b in zip(outer.geometry.axes, inner.geometry.axes, strict=True)
    ]
    merged = [pair for pair in pairs if pair is not None]
    if len(merged) < len(pairs):
        return None
    groups = math.gcd(outer.geometry.groups, inner.geometry.groups)
    first, second = _grouped(outer, groups), _grouped(inner, groups)
    axes = tuple(axis for axis, _ in merged)
    shape = (groups, first.shape[1], second.shape[2], *(axis.taps for axis in axes))
    weights = _zeros(shape, first, second)
    for taps in product(*(taps.items() for _, taps in merged)):
        target = tuple(tap for _, tap in taps)
        outer_tap = tuple(pair[0] for pair, _ in taps)
        inner_tap = tuple(pair[1] for pair, _ in taps)
        lead = (slice(None),) * 3
        weights[lead + target] += first[lead + outer_tap] @ second[lead + inner_tap]
    return _regrouped(axes, weights, has_channels)


def _merge_sum(left: Operator, right: Operator) -> Operator | None:
    if not any(isinstance(side, (Convolution, Adjoint)) for side in (left, right)):
        return None
    has_channels = _has_channels(left) or _has_channels(right)
    first, second = _as_layer(left, has_channels), _as_layer(right, has_channels)
    if first is None or second is None or not _same_dims(first, second):
        return None
    pairs = [
        _common_axis(a, b) for a, b in zip(first.geometry.axes, second.geometry.axes, strict=True)
    ]
    merged = [pair for pair in pairs if pair is not None]
    if len(merged) < len(pairs):
        return None
    groups = math.gcd(first.geometry.groups, second.geometry.groups)
    parts = _grouped(first, groups), _grouped(second, groups)
    axes = tuple(axis for axis, _, _ in merged)
    weights = _zeros((*parts[0].shape[:3], *(axis.taps for axis in axes)), *parts)
    for which, part in enumerate(parts):
        positions = np.ix_(*(pair[1 + which] for pair in merged))
        weights[(slice(None),) * 3 + positions] += part
    return _regrouped(axes, weights, has_channels)


def merged_axis(outer: Axis, inner: Axis) -> tuple[Axis, TapMap] | None:
    """Return one axis equal to `outer` after `inner`, and the tap of each pair of taps on it.

    Rule: with 1 for `inner` and 2 for `outer`, the stride is s1 s2, and the pair (t2, t1) is at
    s1 d2 t2 + d1 t1, on a grid whose step is the greatest common divisor of the distances.

    Returns:
        The axis, and its tap for each pair (outer tap, inner tap); None when no single axis reads
        the same inputs.
    """
    step = inner.stride * outer.dilation
    offsets = {
        (a, b): step * a + inner.dilation * b
        for a, b in product(range(int(outer.taps)), range(int(inner.taps)))
    }
    low = min(offsets.values())
    grid = math.gcd(*(offset - low for offset in offsets.values())) or 1
    taps = {pair: (offset - low) // grid for pair, offset in offsets.items()}
    for boundary in dict.fromkeys((inner.boundary, outer.boundary)):
        axis = Axis(
            in_size=inner.in_size,
            out_size=outer.out_size,
            taps=max(taps.values()) + 1,
            stride=inner.stride * outer.stride,
            dilation=grid,
            padding=inner.stride * outer.padding + inner.padding - low,
            boundary=boundary,
        )
        if _reads_like(axis, outer, inner, taps):
            return axis, taps
    return None


def _reads_like(axis: Axis, outer: Axis, inner: Axis, taps: TapMap) -> bool:
    """Return whether each tap reads the same input as its pair of taps reads through both axes."""
    own, middle, first = axis.columns(), outer.columns(), inner.columns()
    for (a, b), tap in taps.items():
        reads = np.where(middle[:, a] < 0, -1, first[middle[:, a], b])
        if not np.array_equal(own[:, tap], reads):
            return False
    return True


def _common_axis(first: Axis, second: Axis) -> tuple[Axis, np.ndarray, np.ndarray] | None:
    """Return one axis with the taps of two axes, and the index on it of each tap of either axis."""
    offsets = [axis.dilation * np.arange(axis.taps) - axis.padding for axis in (first, second)]
    both = np.concatenate(offsets)
    low = int(both.min())
    grid = math.gcd(*(int(offset) - low for offset in both)) or 1
    positions = [(offset - low) // grid for offset in offsets]
    for boundary in dict.fromkeys((first.boundary, second.boundary)):
        axis = Axis(
            in_size=first.in_size,
            out_size=first.out_size,
            taps=int(both.max() - low) // grid + 1,
            stride=first.stride,
            dilation=grid,
            padding=-low,
            boundary=boundary,
        )
        if all(
            np.array_equal(axis.columns()[:, taps], part.columns())
            for taps, part in zip(positions, (first, second), strict=True)
        ):
            return axis, positions[0], positions[1]
    return None


def _as_layer(operator: Operator, has_channels: bool) -> Convolution | None:
    """Return the operator as a correlation with positive dilation, or None."""
    match operator:
        case Convolution():
            return _forwards(operator)
        case Adjoint(operator=Convolution() as inner):
            return _adjoint_layer(inner)
        case Selection() if _keeps_axes(operator):
            return _selection_layer(operator, has_channels)
        case Scaled(factor=factor, operator=inner):
            layer = _as_layer(inner, has_channels)
            return layer and _layer(layer.geometry, factor * _exact(layer.weights))
    return None


def _selection_layer(operator: Selection, has_channels: bool) -> Convolution | None:
    axes = operator.axes
    if not has_channels:
        geometry = Geometry(axes)
        return Convolution(geometry, np.ones(geometry.kernel_shape, dtype=np.int64))
    first = axes[0]
    if len(axes) < 2 or first != Axis(first.in_size, first.in_size):
        return None
    count = int(first.in_size)
    geometry = Geometry(axes[1:], count, count, count)
    return Convolution(geometry, np.ones(geometry.kernel_shape, dtype=np.int64))


def _same_dims(first: Convolution, second: Convolution) -> bool:
    """Return whether both have the same number of axes, and both or neither have channels."""
    return first.geometry.has_channels == second.geometry.has_channels and (
        len(first.geometry.axes) == len(second.geometry.axes)
    )


def _forwards(layer: Convolution) -> Convolution:
    """Return the same layer with positive dilations and the kernel flipped accordingly."""
    axes, lead = [], layer.weights.ndim - len(layer.geometry.axes)
    flipped = []
    for k, axis in enumerate(layer.geometry.axes):
        if axis.dilation < 0:
            flipped.append(lead + k)
        axes.append(_with(axis, dilation=1 if axis.taps == 1 else abs(axis.dilation)))
    geometry = layer.geometry
    return _layer(
        Geometry(tuple(axes), geometry.in_channels, geometry.out_channels, geometry.groups),
        np.flip(layer.weights, axis=tuple(flipped)),
    )


def _with(axis: Axis, *, dilation: int) -> Axis:
    return Axis(
        axis.in_size, axis.out_size, axis.taps, axis.stride, dilation, axis.before, axis.boundary
    )


def _adjoint_layer(layer: Convolution) -> Convolution | None:
    """Return the adjoint of a layer as a layer with swapped channels and transposed axes, or None.

    The result is None when the transpose of an axis is not an axis.
    """
    transposed = [transposed_axis(axis) for axis in layer.geometry.axes]
    axes = tuple(axis for axis in transposed if axis is not None)
    if len(axes) < len(transposed):
        return None
    if not layer.geometry.has_channels:
        return _forwards(_layer(Geometry(axes), layer.weights))
    weights = _grouped(layer, layer.geometry.groups).swapaxes(1, 2)
    swapped = _regrouped(axes, weights, True)
    return _forwards(swapped)


def _grouped(layer: Convolution, groups: int) -> np.ndarray:
    """Return weights (groups, outputs, inputs, *taps), for a divisor of the layer's groups."""
    own, outputs, inputs = layer.geometry.channels
    each = _exact(layer.weights).reshape(own, outputs, inputs, *layer.geometry.taps)
    if own == groups:
        return each
    ratio = own // groups
    shape = (groups, ratio * outputs, ratio * inputs, *each.shape[3:])
    wide = np.zeros(shape, dtype=each.dtype)
    for group in range(own):
        block, inner = divmod(group, ratio)
        rows = slice(inner * outputs, (inner + 1) * outputs)
        columns = slice(inner * inputs, (inner + 1) * inputs)
        wide[block, rows, columns] = each[group]
    return wide


def _regrouped(axes: tuple[Axis, ...], weights: np.ndarray, has_channels: bool) -> Convolution:
    """Return the layer whose weights are given as (groups, outputs, inputs, *taps)."""
    groups, outputs, inputs = weights.shape[:3]
    taps = weights.shape[3:]
    if not has_channels:
        return _layer(Geometry(axes), weights.reshape(taps))
    geometry = Geometry(axes, groups * inputs, groups * outputs, groups)
    return _layer(geometry, weights.reshape(groups * outputs, inputs, *taps))


def _layer(geometry: Geometry, weights: np.ndarray) -> Convolution:
    frozen = _compact(weights)
    frozen.setflags(write=False)
    return Convolution(geometry, frozen)


def _exact(weights: np.ndarray) -> np.ndarray:
    """Convert integers to Python integers, which do not overflow while kernels are merged."""
    return weights.astype(object) if weights.dtype.kind in "iu" else weights


def _compact(weights: np.ndarray) -> np.ndarray:
    """Return a copy in machine numbers if possible: int64 where all integers fit, or float64."""
    if weights.dtype.kind == "O" and all(type(value) is int for value in weights.flat):
        most = np.iinfo(np.int64)
        if all(most.min <= value <= most.max for value in weights.flat):
            return weights.astype(np.int64)
    machine = (int, float, np.floating)
    # Merging an integer kernel with a float kernel gives objects of both types.
    mixed = weights.dtype.kind == "O" and not all(type(value) is int for value in weights.flat)
    if mixed and all(isinstance(value, machine) for value in weights.flat):
        return weights.astype(np.float64)
    return weights.copy()


def _zeros(shape: tuple[Size, ...], *parts: np.ndarray) -> np.ndarray:
    return np.zeros(shape, dtype=np.result_type(*parts))


def _selection(axes: tuple[Axis, ...]) -> Selection:
    return Selection(
        axes, tuple(axis.in_size for axis in axes), tuple(axis.out_size for axis in axes)
    )


def _keeps_axes(operator: Selection) -> bool:
    """Return whether the axes have the sizes of the shapes, which is not so for a reshape."""
    return operator.geometry.in_shape == operator.in_shape and (
        operator.geometry.out_shape == operator.out_shape
    )


def _has_channels(operator: Operator) -> bool:
    inner = operator.operator if isinstance(operator, (Adjoint, Scaled)) else operator
    return isinstance(inner, Convolution) and inner.geometry.has_channels

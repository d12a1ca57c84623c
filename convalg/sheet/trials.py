"""Checks of worked numbers, of counts, of pooling and of fields: each computed again by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from convalg.axis import Axis
from convalg.base import Operator
from convalg.faces.exact import exact_rows
from convalg.faces.latex import layer_of
from convalg.gradients import only_convolution
from convalg.operators import Convolution
from convalg.sheet.checks import (
    EXACTLY,
    FAILED,
    Check,
    defined_sum,
    exact_check,
    first_difference,
    first_polynomial,
    read_index,
    with_ones,
)
from convalg.sheet.worked import Worked


def check_forward(case: Worked) -> Check:
    """The printed outputs against the defining sum, added up product by product."""
    geometry, _ = layer_of(case.operator)
    summed = defined_sum(case.operator, case.x, flipped=geometry.axes[0].is_backwards)
    channels = summed.reshape(case.bias.size, -1) + case.bias[:, None]
    how = f"{case.y.size} numbers against the sum, products and bias added one by one"
    return exact_check(
        case.operator, first_polynomial(channels.ravel(), case.y.ravel(), "output"), how
    )


def check_slopes(case: Worked, slopes: np.ndarray, claimed: np.ndarray, name: str) -> Check:
    """The printed gradient against central differences, exact since the loss is quadratic."""
    how = f"{slopes.size} central differences of the loss, exact on a quadratic, in fractions"
    pairs = zip(claimed.ravel(), slopes.ravel(), strict=True)
    found = ((f"{name} {k}", *pair) for k, pair in enumerate(pairs))
    return exact_check(case.operator, first_difference(found), how)


def check_fall(case: Worked, before: Any, after: Any) -> Check:
    """Whether the loss fell as the gradient says: by rate |G|^2 less half rate^2 |B G|^2.

    Rule: L is quadratic, so its fall along the gradient G is known without applying the layer
    to the new weights.
    """
    rate, weights, bias = case.rate, case.dw.astype(object), case.db
    moved = case.operator.refill(weights)(case.x)
    moved = moved.reshape(bias.size, -1) + bias[:, None]
    squared = sum(v * v for v in weights.ravel().tolist() + bias.tolist())
    expected = before - rate * squared + rate**2 * sum(v * v for v in moved.ravel().tolist()) / 2
    how = "L - rate |G|^2 + rate^2 |B(x) G|^2 / 2 with the gradient G, in fractions"
    differing = first_difference([("the loss", after, expected)])
    if differing is None and not after < before:
        differing = f"the loss went from {before} to {after}"
    return exact_check(case.operator, differing, how)


def check_products(*claimed: Any) -> Check:
    """Layers with the multiplications claimed of each, against entries stored as a matrix."""
    pairs = list(zip(claimed[::2], claimed[1::2], strict=True))
    found = [(repr(layer), count, _products(layer)) for layer, count in pairs]
    how = "the sum of the outputs, with ones for weights and input: one for each product"
    return exact_check(pairs[0][0], first_difference(found), how)


def check_sharing(operator: Operator, small: Operator) -> Check:
    """How often each weight is said to stand in the matrix, against the products of each axis."""
    geometry, _ = layer_of(operator)
    each = [_uses(axis) for axis in geometry.axes]
    table = each[0]
    for uses in each[1:]:
        table = np.multiply.outer(table, uses)
    groups, outputs, inputs = geometry.channels
    expected = np.broadcast_to(table, (groups * outputs, inputs, *table.shape)).ravel()
    told = np.asarray(operator.counts.sharing).ravel()
    how = f"the places of {told.size:,} weights counted on each axis, tap by tap"
    differing = first_difference(
        (f"weight {k}", told[k], expected[k]) for k in np.flatnonzero(told != expected)[:1]
    )
    total = int(np.asarray(small.counts.sharing).sum()), _products(small)
    return exact_check(operator, differing or first_difference([("all entries", *total)]), how)


def _uses(axis: Axis) -> np.ndarray:
    """At how many outputs each tap meets the input: its index worked out again for each."""
    flipped = axis.is_backwards
    return np.array(
        [
            sum(read_index(axis, o, t, flipped=flipped) is not None for o in range(axis.out_size))  # type: ignore[arg-type]
            for t in range(int(axis.taps))
        ]
    )


def _products(operator: Operator) -> int:
    """The multiplications: with ones for weights and input, each adds a one to some output."""
    ones = with_ones(operator).refill(np.ones(only_convolution(operator).weights.shape, dtype=int))
    return int(ones(np.ones(operator.in_shape, dtype=int)).sum())


def check_patches(operator: Operator) -> Check:
    """The entries of B(x), stored for an input of ones, against the multiplications counted."""
    # Of an adjoint, that of the layer behind it: the same products, of which none share an entry.
    layer = operator.T if layer_of(operator)[1] else operator
    stored = with_ones(layer).by_kernel(np.ones(layer.in_shape, dtype=int)).to_scipy().nnz
    found = [("B(x)", operator.counts.multiplications, stored)]
    return exact_check(operator, first_difference(found), "entries of B(x), stored and counted")


def check_rotation(operator: Operator, shape: tuple[int, ...]) -> Check:
    """A kernel turned by 180 degrees in its plane against both axes read backwards."""
    weights = np.arange(int(np.prod(shape))).reshape(shape)
    differing = None
    if not np.array_equal(np.rot90(weights, 2, axes=(-2, -1)), weights[..., ::-1, ::-1]):
        differing = "the two kernels differ"
    how = f"{weights.size} different numbers turned a quarter twice, and read backwards twice"
    return exact_check(operator, differing, how)


def check_pooling(
    numbers: Sequence[np.ndarray], shares: Callable[[list[Any]], list[Any]], side: int
) -> Check:
    """A pooling forward and back, window by window, from the shares of the samples in each."""
    x, g, forward, back = numbers
    expected, returned = np.zeros_like(forward), np.zeros_like(back)
    for place in np.ndindex(*forward.shape):
        starts = (range(side * p, side * (p + 1)) for p in place)
        window = list(product(*starts))
        values = [x[spot] for spot in window]
        for spot, value, share in zip(window, values, shares(values), strict=True):
            expected[place] += share * value
            returned[spot] += share * g[place]
    how = "every window gone through by hand, forward and back, in fractions"
    found = [
        (name, told.tolist(), made.tolist())
        for name, told, made in (("y", forward, expected), ("dL/dx", back, returned))
    ]
    differing = first_difference(found)
    scope = f"at this size, {' x '.join(map(str, x.shape))}"
    return Check(FAILED if differing else EXACTLY, scope, f"{how}{differing or ''}")


def check_fields(operator: Operator, claimed: Sequence[int]) -> Check:
    """The fields of one, two, ... layers against the samples reached one after the other."""
    axis = layer_of(operator)[0].axes[-1]
    places, found = {0}, []
    for depth, size in enumerate(claimed, 1):
        places = {
            int(axis.stride) * o + abs(int(axis.dilation)) * t
            for o in places
            for t in range(int(axis.taps))
        }
        found.append((f"{depth} layers", size, max(places) - min(places) + 1))
    return exact_check(operator, first_difference(found), "the samples reached, collected")


def reads(operator: Operator) -> tuple[int, int]:
    """The fewest and the most samples that an output of a layer reads, by its pattern."""
    geometry, turned = layer_of(operator)
    triples = Convolution(geometry, only_convolution(operator).weights).pattern.triples()
    rows = np.unique(triples[:, :2], axis=0)[:, 1 if turned else 0]
    counts = np.bincount(rows, minlength=operator.shape[0])
    return int(counts.min()), int(counts.max())


def check_reads(operator: Operator, claimed: tuple[int, int], bound: int | None) -> Check:
    """What outputs read, against the rows of the stored matrix and the bound."""
    stored = np.diff(with_ones(operator).to_scipy().indptr)
    found = [("outputs", claimed, (int(stored.min()), int(stored.max())))]
    differing = first_difference(found)
    if differing is None and bound is not None and stored.max() > bound:
        differing = f"an output reads {stored.max()} samples, above {bound}"
    return exact_check(operator, differing, "entries in the rows of the stored matrix")


def check_commutators(pairs: Sequence[tuple[Operator, Operator]]) -> Check:
    """Of each layer and its A S - S A: zero away from the border just where the stride is 1."""
    differing = None
    for row, apart in pairs:
        axis = only_convolution(row).geometry.axes[0]
        matrix = apart.to_sympy()
        inner = [o for o in range(1, int(axis.out_size)) if _inside(axis, o)]
        moved = [o for o in inner if any(matrix.row(o))]
        if axis.stride == 1 and moved:
            differing = f"row {moved[0]} of {row!r} is not zero"
        if axis.stride != 1 and not any(matrix):
            differing = f"all rows of {row!r} are zero"
    return exact_check(pairs[0][0], differing, "the entries of A S - S A, in letters")


def _inside(axis: Axis, output: int) -> bool:
    """Whether a window and the one before it lie inside the input."""
    return all(1 <= axis.raw(output, t) < axis.in_size for t in range(int(axis.taps)))  # type: ignore[operator,arg-type]


def check_shifts(operator: Operator) -> Check:
    """Each row of the matrix against the one before it along each axis, moved by the stride.

    Where the boundary is not zeros, rows whose windows reach over it are left out.
    """
    geometry, turned = layer_of(operator)
    layer = operator.T if turned else operator
    lead = len(layer.out_shape) - len(geometry.axes)
    matrix = np.zeros(layer.shape, dtype=object)
    for row, entries in enumerate(exact_rows(layer)):
        for column, value in entries.items():
            matrix[row, column] = value
    tensor = matrix.reshape(*layer.out_shape, *layer.in_shape)
    differing, compared = None, 0
    for number, axis in enumerate(geometry.axes):
        across = len(layer.out_shape) + lead + number
        stride, size = int(axis.stride), int(axis.in_size)
        for output in range(int(axis.out_size) - 1):
            if axis.boundary != "zeros" and not _both_inside(axis, output):
                continue
            row, following = (tensor.take(o, axis=lead + number) for o in (output, output + 1))
            kept = np.arange(max(size - stride, 0))
            left = row.take(kept, axis=across - 1)
            right = following.take(kept + stride, axis=across - 1)
            compared += left.size
            if not np.array_equal(left, right):
                differing = differing or f"rows {output} and {output + 1} of axis {number} differ"
    how = f"{compared:,} pairs of entries, one output and one stride apart, in letters"
    return exact_check(operator, differing, how)


def _both_inside(axis: Axis, output: int) -> bool:
    """Whether this window and the next lie inside the input."""
    reached = [axis.raw(o, t) for o in (output, output + 1) for t in range(int(axis.taps))]
    return min(reached) >= 0 and max(reached) < axis.in_size  # type: ignore[type-var,operator]

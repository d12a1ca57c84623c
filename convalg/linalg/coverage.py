"""How often each output is written: the checkerboard of transposed layers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from convalg.arguments import plural
from convalg.arrays import Array
from convalg.axis import Axis
from convalg.limits import check_memory
from convalg.linalg.numeric import checked
from convalg.operators.leaves import Adjoint, Convolution, Selection
from convalg.operators.tree import Compose, Kron, Operator, Scaled, Sum


@dataclass(frozen=True, eq=False, repr=False)
class Coverage:
    """How often each output is written, and whether evenly.

    `counts`: whole numbers in the shape of the output. `interior`: where no tap was lost at a
    border, on any layer of a stack. `even`: whether all counts of the interior are one number;
    None where the interior is too small to tell. `period`: after how many samples the counts
    of the interior repeat, one per axis of the output; None where it is empty or no box.
    `reason`: for one transposed layer, its strides and taps in words.
    """

    counts: Array
    interior: Array
    even: bool | None
    period: tuple[int, ...] | None
    reason: str = ""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.counts, dtype=dtype)

    def __repr__(self) -> str:
        return f"Coverage({self.counts.shape}, {self.explain()})"

    def explain(self) -> str:
        """The verdict in one sentence, with the numbers.

        >>> import convalg as ca
        >>> coverage(ca.transposed_correlation(5, [1, 1, 1], stride=2)).explain()
        'uneven: written 1 or 2 times, repeating every 2; the stride 2 does not divide the 3 taps'
        """
        if self.even is None:
            return "unknown: the interior is too small to tell"
        numbers = [str(n) for n in np.unique(self.counts[self.interior]).tolist()]
        words = numbers[-1] if len(numbers) == 1 else f"{', '.join(numbers[:-1])} or {numbers[-1]}"
        times = f"written {words} time{'s' * (numbers != ['1'])}"
        verdict = "even" if self.even else "uneven"
        if not self.even and self.period is not None:
            times += f", repeating every {' x '.join(map(str, self.period))}"
        return f"{verdict}: {times}" + (f"; {self.reason}" if self.reason else "")


def coverage(A: Any) -> Coverage:  # noqa: N803
    """How often each output of a transposed layer, or of a stack of layers, is written.

    Rule: every weight becomes one, and the result is applied to ones, from one input channel:
    the number of (input, tap) pairs that reach an output, or of paths in a stack. Factors are
    left out. A transposed layer of k taps, stride s and dilation d is even in the interior
    exactly when s divides k and has no factor in common with d; the verdict here is read off
    the counts, for any operator.

    Raises: KindError unless it is an operator; SymbolicError for a family.
    Source: Odena, Dumoulin & Olah (2016), Deconvolution and checkerboard artifacts.

    >>> import convalg as ca
    >>> found = coverage(ca.transposed_correlation((3, 3), ca.kernel(3, 3), stride=2))
    >>> found.counts[2:5].tolist()
    [[2, 2, 4, 2, 4, 2, 2], [1, 1, 2, 1, 2, 1, 1], [2, 2, 4, 2, 4, 2, 2]]
    >>> found.even, found.period
    (False, (2, 2))
    """
    operator = checked(A, "coverage")
    check_memory(
        24 * sum(operator.shape),
        None,
        what=f"coverage: the counts of {operator.shape[0]} outputs and {operator.shape[1]} inputs",
        instead="take a smaller layer of the same form",
        fixed=True,
    )
    ones = _ones(operator)
    counts = np.asarray(ones(np.ones(ones.in_shape, dtype=np.int64)))
    interior = ~_border(operator)
    axes = _transposed_axes(operator)
    period = _period(counts, interior)
    large = interior.any() and all(
        line.sum() >= int(axis.stride)
        for axis, line in zip(axes, _lines(interior, len(axes)), strict=True)
    )
    even = bool(len(np.unique(counts[interior])) == 1) if large else None
    for array in (counts, interior):
        array.setflags(write=False)
    return Coverage(counts, interior, even, period, _reason(axes))


def _ones(operator: Operator) -> Operator:
    """Every weight one, and of the channels that an output sums over only the first."""
    match operator:
        case Adjoint(operator=Convolution() as layer):
            return _one_channel(layer, 1).T
        case Convolution():
            return _one_channel(operator, 2)
        case Scaled(operator=inner):
            return _ones(inner)
    if operator.children:
        return operator.rebuild(tuple(map(_ones, operator.children)))
    if not hasattr(operator, "values"):
        return operator
    return replace(operator, values=np.ones(operator.values.shape, dtype=np.int64))  # type: ignore[type-var]  # a dataclass, with values


def _one_channel(layer: Convolution, axis: int) -> Convolution:
    """Ones at the first channel on an axis of (groups, C_out, C_in, *taps)."""
    geometry = layer.geometry
    weights = np.zeros((*geometry.channels, *geometry.taps), dtype=np.int64)
    weights.swapaxes(0, axis)[0] = 1
    return replace(layer, weights=weights.reshape(geometry.kernel_shape))


def _border(operator: Operator) -> Array:
    """The outputs that a border reaches: a tap of theirs was lost or moved, on some layer."""
    match operator:
        case Compose(factors=(*after, first)):
            found = _border(first)
            for factor in reversed(after):
                reached = _ones(factor)(found.astype(np.int64)) > 0
                found = _border(factor) | reached
            return found
        case Sum(terms=terms):
            return reduce(np.logical_or, map(_border, terms))
        case Scaled(operator=inner):
            return _border(inner)
        case Kron(left=left, right=right):
            return np.logical_or.outer(_border(left), _border(right))
        case Convolution() | Selection():
            return _spread(operator, operator.out_shape, [_lost(a) for a in operator.geometry.axes])
        case Adjoint(operator=Convolution() | Selection() as layer):
            return _spread(layer, layer.in_shape, [_missed(a) for a in layer.geometry.axes])
    return np.zeros(operator.out_shape, dtype=bool)


def _spread(layer: Convolution | Selection, shape: tuple[Any, ...], lines: list[Array]) -> Array:
    """The border of each axis as one of all axes and channels."""
    found = reduce(np.logical_or.outer, lines)
    if isinstance(layer, Selection):
        return found.reshape(shape)
    return np.broadcast_to(found, shape)


def _lost(axis: Axis) -> Array:
    """The outputs that read beyond the input."""
    raw = _raw(axis, np.arange(axis.out_size))
    outside = (raw < 0) | (raw >= axis.in_size)
    return np.asarray(outside.any(axis=1) & (axis.boundary != "circular"))


def _missed(axis: Axis) -> Array:
    """The inputs that an output before the first or behind the last one would read."""
    n, outputs = int(axis.in_size), int(axis.out_size)
    found = np.zeros(n, dtype=bool)
    if axis.boundary == "circular":
        return found
    reach = (int(axis.span) + abs(int(axis.padding)) + n) // abs(int(axis.stride)) + 1
    check_memory(
        64 * reach * int(axis.taps),
        None,
        what=f"coverage: the windows within {reach} outputs of the ends of an axis",
        instead="take a smaller layer of the same form",
        fixed=True,
    )
    beyond = np.r_[-reach:0, outputs : outputs + reach]
    raw = _raw(axis, beyond)
    found[raw[(raw >= 0) & (raw < n)]] = True
    # Where a boundary maps a lost tap back to, too much is written.
    own, columns = _raw(axis, np.arange(outputs)), axis.columns()
    found[columns[((own < 0) | (own >= n)) & (columns >= 0)]] = True
    return found


def _raw(axis: Axis, outputs: Array) -> Array:
    return np.asarray(axis.raw(outputs[:, None], np.arange(axis.taps)[None, :]))


def _lines(interior: Array, axes: int) -> list[Array]:
    """Which places of each of the last axes the interior has."""
    last = range(interior.ndim - axes, interior.ndim)
    every = range(interior.ndim)
    return [np.asarray(interior.any(axis=tuple(k for k in every if k != at))) for at in last]


def _period(counts: Array, interior: Array) -> tuple[int, ...] | None:
    """The shortest shift of each axis that repeats the counts of the interior, a box."""
    if not interior.any():
        return None
    ends = [
        (line.argmax(), line.size - line[::-1].argmax()) for line in _lines(interior, interior.ndim)
    ]
    box = tuple(slice(first, last) for first, last in ends)
    if not interior[box].all():
        return None
    found = []
    for axis in range(counts.ndim):
        line = np.moveaxis(counts[box], axis, 0)
        shifts = (q for q in range(1, len(line)) if np.array_equal(line[q:], line[:-q]))
        found.append(next(shifts, len(line)))
    return tuple(found)


def _transposed_axes(operator: Operator) -> tuple[Axis, ...]:
    """The axes of a single transposed layer; none for anything else."""
    match operator:
        case Scaled(operator=inner):
            return _transposed_axes(inner)
        case Adjoint(operator=Convolution(geometry=geometry)):
            return geometry.axes
    return ()


def _reason(axes: tuple[Axis, ...]) -> str:
    """Strides against taps, each combination once."""
    return ", ".join(dict.fromkeys(map(_axis_reason, axes)))


def _axis_reason(axis: Axis) -> str:
    stride, taps = abs(int(axis.stride)), int(axis.taps)
    common = math.gcd(stride, int(axis.dilation))
    if common > 1 and taps > 1:
        return f"the stride {stride} and the dilation {abs(int(axis.dilation))} share {common}"
    verb = "does not divide" if taps % stride else "divides"
    return f"the stride {stride} {verb} the {plural(taps, 'tap')}"

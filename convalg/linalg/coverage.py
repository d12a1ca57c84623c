"""Coverage: how often each output is written, the cause of checkerboards of transposed layers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from convalg.arguments import plural
from convalg.arrays import Array
from convalg.axis import Axis
from convalg.errors import SymbolicError
from convalg.limits import check_memory
from convalg.linalg import family_coverage
from convalg.linalg.numeric import checked
from convalg.operators.leaves import Adjoint, Convolution, Selection
from convalg.operators.tree import Compose, Kron, Operator, Scaled, Sum

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True, eq=False, repr=False)
class Coverage:
    """The number of times that each output is written, and whether the numbers are equal.

    NumPy converts it to the array `counts`.

    Attributes:
        counts: Integers of shape `out_shape`.
        interior: Booleans of shape `out_shape`: True where no layer of the stack lost a tap at a
            border.
        even: Whether all counts in the interior are equal; None where the interior is too small to
            decide.
        period: The period of the counts in the interior, in samples, for each axis of the output;
            None where the interior is empty or not a box.
        reason: For a single transposed layer, a clause that compares its strides and its numbers
            of taps; otherwise "".
        indices: For a family, the symbols of the index of an output; otherwise (). The `counts` of
            a family are an expression and `interior` is a condition in them. `even` is a condition
            on the strides and taps, and `period` an expression: both are right at sizes whose
            interior has two periods. In a smaller interior, all counts may be equal anyway.

    >>> import convalg as ca
    >>> ca.coverage(ca.transposed_correlation(5, [1, 1], stride=2))
    Coverage((10,), even: outputs written 1 time; the stride 2 divides the 2 taps)
    """

    counts: Any
    interior: Any
    even: Any
    period: tuple[Any, ...] | None
    reason: str = ""
    indices: tuple[sympy.Symbol, ...] = ()

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        if self.indices:
            raise SymbolicError(
                f"the coverage of a family is an expression, not an array: use the coverage of "
                f"A.at(...), or .counts, which is {self.counts}"
            )
        return np.array(self.counts, dtype=dtype)

    def __repr__(self) -> str:
        shape = self.indices or self.counts.shape
        return f"Coverage({shape}, {self.explain()})"

    def explain(self) -> str:
        """Return the verdict in one sentence, with the counts and their period.

        >>> import convalg as ca
        >>> print(ca.coverage(ca.transposed_correlation(5, [1, 1, 1], stride=2)).explain())
        uneven: outputs written 1 or 2 times, with period 2; the stride 2 does not divide the 3 taps
        """
        if self.indices:
            return self._family_text()
        if self.even is None:
            return "unknown: the interior is too small to decide whether the coverage is even"
        numbers = [str(n) for n in np.unique(self.counts[self.interior]).tolist()]
        listed = numbers[-1] if len(numbers) == 1 else f"{', '.join(numbers[:-1])} or {numbers[-1]}"
        times = f"outputs written {listed} time{'s' * (numbers != ['1'])}"
        verdict = "even" if self.even else "uneven"
        if not self.even and self.period is not None:
            times += f", with period {' x '.join(map(str, self.period))}"
        return f"{verdict}: {times}" + (f"; {self.reason}" if self.reason else "")

    def _family_text(self) -> str:
        index = ", ".join(map(str, self.indices))
        verdict = f"even where {self.even}"
        if isinstance(self.even, bool):
            verdict = "even" if self.even else "uneven"
        return f"{verdict}: output {index} is written {self.counts} times"


def coverage(A: object) -> Coverage:  # noqa: N803
    """Count how often each output of a transposed layer, or of a stack of layers, is written.

    Rule: all weights are set to one, and the operator is applied to an input of ones in a single
    channel. The result is the number of (input, tap) pairs that reach each output, or for a stack
    the number of paths. Scalar factors are ignored. The coverage of a transposed layer of k taps,
    stride s and dilation d is even in the interior if and only if s divides k and has no factor in
    common with d; the verdict is derived from the counts, for any operator. Of a layer, the number
    of taps of each output that read an input is counted; `ca.coverage(A.T)` counts how often each
    input is read.

    Args:
        A: An operator, or a family: a layer, its adjoint, or a Kronecker product of such.

    Returns:
        A `Coverage` with the counts in the shape `out_shape`, the verdict `even` and the `period`;
        for a family, with expressions in the index of an output and conditions on the sizes.

    Raises:
        KindError: when A is not an operator.
        UndecidableError: for a family without a closed form, such as a product.
        ArgumentError: when an index of an axis exceeds 64 bits.
        TooLargeError: when the counts do not fit in memory.

    Source: Odena, Dumoulin & Olah (2016), Deconvolution and checkerboard artifacts.

    >>> import convalg as ca
    >>> result = ca.coverage(ca.transposed_correlation((3, 3), ca.kernel(3, 3), stride=2))
    >>> result.counts[2:5].tolist()
    [[2, 2, 4, 2, 4, 2, 2], [1, 1, 2, 1, 2, 1, 1], [2, 2, 4, 2, 4, 2, 2]]
    >>> result.even, result.period
    (False, (2, 2))
    >>> n, K, s = ca.sizes("n K s")
    >>> result = ca.coverage(ca.transposed_correlation(n, ca.kernel(K), stride=s))
    >>> result.even
    Eq(Mod(K, s), 0)
    >>> result.counts
    Max(0, -Max(0, ceiling((-K + o + 1)/s)) + Min(n - 1, floor(o/s)) + 1)
    """
    if isinstance(A, Operator) and A.symbols and not A.is_concrete:
        return _family_coverage(A)
    operator = checked(A, "coverage")
    check_memory(
        24 * sum(operator.shape),
        None,
        what=f"coverage: the counts of {operator.shape[0]} outputs and {operator.shape[1]} inputs",
        instead="use a smaller layer of the same form",
        fixed=True,
    )
    ones = _ones(operator)
    counts = np.asarray(ones(np.ones(ones.in_shape, dtype=np.int64)))
    interior = ~_border(operator)
    axes = _transposed_axes(operator)
    period = _period(counts, interior)
    large = interior.any() and all(
        line.sum() >= axis.numbers.stride
        for axis, line in zip(axes, _lines(interior, len(axes)), strict=True)
    )
    even = bool(len(np.unique(counts[interior])) == 1) if large else None
    for array in (counts, interior):
        array.setflags(write=False)
    return Coverage(counts, interior, even, period, _reason(axes))


def _family_coverage(operator: Operator) -> Coverage:
    import sympy

    indices = family_coverage.indices_of(operator)
    axes = family_coverage.axes_of(operator, indices)
    even = sympy.And(*(axis.even for axis in axes))
    return Coverage(
        counts=sympy.Mul(*(axis.count for axis in axes)),
        interior=sympy.And(*(axis.interior for axis in axes)),
        even=bool(even) if even in (sympy.true, sympy.false) else even,
        period=tuple(axis.period for axis in axes),
        indices=indices,
    )


def _ones(operator: Operator) -> Operator:
    """Return the operator with all weights one, reading only the first channel of each sum."""
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
    """Return the layer with ones in channel 0 of an axis of (groups, C_out, C_in, *taps)."""
    geometry = layer.geometry
    weights = np.zeros((*geometry.channels, *geometry.taps), dtype=np.int64)
    weights.swapaxes(0, axis)[0] = 1
    return replace(layer, weights=weights.reshape(geometry.kernel_shape))


def _border(operator: Operator) -> Array:
    """Return a mask of the outputs for which some layer lost or moved a tap at a border."""
    match operator:
        case Compose(factors=(*after, first)):
            affected = _border(first)
            for factor in reversed(after):
                reached = _ones(factor)(affected.astype(np.int64)) > 0
                affected = _border(factor) | reached
            return affected
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


def _spread(layer: Convolution | Selection, shape: tuple[int, ...], lines: list[Array]) -> Array:
    """Return one mask over all axes and channels from the border masks of the axes."""
    border = reduce(np.logical_or.outer, lines)
    if isinstance(layer, Selection):
        return border.reshape(shape)
    return np.broadcast_to(border, shape)


def _lost(axis: Axis) -> Array:
    """Return a mask of the outputs that read beyond the input."""
    raw = _raw(axis, np.arange(axis.out_size))
    outside = (raw < 0) | (raw >= axis.in_size)
    return np.asarray(outside.any(axis=1) & (axis.boundary != "circular"))


def _missed(axis: Axis) -> Array:
    """Return a mask of the inputs that outputs before the first or after the last would read."""
    n, outputs = axis.numbers.in_size, axis.numbers.out_size
    missed = np.zeros(n, dtype=bool)
    if axis.boundary == "circular":
        return missed
    reach = (axis.numbers.span + abs(axis.numbers.padding) + n) // abs(axis.numbers.stride) + 1
    check_memory(
        64 * reach * axis.numbers.taps,
        None,
        what=f"coverage: the windows within {reach} outputs of the ends of an axis",
        instead="use a smaller layer of the same form",
        fixed=True,
    )
    beyond = np.r_[-reach:0, outputs : outputs + reach]
    raw = _raw(axis, beyond)
    missed[raw[(raw >= 0) & (raw < n)]] = True
    # A boundary rule maps lost taps back to inputs, which are then written more often.
    own, columns = _raw(axis, np.arange(outputs)), axis.columns()
    missed[columns[((own < 0) | (own >= n)) & (columns >= 0)]] = True
    return missed


def _raw(axis: Axis, outputs: Array) -> Array:
    return np.asarray(axis.raw(outputs[:, None], np.arange(axis.taps)[None, :]))


def _lines(interior: Array, axes: int) -> list[Array]:
    """Return, for each of the last `axes` axes, a mask of the indices that the interior has."""
    last = range(interior.ndim - axes, interior.ndim)
    dims = range(interior.ndim)
    return [np.asarray(interior.any(axis=tuple(k for k in dims if k != axis))) for axis in last]


def _period(counts: Array, interior: Array) -> tuple[int, ...] | None:
    """Return the shortest shift of each axis that maps the counts of the interior to themselves."""
    if not interior.any():
        return None
    ends = [
        (line.argmax(), line.size - line[::-1].argmax()) for line in _lines(interior, interior.ndim)
    ]
    box = tuple(slice(first, last) for first, last in ends)
    if not interior[box].all():
        return None
    periods = []
    for axis in range(counts.ndim):
        line = np.moveaxis(counts[box], axis, 0)
        shifts = (q for q in range(1, len(line)) if np.array_equal(line[q:], line[:-q]))
        periods.append(next(shifts, len(line)))
    return tuple(periods)


def _transposed_axes(operator: Operator) -> tuple[Axis, ...]:
    """Return the axes of a single transposed layer, or () for any other operator."""
    match operator:
        case Scaled(operator=inner):
            return _transposed_axes(inner)
        case Adjoint(operator=Convolution(geometry=geometry)):
            return geometry.axes
    return ()


def _reason(axes: tuple[Axis, ...]) -> str:
    """Return the comparisons of strides and taps of all axes, each different one once."""
    return ", ".join(dict.fromkeys(map(_axis_reason, axes)))


def _axis_reason(axis: Axis) -> str:
    stride, taps = abs(axis.numbers.stride), axis.numbers.taps
    common = math.gcd(stride, axis.numbers.dilation)
    if common > 1 and taps > 1:
        dilation = abs(axis.numbers.dilation)
        return f"the stride {stride} and the dilation {dilation} have the common factor {common}"
    verb = "does not divide" if taps % stride else "divides"
    return f"the stride {stride} {verb} the {plural(taps, 'tap')}"

"""How the statements of a sheet are verified: each is computed twice, in two ways.

A check is handed what the sheet claims and answers whether it holds; it never raises because
a claim is wrong. Letters stand for weights and samples, so agreement is that of polynomials.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from convalg.axis import Axis
from convalg.base import Operator
from convalg.faces.exact import exact_rows
from convalg.faces.latex import layer_of
from convalg.faces.text import padding_after
from convalg.gradients import only_convolution
from convalg.operators import Convolution
from convalg.pattern import Pattern, expanded_bytes
from convalg.spec import Geometry, correlation_geometry

EXACTLY, ROUNDED, FAILED = "verified exactly", "verified to rounding", "failed"
MOST_BYTES = 200_000_000
"""A matrix larger than this is not built for a check."""


@dataclass(frozen=True)
class Check:
    """Whether a statement holds: `verdict`, `scope` (where), `how` it was found out."""

    verdict: str
    scope: str
    how: str

    @property
    def passed(self) -> bool:
        """Whether the statement holds."""
        return self.verdict != FAILED


def check_sizes(operator: Operator, claimed: Sequence[int]) -> Check:
    """The claimed output size of each axis, against windows counted and rows of the pattern."""
    geometry, turned = layer_of(operator)
    counted = [
        _reach(axis) if turned else len(_windows(axis, padding_after(axis)))
        for axis in geometry.axes
    ]
    spatial = [axis.in_size if turned else axis.columns().shape[0] for axis in geometry.axes]
    how = "the places of the kernel counted one by one, and the rows of the pattern"
    differing = first_difference(
        (f"axis {k}", claim, *found)
        for k, (claim, *found) in enumerate(zip(claimed, counted, spatial, strict=True))
    )
    return exact_check(operator, differing, how)


def check_definition(operator: Operator, flipped: bool) -> Check:
    """The defining sum, added up product by product, against `A(x)`: polynomials."""
    samples = letters(operator.in_shape)
    applied = operator(samples).ravel()
    written = defined_sum(operator, samples, flipped=flipped).ravel()
    how = f"{len(applied)} outputs of A(x) against the sum, letters for weights and samples"
    return exact_check(operator, first_polynomial(written, applied, "output"), how)


def check_matrix(operator: Operator, matrix: Any = None) -> Check:
    """`matrix` (by default the exact matrix) times vec(x) against vec(A(x))."""
    import sympy

    samples = letters(operator.in_shape)
    applied = operator(samples).ravel()
    matrix = operator.to_sympy() if matrix is None else matrix
    multiplied = list(matrix * sympy.Matrix(samples.ravel().tolist()))
    how = f"{len(applied)} rows times vec(x) against vec(A(x)), as polynomials"
    return exact_check(operator, first_polynomial(multiplied, applied, "row"), how)


def check_adjoint(operator: Operator, claimed: Operator) -> Check:
    """The claimed adjoint against the transposed exact matrix, entry by entry."""
    transposed, found = operator.to_sympy().T, claimed.to_sympy()
    how = f"{len(transposed)} entries against the transposed matrix"
    if transposed.shape != found.shape:
        return exact_check(
            operator, f"shape {found.shape} is claimed, {transposed.shape} is found", how
        )
    return exact_check(operator, first_polynomial(list(found), list(transposed), "entry"), how)


def check_pairing(operator: Operator, adjoint: Operator) -> Check:
    """`<A x, g> = <x, A^T g>` as one polynomial in the letters of weights, x and g."""
    x, g = letters(operator.in_shape), letters(operator.out_shape, "g")
    left = sum((operator(x).ravel() * g.ravel()).tolist())
    right = sum((x.ravel() * adjoint(g).ravel()).tolist())
    how = "both sides multiplied out, letters for weights, x and g"
    return exact_check(operator, first_polynomial([right], [left], "side"), how)


def check_modes(operator: Operator, firsts: Sequence[Sequence[int]]) -> Check:
    """Rows of "same" and "valid" against rows of "full" that start at the claimed places."""
    layer = only_convolution(operator)
    full, *parts = mode_layers(layer)
    rows = np.array(exact_rows(full), dtype=object).reshape(full.out_shape)
    lead = (slice(None),) * (len(full.out_shape) - len(full.geometry.axes))
    for part, first, word in zip(parts, firsts, ("same", "valid"), strict=True):
        sizes = part.geometry.out_spatial
        place = tuple(slice(f, f + int(n)) for f, n in zip(first, sizes, strict=True))
        kept = rows[(*lead, *place)].ravel().tolist()
        if kept != exact_rows(part):
            return exact_check(
                operator, f"the rows of {word} are others than the claimed ones", _modes_how(full)
            )
    return exact_check(operator, None, _modes_how(full))


def check_counts(operator: Operator, small: Operator, claimed: int) -> Check:
    """The claimed multiplications against the pattern, and the stored matrix where it fits."""
    geometry, _ = layer_of(operator)
    pattern = Pattern(geometry)
    found = [("pattern", claimed, pattern.products)]
    how = "the formula against the triples of the pattern"
    stored, name = operator, "stored matrix"
    if expanded_bytes(geometry, 8) > MOST_BYTES:
        stored, name = small, "stored matrix of the small layer"
    stored_geometry, _ = layer_of(stored)
    matrix = with_ones(stored).to_scipy()
    found.append((name, Pattern(stored_geometry).nonzeros, matrix.nnz))
    return exact_check(operator, first_difference(found), f"{how}, and entries against the {name}")


def check_image(operator: Operator, image: np.ndarray, result: np.ndarray) -> Check:
    """The sparse matrix times vec(image) against the result that is shown."""
    multiplied = operator.to_scipy() @ image.ravel().astype(np.int64)
    shown = result.ravel()
    scope = scope_of(operator)
    how = f"a sparse matrix of {operator.shape[0]:,} x {operator.shape[1]:,} times vec(image)"
    if shown.shape != multiplied.shape:
        return Check(FAILED, scope, f"{how}: {shown.size} values are shown, not {multiplied.size}")
    if multiplied.dtype.kind == shown.dtype.kind == "i":
        wrong = int(np.count_nonzero(multiplied != shown))
        verdict = FAILED if wrong else EXACTLY
        tail = f": {wrong:,} pixels differ" if wrong else f", all {shown.size:,} integers equal"
        return Check(verdict, scope, how + tail)
    error = float(np.max(np.abs(multiplied - shown), initial=0))
    weights = only_convolution(operator).weights
    scale = float(np.max(np.abs(weights))) * float(np.max(np.abs(image.astype(float)), initial=1))
    allowed = np.finfo(float).eps * weights.size * scale * weights.size
    verdict = ROUNDED if error <= allowed else FAILED
    return Check(verdict, scope, f"{how}, largest difference {error:.1g}")


def defined_sum(operator: Operator, x: np.ndarray, *, flipped: bool) -> np.ndarray:
    """y of the definition, by plain loops: the index of each tap is worked out here again."""
    geometry, turned = layer_of(operator)
    weights = only_convolution(operator).weights.reshape(
        *geometry.kernel_shape if geometry.has_channels else (1, 1, *geometry.taps)
    )
    _, outputs, inputs = geometry.channels
    source = x.reshape(-1, *(geometry.out_spatial if turned else geometry.in_spatial))
    count = (geometry.in_channels if turned else geometry.out_channels) or 1
    y = np.zeros((count, *(geometry.in_spatial if turned else geometry.out_spatial)), dtype=object)
    for o, c in product(range(weights.shape[0]), range(inputs)):
        channel = o // outputs * inputs + c
        for place in product(*map(range, map(int, geometry.out_spatial))):
            for taps in product(*map(range, map(int, geometry.taps))):
                read = tuple(
                    read_index(axis, i, t, flipped=flipped)
                    for axis, i, t in zip(geometry.axes, place, taps, strict=True)
                )
                if None in read:
                    continue
                weight = weights[(o, c, *taps)]
                if turned:
                    y[(channel, *read)] += weight * source[(o, *place)]
                else:
                    y[(o, *place)] += weight * source[(channel, *read)]
    return y.reshape(operator.out_shape)


def read_index(axis: Axis, output: int, tap: int, *, flipped: bool) -> int | None:
    """The sample that a tap reads, from the options as a user gives them; None for a zero."""
    n, k = int(axis.in_size), int(axis.taps)
    walked = k - 1 - tap if flipped else tap
    u = int(axis.stride * output + abs(axis.dilation) * walked - axis.before)
    match axis.boundary:
        case "circular":
            return u % n
        case "edge":
            return min(max(u, 0), n - 1)
        case "symmetric":
            return min(u % (2 * n), 2 * n - 1 - u % (2 * n))
        case "reflect" if n > 1:
            return min(u % (2 * n - 2), 2 * n - 2 - u % (2 * n - 2))
    return u if 0 <= u < n else None


def mode_layers(layer: Convolution) -> list[Convolution]:
    """The layer with stride 1 and zeros outside, in the modes full, same and valid."""
    geometry = layer.geometry
    dilation = [abs(axis.dilation) for axis in geometry.axes]
    shape = tuple(max(int(axis.in_size), int(axis.span)) for axis in geometry.axes)
    return [
        Convolution(
            correlation_geometry(
                shape,
                geometry.kernel_shape,
                padding=mode,
                dilation=dilation,
                groups=geometry.groups,
                flipped=geometry.axes[0].is_backwards,
            ),
            layer.weights,
        )
        for mode in ("full", "same", "valid")
    ]


def letters(shape: tuple[int, ...], name: str = "x") -> np.ndarray:
    """One new symbol for each sample: other symbols, even of the same name, are others."""
    import sympy

    found = np.empty(shape, dtype=object)
    for place in np.ndindex(*shape):
        found[place] = sympy.Dummy(name + "".join(map(str, place)))
    return found


def _windows(axis: Axis, after: int) -> range:
    """The first index that the kernel covers, for each place that it has on the padded input."""
    return range(-axis.before, axis.in_size + after - axis.span + 1, axis.stride)  # type: ignore[operator,arg-type]


def _reach(axis: Axis) -> int:
    """The samples that an adjoint layer writes, with what padding takes off at both ends."""
    last = max(axis.stride * o for o in range(int(axis.out_size)))
    return int(last + axis.span - axis.before - axis.after)


def with_ones(operator: Operator) -> Operator:
    """The same layer with ones for weights."""
    geometry, turned = layer_of(operator)
    layer = Convolution(geometry, np.ones(geometry.kernel_shape, dtype=np.int8))
    return layer.T if turned else layer


def _modes_how(full: Convolution) -> str:
    rows, columns = full.shape
    return f"rows of three matrices with letters; full is {rows} x {columns}"


def scope_of(operator: Operator) -> str:
    """Where a check was made: the size of the input, in words."""
    return f"at this size, {' x '.join(map(str, operator.in_shape))}"


def exact_check(operator: Operator, differing: str | None, how: str) -> Check:
    """A check that failed where something differs, and else held exactly."""
    if differing is None:
        return Check(EXACTLY, scope_of(operator), how)
    return Check(FAILED, scope_of(operator), f"{how}: {differing}")


def first_difference(found: Iterable[tuple[Any, ...]]) -> str | None:
    """The first name whose claimed value is not each of the values found."""
    for name, claimed, *values in found:
        if any(value != claimed for value in values):
            return f"{name}: {claimed} is claimed, {', '.join(map(str, values))} is found"
    return None


def first_polynomial(claimed: Iterable[Any], found: Iterable[Any], name: str) -> str | None:
    """The first place where two lists of expressions are different polynomials."""
    import sympy

    for place, (left, right) in enumerate(zip(claimed, found, strict=True)):
        if left != right and sympy.expand(left - right) != 0:
            return f"{name} {place}: {left} is claimed, {right} is found"
    return None


def multiplications(geometry: Geometry) -> tuple[list[int], int]:
    """Products of each axis by the counting formula, and of the whole layer.

    Rule: tap t is used u_t = min(o - 1, floor((n - 1 - d t + p) / s)) - max(0, ceil((p - d t) / s))
    + 1 times on an axis, or o times where the boundary leaves no zeros.
    """
    each = []
    for axis in geometry.axes:
        n, o, s, p = (int(v) for v in (axis.in_size, axis.out_size, axis.stride, axis.before))
        used = 0
        for tap in range(int(axis.taps)):
            offset = abs(int(axis.dilation)) * tap - p
            low, high = max(0, -(offset // s)), min(o - 1, (n - 1 - offset) // s)
            used += o if axis.boundary != "zeros" else max(0, high - low + 1)
        each.append(used)
    groups, outputs, inputs = geometry.channels
    return each, groups * outputs * inputs * math.prod(each)

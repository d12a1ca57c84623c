"""Statements about one layer at one size, each checked by plain loops over the definition.

This file is an independent oracle: the index that a tap reads is computed here once more, from
the options as a user gives them, and not taken from `convalg.axis` or from the pattern. A
function here returns a whole claim: what is printed and what is checked are the same arguments.
Weights and samples are symbols where nothing else is said, so agreement is that of polynomials.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from convalg.arguments import plural
from convalg.axis import Axis, output_size, transposed_size
from convalg.faces import latex
from convalg.faces.latex import layer_of
from convalg.faces.text import padding_after
from convalg.geometry import Geometry
from convalg.kernels import flip
from convalg.kernels import kernel as symbols
from convalg.operators.gradients import only_convolution
from convalg.operators.leaves import Convolution
from convalg.operators.tree import Operator
from convalg.sheet.blocks import EXACTLY, FAILED, PROVED, TRIED, Check, Claim, Code, Formula
from convalg.sheet.calls import written
from convalg.sheet.claims import by
from convalg.size import size_product

MOST_BYTES = 200_000_000
"""A matrix larger than this is not built for a check."""


def rotation(taps: tuple[int, ...]) -> Claim:
    """A kernel flipped on both of its axes is rotated by 180 degrees."""
    weights = symbols(*taps)
    flipped, rotated = flip(weights), np.rot90(weights, 2)
    rows, columns = taps
    places = product(range(rows), range(columns))
    read = [weights[rows - 1 - a, columns - 1 - b] for a, b in places]
    formula = Formula(
        rf"\operatorname{{flip}}(w)_{{a,\,b}} = w_{{{rows} - 1 - a,\;{columns} - 1 - b}} "
        rf"= \operatorname{{rot}}_{{180}}(w)_{{a,\,b}}"
    )
    differing = first_polynomial([*flipped.ravel(), *rotated.ravel()], [*read, *read], "weight")
    return Claim(
        f"A kernel of {by(taps)} flipped on both axes is the kernel rotated by 180 degrees.",
        judged(
            PROVED, f"for kernels of {by(taps)}", differing, f"{2 * weights.size} weights compared"
        ),
        (formula,),
    )


def definition(operator: Operator) -> Claim:
    """The defining sum, added up product by product, is A(x)."""
    samples = letters(operator.in_shape)
    applied, summed = operator(samples).ravel(), defined_sum(operator, samples).ravel()
    how = f"{len(applied)} outputs of A(x) against the sum, symbols for weights and samples"
    return Claim(
        "A(x) is this sum, for all weights and all x.",
        exact_check(operator, first_polynomial(summed, applied, "output"), how, PROVED),
        (Code(f"A = {written(operator)}"), Formula(latex.definition(operator))),
    )


def adjoint_sum(operator: Operator) -> Claim:
    """The sum that defines the adjoint, added up product by product, is A.T(x)."""
    claim = definition(operator.T)
    (_, formula) = claim.shown
    return Claim("A.T(x) is this sum, for all weights and all x.", claim.check, (formula,))


def kernel_sum(operator: Operator) -> Claim:
    """The gradient of the kernel as a sum over outputs, with symbols for x, w and g."""
    x, g = letters(operator.in_shape), letters(operator.out_shape, "g")
    weights = only_convolution(operator).weights
    claimed = np.zeros(weights.shape, dtype=object)
    for tap, read, made in terms(operator):
        claimed[tap] += g[made] * x[read]
    found = operator.kernel_gradient(x, g)
    how = f"{weights.size} sums against the transpose of B(x) times g, symbols for x and g"
    differing = first_polynomial(claimed.ravel(), found.ravel(), "weight")
    return Claim(
        "The gradient of the kernel is this sum, for all x and all g.",
        exact_check(operator, differing, how, PROVED),
        (Formula(latex.kernel_gradient_sum(operator)),),
    )


def sizes(operator: Operator) -> list[Claim]:
    """The output size of each axis: the formula, against windows counted and rows of A."""
    geometry, transposed = layer_of(operator)
    grouped: dict[str, list[int]] = {}
    for number, axis in enumerate(geometry.axes):
        formula = latex.output_size(axis, transposed=transposed)
        grouped.setdefault(formula, []).append(number)
    spatial = operator.out_shape[-len(geometry.axes) :]
    claims = []
    for formula, numbers in grouped.items():
        counted = []
        for number in numbers:
            axis = geometry.axes[number]
            n, k, s, d = axis.in_size, axis.taps, axis.stride, abs(axis.dilation)
            by_formula = (
                transposed_size(axis.out_size, k, s, d, axis.before, axis.after)
                if transposed
                else output_size(n, k, s, d, axis.before, padding_after(axis))
            )
            one_by_one = reach(axis) if transposed else len(windows(axis, padding_after(axis)))
            counted.append((f"axis {number}", by_formula, one_by_one, spatial[number]))
        axes = "" if len(geometry.axes) == 1 else f" on {_axes(numbers)}"
        how = "the outputs that the taps reach" if transposed else "the windows counted one by one"
        claims.append(
            Claim(
                f"The output has {plural(counted[0][1], 'sample')}{axes}, by this formula.",
                exact_check(operator, first_difference(counted), f"{how}, and the rows of A"),
                (Formula(formula),),
            )
        )
    return claims


def mode_sizes(axis: Axis, counted: Sequence[int]) -> Claim:
    """The outputs of the modes full, same and valid of one axis, by formula and as counted."""
    n, k, d = int(axis.in_size), int(axis.taps), abs(int(axis.dilation))
    full, valid = n + d * (k - 1), n - d * (k - 1)
    meets = [o for o in range(-n - d * k, n + d * k) if any(0 <= o + d * t < n for t in range(k))]
    inside = [o for o in meets if all(0 <= o + d * t < n for t in range(k))]
    formula = (
        rf"o_{{\text{{full}}}} = {n} + {d} \cdot ({k} - 1) = {full}, \qquad "
        rf"o_{{\text{{same}}}} = {n}, \qquad "
        rf"o_{{\text{{valid}}}} = {n} - {d} \cdot ({k} - 1) = {valid}"
    )
    differing = first_difference(
        [
            ("full", full, max(meets) - min(meets) + 1, counted[0]),
            ("same", n, counted[1]),
            ("valid", valid, len(inside), counted[2]),
        ]
    )
    return Claim(
        f"So many outputs do {plural(n, 'sample')} and {plural(k, 'tap')}, {d} apart, have in each "
        f"mode.",
        judged(EXACTLY, "at this size", differing, "the positions of the kernel one by one"),
        (Formula(formula),),
    )


def _axes(numbers: Sequence[int]) -> str:
    *most, last = map(str, numbers)
    return f"axes {', '.join(most)} and {last}" if most else f"axis {last}"


def matrix(operator: Operator) -> Claim:
    """The exact matrix times vec(x) is vec(A(x))."""
    import sympy

    samples = letters(operator.in_shape)
    applied = operator(samples).ravel()
    multiplied = list(operator.to_sympy() * sympy.Matrix(samples.ravel().tolist()))
    how = f"{len(applied)} rows times vec(x) against vec(A(x)), as polynomials"
    return Claim(
        f"This {by(operator.shape)} matrix times vec(x) is vec(A(x)), for all weights and all x.",
        exact_check(operator, first_polynomial(multiplied, applied, "row"), how, PROVED),
        (Formula(r"\operatorname{vec}(y) = A \, \operatorname{vec}(x)"),),
    )


def linear(operator: Operator) -> Claim:
    """Every output is a sum of products with exactly one sample in each."""
    x = letters(operator.in_shape)
    samples = set(x.ravel().tolist())
    differing = None
    for number, value in enumerate(operator(x).ravel().tolist()):
        for term in _products(value):
            powers = term.as_powers_dict()
            if sum(powers[sample] for sample in samples & term.free_symbols) != 1:
                differing = differing or f"output {number}: {term} is not one sample times weights"
    how = f"{x.size} symbols as samples: every term of every output has exactly one of them"
    return Claim(
        "A is linear: this holds for all weights, all inputs and all factors.",
        exact_check(operator, differing, how, PROVED),
        (Formula(r"A(\alpha x + \beta z) = \alpha\, A x + \beta\, A z"),),
    )


def _products(value: Any) -> tuple[Any, ...]:
    """The terms of a sum, multiplied out; none of zero."""
    import sympy

    expanded = sympy.expand(value)
    return sympy.Add.make_args(expanded) if expanded != 0 else ()


def pairing(operator: Operator) -> Claim:
    """<A x, g> = <x, A^T g>: the same products on both sides, symbols for weights, x and g."""
    x, g = letters(operator.in_shape), letters(operator.out_shape, "g")
    sides: list[Counter[Any]] = []
    for outer, inner in ((g, operator(x)), (x, operator.T(g))):
        side: Counter[Any] = Counter()
        for factor, value in zip(outer.ravel().tolist(), inner.ravel().tolist(), strict=True):
            for term in _products(value):
                count, product_ = (term * factor).as_coeff_Mul()
                side[product_] += count
        sides.append(side)
    apart = [key for key in sides[0].keys() | sides[1].keys() if sides[0][key] != sides[1][key]]
    differing = f"the factors of {apart[0]} are {[s[apart[0]] for s in sides]}" if apart else None
    how = f"{len(sides[0])} products on both sides, symbols for weights, x and g"
    return Claim(
        "This identity holds for all weights, all x and all g.",
        exact_check(operator, differing, how, PROVED),
        (Formula(r"\langle A x,\, g \rangle = \langle x,\, A^{\mathsf{T}} g \rangle"),),
    )


def multiplications(operator: Operator, small: Operator) -> Claim:
    """The multiplications by a formula, against taps counted one by one and a stored matrix."""
    geometry, _ = layer_of(operator)
    shown, total = counting_formula(geometry)
    looped = size_product(geometry.channels) * math.prod(sum(uses(axis)) for axis in geometry.axes)
    stored = with_ones(small)
    layer = stored.T if layer_of(stored)[1] else stored
    by_row = int(layer(np.ones(layer.in_shape, dtype=np.int64)).sum())
    here = size_product(layer_of(small)[0].channels) * math.prod(
        sum(uses(axis)) for axis in layer_of(small)[0].axes
    )
    differing = first_difference(
        [
            ("the layer", total, looped, operator.counts.multiplications),
            ("the matrix that is written out", here, by_row),
        ]
    )
    return Claim(
        f"The layer takes {total:,} multiplications by this formula.",
        exact_check(operator, differing, "taps counted one by one, and ones through the matrix"),
        shown,
    )


def counting_formula(geometry: Geometry) -> tuple[tuple[Formula, ...], int]:
    """The products of a layer, tap by tap on each axis: formulas, and the number they give.

    Rule: tap t is used u_t = min(o - 1, floor((n - 1 - d t + p) / s)) - max(0, ceil((p - d t) / s))
    + 1 times on an axis, or o times where the boundary leaves no zeros.
    """
    each, rules = [], []
    for axis in geometry.axes:
        n, o, s, p = (int(v) for v in (axis.in_size, axis.out_size, axis.stride, axis.before))
        used = 0
        for tap in range(int(axis.taps)):
            offset = abs(int(axis.dilation)) * tap - p
            low, high = max(0, -(offset // s)), min(o - 1, (n - 1 - offset) // s)
            used += o if axis.boundary != "zeros" else max(0, high - low + 1)
        each.append(used)
        rules.append(_USED if axis.boundary == "zeros" else "u_t = o")
    if len(set(rules)) == 1:
        formulas = [Formula(rules[0])]
    else:
        named = enumerate(rules)
        formulas = [Formula(rf"\text{{axis {number}: }} {rule}") for number, rule in named]
    links = size_product(geometry.channels)
    factors = " \\cdot ".join(map(str, [*([links] if geometry.has_channels else []), *each]))
    lead = r"C_{\text{links}}\,\prod" if geometry.has_channels else r"\prod"
    total = links * math.prod(each)
    formulas.append(
        Formula(rf"{lead}_{{\text{{axes}}}} \sum_{{t=0}}^{{k-1}} u_t = {factors} = {total}")
    )
    return tuple(formulas), total


_USED = (
    r"u_t = \max\left(0,\; \min\left(o - 1,\, \left\lfloor \frac{n - 1 - d t + p_0}{s} "
    r"\right\rfloor\right) - \max\left(0,\, \left\lceil \frac{p_0 - d t}{s} \right\rceil"
    r"\right) + 1\right)"
)


def patches(operator: Operator) -> Claim:
    """B(x) has an entry for each product, so its transpose takes as many multiplications."""
    layer = operator.T if layer_of(operator)[1] else operator
    stored = with_ones(layer).by_kernel(np.ones(layer.in_shape, dtype=int)).to_scipy().nnz
    count = sum(1 for _ in terms(operator))
    found = [("B(x)", stored, count, operator.counts.multiplications)]
    return Claim(
        f"Back to the weights takes {stored:,} multiplications, as many as forward, where this "
        f"is written out.",
        exact_check(operator, first_difference(found), "entries of B(x), and products one by one"),
        (Code(f"A = {written(operator)}"),),
    )


def sharing(small: Operator) -> Claim:
    """In how many entries each weight stands, by the counts and one by one."""
    told = np.asarray(small.counts.sharing).ravel()
    counted = np.zeros(only_convolution(small).weights.shape, dtype=int)
    entries = set()
    for tap, read, made in terms(small):
        counted[tap] += 1
        entries.add((made, read))
    pairs = zip(told.tolist(), counted.ravel().tolist(), strict=True)
    total, nonzeros = int(told.sum()), int(small.counts.nonzeros)
    differing = first_difference(
        [
            *((f"weight {k}", *pair) for k, pair in enumerate(pairs)),
            ("entries", nonzeros, len(entries)),
        ]
    )
    listed = " + ".join(map(str, told.tolist())) if told.size <= MOST_SUMMED else r"\cdots"
    formula = rf"\sum_t \#\{{\text{{entries with }} w_t\}} = {listed} = {total}"
    return Claim(
        f"The weights are used {total} times, in {nonzeros} entries of the matrix.",
        exact_check(small, differing, "every product gone through one by one"),
        (Code(f"A = {written(small)}"), Formula(formula)),
    )


MOST_SUMMED = 16
"""Weights whose entries are added up one by one."""


def counts(operator: Operator) -> Claim:
    """Entries, weights and their uses at the full size of a layer, axis by axis."""
    geometry, _ = layer_of(operator)
    groups, outputs, inputs = geometry.channels
    table = np.array(1)
    for axis in geometry.axes:
        table = np.multiply.outer(table, np.array(uses(axis)))
    links = groups * outputs * inputs
    entries = links * math.prod(len(_entries(axis)) for axis in geometry.axes)
    told, found = np.asarray(operator.counts.sharing), operator.counts
    low, high = int(told.min()), int(told.max())
    differing = first_difference(
        [
            ("fewest uses", low, int(table.min())),
            ("most uses", high, int(table.max())),
            ("weights", found.parameters, links * size_product(geometry.taps)),
            ("non-zeros", found.nonzeros, entries),
            ("all uses", int(told.sum()), links * int(table.sum())),
        ]
    )
    times = f"{low:,} times" if low == high else f"between {low:,} and {high:,} times"
    return Claim(
        f"The layer has {found.parameters:,} weights in {found.nonzeros:,} entries; each weight "
        f"is used {times}.",
        exact_check(operator, differing, "taps counted on each axis, output by output"),
    )


def _entries(axis: Axis) -> set[tuple[int, int]]:
    """The (output, input) pairs of one axis that some tap joins."""
    reads = axis_terms(axis)
    return {(o, i) for o, _, i in reads}


def image(operator: Operator, samples: np.ndarray, result: np.ndarray, scope: str) -> Claim:
    """The sparse matrix times vec(image) against the result that is shown."""
    multiplied = operator.to_scipy() @ samples.ravel().astype(np.int64)
    shown = result.ravel()
    how = f"a sparse matrix of {by(operator.shape)} times vec(image)"
    verdict, tail = TRIED, ""
    if shown.shape != multiplied.shape:
        verdict, tail = FAILED, f": {shown.size} values are shown, not {multiplied.size}"
    elif multiplied.dtype.kind == shown.dtype.kind == "i":
        wrong = int(np.count_nonzero(multiplied != shown))
        verdict = FAILED if wrong else TRIED
        tail = f": {wrong:,} values differ" if wrong else f", all {shown.size:,} integers equal"
    else:
        error = float(np.max(np.abs(multiplied - shown), initial=0))
        weights = only_convolution(operator).weights
        scale = float(np.max(np.abs(weights))) * float(
            np.max(np.abs(samples.astype(float)), initial=1)
        )
        allowed = np.finfo(float).eps * weights.size * scale * weights.size
        verdict = TRIED if error <= allowed else FAILED
        tail = f", largest difference {error:.1g}, up to {allowed:.1g} by rounding"
    return Claim(
        "The matrix of this layer times the image, pixel after pixel in one long vector, is the "
        "image after it.",
        Check(verdict, scope, how + tail),
    )


# The definition, by plain loops.


def terms(
    operator: Operator,
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
    """Every product of a layer: index of the weight, of the sample read, of the output made."""
    geometry, transposed = layer_of(operator)
    lists = [axis_terms(axis) for axis in geometry.axes]
    groups, outputs, inputs = geometry.channels
    for o, c in product(range(groups * outputs), range(inputs)):
        channel = o // outputs * inputs + c
        for chosen in product(*lists):
            place, tap, read = zip(*chosen, strict=True)
            if geometry.has_channels:
                place, tap, read = (o, *place), (o, c, *tap), (channel, *read)
            yield (tap, place, read) if transposed else (tap, read, place)


def axis_terms(axis: Axis) -> list[tuple[int, int, int]]:
    """The (output, tap, input) triples of one axis, each index computed again."""
    found = []
    for o, t in product(range(int(axis.out_size)), range(int(axis.taps))):
        read = read_index(axis, o, t)
        if read is not None:
            found.append((o, t, read))
    return found


def uses(axis: Axis) -> list[int]:
    """At how many outputs each tap meets the input."""
    found = [0] * int(axis.taps)
    for _, tap, _ in axis_terms(axis):
        found[tap] += 1
    return found


def defined_sum(operator: Operator, x: np.ndarray) -> np.ndarray:
    """y of the definition, product by product."""
    weights = only_convolution(operator).weights
    y = np.zeros(operator.out_shape, dtype=object)
    for tap, read, made in terms(operator):
        y[made] += weights[tap] * x[read]
    return y


def read_index(axis: Axis, output: int, tap: int) -> int | None:
    """The sample that a tap reads, from the options as a user gives them; None for a zero."""
    n, k = int(axis.in_size), int(axis.taps)
    step = k - 1 - tap if axis.is_backwards else tap
    u = int(axis.stride * output + abs(axis.dilation) * step - axis.before)
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


def windows(axis: Axis, after: int) -> range:
    """The first index that the kernel covers, for each position on the padded input."""
    return range(-axis.before, axis.in_size + after - axis.span + 1, axis.stride)


def reach(axis: Axis) -> int:
    """The samples that an adjoint layer writes, less what padding takes off at both ends."""
    last = max(axis.stride * o for o in range(int(axis.out_size)))
    return int(last + axis.span - axis.before - axis.after)


# Helpers.


def letters(shape: tuple[int, ...], name: str = "x") -> np.ndarray:
    """One new symbol for each sample: other symbols, even of the same name, are others."""
    import sympy

    found = np.empty(shape, dtype=object)
    for place in np.ndindex(*shape):
        found[place] = sympy.Dummy(name + "".join(map(str, place)))
    return found


def with_ones(operator: Operator) -> Operator:
    """The same layer with ones for weights."""
    geometry, transposed = layer_of(operator)
    layer = Convolution(geometry, np.ones(geometry.kernel_shape, dtype=np.int64))
    return layer.T if transposed else layer


def scope_of(operator: Operator) -> str:
    """Where a check was made: the size of the input."""
    return f"at this size, {by(operator.in_shape)}"


def exact_check(
    operator: Operator, differing: str | None, how: str, verdict: str = EXACTLY
) -> Check:
    """A check that failed where something differs, and else held exactly."""
    return judged(verdict, scope_of(operator), differing, how)


def judged(verdict: str, scope: str, differing: str | None, how: str) -> Check:
    """A check with this verdict, or a failed one that names the difference."""
    if differing is None:
        return Check(verdict, scope, how)
    return Check(FAILED, scope, f"{how}: {differing}")


def first_difference(found: Iterable[tuple[Any, ...]]) -> str | None:
    """The first name whose claimed value is not each of the values found."""
    for name, claimed, *values in found:
        if any(value != claimed for value in values):
            return f"{name}: {claimed} is claimed, {', '.join(map(str, values))} is found"
    return None


def first_polynomial(claimed: Iterable[Any], found: Iterable[Any], name: str) -> str | None:
    """The first index at which two lists of expressions are different polynomials."""
    import sympy

    for place, (left, right) in enumerate(zip(claimed, found, strict=True)):
        if left != right and sympy.expand(left - right) != 0:
            return f"{name} {place}: {left} is claimed, {right} is found"
    return None

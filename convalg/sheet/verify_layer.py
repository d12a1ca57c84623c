"""Claims about one layer at one size, each checked by plain loops over the definition.

This file is an independent oracle: the index that a tap reads is recomputed here from the options
as a user gives them, and is not taken from `convalg.axis` or from the pattern. A function returns
a complete claim, so that what is printed and what is checked come from the same arguments. Unless
stated otherwise weights and samples are symbols, so agreement means equality of polynomials.
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
"""The largest matrix, in bytes, that is built for a check."""


def rotation(taps: tuple[int, ...]) -> Claim:
    """Claim that a kernel flipped along both of its axes is rotated by 180 degrees."""
    weights = symbols(*taps)
    flipped, rotated = flip(weights), np.rot90(weights, 2)
    rows, columns = taps
    indices = product(range(rows), range(columns))
    read = [weights[rows - 1 - a, columns - 1 - b] for a, b in indices]
    formula = Formula(
        rf"\operatorname{{flip}}(w)_{{a,\,b}} = w_{{{rows} - 1 - a,\;{columns} - 1 - b}} "
        rf"= \operatorname{{rot}}_{{180}}(w)_{{a,\,b}}"
    )
    differing = first_polynomial([*flipped.ravel(), *rotated.ravel()], [*read, *read], "weight")
    return Claim(
        f"A {by(taps)} kernel flipped along both axes is the kernel rotated by 180 degrees.",
        judged(
            PROVED, f"for kernels of {by(taps)}", differing, f"{2 * weights.size} weights compared"
        ),
        (formula,),
    )


def definition(operator: Operator) -> Claim:
    """Claim that A(x) is the defining sum, added up product by product."""
    return _is_sum(operator, "A")


def adjoint_sum(operator: Operator) -> Claim:
    """Claim that A.T(x) is the sum that defines the adjoint, added up product by product."""
    claim = _is_sum(operator.T, "A.T")
    (_, formula) = claim.shown
    return Claim(claim.statement, claim.check, (formula,))


def _is_sum(operator: Operator, name: str) -> Claim:
    samples = new_symbols(operator.in_shape)
    applied, summed = operator(samples).ravel(), defined_sum(operator, samples).ravel()
    how = (
        f"{plural(len(applied), 'output')} of {name}(x) compared with the sum, with symbols for "
        f"weights and samples"
    )
    return Claim(
        f"{name}(x) is equal to this sum, for all weights and all x.",
        exact_check(operator, first_polynomial(summed, applied, "output"), how, PROVED),
        (Code(f"A = {written(operator)}"), Formula(latex.definition(operator))),
    )


def kernel_sum(operator: Operator) -> Claim:
    """Claim that the gradient of the kernel is a sum over outputs, with symbols for x and g."""
    x, g = new_symbols(operator.in_shape), new_symbols(operator.out_shape, "g")
    weights = only_convolution(operator).weights
    claimed = np.zeros(weights.shape, dtype=object)
    for tap, read, made in terms(operator):
        claimed[tap] += g[made] * x[read]
    gradient = operator.kernel_gradient(x, g)
    how = (
        f"{plural(weights.size, 'sum')} compared with the transpose of B(x) times g, with symbols "
        f"for x and g"
    )
    differing = first_polynomial(claimed.ravel(), gradient.ravel(), "weight")
    return Claim(
        "The gradient of the kernel is equal to this sum, for all x and all g.",
        exact_check(operator, differing, how, PROVED),
        (Formula(latex.kernel_gradient_sum(operator)),),
    )


def sizes(operator: Operator) -> list[Claim]:
    """Claim the output size of each axis: the formula, the counted windows and the rows of A."""
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
        how = "outputs reached by the taps" if transposed else "windows counted one by one"
        claims.append(
            Claim(
                f"By this formula, the output has {plural(counted[0][1], 'sample')}{axes}.",
                exact_check(operator, first_difference(counted), f"{how}, and rows of A"),
                (Formula(formula),),
            )
        )
    return claims


def mode_sizes(axis: Axis, counted: Sequence[int]) -> Claim:
    """Claim the numbers of outputs of full, same and valid on one axis, by formula and counted."""
    n, k, d = axis.numbers.in_size, axis.numbers.taps, abs(axis.numbers.dilation)
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
        f"With {plural(n, 'sample')}, {plural(k, 'tap')} and dilation {d}, the modes have these "
        f"numbers of outputs.",
        judged(EXACTLY, "at this size", differing, "positions of the kernel counted one by one"),
        (Formula(formula),),
    )


def _axes(numbers: Sequence[int]) -> str:
    *most, last = map(str, numbers)
    return f"axes {', '.join(most)} and {last}" if most else f"axis {last}"


def matrix(operator: Operator) -> Claim:
    """Claim that the exact matrix times vec(x) is vec(A(x))."""
    import sympy

    samples = new_symbols(operator.in_shape)
    applied = operator(samples).ravel()
    multiplied = list(operator.to_sympy() * sympy.Matrix(samples.ravel().tolist()))
    how = f"{plural(len(applied), 'row')} times vec(x) compared with vec(A(x)), as polynomials"
    return Claim(
        f"This {by(operator.shape)} matrix times vec(x) is vec(A(x)), for all weights and all x.",
        exact_check(operator, first_polynomial(multiplied, applied, "row"), how, PROVED),
        (Formula(r"\operatorname{vec}(y) = A \, \operatorname{vec}(x)"),),
    )


def linear(operator: Operator) -> Claim:
    """Claim linearity: every output is a sum of products, each with exactly one sample."""
    x = new_symbols(operator.in_shape)
    samples = set(x.ravel().tolist())
    differing = None
    for number, value in enumerate(operator(x).ravel().tolist()):
        for term in _products(value):
            powers = term.as_powers_dict()
            if sum(powers[sample] for sample in samples & term.free_symbols) != 1:
                differing = differing or f"output {number}: {term} is not one sample times weights"
    how = (
        f"{plural(x.size, 'symbol')} for the samples; every term of every output contains exactly "
        f"one of these symbols"
    )
    return Claim(
        "A is linear: this identity holds for all weights, all inputs and all factors.",
        exact_check(operator, differing, how, PROVED),
        (Formula(r"A(\alpha x + \beta z) = \alpha\, A x + \beta\, A z"),),
    )


def _products(value: object) -> tuple[Any, ...]:
    """The terms of an expanded sum; none if it is zero."""
    import sympy

    expanded = sympy.expand(value)
    return sympy.Add.make_args(expanded) if expanded != 0 else ()


def pairing(operator: Operator) -> Claim:
    """Claim <A x, g> = <x, A^T g> by comparing the products on both sides, with symbols."""
    x, g = new_symbols(operator.in_shape), new_symbols(operator.out_shape, "g")
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
    how = f"{plural(len(sides[0]), 'product')} on each side, with symbols for weights, x and g"
    return Claim(
        "This identity holds for all weights, all x and all g.",
        exact_check(operator, differing, how, PROVED),
        (Formula(r"\langle A x,\, g \rangle = \langle x,\, A^{\mathsf{T}} g \rangle"),),
    )


def multiplications(operator: Operator, small: Operator) -> Claim:
    """Claim the multiplications by a formula, by counted taps and by a stored matrix."""
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
            ("the layer that is written out", here, by_row),
        ]
    )
    return Claim(
        f"By this formula, the layer needs {counted_text(total, 'multiplication')}.",
        exact_check(
            operator, differing, "taps counted one by one, and a matrix of ones times ones"
        ),
        shown,
    )


def counting_formula(geometry: Geometry) -> tuple[tuple[Formula, ...], int]:
    """Return formulas for the products of a layer, tap by tap on each axis, and their value.

    Rule: tap t is used u_t = min(o - 1, floor((n - 1 - d t + p) / s)) - max(0, ceil((p - d t) / s))
    + 1 times on an axis, or o times where the boundary leaves no zeros.
    """
    each, rules = [], []
    for axis in geometry.axes:
        n, o, s, p = (int(v) for v in (axis.in_size, axis.out_size, axis.stride, axis.before))
        used = 0
        for tap in range(axis.numbers.taps):
            offset = abs(axis.numbers.dilation) * tap - p
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
    """Claim that B(x) has an entry for each product, so its transpose takes as many products."""
    layer = operator.T if layer_of(operator)[1] else operator
    stored = with_ones(layer).by_kernel(np.ones(layer.in_shape, dtype=int)).to_scipy().nnz
    count = sum(1 for _ in terms(operator))
    rows = [("B(x)", stored, count, operator.counts.multiplications)]
    return Claim(
        f"For the layer that is written out, the gradient of the kernel needs "
        f"{counted_text(stored, 'multiplication')}, as many as the forward pass.",
        exact_check(
            operator, first_difference(rows), "entries of B(x), and products counted one by one"
        ),
        (Code(f"A = {written(operator)}"),),
    )


def sharing(small: Operator) -> Claim:
    """Claim how often each weight is used, by `counts` and counted one by one."""
    uses_by_counts = np.asarray(small.counts.sharing).ravel()
    counted = np.zeros(only_convolution(small).weights.shape, dtype=int)
    entries = set()
    for tap, read, made in terms(small):
        counted[tap] += 1
        entries.add((made, read))
    pairs = zip(uses_by_counts.tolist(), counted.ravel().tolist(), strict=True)
    total, nonzeros = int(uses_by_counts.sum()), int(small.counts.nonzeros)
    differing = first_difference(
        [
            *((f"weight {k}", *pair) for k, pair in enumerate(pairs)),
            ("entries", nonzeros, len(entries)),
        ]
    )
    few = uses_by_counts.size <= MOST_SUMMED
    listed = " + ".join(map(str, uses_by_counts.tolist())) if few else r"\cdots"
    formula = rf"\sum_t \#\{{\text{{entries with }} w_t\}} = {listed} = {total}"
    return Claim(
        f"The weights are used {plural(total, 'time')}, in {entries_text(nonzeros)} of the matrix.",
        exact_check(small, differing, "every product counted one by one"),
        (Code(f"A = {written(small)}"), Formula(formula)),
    )


MOST_SUMMED = 16
"""The most weights whose uses are printed one by one."""


def counts(operator: Operator) -> Claim:
    """Claim entries, weights and their uses at the full size of a layer, axis by axis."""
    geometry, _ = layer_of(operator)
    groups, outputs, inputs = geometry.channels
    table = np.array(1)
    for axis in geometry.axes:
        table = np.multiply.outer(table, np.array(uses(axis)))
    links = groups * outputs * inputs
    entries = links * math.prod(len(_entries(axis)) for axis in geometry.axes)
    counted = operator.counts
    sharing = np.asarray(counted.sharing)
    low, high = int(sharing.min()), int(sharing.max())
    differing = first_difference(
        [
            ("fewest uses", low, int(table.min())),
            ("most uses", high, int(table.max())),
            ("weights", counted.parameters, links * size_product(geometry.taps)),
            ("non-zeros", counted.nonzeros, entries),
            ("all uses", int(sharing.sum()), links * int(table.sum())),
        ]
    )
    times = counted_text(low, "time") if low == high else f"between {low:,} and {high:,} times"
    return Claim(
        f"The layer has {counted_text(counted.parameters, 'weight')} in "
        f"{entries_text(counted.nonzeros)}; each weight is used {times}.",
        exact_check(operator, differing, "taps counted on each axis, output by output"),
    )


def _entries(axis: Axis) -> set[tuple[int, int]]:
    """The (output, input) pairs of one axis that are connected by some tap."""
    reads = axis_terms(axis)
    return {(o, i) for o, _, i in reads}


def image(operator: Operator, samples: np.ndarray, result: np.ndarray, scope: str) -> Claim:
    """Claim that the filtered image that is shown is the sparse matrix times vec(image)."""
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
        "The matrix of this layer times the image, written pixel by pixel as one vector, is the "
        "filtered image.",
        Check(verdict, scope, how + tail),
    )


# The definition, by plain loops.


def terms(
    operator: Operator,
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
    """Yield every product of a layer: indices of its weight, of its input and of its output."""
    geometry, transposed = layer_of(operator)
    lists = [axis_terms(axis) for axis in geometry.axes]
    groups, outputs, inputs = geometry.channels
    for o, c in product(range(groups * outputs), range(inputs)):
        channel = o // outputs * inputs + c
        for chosen in product(*lists):
            output, tap, read = zip(*chosen, strict=True)
            if geometry.has_channels:
                output, tap, read = (o, *output), (o, c, *tap), (channel, *read)
            yield (tap, output, read) if transposed else (tap, read, output)


def axis_terms(axis: Axis) -> list[tuple[int, int, int]]:
    """Return the (output, tap, input) triples of one axis, each index recomputed."""
    triples = []
    for o, t in product(range(axis.numbers.out_size), range(axis.numbers.taps)):
        read = read_index(axis, o, t)
        if read is not None:
            triples.append((o, t, read))
    return triples


def uses(axis: Axis) -> list[int]:
    """Return for each tap the number of outputs at which it meets the input."""
    counted = [0] * axis.numbers.taps
    for _, tap, _ in axis_terms(axis):
        counted[tap] += 1
    return counted


def defined_sum(operator: Operator, x: np.ndarray) -> np.ndarray:
    """Return y by the definition, product by product."""
    weights = only_convolution(operator).weights
    y = np.zeros(operator.out_shape, dtype=object)
    for tap, read, made in terms(operator):
        y[made] += weights[tap] * x[read]
    return y


def read_index(axis: Axis, output: int, tap: int) -> int | None:
    """Return the sample that a tap reads, from the user-level options; None for a zero."""
    n, k = axis.numbers.in_size, axis.numbers.taps
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
    """Return the first index covered by the kernel at each position on the padded input."""
    return range(-axis.before, axis.in_size + after - axis.span + 1, axis.stride)


def reach(axis: Axis) -> int:
    """Return the samples that an adjoint layer writes, less the padding removed at both ends."""
    last = max(axis.stride * o for o in range(axis.numbers.out_size))
    return int(last + axis.span - axis.before - axis.after)


# Helpers.


def counted_text(count: int, noun: str) -> str:
    """Return a count with thousands separators and its noun, in the plural where needed.

    >>> counted_text(1, "weight"), counted_text(1200, "weight")
    ('1 weight', '1,200 weights')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"


def entries_text(count: int) -> str:
    """Return a number of entries as text.

    >>> entries_text(1), entries_text(1200)
    ('1 entry', '1,200 entries')
    """
    return f"{count:,} {'entry' if count == 1 else 'entries'}"


def new_symbols(shape: tuple[int, ...], name: str = "x") -> np.ndarray:
    """Return new symbols, one for each sample, that differ from any symbol of the same name."""
    import sympy

    symbols_ = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        symbols_[index] = sympy.Dummy(name + "".join(map(str, index)))
    return symbols_


def with_ones(operator: Operator) -> Operator:
    """Return the same layer with all weights equal to 1."""
    geometry, transposed = layer_of(operator)
    layer = Convolution(geometry, np.ones(geometry.kernel_shape, dtype=np.int64))
    return layer.T if transposed else layer


def scope_of(operator: Operator) -> str:
    """Return the scope of a check at one size, with the shape of the input."""
    return f"at this size, {by(operator.in_shape)}"


def exact_check(
    operator: Operator, differing: str | None, how: str, verdict: str = EXACTLY
) -> Check:
    """Return a check at this size: failed if there is a difference, else with this verdict."""
    return judged(verdict, scope_of(operator), differing, how)


def judged(verdict: str, scope: str, differing: str | None, how: str) -> Check:
    """Return a check with this verdict, or a failed one that names the difference."""
    if differing is None:
        return Check(verdict, scope, how)
    return Check(FAILED, scope, f"{how}: {differing}")


def first_difference(rows: Iterable[tuple[object, ...]]) -> str | None:
    """Return a text for the first row (name, claimed, *computed) with a differing value."""
    for name, claimed, *values in rows:
        if any(value != claimed for value in values):
            return f"{name}: {claimed} is claimed, {', '.join(map(str, values))} is computed"
    return None


def first_polynomial(claimed: Iterable[Any], computed: Iterable[Any], name: str) -> str | None:
    """Return a text for the first index at which two lists hold different polynomials."""
    import sympy

    for index, (left, right) in enumerate(zip(claimed, computed, strict=True)):
        if left != right and sympy.expand(left - right) != 0:
            return f"{name} {index}: {left} is claimed, {right} is computed"
    return None

"""Claims about the numerical example and about pooling, with every number recomputed.

Like `verify_layer`, this is an independent oracle: sums, differences and windows by plain loops,
in integers and fractions. A function returns a complete claim.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product

import numpy as np

from convalg.arguments import plural
from convalg.faces.latex import layer_of
from convalg.operators.gradients import only_convolution
from convalg.operators.tree import Map, Operator
from convalg.sheet.blocks import EXACTLY, Claim, Code, Formula
from convalg.sheet.calls import written
from convalg.sheet.numeric_example import Worked, array_latex, slopes
from convalg.sheet.verify_layer import (
    axis_terms,
    defined_sum,
    exact_check,
    first_difference,
    first_polynomial,
    judged,
    scope_of,
    terms,
    uses,
    with_ones,
)

NUMBERS = "for these numbers"


def forward(case: Worked) -> Claim:
    """Claim the printed outputs, by the defining sum added up product by product."""
    summed = defined_sum(case.operator, case.x)
    channels = summed.reshape(case.bias.size, -1) + case.bias[:, None]
    how = (
        f"{plural(case.y.size, 'number')} compared with the sum, in which products and bias are "
        f"added one by one"
    )
    differing = first_polynomial(channels.ravel(), case.y.ravel(), "output")
    return Claim(
        "These are the outputs.",
        judged(EXACTLY, NUMBERS, differing, how),
        (Formula(array_latex("y", case.y)),),
    )


def back(case: Worked) -> Claim:
    """Claim the printed gradient of the input, by the chain rule for each product."""
    weights = only_convolution(case.operator).weights
    gradient = np.zeros(case.operator.in_shape, dtype=object)
    for tap, read, made in terms(case.operator):
        gradient[read] += weights[tap] * case.g[made]
    differing = first_polynomial(case.dx.ravel(), gradient.ravel(), "input")
    how = f"{plural(gradient.size, 'number')} recomputed by the chain rule for each product"
    return Claim(
        "This is the gradient of the input.",
        judged(EXACTLY, NUMBERS, differing, how),
        (Formula(array_latex(r"\frac{\partial L}{\partial x}", case.dx)),),
    )


def kernel_slopes(case: Worked) -> Claim:
    """Claim the printed gradient of the kernel, by central differences of the loss."""
    return _slopes(case, slopes(case)[0], case.dw, "w")


def bias_slopes(case: Worked) -> Claim:
    """Claim the printed gradient of the bias, by central differences of the loss."""
    return _slopes(case, slopes(case)[1], case.db, "b")


def _slopes(case: Worked, differences: np.ndarray, claimed: np.ndarray, name: str) -> Claim:
    """Claim a gradient; central differences are exact, since the loss is quadratic."""
    how = (
        f"{plural(differences.size, 'central difference')} of L with a step of 1, which are exact "
        f"because L is quadratic"
    )
    pairs = zip(claimed.ravel(), differences.ravel(), strict=True)
    differing = first_difference((f"{name} {k}", *pair) for k, pair in enumerate(pairs))
    shown = claimed if name == "w" or claimed.size > 1 else claimed[0]
    variable = {"w": "kernel", "b": "bias"}[name]
    return Claim(
        f"This is the gradient of the {variable}.",
        judged(EXACTLY, NUMBERS, differing, how),
        (Formula(array_latex(rf"\frac{{\partial L}}{{\partial {name}}}", shown)),),
    )


def fall(case: Worked, before: Fraction, after: Fraction) -> Claim:
    """Claim that the loss falls by rate |G|^2 - rate^2 |B G|^2 / 2 along the gradient G.

    Rule: L is quadratic, so this decrease follows without applying the layer to the new weights.
    """
    rate, weights, bias = case.rate, case.dw.astype(object), case.db
    moved = np.zeros(case.operator.out_shape, dtype=object)
    for tap, read, made in terms(case.operator):
        moved[made] += weights[tap] * case.x[read]
    moved = moved.reshape(bias.size, -1) + bias[:, None]
    squared = sum(v * v for v in weights.ravel().tolist() + bias.tolist())
    expected = before - rate * squared + rate**2 * sum(v * v for v in moved.ravel().tolist()) / 2
    start = sum(v * v for v in case.g.ravel().tolist())
    how = (
        "recomputed in fractions as L - rate |G|^2 + rate^2 |B(x) G|^2 / 2, where G is the gradient"
    )
    differing = first_difference(
        [("the loss", after, expected), ("twice the loss before", 2 * before, start)]
    )
    if differing is None and not after < before:
        differing = f"the loss went from {before} to {after}"
    return Claim(
        f"With the learning rate {rate}, the loss decreases from {before} to {after}.",
        judged(EXACTLY, NUMBERS, differing, how),
    )


def bias_ends_linearity(operator: Operator) -> Claim:
    """Claim that a bias ends linearity: with a bias of 1 the output of zero is one."""
    zeros = np.zeros(operator.in_shape, dtype=object)
    outputs = (operator(zeros) + 1).ravel().tolist()
    differing = first_polynomial(outputs, [1] * len(outputs), "output")
    return Claim(
        "With a bias of 1, the layer is affine and no longer linear: for x = 0, every output is "
        "1, but a linear map maps 0 to 0.",
        judged("shown by a counterexample", scope_of(operator), differing, "A(0) + 1 evaluated"),
    )


def strided_products(strided: Operator, dense: Operator) -> Claim:
    """Claim the multiplications of a strided layer, and of computing every output first."""
    kept, computed = strided.counts.multiplications, dense.counts.multiplications
    rows = []
    for layer, count in ((strided, kept), (dense, computed)):
        axis = layer_of(layer)[0].axes[0]
        ones = int(with_ones(layer)(np.ones(layer.in_shape, dtype=np.int64)).sum())
        rows.append((written(layer), count, len(axis_terms(axis)), sum(uses(axis)), ones))
    return Claim(
        f"The strided layer needs {plural(kept, 'multiplication')}; computing every output and "
        f"then downsampling needs {computed}.",
        exact_check(
            strided, first_difference(rows), "taps on samples of the input counted one by one"
        ),
        (Code(f"{written(strided)}\n{written(dense)}"),),
    )


def pooling(
    pool: Map,
    numbers: tuple[np.ndarray, np.ndarray],
    texts: tuple[str, str, str],
    shares: Callable[[list[Fraction]], list[Fraction]],
    side: int,
) -> Claim:
    """Claim a pooling forward and backward, from the shares of the samples of each window.

    `texts` are the name of the pooling, its output, and the samples that its gradient goes to.
    """
    x, g = numbers
    y, dx = pool(x), pool.at(x).T(g)
    expected_y, expected_dx = np.zeros_like(y), np.zeros_like(dx)
    for output in np.ndindex(*y.shape):
        ranges = (range(side * o, side * (o + 1)) for o in output)
        window = list(product(*ranges))
        values = [x[sample] for sample in window]
        for sample, value, share in zip(window, values, shares(values), strict=True):
            expected_y[output] += share * value
            expected_dx[sample] += share * g[output]
    rows = [
        ("y", y.tolist(), expected_y.tolist()),
        ("dL/dx", dx.tolist(), expected_dx.tolist()),
    ]
    name, taken, given = texts
    return Claim(
        f"{name.capitalize()} outputs {taken}; in the backward pass, the gradient goes {given}.",
        judged(
            EXACTLY,
            NUMBERS,
            first_difference(rows),
            "every window recomputed, forward and backward, in fractions",
        ),
        (
            Formula(array_latex("y", y)),
            Formula(array_latex(r"\frac{\partial L}{\partial y}", g)),
            Formula(array_latex(r"\frac{\partial L}{\partial x}", dx)),
        ),
    )


def fields(operator: Operator, claimed: Sequence[int]) -> Claim:
    """Claim the fields of 1, 2, ... stacked layers, by collecting the samples reached."""
    axis = layer_of(operator)[0].axes[-1]
    s, k, d = axis.numbers.stride, axis.numbers.taps, abs(axis.numbers.dilation)
    samples, rows = {0}, []
    for depth, size in enumerate(claimed, 1):
        samples = {s * o + d * t for o in samples for t in range(k)}
        rows.append((f"{depth} layers", size, max(samples) - min(samples) + 1))
    terms_ = [f"{d} \\cdot ({k} - 1) \\cdot {s**depth}" for depth in range(len(claimed))]
    formula = (
        r"r_L = 1 + \sum_{l=1}^{L} d_l\,(k_l - 1) \prod_{j \lt l} s_j = 1 + "
        rf"{' + '.join(terms_)} = {claimed[-1]}"
    )
    several = ", ".join(map(str, claimed))
    spans = (
        "field of one layer spans"
        if len(claimed) == 1
        else f"fields of 1 to {len(claimed)} layers span"
    )
    return Claim(
        f"Along the last axis, the {spans} {several} samples.",
        exact_check(operator, first_difference(rows), "samples collected layer by layer"),
        (Formula(formula),),
    )


def reads(operator: Operator) -> tuple[int, int]:
    """Return the fewest and the most samples that an output of a layer reads, by its matrix."""
    stored = np.diff(with_ones(operator).to_scipy().indptr)
    return int(stored.min()), int(stored.max())


def reads_claim(operator: Operator, bound: int | None, formula: str) -> Claim:
    """Claim the fewest and most samples that outputs read, and that they respect `bound` if any."""
    fewest, most = reads(operator)
    read: dict[tuple[int, ...], set[tuple[int, ...]]] = {
        output: set() for output in np.ndindex(*operator.out_shape)
    }
    for _, source, made in terms(operator):
        read[made].add(source)
    sizes = [len(sources) for sources in read.values()]
    differing = first_difference([("outputs", (fewest, most), (min(sizes), max(sizes)))])
    if differing is None and bound is not None and max(sizes) > bound:
        differing = f"an output reads {max(sizes)} samples, above {bound}"
    low = "" if fewest == most else f"from {fewest} to "
    return Claim(
        f"Each output reads {low}{plural(most, 'sample')}.",
        exact_check(operator, differing, "samples of each output collected one by one"),
        (Formula(formula),) if bound is not None else (),
    )

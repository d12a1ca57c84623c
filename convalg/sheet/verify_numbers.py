"""Statements about the worked numbers and about pooling, each number computed again by hand.

Like `checks`, this is an independent oracle: sums, differences and windows by plain loops, in
integers and fractions. A function here returns a whole claim.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

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
    """The printed outputs against the defining sum, added up product by product."""
    summed = defined_sum(case.operator, case.x)
    channels = summed.reshape(case.bias.size, -1) + case.bias[:, None]
    how = f"{case.y.size} numbers against the sum, products and bias added one by one"
    differing = first_polynomial(channels.ravel(), case.y.ravel(), "output")
    return Claim(
        "These are the outputs.",
        judged(EXACTLY, NUMBERS, differing, how),
        (Formula(array_latex("y", case.y)),),
    )


def back(case: Worked) -> Claim:
    """The printed gradient of the input against the chain rule on each product."""
    weights = only_convolution(case.operator).weights
    found = np.zeros(case.operator.in_shape, dtype=object)
    for tap, read, made in terms(case.operator):
        found[read] += weights[tap] * case.g[made]
    differing = first_polynomial(case.dx.ravel(), found.ravel(), "input")
    how = f"{found.size} numbers, by the chain rule on each product"
    return Claim(
        "This is the gradient of the input.",
        judged(EXACTLY, NUMBERS, differing, how),
        (Formula(array_latex(r"\frac{\partial L}{\partial x}", case.dx)),),
    )


def kernel_slopes(case: Worked) -> Claim:
    """The printed gradient of the kernel against central differences of the loss."""
    return _slopes(case, slopes(case)[0], case.dw, "w")


def bias_slopes(case: Worked) -> Claim:
    """The printed gradient of the bias against central differences of the loss."""
    return _slopes(case, slopes(case)[1], case.db, "b")


def _slopes(case: Worked, found: np.ndarray, claimed: np.ndarray, name: str) -> Claim:
    """Central differences are exact here, since the loss is quadratic."""
    how = f"{found.size} central differences of L with steps of 1, exact on a quadratic"
    pairs = zip(claimed.ravel(), found.ravel(), strict=True)
    differing = first_difference((f"{name} {k}", *pair) for k, pair in enumerate(pairs))
    shown = claimed if name == "w" or claimed.size > 1 else claimed[0]
    word = {"w": "kernel", "b": "bias"}[name]
    return Claim(
        f"This is the gradient of the {word}.",
        judged(EXACTLY, NUMBERS, differing, how),
        (Formula(array_latex(rf"\frac{{\partial L}}{{\partial {name}}}", shown)),),
    )


def fall(case: Worked, before: Any, after: Any) -> Claim:
    """Whether the loss fell as the gradient says: by rate |G|^2 less half rate^2 |B G|^2.

    Rule: L is quadratic, so its fall along the gradient G is known without applying the layer
    to the new weights.
    """
    rate, weights, bias = case.rate, case.dw.astype(object), case.db
    moved = np.zeros(case.operator.out_shape, dtype=object)
    for tap, read, made in terms(case.operator):
        moved[made] += weights[tap] * case.x[read]
    moved = moved.reshape(bias.size, -1) + bias[:, None]
    squared = sum(v * v for v in weights.ravel().tolist() + bias.tolist())
    expected = before - rate * squared + rate**2 * sum(v * v for v in moved.ravel().tolist()) / 2
    start = sum(v * v for v in case.g.ravel().tolist())
    how = "L - rate |G|^2 + rate^2 |B(x) G|^2 / 2 with the gradient G, in fractions"
    differing = first_difference(
        [("the loss", after, expected), ("twice the loss before", 2 * before, start)]
    )
    if differing is None and not after < before:
        differing = f"the loss went from {before} to {after}"
    return Claim(
        f"At the rate {rate} the loss falls from {before} to {after}.",
        judged(EXACTLY, NUMBERS, differing, how),
    )


def bias_ends_linearity(operator: Operator) -> Claim:
    """With a bias of one, the output of zero is one, and a linear map takes zero to zero."""
    zeros = np.zeros(operator.in_shape, dtype=object)
    outputs = (operator(zeros) + 1).ravel().tolist()
    differing = first_polynomial(outputs, [1] * len(outputs), "output")
    return Claim(
        "With a bias of 1 it is affine and no longer linear: the output of x = 0 is 1 everywhere, "
        "and a linear map takes 0 to 0.",
        judged("shown by a counterexample", scope_of(operator), differing, "A(0) + 1 evaluated"),
    )


def strided_products(whole: Operator, dense: Operator) -> Claim:
    """The multiplications of a stride in one step, and of every output with most dropped."""
    kept, computed = whole.counts.multiplications, dense.counts.multiplications
    found = []
    for layer, count in ((whole, kept), (dense, computed)):
        axis = layer_of(layer)[0].axes[0]
        ones = int(with_ones(layer)(np.ones(layer.in_shape, dtype=np.int64)).sum())
        found.append((written(layer), count, len(axis_terms(axis)), sum(uses(axis)), ones))
    return Claim(
        f"In one step it takes {kept} multiplications; every output computed and most of them "
        f"dropped takes {computed}.",
        exact_check(whole, first_difference(found), "taps that meet the input, one by one"),
        (Code(f"{written(whole)}\n{written(dense)}"),),
    )


def pooling(
    pool: Map,
    numbers: tuple[np.ndarray, np.ndarray],
    words: tuple[str, str, str],
    shares: Callable[[list[Any]], list[Any]],
    side: int,
) -> Claim:
    """A pooling forward and back, window by window, from the shares of the samples in each."""
    x, g = numbers
    forward_, back_ = pool(x), pool.at(x).T(g)
    expected, returned = np.zeros_like(forward_), np.zeros_like(back_)
    for place in np.ndindex(*forward_.shape):
        starts = (range(side * p, side * (p + 1)) for p in place)
        window = list(product(*starts))
        values = [x[spot] for spot in window]
        for spot, value, share in zip(window, values, shares(values), strict=True):
            expected[place] += share * value
            returned[spot] += share * g[place]
    found = [
        (name, told.tolist(), made.tolist())
        for name, told, made in (("y", forward_, expected), ("dL/dx", back_, returned))
    ]
    name, taken, given = words
    return Claim(
        f"The {name} takes {taken}, and gives {given} on the way back.",
        judged(
            EXACTLY,
            NUMBERS,
            first_difference(found),
            "every window gone through by hand, forward and back, in fractions",
        ),
        (
            Formula(array_latex("y", forward_)),
            Formula(array_latex(r"\frac{\partial L}{\partial y}", g)),
            Formula(array_latex(r"\frac{\partial L}{\partial x}", back_)),
        ),
    )


def fields(operator: Operator, claimed: Sequence[int]) -> Claim:
    """The fields of one, two, ... layers against the samples reached one after the other."""
    axis = layer_of(operator)[0].axes[-1]
    s, k, d = int(axis.stride), int(axis.taps), abs(int(axis.dilation))
    places, found = {0}, []
    for depth, size in enumerate(claimed, 1):
        places = {s * o + d * t for o in places for t in range(k)}
        found.append((f"{depth} layers", size, max(places) - min(places) + 1))
    terms_ = [f"{d} \\cdot ({k} - 1) \\cdot {s**depth}" for depth in range(len(claimed))]
    formula = (
        r"r_L = 1 + \sum_{l=1}^{L} d_l\,(k_l - 1) \prod_{j \lt l} s_j = 1 + "
        rf"{' + '.join(terms_)} = {claimed[-1]}"
    )
    several = ", ".join(map(str, claimed))
    sentence = (
        f"Along the last axis one layer spans {several} samples."
        if len(claimed) == 1
        else f"Along the last axis 1 to {len(claimed)} layers span {several} samples."
    )
    return Claim(
        sentence,
        exact_check(operator, first_difference(found), "the samples reached, collected"),
        (Formula(formula),),
    )


def reads(operator: Operator) -> tuple[int, int]:
    """The fewest and the most samples that an output of a layer reads, by its matrix."""
    stored = np.diff(with_ones(operator).to_scipy().indptr)
    return int(stored.min()), int(stored.max())


def reads_claim(operator: Operator, bound: int | None, formula: str) -> Claim:
    """The fewest and most samples that outputs read, one by one, and a bound where there is one."""
    fewest, most = reads(operator)
    read: dict[tuple[int, ...], set[tuple[int, ...]]] = {
        place: set() for place in np.ndindex(*operator.out_shape)
    }
    for _, source, made in terms(operator):
        read[made].add(source)
    sizes = [len(sources) for sources in read.values()]
    differing = first_difference([("outputs", (fewest, most), (min(sizes), max(sizes)))])
    if differing is None and bound is not None and max(sizes) > bound:
        differing = f"an output reads {max(sizes)} samples, above {bound}"
    low = "" if fewest == most else f"from {fewest} to "
    return Claim(
        f"The outputs read {low}{plural(most, 'sample')}.",
        exact_check(operator, differing, "the samples of each output collected one by one"),
        (Formula(formula),) if bound is not None else (),
    )

"""Membership: each formula is true of exactly the entries of the matrix, by brute force."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import sympy

import convalg as ca
from convalg.errors import UndecidableError
from convalg.operators.tree import Operator
from convalg.prove.decisions.domain import Domain
from convalg.prove.decisions.families import kernels_of
from convalg.prove.decisions.membership import MOST_TERMS, terms
from convalg.prove.decisions.nonlinear import formulas
from convalg.prove.decisions.smtlib import Script, conjunction, solve
from convalg.size import substituted

n, m, K, L, p, s, d, C, D, q = ca.sizes("n m K L p s d C D q")
w, v = ca.kernel(K), ca.kernel(L, name="v")
x = ca.kernel(n, name="x")
A = ca.correlation(n, w, stride=s)
EDGE = ca.pad(n, p, boundary="edge")

FAMILIES: dict[str, tuple[Operator, dict[str, int]]] = {
    "a layer": (
        ca.correlation(n, w, stride=s, dilation=d, padding=p),
        {"n": 5, "K": 2, "s": 2, "d": 2, "p": 1},
    ),
    "a convolution": (ca.convolution(n, w, stride=s, dilation=d), {"n": 6, "K": 2, "s": 2, "d": 3}),
    "an adjoint": (A.T, {"n": 6, "K": 3, "s": 2}),
    "a product": (ca.downsample(n - K + 1, s) @ ca.correlation(n, w), {"n": 6, "K": 2, "s": 2}),
    "an adjoint of a product": (
        (ca.downsample(n - K + 1, s) @ ca.correlation(n, w)).T,
        {"n": 5, "K": 2, "s": 2},
    ),
    "two kernels": (
        ca.correlation(A.out_shape, v, stride=s, padding=p) @ A,
        {"n": 7, "K": 2, "L": 2, "s": 2, "p": 1},
    ),
    "numbers": (ca.correlation(n, [2, 0, -1], stride=s), {"n": 6, "s": 2}),
    "windows of numbers": (ca.average_pool(n, 2, stride=s, padding=1), {"n": 4, "s": 3}),
    "windows of symbols": (ca.sum_pool(n, K, stride=s), {"n": 6, "K": 3, "s": 2}),
    "borders": (
        ca.correlation(n, w, padding=p, stride=s, boundary="reflect"),
        {"n": 4, "K": 3, "p": 2, "s": 2},
    ),
    "edges": (ca.correlation(n, w, padding=p, boundary="edge"), {"n": 3, "K": 3, "p": 2}),
    "circular": (ca.shift(n, p, boundary="circular"), {"n": 4, "p": 3}),
    "flips": (ca.flip_axes(n) @ ca.shift(n, -1), {"n": 4}),
    "patches": (
        ca.correlation(n, w, stride=s, dilation=d, padding=p).by_kernel(x),
        {"n": 4, "K": 3, "s": 2, "d": 2, "p": 2},
    ),
    "patches of a transposed layer": (
        ca.transposed_correlation(n, w, stride=s).by_kernel(x),
        {"n": 3, "K": 2, "s": 2},
    ),
    "the adjoint of patches": (
        ca.correlation(n, w, stride=s).by_kernel(x).T,
        {"n": 4, "K": 2, "s": 2},
    ),
    "channels": (
        ca.correlation(n, ca.kernel(C, D, K), stride=s),
        {"n": 3, "C": 2, "D": 2, "K": 2, "s": 2},
    ),
    "groups": (
        ca.correlation(n, ca.kernel(q * C, D, K), stride=s, groups=q),
        {"n": 3, "q": 2, "C": 2, "D": 2, "K": 1, "s": 2},
    ),
    "groups, transposed": (
        ca.correlation(n, ca.kernel(q * C, D, K), groups=q).T,
        {"n": 2, "q": 2, "C": 2, "D": 1, "K": 2},
    ),
    "patches of groups": (
        ca.correlation(n, ca.kernel(q * C, D, K), groups=q).by_kernel(
            ca.kernel(q * D, n, name="x")
        ),
        {"n": 2, "q": 2, "C": 2, "D": 1, "K": 2},
    ),
    "two axes": (
        ca.correlation((n, m), ca.kernel(K, L), stride=(s, 1)),
        {"n": 4, "m": 2, "K": 2, "L": 2, "s": 2},
    ),
    "a Kronecker product": (A.kron(ca.flip_axes(m)), {"n": 3, "K": 2, "s": 2, "m": 2}),
    "a reshape": (ca.reshape((n, m), (m, n)), {"n": 2, "m": 3}),
    "a flat product": (ca.reshape((n, m), n * m) @ ca.flip_axes((n, m)), {"n": 2, "m": 2}),
    "a diagonal": (ca.diagonal([1, 0, 3]).kron(ca.downsample(n, s)), {"n": 3, "s": 2}),
    "a matrix": (ca.dense([[1, 2], [0, 4]]).kron(ca.downsample(n, s)), {"n": 3, "s": 2}),
    "a sum": (A + 2 * A, {"n": 4, "K": 2, "s": 2}),
}


def value_of(operator: Operator, sizes: dict[str, int], point: tuple[Any, ...]) -> sympy.Expr:
    """The entry at a row and a column, as the formulas of its terms say: a polynomial."""
    kernels = kernels_of([operator])
    rows = len(operator.out_shape)
    total: Any = sympy.Integer(0)
    for term in terms(operator):
        shapes = [
            [substituted(size, sizes) for size in kernel.named_shape] for _, kernel in term.named
        ]
        for index in product(*(product(*map(range, shape)) for shape in shapes)):
            script = Script()
            labels = {
                id(factor): list(chosen)
                for (factor, _), chosen in zip(term.named, index, strict=True)
            }
            condition = conjunction(
                term.factor.member(script, list(point[:rows]), list(point[rows:]), labels)
            )
            fixed = [script.equal(symbol, sizes[symbol.name]) for symbol in operator.symbols]
            if solve(script.written([], [*fixed, condition]), 2_000_000).answer == "sat":
                weights = [
                    np.asarray(ca.kernel(*shape, name=kernel.name))[chosen]
                    for (_, kernel), shape, chosen in zip(term.named, shapes, index, strict=True)
                ]
                total += term.coefficient.to_sympy().subs(sizes) * sympy.Mul(*weights)
    assert set(kernels) >= {kernel.name for term in terms(operator) for _, kernel in term.named}
    return sympy.expand(total)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_entries_are_those_of_the_matrix(name: str) -> None:
    operator, sizes = FAMILIES[name]
    member = operator.at(**sizes)
    matrix = member.to_sympy()
    rows = list(np.ndindex(*member.out_shape))
    columns = list(np.ndindex(*member.in_shape))
    # Every entry of the first, a middle and the last row.
    for row in {0, len(rows) // 2, len(rows) - 1}:
        for column in range(len(columns)):
            found = value_of(operator, sizes, (*rows[row], *columns[column]))
            assert sympy.expand(found - matrix[row, column]) == 0, (rows[row], columns[column])


UNDECIDED: dict[str, tuple[Operator, str]] = {
    "windows of symbols, twice": (
        ca.sum_pool(n - K + 1, K, stride=1) @ ca.sum_pool(n, K, stride=1),
        "an output of a window sum of symbolic size reads several inputs",
    ),
    "an edge between two others": (
        EDGE @ EDGE.T @ EDGE,
        "samples beyond an edge all read the same input",
    ),
    "many terms": (
        ca.correlation(n, list(range(1, MOST_TERMS + 2))),
        f"splits into {MOST_TERMS + 1} terms, more than {MOST_TERMS}",
    ),
}


@pytest.mark.parametrize("name", UNDECIDED)
def test_other_products_are_not_formulas(name: str) -> None:
    operator, words = UNDECIDED[name]
    with pytest.raises(UndecidableError, match=words):
        formulas(operator, operator, Domain.of(operator))

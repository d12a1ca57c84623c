"""The LaTeX face: definitions and sizes are read back as arithmetic and compared."""

from __future__ import annotations

import re
from itertools import product
from math import floor
from typing import Any

import numpy as np
import pytest
import sympy
from latex2mathml.converter import convert

import convalg as ca
from convalg.errors import KindError
from convalg.faces import latex
from convalg.faces.latex import definition, notebook, output_size
from convalg.operators.tree import Operator

OPTIONS = [
    {},
    {"stride": 2},
    {"stride": 3, "padding": 2},
    {"dilation": 2, "padding": ((1, 2),)},
    {"padding": "full", "dilation": 3},
    {"padding": "same_lower", "stride": 2},
]


def arithmetic(text: str) -> str:
    """A formula with numbers put in, as Python."""
    text = text.replace(r"\left\lfloor", "floor(").replace(r"\right\rfloor", ")")
    text = re.sub(r"\\frac\{(.*)\}\{(\d+)\}", r"(\1)/\2", text)
    return text.replace(r"\cdot", "*")


def index_of(formula: str) -> str:
    """The index of the first x in a sum, as Python."""
    found = re.search(r"x_\{(.*?)\}", formula)
    assert found is not None
    return re.sub(r"(\d)([a-z])", r"\1*\2", found[1])


@pytest.mark.parametrize("make", [ca.correlation, ca.convolution])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_index_in_the_sum_is_the_one_that_is_read(make: Any, options: Any) -> None:
    n, k = 11, 4
    layer = make(n, [1] * k, **options)
    index = index_of(definition(layer))
    for tap in range(k):
        one = layer.refill(np.eye(k, dtype=int)[tap]).to_numpy()
        for row in range(layer.shape[0]):
            read = eval(index, {"i": row, "a": tap})
            expected = [read] if 0 <= read < n else []
            assert np.flatnonzero(one[row]).tolist() == expected


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_size_with_numbers_put_in_is_the_size(options: Any) -> None:
    for n, k in product((4, 9, 10), (1, 2, 4)):
        if n < 10 and options.get("dilation") == 2 and k == 4:
            continue
        layer = ca.correlation(n, [1] * k, **options)
        first, formula, result = output_size(layer.geometry.axes[0]).split(" = ", 1)[1].split(" = ")
        assert first.startswith(r"\left\lfloor")
        assert eval(arithmetic(formula), {"floor": floor}) == int(result) == layer.out_shape[0]


@pytest.mark.parametrize(("stride", "padding", "extra"), [(1, 0, 0), (2, 1, 1), (3, 0, 2)])
def test_the_transposed_size_too(stride: int, padding: int, extra: int) -> None:
    layer = ca.transposed_correlation(
        5, [1, 2, 3], stride=stride, padding=padding, output_padding=extra
    )
    formula, result = output_size(layer.T.geometry.axes[0], transposed=True).split(" = ")[2:]
    assert eval(arithmetic(formula)) == int(result) == layer.out_shape[0]


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        (
            ca.correlation((6, 8), ca.kernel(3, 2), stride=2, padding=1),
            r"y_{i,\,j} = \sum_{a=0}^{2} \sum_{b=0}^{1} w_{a,\,b}\, x_{2i+a-1,\,2j+b-1}, "
            r"\qquad x_{u,\,v} = 0 \text{ outside } 0 \le u < 6,\ 0 \le v < 8",
        ),
        (
            ca.correlation(6, ca.kernel(4, 3, 3)),
            r"y_{o,\,i} = \sum_{c=0}^{2} \sum_{a=0}^{2} w_{o,\,c,\,a}\, x_{c,\,i+a}",
        ),
        (
            ca.correlation(6, ca.kernel(4, 2, 3), groups=2),
            r"y_{2g+o,\,i} = \sum_{c=0}^{1} \sum_{a=0}^{2} w_{2g+o,\,c,\,a}\, x_{2g+c,\,i+a}",
        ),
        (
            ca.correlation(6, ca.kernel(4, 1, 3), groups=4),
            r"y_{g,\,i} = \sum_{a=0}^{2} w_{g,\,0,\,a}\, x_{g,\,i+a}",
        ),
        (
            ca.correlation(6, [1, 2, 3], padding=1, boundary="circular"),
            r"y_{i} = \sum_{a=0}^{2} w_{a}\, x_{\operatorname{circular}(i+a-1)}, \qquad "
            r"\operatorname{circular}(u) = u \bmod 6",
        ),
        (
            ca.correlation(6, ca.kernel(3, 2, 3), stride=2, padding=1).T,
            r"y_{c,\,u} = \sum_{o=0}^{2} \sum_{i,\,a \,:\, 2i+a-1 = u} w_{o,\,c,\,a}\, x_{o,\,i}, "
            r"\qquad 0 \le i < 3,\ 0 \le a < 3",
        ),
    ],
    ids=repr,
)
def test_definitions(operator: Operator, expected: str) -> None:
    assert definition(operator) == expected


@pytest.mark.parametrize(
    ("boundary", "rule"),
    [
        ("edge", lambda u: min(max(u, 0), 5)),
        ("symmetric", lambda u: [0, 1, 2, 3, 4, 5, 5, 4, 3, 2, 1, 0][u % 12]),
        ("reflect", lambda u: [0, 1, 2, 3, 4, 5, 4, 3, 2, 1][u % 10]),
        ("circular", lambda u: u % 6),
    ],
)
def test_a_boundary_rule_is_what_it_says(boundary: Any, rule: Any) -> None:
    layer = ca.correlation(6, [1, 2, 3], padding=2, boundary=boundary)
    text = latex.boundary_rule(layer).split(" = ", 1)[1]
    body, _, helper = text.partition(r",\ v = ")
    python = [
        re.sub(r"\\([a-z]+)", r"\1", part.replace(r"\cdot", "*").replace(r"\,", ""))
        .replace("bmod", "%")
        .strip()
        for part in (body, helper or "0")
    ]
    for u in range(-5, 11):
        names = {"u": u, "min": min, "max": max}
        assert eval(python[0], names | {"v": eval(python[1], names)}) == rule(u)


def test_sizes_that_differ_by_axis_are_said_by_axis() -> None:
    layer = ca.correlation((5, 7), ca.kernel(3, 3), padding=1, boundary="edge")
    assert latex.boundary_rule(layer).endswith(r"\text{ with } n = 5,\,7 \text{ by axis}")


def test_a_family_is_defined_in_letters() -> None:
    n, taps, p = ca.sizes("n K p")
    family = ca.correlation(n, ca.kernel(taps), padding=p)
    assert definition(family) == (
        r"y_{i} = \sum_{a=0}^{K - 1} w_{a}\, x_{i+a-p}, \qquad "
        r"x_{u} = 0 \text{ outside } 0 \le u < n"
    )
    assert notebook(family) == rf"$\displaystyle {latex.layer_sum(family)}$"


def test_a_notebook_shows_small_matrices_and_tells_large_ones() -> None:
    assert ca.correlation(2, ca.kernel(2))._repr_latex_() == (
        r"$\begin{bmatrix}w_{0} & w_{1}\end{bmatrix}$"
    )
    edge = ca.identity(latex.LARGEST)
    assert "bmatrix" in notebook(edge)
    assert notebook(ca.identity(latex.LARGEST + 1)) == r"$\text{identity(13)}$"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("w", r"w_{0}"),
        ("alpha", r"\alpha_{0}"),
        ("<b>", r"\text{$<$b$>$0}"),
        ("a_b", r"\text{a\_b0}"),
        ("x}{", r"\text{x\}\{0}"),
        ("\\input", r"\text{$\backslash$input0}"),
    ],
)
def test_names_cannot_act(name: str, shown: str) -> None:
    text = notebook(ca.correlation(1, [sympy.Symbol(name + "0")]))
    assert text == rf"$\begin{{bmatrix}}{shown}\end{{bmatrix}}$"


def test_indices_of_two_digits_are_kept_apart() -> None:
    assert latex.expression(ca.kernel(11, 2)[10, 1]) == "w_{10,1}"


@pytest.mark.parametrize(
    "operator",
    [
        ca.correlation((6, 6), ca.kernel(3, 3), stride=2, padding=1, boundary="reflect"),
        ca.convolution((6, 6), ca.kernel(2, 3, 3, 3), padding=1).T,
        ca.correlation((3,) * 5, ca.kernel(*(2,) * 5)),
    ],
    ids=repr,
)
def test_formulas_become_mathml(operator: Operator) -> None:
    assert convert(definition(operator)).startswith("<math")


def test_only_layers_are_defined_by_a_sum() -> None:
    with pytest.raises(
        KindError,
        match=r"a defining sum exists only for a single correlation, convolution or transp",
    ):
        definition(ca.identity(3))


def test_a_family_shows_its_sum() -> None:
    n, k = ca.sizes("n K")
    layer = ca.correlation(n, ca.kernel(k), stride=2)
    assert layer._repr_latex_() == r"$\displaystyle " + latex.layer_sum(layer) + "$"
    assert "2" in latex.layer_sum(layer)
    assert layer.T._repr_latex_() != layer._repr_latex_()

"""Formulas of operators in LaTeX."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import convalg as ca
from convalg.errors import UndecidableError
from convalg.geometry import Geometry
from convalg.operators.leaves import Convolution
from convalg.prove.theorems.formulas import equation_latex, operator_latex


def test_a_kernel_flipped_on_one_axis_has_no_formula() -> None:
    axes = ca.correlation((4, 4), ca.kernel(2, 2)).geometry.axes
    mixed = Geometry((axes[0], replace(axes[1], dilation=-1, padding=-1)))
    with pytest.raises(UndecidableError, match=r"kernel is flipped only on axes \[1\]"):
        operator_latex(Convolution(mixed, ca.kernel(2, 2)))


@pytest.mark.parametrize(
    ("operator", "formula"),
    [
        (ca.downsample((4, 6), 2), "D_{2}"),
        (ca.downsample((4, 6), (2, 3), offset=(1, 0)), r"D_{(2,\,3),\,(1,\,0)}"),
        (ca.upsample((2, 2), (1, 3)), r"U_{(1,\,3)}"),
        (ca.upsample((2, 2), 2, size=(4, 3)), r"U_{2}^{4 \times 3}"),
        (ca.upsample(3, 2).T, "D_{2}"),
        (ca.reshape(6, (2, 3)), r"\operatorname{reshape}_{2 \times 3}"),
        (ca.pad(2, 1, boundary="edge").T, r"(P_{1}^{\mathrm{edge}})^{\mathsf{T}}"),
    ],
    ids=str,
)
def test_samplings_and_reshapes_have_names(operator: ca.Operator, formula: str) -> None:
    assert operator_latex(operator) == formula


def test_a_crop_of_a_product_of_sizes_is_named_from_its_conditions() -> None:
    d, m, c = ca.sizes("d m c")
    cropped = ca.crop(d * m, ((c, d - 1 - c),))
    assert operator_latex(cropped) == r"R_{(c \mid d - c - 1)}"


def test_a_kronecker_product_is_closed_before_an_argument() -> None:
    layer = ca.identity(2).kron(ca.pad(3, 1))
    other = ca.pad((2, 3), ((0, 0), (1, 1)))
    assert equation_latex(layer, other, argument="x").startswith(r"(I_{2} \otimes P_{1})\, x = ")


def test_a_reshape_and_the_adjoint_of_a_boundary_have_formulas() -> None:
    n, m, p = ca.sizes("n m p")
    shape = r"\operatorname{reshape}_{n \times m}"
    assert operator_latex(ca.reshape(n * m, (n, m))) == shape
    folded = ca.pad(n, p, boundary="reflect").T
    assert operator_latex(folded) == r"(P_{p}^{\mathrm{reflect}})^{\mathsf{T}}"
    assert operator_latex(ca.crop(n, 1) + -1 * ca.crop(n, 1)) == "R_{1} - R_{1}"


@pytest.mark.parametrize(
    ("operator", "formula"),
    [
        (ca.dense([[1, 2], [3, -4]]), r"\begin{pmatrix} 1 & 2 \\ 3 & -4 \end{pmatrix}"),
        (ca.diagonal([1, 2]), r"\operatorname{diag}(1,\,2)"),
        (
            ca.diagonal([[1, 2], [3, 4]]),
            r"\operatorname{diag}\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
        ),
        (
            ca.correlation(4, [[[1, 2]], [[3, 4]]]),
            r"A_{\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}}",
        ),
        (ca.correlation(4, [[[1, 2]]]), r"A_{(((1,\,2)))}"),
    ],
    ids=str,
)
def test_matrices_are_written_by_their_entries(operator: ca.Operator, formula: str) -> None:
    assert operator_latex(operator) == formula


def test_large_matrices_are_not_written_out() -> None:
    assert operator_latex(ca.dense(np.ones((6, 6), dtype=int))).count("&") == 30
    assert operator_latex(ca.dense(np.ones((6, 7), dtype=int))).startswith("\\text{")
    assert operator_latex(ca.diagonal(np.ones(37, dtype=int))).startswith("\\text{")
    assert "text" in operator_latex(ca.correlation(9, np.ones((5, 1, 8), dtype=int)))

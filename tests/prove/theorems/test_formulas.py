"""Formulas of operators in LaTeX."""

from __future__ import annotations

from dataclasses import replace

import pytest

import convalg as ca
from convalg.errors import UndecidableError
from convalg.geometry import Geometry
from convalg.operators.leaves import Convolution
from convalg.prove.theorems.formulas import operator_latex


def test_a_kernel_flipped_on_one_axis_has_no_formula() -> None:
    axes = ca.correlation((4, 4), ca.kernel(2, 2)).geometry.axes
    mixed = Geometry((axes[0], replace(axes[1], dilation=-1, padding=-1)))
    with pytest.raises(UndecidableError, match=r"kernel is flipped only on axes \[1\]"):
        operator_latex(Convolution(mixed, ca.kernel(2, 2)))


def test_a_reshape_and_the_adjoint_of_a_boundary_have_formulas() -> None:
    n, m, p = ca.sizes("n m p")
    shape = r"\operatorname{reshape}_{n \times m}"
    assert operator_latex(ca.reshape(n * m, (n, m))) == shape
    folded = ca.pad(n, p, boundary="reflect").T
    assert operator_latex(folded) == r"(P_{p}^{\mathrm{reflect}})^{\mathsf{T}}"
    assert operator_latex(ca.crop(n, 1) + -1 * ca.crop(n, 1)) == "R_{1} - R_{1}"

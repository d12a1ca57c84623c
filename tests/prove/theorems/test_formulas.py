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

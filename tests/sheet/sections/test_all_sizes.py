"""Families of layers, and the claims about them."""

from __future__ import annotations

import convalg as ca
from convalg.sheet.blocks import (
    Code,
    Formula,
)
from convalg.sheet.sections import all_sizes


def test_rows_at_a_border_that_is_read_are_left_out() -> None:
    reflected = ca.correlation(4, ca.kernel(3), padding=1, boundary="reflect")
    (claim, *_) = all_sizes.toeplitz_claims(reflected)
    assert claim.statement.endswith("as long as the windows are inside the input.")
    assert claim.shown[-1] == Formula(r"A_{o+1,\,i+1} = A_{o,\,i},\quad 1 \le o < 2,\ 0 \le i < 3")


def test_a_family_is_the_layer_at_its_sizes() -> None:
    assert all_sizes.family_of(ca.correlation((2, 2, 2, 2), ca.kernel(1, 1, 1, 1))) is None
    # One axis alone is padded: the boundary is that of this axis.
    half = ca.correlation((4, 5), ca.kernel(1, 3), padding=((0, 0), (1, 1)), boundary="circular")
    family = all_sizes.family_of(half)
    assert family is not None
    assert family.at(n=4, m=5, K=1, L=3).to_sympy() == half.to_sympy()


def test_a_transposed_layer_is_not_told_as_the_correlation_behind_it() -> None:
    layer = ca.transposed_correlation((4, 4), ca.kernel(3, 3), stride=2, padding=1)
    toeplitz = all_sizes.toeplitz_claims(layer)
    assert all(c.statement.startswith("The column of the next input along axis") for c in toeplitz)
    (first, *_) = (f.latex for c in toeplitz for f in c.shown if isinstance(f, Formula))
    assert first.startswith(r"A_{(i_1+2,\,i_2),\,(o_1+1,\,o_2)} = A_{(i_1,\,i_2),\,(o_1,\,o_2)}")
    (shift,) = all_sizes.shift_claims(layer)
    assert "shifting the input back by 1 shifts the output back by 2" in shift.statement


def test_a_convolution_has_the_same_kernel_in_its_adjoint() -> None:
    (claim,) = all_sizes.adjoint_claims(ca.convolution(8, ca.kernel(3), padding="full"))
    assert claim.statement == (
        "The adjoint of the convolution is a correlation with the same kernel."
    )
    assert claim.shown[1] == Code("A.T\n== correlation(K + n - 1, kernel(K))")

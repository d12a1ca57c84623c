"""The largest eigenvalue of a sparse Gram matrix, enclosed between two certified bounds.

By Sylvester's law of inertia, t I - G has a factorisation L D L^T without a negative pivot if and
only if every eigenvalue of G is at most t; then t is an upper bound. For any vector v,
|A v|^2 / |v|^2 is a lower bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convalg.arrays import Array
from convalg.operators.tree import Operator

if TYPE_CHECKING:
    from scipy.sparse import csc_array
    from scipy.sparse.linalg import SuperLU

WIDENED = 8.0
"""Factor by which a rejected trial upper bound is moved away from the lower bound."""

ROUNDING = 1e-13
"""Relative difference below which double precision cannot distinguish two bounds."""

MOST_FILL = 2**25
"""The largest number of entries within the band of a Gram matrix that is factored."""


def certified_top(
    operator: Operator, scale: float, lower: float, tolerance: float
) -> tuple[float, bool]:
    """Return the top eigenvalue of the smaller Gram matrix of A / scale, and if it is certified.

    A certified eigenvalue is between the number returned and 1 + `tolerance` times that number. The
    search starts at `lower`, a lower bound on the eigenvalue.
    """
    from scipy.sparse.linalg import LinearOperator, eigsh

    matrix = operator.to_scipy(format="csc", dtype=float) / scale
    gram = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    gram = gram.tocsc()
    entries = gram.tocoo()
    band = int(np.abs(entries.row - entries.col).max(initial=0)) + 1
    if band * gram.shape[0] > MOST_FILL:
        return lower, False
    margin = max(tolerance, ROUNDING)
    start = np.random.default_rng(0).standard_normal(gram.shape[0])
    is_refined = False
    for _ in range(4):
        apart, factors = margin, None
        while apart < 1:
            factors = _factors(gram, lower * (1 + apart))
            if factors is not None:
                break
            apart *= WIDENED
        if factors is None:
            return lower, False
        if apart == margin and is_refined:
            return lower, True
        # The bound is close to the largest eigenvalue, so a few inverse iterations with this shift
        # separate it from the neighbouring eigenvalues.
        size = gram.shape[0]
        solve = factors.solve
        # eigsh expects the inverse of G - bound I.
        inverse = LinearOperator((size, size), matvec=lambda v, solve=solve: -solve(v), dtype=float)
        vector = eigsh(
            gram, k=1, sigma=lower * (1 + apart), OPinv=inverse, v0=start, which="LM", tol=1e-6
        )[1][:, 0]
        start = vector
        lower, is_refined = max(lower, _quotient(gram, vector)), True
    return lower, False


def _quotient(gram: csc_array, vector: Array) -> float:
    return float(vector @ (gram @ vector) / (vector @ vector))


def _factors(gram: csc_array, bound: float) -> SuperLU | None:
    """Return the factors of bound * I - G if all pivots are positive, otherwise None."""
    from scipy.sparse import eye_array
    from scipy.sparse.linalg import splu

    shifted = (bound * eye_array(gram.shape[0]) - gram).tocsc()
    try:
        factors = splu(
            shifted,
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
    except RuntimeError:
        # A pivot is exactly zero: the bound is an eigenvalue of a leading block.
        return None
    is_symmetric = np.array_equal(factors.perm_r, factors.perm_c)
    return factors if is_symmetric and (factors.U.diagonal() > 0).all() else None

"""Least squares: recovering the input of a layer from its output, which the adjoint does not."""

from __future__ import annotations

import math
import numbers

import numpy as np

from convalg.arguments import is_finite, shown
from convalg.arrays import Array, batch_of, check_finite
from convalg.errors import ArgumentError, KindError, SymbolicError
from convalg.linalg.numeric import as_float


def solve(
    A: object,  # noqa: N803
    y: object,
    *,
    regularise: float = 0.0,
    tolerance: float = 1e-12,
) -> Array:
    """Return the x that minimises |A x - y|^2 + regularise * |x|^2, the deconvolution of y.

    The solution inverts the layer as far as possible. The transposed layer A.T(y), often called
    deconvolution, does not invert it; it applies the adjoint. The solution is computed by SciPy's
    lsqr, which only uses A(x) and A.T(y). If there are several minimisers, it is the one of the
    smallest norm.

    Args:
        A: The operator.
        y: The output of the layer, of shape `(*batch, *out_shape)`; each sample is solved on its
            own.
        regularise: The weight of |x|^2, a number of at least 0.
        tolerance: The relative tolerance for the residual and for its gradient, between 0 and 1.

    Returns:
        An array of shape `(*batch, *in_shape)` in double precision, also for exact entries.

    Raises:
        ShapeError: when the shape of y does not end in `out_shape`.
        SymbolicError: when A or y has symbols.
        KindError: when A is not an operator, y is complex, or `regularise` or `tolerance` is not a
            real number.
        ArgumentError: when `regularise` is negative, `tolerance` is not between 0 and 1, y is not
            finite, or the iteration does not converge.

    Source: Paige & Saunders (1982), LSQR.

    >>> import convalg as ca
    >>> A = ca.correlation(4, [1, 2], padding=((0, 1),))
    >>> y = A([3, 1, 4, 1])
    >>> ca.solve(A, y).round(6).tolist(), A.T(y).tolist()
    ([3.0, 1.0, 4.0, 1.0], [5, 19, 24, 13])
    """
    from scipy.sparse.linalg import lsqr

    operator = as_float(A, "solve")
    weight = _number(regularise, "regularise")
    accuracy = _number(tolerance, "tolerance")
    if not 0 < accuracy < 1:
        raise ArgumentError(f"tolerance must be between 0 and 1, not {tolerance!r}")
    samples, batch = batch_of(y, operator.out_shape, "y")
    check_finite(samples, "y")
    if samples.dtype.kind == "c":
        raise KindError(
            f"y must be real, not {samples.dtype}: solve for its real and its imaginary part "
            f"separately"
        )
    try:
        samples = samples.astype(float)
    except TypeError:
        raise SymbolicError(
            f"y must hold real numbers, not {samples.ravel()[0]!r}: substitute numbers for symbols"
        ) from None
    linear = operator.to_linear_operator()
    limit = 20 * max(min(operator.shape), 50)
    solutions = np.zeros((len(samples), operator.shape[1]))
    for k, sample in enumerate(samples):
        solutions[k], stop, steps, residual = lsqr(
            linear,
            sample.ravel(),
            damp=math.sqrt(weight),
            atol=accuracy,
            btol=accuracy,
            conlim=0,
            iter_lim=limit,
        )[:4]
        if stop == 7:
            raise ArgumentError(
                f"least squares did not converge to tolerance={accuracy:g} in {steps} steps; the "
                f"residual is {residual:.3g}: pass a larger tolerance, or regularise > 0"
            )
    return solutions.reshape(*batch, *operator.in_shape)


def _number(value: object, name: str) -> float:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise KindError(f"{name} must be a real number, not {value!r}")
    number = float(value) if is_finite(value) else math.nan
    if not number >= 0:
        raise ArgumentError(f"{name} must be a finite number of at least 0, not {shown(value)}")
    return number

"""Upper bounds on the norm of a layer, and a quantity that is often mistaken for the norm."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from convalg import engine
from convalg.arrays import Array
from convalg.axis import Axis
from convalg.errors import KindError
from convalg.linalg.circulant import block_gram, top_value, transfer
from convalg.linalg.numeric import as_float
from convalg.operators.leaves import Adjoint, Convolution
from convalg.operators.tree import Operator, Scaled

ITERATIONS = 6
"""Number of steps of the Gram iteration; `gram` is then at most rank^(1/128) times `circular`."""


@dataclass(frozen=True)
class NormBounds:
    """Four upper bounds on the norm of one layer, and `reshaped`, which is not a bound.

    Attributes:
        circular: Upper bound: the norm of a circular layer on the padded input whose matrix
            contains the rows of this layer. Where the boundary rule repeats samples, it is
            multiplied by the square root of the number of repetitions. It equals the norm for a
            circular layer of stride 1. Computed by FFT.
        absolute_sum: Upper bound: the square root of the largest row sum of |A| times the square
            root of its largest column sum (Schur's test).
        gram: Upper bound, slightly above `circular`: computed from Frobenius norms of iterated
            Gram matrices of the kernel's Fourier blocks, without eigenvalues.
        reshaped: Not a bound: the spectral norm of the kernel reshaped to a matrix of shape
            (C_out, C_in * taps), which deep-learning frameworks call the spectral norm.
        reshaped_bound: Upper bound: `reshaped` times the square root of the largest number of
            outputs that read one sample, which is at most the number of taps.

    Source: `gram`: Delattre et al. (2023), Efficient bound of Lipschitz constant for convolutional
    layers by Gram iteration; `reshaped`: Miyato et al. (2018); `reshaped_bound`: Tsuzuku, Sato &
    Sugiyama (2018).

    >>> import convalg as ca
    >>> bounds = ca.norm_bounds(ca.correlation(8, [1, 2, 1], padding=1))
    >>> round(bounds.circular, 6), bounds.absolute_sum, round(bounds.reshaped, 6)
    (4.0, 4.0, 2.44949)
    """

    circular: float
    absolute_sum: float
    gram: float
    reshaped: float
    reshaped_bound: float

    @property
    def upper(self) -> float:
        """The smallest of the four upper bounds.

        >>> import convalg as ca
        >>> ca.norm_bounds(ca.correlation(8, [1, -2, 1])).upper
        4.0
        """
        return min(self.circular, self.absolute_sum, self.gram, self.reshaped_bound)


def norm_bounds(A: object) -> NormBounds:  # noqa: N803
    """Return upper bounds on the norm of one convolution layer, its adjoint or a scalar multiple.

    The bounds hold for every boundary rule, stride, dilation and number of groups. They are
    computed in double precision and hold up to rounding.

    Args:
        A: A convolution layer, the adjoint of such a layer, or a scalar multiple of one of them.

    Returns:
        A `NormBounds` of five floats; its property `upper` is the smallest upper bound.

    Raises:
        KindError: when A is not an operator, or is not a single layer (a product or a sum, say).
        SymbolicError: when a size or an entry is symbolic.
        TooLargeError: when the Fourier transform of the kernel does not fit in memory.

    >>> import convalg as ca
    >>> ca.norm_bounds(ca.correlation((8, 8), ca.kernels.laplace, padding=1)).upper
    8.0
    """
    factor, layer = _layer(as_float(A, "norm_bounds"))
    geometry, weights = layer.geometry, layer.weights
    extents = [_extent(axis) for axis in geometry.axes]
    grid = [size for size, _ in extents]
    repeats = math.sqrt(math.prod(often for _, often in extents))
    blocks = transfer(geometry, weights, grid, half=True)
    matrix = weights.reshape(geometry.out_channels or 1, -1)
    reshaped = float(np.linalg.norm(matrix, 2))
    return NormBounds(
        circular=factor * repeats * top_value(blocks),
        absolute_sum=factor * _absolute_sum(layer),
        gram=factor * repeats * _gram_iteration(blocks),
        reshaped=factor * reshaped,
        reshaped_bound=factor * reshaped * math.sqrt(engine.most_readers(geometry.axes)),
    )


def _layer(operator: Operator) -> tuple[float, Convolution]:
    """Return the absolute value of the scalar factor of an operator, and its layer."""
    match operator:
        case Convolution():
            return 1.0, operator
        case Adjoint(operator=Convolution() as layer):
            return 1.0, layer
        case Scaled(factor=factor, operator=inner):
            inner_factor, layer = _layer(inner)
            return abs(factor) * inner_factor, layer
    raise KindError(
        f"norm_bounds accepts one convolution layer, its adjoint or a scalar multiple, not "
        f"{operator!r}: try A.simplify(), or multiply the bounds of its factors"
    )


def _extent(axis: Axis) -> tuple[int, int]:
    """Return the size of a circulant that contains the axis, and the most copies of a sample.

    Rule: the matrix of a layer consists of some rows of the circulant over the samples that the
    layer reads, padding included, multiplied by the padding matrix. The norm of the padding matrix
    is the square root of its largest column sum.
    """
    n = int(axis.in_size)
    outputs, taps = np.arange(axis.out_size), np.arange(axis.taps)
    if axis.boundary == "circular":
        # Circular padding repeats rows of the circulant, not samples.
        rows = np.unique(axis.raw(outputs, 0) % n, return_counts=True)[1]
        return n, int(rows.max())
    raw, first = np.unique(axis.raw(outputs[:, None], taps), return_index=True)
    read = axis.columns().ravel()[first]
    often = np.unique(read[read >= 0], return_counts=True)[1].max(initial=1)
    return int(raw[-1] - raw[0]) + 1, int(often)


def _absolute_sum(layer: Convolution) -> float:
    positive = replace(layer, weights=np.abs(layer.weights))
    rows = positive(np.ones(layer.in_shape)).max()
    columns = positive.T(np.ones(layer.out_shape)).max()
    return math.sqrt(rows) * math.sqrt(columns)


def _gram_iteration(blocks: Array) -> float:
    """Return the largest ||G_t||_F^(2^-t) over the frequencies; G_t is rescaled in each step."""
    gram, _, size = block_gram(blocks)
    logarithm = np.zeros(gram.shape[:-2])
    for step in range(1, ITERATIONS + 1):
        length = np.linalg.norm(gram, axis=(-2, -1))
        # A zero block stays zero and is never the largest.
        scale = np.where(length > 0, length, 1.0)
        logarithm += np.log(scale) / 2**step
        gram = gram / scale[..., None, None]
        if step < ITERATIONS:
            gram = gram @ gram
    logarithm[length == 0] = -np.inf
    return size * float(np.exp(logarithm.max()))

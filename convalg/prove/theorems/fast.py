"""Theorems about fast algorithms: fewer multiplications for the same layer."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import NamedTuple

import numpy as np

from convalg.arrays import Array
from convalg.axis import Size
from convalg.kernels import kernel
from convalg.operators.convolution import convolution, correlation, transposed_correlation
from convalg.operators.dense import dense, diagonal, identity
from convalg.operators.leaves import Convolution
from convalg.operators.padding import crop, pad
from convalg.operators.tree import Operator, kron
from convalg.prove.theorems.chapters import FAST
from convalg.prove.theorems.counts import Multiplications
from convalg.prove.theorems.theorem import Equality, Sides, Theorem
from convalg.size import sizes

n, m, K = sizes("n m K")


class _Winograd(NamedTuple):
    """The matrices of y = A ((G w) * (B x)) for one tile x; Lavin & Gray write A^T and B^T."""

    inputs: Array
    """B, from the samples of a tile to as many numbers."""
    taps: Array
    """G, from the 3 taps."""
    outputs: Array
    """A, to the outputs of a tile."""


def _exact(rows: list[list[int]], divisors: list[int] | None = None) -> Array:
    """Return a matrix of fractions, each row divided by its divisor."""
    by = divisors or [1] * len(rows)
    return np.array(
        [[Fraction(v, d) for v in row] for row, d in zip(rows, by, strict=True)], dtype=object
    )


F23 = _Winograd(
    _exact([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]),
    _exact([[1, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 1]], [1, 2, 2, 1]),
    _exact([[1, 1, 1, 0], [0, 1, -1, -1]]),
)
F43 = _Winograd(
    _exact(
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ]
    ),
    _exact(
        [[1, 0, 0], [-1, -1, -1], [-1, 1, -1], [1, 2, 4], [1, -2, 4], [0, 0, 1]],
        [4, 6, 6, 24, 24, 1],
    ),
    _exact([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]),
)


def _products(algorithm: _Winograd) -> Convolution:
    """Return the depthwise layer that multiplies the transformed tiles by the transformed taps."""
    weights = algorithm.taps @ np.asarray(kernel(1, 1, 3))[0, 0]
    return correlation(m, weights[:, None, None], groups=len(weights))


def _direct(algorithm: _Winograd) -> Convolution:
    return correlation(len(algorithm.outputs) * m + 2, kernel(1, 1, 3))


def _tiled(algorithm: _Winograd) -> Sides:
    """Tiles of neighbouring outputs: the stride of both transforms is the number of outputs."""
    step = len(algorithm.outputs)
    inputs = correlation(step * m + 2, algorithm.inputs[:, None], stride=step)
    outputs = transposed_correlation(m, algorithm.outputs.T[:, None], stride=step)
    return outputs @ _products(algorithm) @ inputs, _direct(algorithm)


def _tiled_across(*, is_transposed: bool = False) -> Sides:
    """The tiles of an image, of 4 by 4 pixels each, after they were cut out."""
    weights = np.asarray(kernel(3, 3))
    taps = weights.T if is_transposed else weights
    inputs, outputs = (kron(dense(a), dense(a)) for a in (F23.inputs, F23.outputs))
    tile = outputs @ diagonal(F23.taps @ taps @ F23.taps.T) @ inputs
    return kron(identity(m), tile), kron(identity(m), correlation((4, 4), kernel(3, 3)))


def _full(size: Size, name: str, taps: Size = K) -> Convolution:
    return convolution(size, kernel(taps, name=name), padding="full")


def _halves(*, is_delayed: bool = True) -> Sides:
    """The two halves of the taps; the second half is K samples later."""
    x = kernel(n, name="x")
    both, half = (_full(n, "w", taps).by_kernel(x) for taps in (2 * K, K))
    at = [((0, K),), ((K, 0),)]
    placed = at if is_delayed else at[::-1]
    first, second = (
        pad(n + K - 1, place) @ half @ crop(2 * K, other)
        for place, other in zip(placed, at, strict=True)
    )
    return both, first + second


def _from_three(*, is_subtracted: bool = True) -> Sides:
    """Karatsuba's algorithm for a signal and a kernel of 2 K samples each."""
    late = [pad(3 * K - 1, ((k * K, (1 - k) * K),)) for k in range(2)]
    both = late[0] @ _full(2 * K, "u") + late[1] @ _full(2 * K, "v")
    first, second = crop(2 * K, ((0, K),)), crop(2 * K, ((K, 0),))
    low, high = _full(K, "u") @ first, _full(K, "v") @ second
    middle: Operator = (_full(K, "u") + _full(K, "v")) @ (first + second)
    if is_subtracted:
        middle = middle - low - high
    at = [pad(2 * K - 1, ((k * K, (2 - k) * K),)) for k in range(3)]
    return both, at[0] @ low + at[1] @ middle + at[2] @ high


def _halved(algorithm: _Winograd) -> _Winograd:
    """Return the algorithm with integers for taps, a common slip: G without its fractions."""
    taps = [[int(v / min(abs(w) for w in row if w)) for v in row] for row in algorithm.taps]
    return algorithm._replace(taps=_exact(taps))


LAVIN = "Lavin & Gray, Fast Algorithms for Convolutional Neural Networks, 2016"
WINOGRAD = f"Winograd, Arithmetic Complexity of Computations, 1980; {LAVIN}"
KARATSUBA = "Karatsuba & Ofman, Multiplication of Multidigit Numbers on Automata, 1962"


def _winograd(name: str, algorithm: _Winograd, sentence: str, idea: str) -> Theorem:
    outputs, products = algorithm.outputs.shape
    return Theorem(
        name,
        (
            Equality(
                f"F({outputs}, 3): the transformed tiles times the transformed kernel, transformed "
                f"back",
                partial(_tiled, algorithm),
            ),
            Multiplications(
                f"{products} multiplications for each tile of {outputs} outputs",
                lambda: (_products(algorithm),),
                products * m,
            ),
            Multiplications(
                f"the layer itself needs {3 * outputs} multiplications for as many outputs",
                lambda: (_direct(algorithm),),
                3 * outputs * m,
            ),
        ),
        source=WINOGRAD,
        counter=Equality(
            "the kernel is transformed without the denominators",
            partial(_tiled, _halved(algorithm)),
        ),
        chapter=FAST,
        sentence=sentence,
        idea=idea,
    )


THEOREMS = (
    _winograd(
        "winograd-2-3",
        F23,
        "A valid layer with 3 taps computes 2 neighbouring outputs with 4 multiplications instead "
        "of 6, if tiles of 4 samples and the kernel are transformed and their products are "
        "transformed back.",
        "The product of two polynomials of degrees 1 and 2 is determined by its values at 0, 1, "
        "-1 and infinity, and the layer is the transpose of this product.",
    ),
    _winograd(
        "winograd-4-3",
        F43,
        "A valid layer with 3 taps computes 4 neighbouring outputs with 6 multiplications instead "
        "of 12, if tiles of 6 samples and the kernel are transformed and their products are "
        "transformed back.",
        "The product of two polynomials of degrees 3 and 2 is determined by its values at 0, 1, "
        "-1, 2, -2 and infinity, and the layer is the transpose of this product.",
    ),
    Theorem(
        "winograd-image",
        (
            Equality(
                "F(2x2, 3x3): the transforms of rows and columns of each tile of 4 by 4 pixels",
                _tiled_across,
            ),
        ),
        source=LAVIN,
        counter=Equality(
            "the transformed kernel is G w^T G^T", partial(_tiled_across, is_transposed=True)
        ),
        chapter=FAST,
        sentence=(
            "A 3x3 layer computes 2 by 2 outputs from each of m tiles of 4 by 4 pixels by the "
            "transforms of one axis along both axes, and one product with a transformed kernel of "
            "4 by 4 numbers between them."
        ),
        idea=(
            "Use the algorithm of one axis along the rows, with a layer along the columns in place "
            "of each product."
        ),
    ),
    Theorem(
        "kernel-halves",
        (Equality("2 K taps are K taps and K later taps", _halves),),
        counter=Equality(
            "the first half of the taps is the later one", partial(_halves, is_delayed=False)
        ),
        chapter=FAST,
        sentence=(
            "The full convolution with 2 K taps is the sum of the full convolutions with the first "
            "and with the last K taps, the latter delayed by K samples."
        ),
        idea="Tap K + t adds sample i to output i + K + t.",
    ),
    Theorem(
        "karatsuba",
        (Equality("three full convolutions of K samples instead of four", _from_three),),
        source=KARATSUBA,
        counter=Equality(
            "the outer products are not subtracted from the one in the middle",
            partial(_from_three, is_subtracted=False),
        ),
        chapter=FAST,
        sentence=(
            "The full convolution of two sequences of 2 K samples needs three full convolutions of "
            "K samples instead of four: of the first halves, of the second halves, and of the sums "
            "of the halves."
        ),
        idea=(
            "With the halves a and b of one sequence and u and v of the other, a v + b u is "
            "(a + b) (u + v) - a u - b v, and the layer with the kernel u + v is the sum of two."
        ),
    ),
)
